"""What the scheduler's picture reads: everything once, and then only what changed.

Changes are found by transaction id, not by time or sequence: a row is read again if it was written by a transaction
at or after the watermark, and the watermark is the oldest transaction that was still open when it was taken. So
nothing that commits late is ever missed; a few rows are read twice, which is harmless.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

_MARK = text("""
    SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS mark,
           extract(epoch FROM clock_timestamp())::float8 AS now,
           is_paused, queue_mode
    FROM leader
    WHERE name = 'scheduler'
""")

_JOB = """
    SELECT id, shape_id, status, attempt, avoid_nodes, is_held, hold_reason,
           extract(epoch FROM queued)::float8 AS queued_at, extract(epoch FROM not_before)::float8 AS not_before
    FROM jobs
"""

_CHANGED_JOBS = text(_JOB + " WHERE status IN ('QUEUED', 'CANCELED') AND moved_xid >= CAST(:mark AS xid8)")

_JOBS_BY_ID = text(_JOB + " WHERE id = ANY(:ids)")

_PLAIN_JOBS = text("""
    SELECT id, shape_id, attempt, extract(epoch FROM queued)::float8 AS queued_at
    FROM jobs
    WHERE status = 'QUEUED' AND NOT is_held AND not_before IS NULL AND avoid_nodes = '{}'
""")

_SPECIAL_JOBS = text(_JOB + " WHERE status = 'QUEUED' AND (is_held OR not_before IS NOT NULL OR avoid_nodes <> '{}')")

_SHAPES = text("""
    SELECT id, cpus, mem, disk, custom, constraints, options, pool, project_id, job_type_id, priority
    FROM shapes
    WHERE id = ANY(:ids)
""")

_EXECUTION = """
    SELECT x.id, x.node_id, x.job_id, x.status, x.cpus, x.mem, x.disk, x.custom, x.released_at IS NOT NULL AS released,
           extract(epoch FROM x.created)::float8 AS placed, extract(epoch FROM x.ended - x.started)::float8 AS ran_s,
           j.project_id, j.job_type_id, j.priority, j.timeout_s,
           COALESCE(CAST(s.options ->> 'preemptible' AS boolean), false) AS preemptible
    FROM executions x
    JOIN jobs j ON j.id = x.job_id
    JOIN shapes s ON s.id = j.shape_id
"""

_LIVE = text(_EXECUTION + " WHERE x.released_at IS NULL")

_CHANGED_EXECUTIONS = text(_EXECUTION + " WHERE x.moved_xid >= CAST(:mark AS xid8)")

_NEWEST = "x.id IN (SELECT id FROM executions WHERE status = 'COMPLETED' ORDER BY created DESC LIMIT :limit)"
_LAST_RUNS = text(f"{_EXECUTION} WHERE {_NEWEST} ORDER BY x.created")

_NODE = """
    SELECT n.id, n.name, n.epoch, p.name AS pool, n.cpus, n.mem, n.disk, n.custom, n.labels, n.launch_failures,
           n.state = 'READY' AND n.is_active AND NOT n.is_silent AND n.degraded IS NULL AS ready,
           n.state <> 'READY' AS gone, n.is_paused AS paused, n.is_draining OR n.is_leaving AS draining
    FROM nodes n
    JOIN pools p ON p.id = n.pool_id
"""

_NODES = text(_NODE + " WHERE n.state = 'READY'")

_CHANGED_NODES = text(_NODE + " WHERE n.moved_xid >= CAST(:mark AS xid8)")

_POLICY_CHANGED = text("""
    SELECT EXISTS (SELECT FROM projects WHERE moved_xid >= CAST(:mark AS xid8))
        OR EXISTS (SELECT FROM job_types WHERE moved_xid >= CAST(:mark AS xid8))
        OR EXISTS (SELECT FROM pools WHERE moved_xid >= CAST(:mark AS xid8))
