"""Nodes: register, beat, fall silent, leave. A heartbeat touches only its own narrow table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import NamedTuple

import orjson
from sqlalchemy import Connection, text

from scheduler.documents import Document
from scheduler.identifiers import Epoch, NodeId, ProjectId
from scheduler.rules.lifecycle.states import NodeState
from scheduler.store import records


class LockedNode(NamedTuple):
    """The facts that decide what a node may do, read under its row lock."""

    id: NodeId
    name: str
    epoch: Epoch
    state: str
    boot_id: str
    disk_id: str
    place: str | None
    token_id: int | None
    is_draining: bool
    is_active: bool


class LastHeartbeat(NamedTuple):
    """A node's last heartbeat: a counter, not a time. `lease_s` is the longest that any of its executions was given."""

    node_id: NodeId
    name: str
    epoch: Epoch
    seq: int
    is_silent: bool
    lease_s: float


class NodeFlags(NamedTuple):
    """The present state of a node; `degraded` says why it gets no work, None where nothing is wrong."""

    is_draining: bool
    is_silent: bool
    degraded: str | None
    is_leaving: bool


@dataclass(frozen=True, slots=True)
class Registration:
    """A node's description of itself when it registers; amounts in thousandths, `powers` is for people.

    The last two are not the node's word: the join token that it came with, and the projects that this token limits it to.
    """

    name: str
    pool: str
    hostname: str
    boot_id: str
    disk_id: str
    cpus: int
    mem: int
    disk: int
    custom: dict[str, int]
    labels: dict[str, str]
    powers: Document
    version: str
    runs_ahead: bool
    place: str | None
    token_id: int
    project_ids: list[ProjectId] | None


_COLUMNS = "id, name, epoch, state, boot_id, disk_id, place, token_id, is_draining, is_active"

_LOCK_BY_NAME = text(f"SELECT {_COLUMNS} FROM nodes WHERE name = :name FOR NO KEY UPDATE")  # noqa: S608
_LOCK = text(f"SELECT {_COLUMNS} FROM nodes WHERE id = :id FOR NO KEY UPDATE")  # noqa: S608
_TRY_LOCK = text(f"SELECT {_COLUMNS} FROM nodes WHERE id = :id FOR NO KEY UPDATE SKIP LOCKED")  # noqa: S608
_LOCK_ALL = text("SELECT id FROM nodes WHERE id = ANY(:ids) ORDER BY id FOR NO KEY UPDATE")

_POOL = text("SELECT id FROM pools WHERE name = :name")
_NEW_POOL = text("INSERT INTO pools (name) VALUES (:name) ON CONFLICT (name) DO NOTHING")

_INSERT = text("""
    INSERT INTO nodes (name, pool_id, hostname, boot_id, disk_id, cpus, mem, disk, custom, labels, powers, version,
                       runs_ahead, place, token_id, project_ids)
    VALUES (:name, :pool_id, :hostname, :boot_id, :disk_id, :cpus, :mem, :disk,
            CAST(:custom AS jsonb), CAST(:labels AS jsonb), CAST(:powers AS jsonb), :version,
            :runs_ahead, :place, :token_id, :project_ids)
    ON CONFLICT (name) DO NOTHING
    RETURNING id
""")

_REGISTER = text("""
    UPDATE nodes
    SET pool_id = :pool_id, hostname = :hostname, boot_id = :boot_id, disk_id = :disk_id,
        cpus = :cpus, mem = :mem, disk = :disk, custom = CAST(:custom AS jsonb), labels = CAST(:labels AS jsonb),
        powers = CAST(:powers AS jsonb), version = :version, runs_ahead = :runs_ahead,
        place = :place, token_id = :token_id, project_ids = :project_ids,
        epoch = :epoch, state = 'READY', is_silent = false, is_leaving = false, degraded = NULL,
        launch_failures = 0, launch_suspects = '{}', archived = CASE WHEN NOT is_active THEN archived END,
        registered = now(), last_modified = now()
    WHERE id = :id
""")

_BEAT_ROW = text("""
    INSERT INTO beats (node_id, epoch) VALUES (:node_id, :epoch)
    ON CONFLICT (node_id) DO UPDATE SET epoch = EXCLUDED.epoch, seq = beats.seq + 1, at = now()
""")

