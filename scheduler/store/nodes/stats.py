"""The settings that operators make on nodes, and the recent work of nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, TypedDict

from sqlalchemy import Connection, text

from scheduler.identifiers import Attempt, ExecutionId, JobId, JobTypeId, NodeId, ProjectId
from scheduler.store import records

_LOCK = text("SELECT is_paused, pause_reason, is_active FROM nodes WHERE id = :id FOR NO KEY UPDATE")

# Leaving service stamps `archived`, coming back clears it unless the node has left; other changes leave it as it is.
_UPDATE = text("""
    UPDATE nodes
    SET is_paused = :is_paused, pause_reason = :pause_reason, is_active = :is_active, last_modified = now(),
        archived = CASE WHEN is_active = :is_active OR :is_active AND state = 'GONE' THEN archived
                        WHEN :is_active THEN NULL ELSE now() END
    WHERE id = :id
""")

# What is live counts whenever it began; the two halves use an index each.
_COUNTS = text("""
    WITH counted AS (
        SELECT x.node_id, x.job_id, x.status, x.error_id, x.last_modified
        FROM executions x
        WHERE x.node_id = ANY(:ids) AND x.released_at IS NULL
        UNION ALL
        SELECT x.node_id, x.job_id, x.status, x.error_id, x.last_modified
        FROM executions x
        WHERE x.node_id = ANY(:ids) AND x.released_at IS NOT NULL
          AND (CAST(:started AS timestamptz) IS NULL OR x.last_modified >= :started)
          AND (CAST(:ended AS timestamptz) IS NULL OR x.last_modified <= :ended)
    )
    SELECT c.node_id, c.status, e.category, count(*) AS count, max(c.last_modified) AS most_recent
    FROM counted c
    LEFT JOIN errors e ON e.id = c.error_id
    WHERE CAST(:project_id AS bigint) IS NULL
       OR EXISTS (SELECT FROM jobs j WHERE j.id = c.job_id AND j.project_id = :project_id)
    GROUP BY c.node_id, c.status, e.category
    ORDER BY c.node_id, c.status, e.category
""")

_RUNNING = text("""
    SELECT n.id AS node_id, x.id, x.job_id, x.attempt, x.status, x.started, t.id AS type_id, t.name AS type_name,
           t.version AS type_version
    FROM unnest(CAST(:ids AS bigint[])) AS n (id)
    CROSS JOIN LATERAL (
        SELECT x.*, j.job_type_id
        FROM executions x JOIN jobs j ON j.id = x.job_id
        WHERE x.node_id = n.id AND x.released_at IS NULL AND x.status = 'RUNNING'
          AND (CAST(:project_id AS bigint) IS NULL OR j.project_id = :project_id)
        ORDER BY x.id
        LIMIT :limit
    ) AS x
    JOIN job_types t ON t.id = x.job_type_id
    ORDER BY x.id
""")


class NodeSwitches(NamedTuple):
    """The settings that operators have made on a node."""

    is_paused: bool
    pause_reason: str | None
    is_active: bool


class NodeSwitchChanges(TypedDict, total=False):
    """The changes that operators make to a node."""

    is_paused: bool
    pause_reason: str | None
    is_active: bool


@dataclass(frozen=True, slots=True)
class NodeCount:
    """How many executions of a node have one status and error category, and when the last of them changed."""

    node_id: NodeId
    status: str
    category: str | None
    count: int
    most_recent: datetime


class RunningOnNode(NamedTuple):
    """An execution that runs on a node, with its job type."""

    node_id: NodeId
    id: ExecutionId
    job_id: JobId
    attempt: Attempt
    status: str
    started: datetime
    type_id: JobTypeId
    type_name: str
    type_version: str


def lock(tx: Connection, node_id: NodeId) -> NodeSwitches | None:
    """Lock a node and return what operators have set of it, None when there is no such node."""
    return records.read_optional(NodeSwitches, tx.execute(_LOCK, {"id": node_id}))


def update(tx: Connection, node_id: NodeId, switches: NodeSwitches) -> None:
    """Write what operators set of a node."""
    tx.execute(_UPDATE, {**switches._asdict(), "id": node_id})


def counts(
    tx: Connection,
    ids: Sequence[NodeId],
    *,
    project_id: ProjectId | None,
    started: datetime | None,
    ended: datetime | None,
) -> list[NodeCount]:
    """Return counts of executions by node, status and error category: of the window, and all that are live."""
    parameters = {"ids": list(ids), "project_id": project_id, "started": started, "ended": ended}
    return records.read_all(NodeCount, tx.execute(_COUNTS, parameters))


def running(tx: Connection, ids: Sequence[NodeId], *, project_id: ProjectId | None, limit: int) -> list[RunningOnNode]:
    """Return what runs on these nodes, the longest placed first, at most `limit` of each node."""
    parameters = {"ids": list(ids), "project_id": project_id, "limit": limit}
    return records.read_all(RunningOnNode, tx.execute(_RUNNING, parameters))