""")

_PROJECTS = text("""
    SELECT p.id, p.weight, p.is_paused, p.quota, COALESCE(u.share, 0) AS usage
    FROM projects p
    LEFT JOIN usage u ON u.project_id = p.id
""")

_TYPES = text("SELECT id, is_paused, max_scheduled FROM job_types WHERE is_paused OR max_scheduled IS NOT NULL")

_POOLS = text("SELECT name, is_paused, settings FROM pools")

_USAGE = text("""
    INSERT INTO usage (project_id, share, at)
    SELECT v.id, v.share, now()
    FROM unnest(CAST(:ids AS bigint[]), CAST(:shares AS float8[])) AS v (id, share)
    ON CONFLICT (project_id) DO UPDATE SET share = EXCLUDED.share, at = EXCLUDED.at
""")


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment of the database: the watermark to read changes from next time, its clock, and the leader's switches."""

    mark: str
    now: float
    is_paused: bool
    queue_mode: str


def mark(tx: Connection) -> Mark:
    """Take the watermark; what is read after it, up to the next one, together misses nothing."""
    return Mark(**tx.execute(_MARK).one()._mapping)  # noqa: SLF001


def plain_jobs(tx: Connection) -> Sequence[Any]:
    """Return every queued job that is neither held, nor delayed, nor choosy: (id, shape, attempt, queued at)."""
    return tx.execute(_PLAIN_JOBS).all()


def special_jobs(tx: Connection) -> Sequence[Any]:
    """Return the other queued jobs."""
    return tx.execute(_SPECIAL_JOBS).all()


def changed_jobs(tx: Connection, since: str) -> Sequence[Any]:
    """Return jobs that were queued, changed while queued, or cancelled since the watermark."""
    return tx.execute(_CHANGED_JOBS, {"mark": since}).all()


def jobs_by_id(tx: Connection, ids: Sequence[int]) -> Sequence[Any]:
    """Return these jobs, whatever their status."""
    return tx.execute(_JOBS_BY_ID, {"ids": list(ids)}).all()


def shapes(tx: Connection, ids: Sequence[int]) -> Sequence[Any]:
    """Return these shapes."""
    return tx.execute(_SHAPES, {"ids": list(ids)}).all()


def live_executions(tx: Connection) -> Sequence[Any]:
    """Return every execution that holds room."""
    return tx.execute(_LIVE).all()


def changed_executions(tx: Connection, since: str) -> Sequence[Any]:
    """Return executions placed or released since the watermark."""
    return tx.execute(_CHANGED_EXECUTIONS, {"mark": since}).all()


def last_runs(tx: Connection, limit: int) -> Sequence[Any]:
    """Return the newest completed executions, oldest first, for a predictor that has just started."""
    return tx.execute(_LAST_RUNS, {"limit": limit}).all()


def nodes(tx: Connection) -> Sequence[Any]:
    """Return every node that is there."""
    return tx.execute(_NODES).all()


def changed_nodes(tx: Connection, since: str) -> Sequence[Any]:
    """Return nodes that changed since the watermark; `gone` ones are to be forgotten."""
    return tx.execute(_CHANGED_NODES, {"mark": since}).all()


def policy_changed(tx: Connection, since: str) -> bool:
    """Tell whether any project, job type or pool was edited since the watermark."""
    return bool(tx.execute(_POLICY_CHANGED, {"mark": since}).scalar())


def projects(tx: Connection) -> Sequence[Any]:
    """Return every project's weight, pause, quota and decayed usage."""
    return tx.execute(_PROJECTS).all()


def limited_types(tx: Connection) -> Sequence[Any]:
    """Return the job types that are paused or capped."""
    return tx.execute(_TYPES).all()


def pools(tx: Connection) -> Sequence[Any]:
    """Return every pool's pause and settings."""
    return tx.execute(_POOLS).all()


def keep_usage(tx: Connection, shares: dict[int, float]) -> None:
    """Write the decayed usage of projects, so that a new leader goes on from there."""
    if shares:
        tx.execute(_USAGE, {"ids": list(shares), "shares": list(shares.values())})
