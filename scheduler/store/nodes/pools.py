"""Pools: what operators want of them, what was last decided, what happened; and the nodes that come and go in them."""

from __future__ import annotations

from collections.abc import Sequence

import orjson
from sqlalchemy import Connection, text

from scheduler.identifiers import JobId, NodeId, PoolId
from scheduler.store import records
from scheduler.store.nodes.pool_rows import (
    OverdueJob,
    PoolChanges,
    PoolCounts,
    PoolEventRow,
    PoolMember,
    PoolRow,
    SizeDecisionDetail,
)
from scheduler.store.paging import Listing, SortKey

_POOL = """
    SELECT p.id, p.name, p.labels, p.template, p.settings, p.sizing, p.size, p.smallest, p.largest, p.drivers,
           p.is_paused, p.pause_reason, p.created, p.last_modified,
           s.wanted, s.present, s.starting, s.why, s.trouble, s.detail, s.at AS decided
    FROM pools p
    LEFT JOIN pool_states s ON s.pool_id = p.id
"""

_ALL = text(_POOL + ' ORDER BY p.name COLLATE "C"')

_ONE = text(_POOL + " WHERE p.name = :name")

_LOCK = text(_POOL + " WHERE p.name = :name FOR NO KEY UPDATE OF p")

_INSERT = text("INSERT INTO pools (name) VALUES (:name) ON CONFLICT (name) DO NOTHING")

_CHANGEABLE = {
    "labels": "CAST(:labels AS jsonb)",
    "template": "CAST(:template AS jsonb)",
    "settings": "CAST(:settings AS jsonb)",
    "drivers": "CAST(:drivers AS jsonb)",
    **{name: f":{name}" for name in ("sizing", "size", "smallest", "largest", "is_paused", "pause_reason")},
}

_MEMBERS = text("""
    SELECT n.id, n.name, n.pool_id, n.state, n.is_draining, n.is_leaving, n.is_retiring, n.is_silent,
           n.drain_by <= now() AS overdue,
           EXISTS (SELECT FROM executions x WHERE x.node_id = n.id AND x.released_at IS NULL) AS busy
    FROM nodes n
    WHERE n.state <> 'GONE' OR n.is_retiring
    ORDER BY n.id
""")

_NAMES = text("SELECT name FROM nodes WHERE state <> 'GONE' OR is_retiring")

_COUNTS = text("""
    SELECT n.pool_id, count(*) AS nodes,
           count(*) FILTER (WHERE NOT (n.is_silent OR n.is_draining OR n.is_leaving OR n.is_paused)) AS ready,
           count(*) FILTER (WHERE n.is_draining OR n.is_leaving) AS draining,
           count(*) FILTER (WHERE n.is_silent) AS silent,
           sum(n.cpus)::bigint AS cpus, sum(n.mem)::bigint AS mem, sum(n.disk)::bigint AS disk,
           sum(u.cpus)::bigint AS used_cpus, sum(u.mem)::bigint AS used_mem, sum(u.disk)::bigint AS used_disk,
           sum(u.running)::bigint AS running
    FROM nodes n
    CROSS JOIN LATERAL (
        SELECT COALESCE(sum(x.cpus), 0) AS cpus, COALESCE(sum(x.mem), 0) AS mem, COALESCE(sum(x.disk), 0) AS disk,
               count(*) AS running
        FROM executions x
        WHERE x.node_id = n.id AND x.released_at IS NULL
    ) AS u
    WHERE n.state = 'READY'
    GROUP BY n.pool_id
""")

_DRAIN = text("""
    UPDATE nodes
    SET is_draining = true, is_retiring = is_retiring OR :retiring, drain_reason = :reason,
        drain_by = now() + make_interval(secs => :within_s), last_modified = now()
    WHERE id = :id
""")

_CANCEL_DRAIN = text("""
    UPDATE nodes
    SET is_draining = false, is_retiring = false, drain_reason = NULL, drain_by = NULL, last_modified = now()
    WHERE id IN (
        SELECT id FROM nodes
        WHERE id = ANY(:ids) AND state = 'READY' AND is_draining AND NOT is_leaving
        ORDER BY id
        FOR NO KEY UPDATE
    )
    RETURNING id
""")

_OVERDUE = text("""
    SELECT x.job_id, n.id AS node_id
    FROM nodes n
    JOIN executions x ON x.node_id = n.id
    WHERE n.is_draining AND n.drain_by <= now() AND x.released_at IS NULL AND x.status = 'RUNNING'
      AND x.cancel_requested IS NULL
    ORDER BY x.job_id
    LIMIT :limit
""")

_CLEARED = text("""
    UPDATE nodes
    SET state = 'GONE', archived = COALESCE(archived, now()),
        is_retiring = false, is_draining = false, drain_reason = NULL, drain_by = NULL, last_modified = now()
    WHERE id = ANY(:ids) AND (state = 'LOST' OR state = 'GONE' AND is_retiring)
    RETURNING id
""")

# A placement that is taken back because its node goes says nothing about the job.
_EXCUSE = text("UPDATE jobs SET withdrawals = withdrawals - 1 WHERE id = ANY(:ids) AND withdrawals > 0")

_STATE = text("""
    INSERT INTO pool_states AS s (pool_id, wanted, present, starting, why, trouble, detail)
    VALUES (:pool_id, :wanted, :present, :starting, :why, :trouble, CAST(:detail AS jsonb))
    ON CONFLICT (pool_id) DO UPDATE
    SET wanted = EXCLUDED.wanted, present = EXCLUDED.present, starting = EXCLUDED.starting, why = EXCLUDED.why,
        trouble = EXCLUDED.trouble, detail = EXCLUDED.detail, at = now()
""")