_BEAT = text("""
    UPDATE beats
    SET seq = seq + 1, holding = :holding, load = CAST(:load AS jsonb), at = now()
    WHERE node_id = :node_id AND epoch = :epoch
    RETURNING node_id
""")

_SELF_REPORT = text("""
    UPDATE nodes
    SET degraded = :degraded, is_leaving = :leaving, last_modified = now()
    WHERE id = :node_id
      AND epoch = :epoch
      AND (degraded IS DISTINCT FROM :degraded OR is_leaving <> :leaving)
    RETURNING id
""")

_FLAGS = text("SELECT is_draining, is_silent, degraded, is_leaving FROM nodes WHERE id = :node_id")

_PULSES = text("""
    SELECT n.id AS node_id, n.name, b.epoch, b.seq, n.is_silent, COALESCE(x.lease_s, 0) AS lease_s
    FROM nodes n
    JOIN beats b ON b.node_id = n.id
    LEFT JOIN (
        SELECT node_id, max(lease_s) AS lease_s FROM executions WHERE released_at IS NULL GROUP BY node_id
    ) AS x ON x.node_id = n.id
    WHERE n.state = 'READY'
""")

# A row that somebody holds is passed over: the next look is a second away, and a silence may be marked late.
_SILENT = text("""
    UPDATE nodes n
    SET is_silent = v.silent, last_modified = now()
    FROM unnest(CAST(:ids AS bigint[]), CAST(:silent AS boolean[])) AS v (id, silent)
    WHERE n.id = v.id
      AND n.id IN (SELECT id FROM nodes WHERE id = ANY(:ids) FOR NO KEY UPDATE SKIP LOCKED)
      AND n.is_silent <> v.silent
""")

_STILL = text("SELECT 1 FROM beats WHERE node_id = :node_id AND epoch = :epoch AND seq = :seq FOR UPDATE")

_LOSE = text("""
    UPDATE nodes
    SET state = :state, epoch = epoch + 1, is_silent = true, last_modified = now(),
        archived = CASE WHEN NOT is_active THEN archived WHEN :state = 'GONE' THEN now() END,
        -- Leaving is the end of a drain; a node that is to be cleared away may still come back once, and gets no work.
        is_draining = is_draining AND (is_retiring OR :state <> 'GONE')
    WHERE id = :id
    RETURNING epoch
""")

_END_BEATS = text("UPDATE beats SET epoch = :epoch WHERE node_id = :node_id")

# What an operator has said of a node outlives it: one that is paused or out of service keeps its row.
_LEFT = text("""
    SELECT id FROM nodes
    WHERE state = 'GONE' AND NOT is_retiring AND is_active AND NOT is_paused
      AND archived > now() - make_interval(secs => :within_s) AND id <> ALL(:known)
    ORDER BY id
    LIMIT :limit
""")

# Whatever refers to a node was written after the node was: the index on `last_modified` leaves out what is older.
_UNUSED = text("""
    SELECT n.id
    FROM nodes n
    WHERE n.id = :id AND n.state = 'GONE' AND NOT n.is_retiring
      AND NOT EXISTS (SELECT FROM executions x WHERE x.node_id = n.id AND x.last_modified >= n.created)
    FOR UPDATE SKIP LOCKED
""")

_DELETE_BEATS = text("DELETE FROM beats WHERE node_id = :id")
_DELETE = text("DELETE FROM nodes WHERE id = :id")


def lock(tx: Connection, node_id: NodeId, *, wait: bool = True) -> LockedNode | None:
    """Lock one node's row; None where there is no such node, and without `wait` where somebody else holds it."""
    return records.read_optional(LockedNode, tx.execute(_LOCK if wait else _TRY_LOCK, {"id": node_id}))


def lock_all(tx: Connection, ids: Iterable[NodeId]) -> None:
    """Lock many nodes' rows in ascending order."""
    tx.execute(_LOCK_ALL, {"ids": sorted(set(ids))})


def lock_by_name(tx: Connection, name: str) -> LockedNode | None:
    """Lock the node that holds this name; None where the name is free."""
    return records.read_optional(LockedNode, tx.execute(_LOCK_BY_NAME, {"name": name}))


