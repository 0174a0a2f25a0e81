"""Lists of nodes, with what each has, what is taken of it, and when it was last heard."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import NamedTuple

from scheduler.documents import Document
from scheduler.identifiers import Epoch, NodeId, PoolId
from scheduler.store.paging import Listing, RowCondition, SortKey


@dataclass(frozen=True, slots=True)
class NodeFilter:
    """Which nodes. Values of one field are alternatives, fields narrow.

    Nodes that have left are only among those that are asked for by state, by who they are, or as out of service.
    """

    id: tuple[int, ...] = ()
    name: tuple[str, ...] = ()
    hostname: tuple[str, ...] = ()
    pool: tuple[str, ...] = ()
    state: tuple[str, ...] = ()
    is_active: bool | None = None
    is_paused: bool | None = None


class NodeRow(NamedTuple):
    """A node as lists show it: what it is and has, what is taken of it, and when it was last heard.

    Amounts are thousandths; `placed` executions hold its room, `running` of them have been claimed.
    """

    id: NodeId
    name: str
    pool_id: PoolId
    hostname: str
    boot_id: str
    disk_id: str
    epoch: Epoch
    state: str
    is_silent: bool
    is_paused: bool
    pause_reason: str | None
    is_draining: bool
    drain_reason: str | None
    drain_by: datetime | None
    is_retiring: bool
    is_leaving: bool
    is_active: bool
    degraded: str | None
    launch_failures: int
    launch_failed_at: datetime | None
    cpus: int
    mem: int
    disk: int
    custom: dict[str, int]
    labels: dict[str, str]
    powers: Document
    version: str
    created: datetime
    registered: datetime
    archived: datetime | None
    last_modified: datetime
    pool: str
    holding: int | None
    load: dict[str, float] | None
    last_beat: datetime | None
    used_cpus: int
    used_mem: int
    used_disk: int
    placed: int
    running: int
    used_custom: dict[str, int]
    clock_skew_s: float | None


_CONDITIONS = {
    "id": "j.id = ANY(:id)",
    "name": "j.name = ANY(:name)",
    "hostname": "j.hostname = ANY(:hostname)",
    "pool": "j.pool_id = ANY(ARRAY(SELECT id FROM pools WHERE name = ANY(:pool)))",
    "state": "j.state = ANY(:state)",
    "is_active": "j.is_active = :is_active",
    "is_paused": "j.is_paused = :is_paused",
}

_ALL_STATES = {"id", "name", "hostname", "state"}

KEYS = {
    "id": SortKey("j.id", "bigint"),
    "name": SortKey('j.name COLLATE "C"', "text"),
    "hostname": SortKey('j.hostname COLLATE "C"', "text"),
    "created": SortKey("j.created", "timestamptz"),
    "last_modified": SortKey("j.last_modified", "timestamptz"),
}

_COLUMNS = """
    j.id, j.name, j.pool_id, j.hostname, j.boot_id, j.disk_id, j.epoch, j.state, j.is_silent, j.is_paused, j.pause_reason,
    j.is_draining, j.drain_reason, j.drain_by, j.is_retiring, j.is_leaving, j.is_active, j.degraded, j.launch_failures,
    j.launch_failed_at, j.cpus, j.mem, j.disk, j.custom, j.labels, j.powers, j.version, j.created, j.registered, j.archived, j.last_modified,
    p.name AS pool, b.holding, b.load, b.at AS last_beat,
    used.cpus AS used_cpus, used.mem AS used_mem, used.disk AS used_disk, used.placed, used.running,
    used_custom.amounts AS used_custom,
    (b.load ->> 'clock')::float8 - extract(epoch FROM b.at)::float8 AS clock_skew_s
"""

# Room is derived from what holds it, never counted.
_SOURCE = """
    nodes j ON j.id = page.id
    JOIN pools p ON p.id = j.pool_id
    LEFT JOIN beats b ON b.node_id = j.id
    CROSS JOIN LATERAL (
        SELECT COALESCE(sum(x.cpus), 0)::bigint AS cpus, COALESCE(sum(x.mem), 0)::bigint AS mem,
               COALESCE(sum(x.disk), 0)::bigint AS disk, count(*) AS placed,
               count(*) FILTER (WHERE x.status = 'RUNNING') AS running
        FROM executions x
        WHERE x.node_id = j.id AND x.released_at IS NULL
    ) AS used
    CROSS JOIN LATERAL (
        SELECT COALESCE(jsonb_object_agg(taken.key, taken.amount), '{}') AS amounts
        FROM (
            SELECT c.key, sum(c.value::bigint)::bigint AS amount
            FROM executions x CROSS JOIN LATERAL jsonb_each_text(x.custom) AS c
            WHERE x.node_id = j.id AND x.released_at IS NULL AND x.custom IS NOT NULL
            GROUP BY c.key
        ) AS taken
    ) AS used_custom
"""

NODES = Listing(NodeRow, "nodes j", _COLUMNS, _SOURCE, KEYS)


def condition(chosen: NodeFilter) -> RowCondition:
    """Return the filter as SQL."""
    given = {one.name: getattr(chosen, one.name) for one in fields(chosen)}
    given = {name: value for name, value in given.items() if value is not None and value != ()}
    words = [_CONDITIONS[name] for name in given]
    if not given.keys() & _ALL_STATES and chosen.is_active is not False:
        words.append("j.state <> 'GONE'")
    parameters = {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()}
    return RowCondition(" AND ".join(words) or "true", parameters)