_EVENT = text("""
    INSERT INTO pool_events (pool_id, event, actor, reason, detail)
    VALUES (:pool_id, :event, :actor, :reason, CAST(:detail AS jsonb))
""")

EVENTS = Listing(
    PoolEventRow,
    "pool_events j",
    "j.id, j.at, j.event, j.actor, j.reason, j.detail",
    "pool_events j ON j.id = page.id",
    {"id": SortKey("j.id", "bigint")},
)

_LAST_CHANGES = text("""
    SELECT pool_id,
           extract(epoch FROM now() - max(at) FILTER (WHERE event IN ('start', 'keep')))::float8 AS since_grown_s,
           extract(epoch FROM now() - max(at) FILTER (WHERE event = 'drain'))::float8 AS since_shrunk_s
    FROM pool_events
    WHERE at > now() - interval '1 hour'
    GROUP BY pool_id
""")


def read(tx: Connection) -> list[PoolRow]:
    """Return every pool with its last decision, by name."""
    return records.read_all(PoolRow, tx.execute(_ALL))


def find(tx: Connection, name: str) -> PoolRow | None:
    """Return one pool with its last decision; None when there is none of this name."""
    return records.read_optional(PoolRow, tx.execute(_ONE, {"name": name}))


def lock(tx: Connection, name: str) -> PoolRow | None:
    """Lock one pool against other changes, and return it; None when there is none of this name."""
    return records.read_optional(PoolRow, tx.execute(_LOCK, {"name": name}))


def create(tx: Connection, name: str) -> None:
    """Make a pool unless it is there; nobody scales it until somebody says so."""
    tx.execute(_INSERT, {"name": name})


def change(tx: Connection, pool_id: PoolId, changes: PoolChanges) -> None:
    """Write what an operator changed."""
    if not changes:
        return
    assignments = ", ".join(f"{name} = {_CHANGEABLE[name]}" for name in changes)
    values = {name: _json(value) if name in _DOCUMENTS else value for name, value in changes.items()}
    statement = text(f"UPDATE pools SET {assignments}, last_modified = now() WHERE id = :id")  # noqa: S608 - our own names
    tx.execute(statement, {**values, "id": pool_id})


def members(tx: Connection) -> list[PoolMember]:
    """Return the nodes that are there, lost, or still to be cleared away, of all pools."""
    return records.read_all(PoolMember, tx.execute(_MEMBERS))


def names_taken(tx: Connection) -> set[str]:
    """Return the names of all nodes that are there or still to be cleared away."""
    return set(tx.execute(_NAMES).scalars())


def counts(tx: Connection) -> dict[PoolId, PoolCounts]:
    """Return by pool what its nodes do, have and hold."""
    return {row.pool_id: row for row in records.read_all(PoolCounts, tx.execute(_COUNTS))}


def drain(tx: Connection, node_id: NodeId, *, reason: str, within_s: float, retiring: bool) -> None:
    """Have a node finish; the caller holds its lock. `retiring` ones are cleared away by their driver afterwards."""
    tx.execute(_DRAIN, {"id": node_id, "reason": reason, "within_s": within_s, "retiring": retiring})


def cancel_drain(tx: Connection, node_ids: Sequence[NodeId]) -> set[NodeId]:
    """Let draining nodes stay after all; return those that had not begun to leave."""
    return set(tx.execute(_CANCEL_DRAIN, {"ids": list(node_ids)}).scalars())


def overdue(tx: Connection, limit: int) -> list[OverdueJob]:
    """Return the jobs that still run, and where, on nodes whose time to finish is over."""
    return records.read_all(OverdueJob, tx.execute(_OVERDUE, {"limit": limit}))


def record_cleared(tx: Connection, node_ids: Sequence[NodeId]) -> set[NodeId]:
    """Write that these nodes, lost or gone, have been cleared away: they are not waited for any more."""
    return set(tx.execute(_CLEARED, {"ids": list(node_ids)}).scalars())


def excuse(tx: Connection, job_ids: Sequence[JobId]) -> None:
    """Do not count the last withdrawal of these jobs; the caller holds their locks."""
    tx.execute(_EXCUSE, {"ids": list(job_ids)})


def write_state(
    tx: Connection,
    pool_id: PoolId,
    *,
    wanted: int | None,
    present: int,
    starting: int,
    why: str,
    trouble: str | None,
    detail: SizeDecisionDetail,
) -> None:
    """Write the last decision about a pool."""
    tx.execute(
        _STATE,
        {
            "pool_id": pool_id,
            "wanted": wanted,
            "present": present,
            "starting": starting,
            "why": why,
            "trouble": trouble,
            "detail": _json(detail),
        },
    )


def write_event(tx: Connection, pool_id: PoolId, event: str, actor: str, reason: str | None, **detail: object) -> None:
    """Write what happened to a pool, by whom and why."""
    tx.execute(_EVENT, {"pool_id": pool_id, "event": event, "actor": actor, "reason": reason, "detail": _json(detail)})


def last_changes(tx: Connection) -> dict[PoolId, tuple[float | None, float | None]]:
    """Return by pool the seconds since it last grew and shrank, None where that is over an hour ago."""
    return {row.pool_id: (row.since_grown_s, row.since_shrunk_s) for row in tx.execute(_LAST_CHANGES)}


_DOCUMENTS = {"labels", "template", "settings", "drivers"}


def _json(value: object) -> str | None:
    return None if value is None else orjson.dumps(value).decode()