def insert(tx: Connection, new: Registration) -> NodeId | None:
    """Insert a node and its row of heartbeats at epoch 1; None when another transaction has just taken the name."""
    node_id: NodeId | None = tx.execute(_INSERT, _columns(tx, new)).scalar()
    if node_id is not None:
        tx.execute(_BEAT_ROW, {"node_id": node_id, "epoch": 1})
    return node_id


def update(tx: Connection, node_id: NodeId, epoch: Epoch, said: Registration) -> None:
    """Write what a node says of itself when it registers again, at this epoch; it is READY from here."""
    tx.execute(_REGISTER, {**_columns(tx, said), "id": node_id, "epoch": epoch})
    tx.execute(_BEAT_ROW, {"node_id": node_id, "epoch": epoch})


def beat(tx: Connection, *, node_id: NodeId, epoch: Epoch, holding: int, load: dict[str, float]) -> bool:
    """Count one heartbeat; False when the epoch is not the node's own any more."""
    parameters = {"node_id": node_id, "epoch": epoch, "holding": holding, "load": orjson.dumps(load).decode()}
    return tx.execute(_BEAT, parameters).scalar() is not None


def self_report(tx: Connection, node_id: NodeId, epoch: Epoch, *, degraded: str | None, leaving: bool) -> bool:
    """Write what the node says of its own health; True when that changed anything."""
    parameters = {"node_id": node_id, "epoch": epoch, "degraded": degraded, "leaving": leaving}
    return tx.execute(_SELF_REPORT, parameters).scalar() is not None


def flags(tx: Connection, node_id: NodeId) -> NodeFlags:
    """Return what is so of a node just now."""
    return records.read_one(NodeFlags, tx.execute(_FLAGS, {"node_id": node_id}))


def pulses(tx: Connection) -> list[LastHeartbeat]:
    """Return the last heartbeat of every node that is not lost or gone."""
    return records.read_all(LastHeartbeat, tx.execute(_PULSES))


def mark_silent(tx: Connection, silent: Mapping[NodeId, bool]) -> None:
    """Mark nodes by id as silent (they get no new work) or as heard again; one that is locked is left as it is."""
    if silent:
        tx.execute(_SILENT, {"ids": list(silent), "silent": list(silent.values())})


def is_still(tx: Connection, pulse: LastHeartbeat) -> bool:
    """Lock a node's row of heartbeats and return whether none has come since it was read."""
    return tx.execute(_STILL, {"node_id": pulse.node_id, "epoch": pulse.epoch, "seq": pulse.seq}).scalar() is not None


def retire(tx: Connection, node_id: NodeId, state: NodeState) -> None:
    """Set a node LOST or GONE and raise its epoch, so that nothing it still says under the old one counts."""
    epoch = tx.execute(_LOSE, {"id": node_id, "state": state}).scalar_one()
    # A beat that waits for this transaction, or comes later, finds another epoch and is told to register again.
    tx.execute(_END_BEATS, {"node_id": node_id, "epoch": epoch})


def left(tx: Connection, *, within_s: float, known: Iterable[NodeId], limit: int) -> list[NodeId]:
    """Return nodes that have left of late and are cleared away, but for those known already."""
    return list(tx.execute(_LEFT, {"within_s": within_s, "known": list(known), "limit": limit}).scalars())


def delete_unused(tx: Connection, node_id: NodeId) -> bool:
    """Delete a node that has left and never had an execution; False where it has had one, or is back."""
    if tx.execute(_UNUSED, {"id": node_id}).scalar() is None:
        return False
    tx.execute(_DELETE_BEATS, {"id": node_id})
    tx.execute(_DELETE, {"id": node_id})
    return True


def _columns(tx: Connection, said: Registration) -> dict[str, object]:
    pool = {"name": said.pool}
    pool_id = tx.execute(_POOL, pool).scalar()
    if pool_id is None:  # somebody else may make it at this moment: a later statement sees it
        tx.execute(_NEW_POOL, pool)
        pool_id = tx.execute(_POOL, pool).scalar_one()
    documents = {key: orjson.dumps(getattr(said, key)).decode() for key in ("custom", "labels", "powers")}
    return {**asdict(said), **documents, "pool_id": pool_id}
