"""The statements that read the scheduler's cluster state: everything once, and then only what changed.

Changes are found by transaction id, not by time or sequence: a row is read again if it was written by a transaction
that was open, or had not begun, when the watermark was taken. So nothing that commits late is missed, and a
transaction that stays open for long costs nothing.

Transaction ids only rise within one life of the server: a crash takes back those that were not yet on disk. So a
watermark carries the server's life, and watermarks of different lives have nothing in common.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, Row, text

from scheduler.identifiers import Attempt, JobId, NodeId, ShapeId
from scheduler.store import records
from scheduler.store.leader.cluster_rows import (
    ExecutionState,
    LimitedType,
    NodeStateRow,
    PoolPolicy,
    PoolTemplate,
    ProjectAccount,
    QueuedJob,
    ShapeRow,
    ShareAccount,
)

# A server that starts has another start time. One that recovers from the crash of a single process keeps that, but
# resets its statistics, as it does whenever it has crashed.
_MOST_READING = "5min"
"""The time that the first reading may take on a busy machine before the database gives it up; one takes seconds at most."""

_AT_LEISURE = text("""
    SELECT set_config('statement_timeout', :most, true), set_config('idle_in_transaction_session_timeout', :most, true)
""")

_MARK = """
    SELECT pg_current_snapshot()::text AS seen,
           concat(pg_postmaster_start_time(), ' ', pg_stat_get_bgwriter_stat_reset_time()) AS life,
           extract(epoch FROM clock_timestamp())::float8 AS now,
           is_paused, queue_mode, preemption, reservations, claims, EXISTS (SELECT FROM need_changes) AS needs_changed
"""
_LEADER = "FROM leader WHERE name = 'scheduler'"
_WATERMARK = text(f"{_MARK} {_LEADER}")

_JOB = """
    SELECT id, shape_id, status, attempt, avoid_nodes, is_held, hold_reason,
           extract(epoch FROM queued)::float8 AS queued_at, extract(epoch FROM not_before)::float8 AS not_before
    FROM jobs
"""

_NEW, _OPEN = "moved_xid >= CAST(:next AS xid8)", "moved_xid = ANY(CAST(:open AS xid8[]))"
_SINCE = f"({{0}}{_NEW} OR {{0}}{_OPEN})"

# Two ranges of one index, and "IS TRUE" leaves the planner no other: with statistics of a day when few jobs waited it
# would take the one on status, and walk through all that wait.
_IN_QUEUE = "(status IN ('QUEUED', 'CANCELED')) IS TRUE"
_CHANGED_JOBS = f"{_JOB} WHERE {_IN_QUEUE} AND {_NEW} UNION ALL {_JOB} WHERE {_IN_QUEUE} AND {_OPEN}"

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
    SELECT x.id, x.node_id, x.job_id, x.attempt, x.status, x.cpus, x.mem, x.disk, x.custom, x.released_at IS NOT NULL AS released,
           extract(epoch FROM x.created)::float8 AS placed, extract(epoch FROM x.ended)::float8 AS ended,
           extract(epoch FROM x.ended - x.started)::float8 AS ran_s,
           j.project_id, j.job_type_id, j.priority, j.timeout_s,
           COALESCE(CAST(s.options ->> 'preemptible' AS boolean), false) AS preemptible,
           x.cancel_requested IS NOT NULL AS stopping, CAST(s.options ->> 'serial' AS bigint) AS serial,
           x.is_ahead, extract(epoch FROM x.started)::float8 AS started, j.shape_id
    FROM executions x
    CROSS JOIN LATERAL (
        SELECT project_id, job_type_id, priority, timeout_s, shape_id FROM jobs WHERE id = x.job_id
        OFFSET 0  -- one look-up each: a join would read all jobs where statistics are old
    ) AS j
    JOIN shapes s ON s.id = j.shape_id
"""

_LIVE = text(_EXECUTION + " WHERE x.released_at IS NULL")

_CHANGED_EXECUTIONS = f"{_EXECUTION} WHERE x.{_NEW} UNION ALL {_EXECUTION} WHERE x.{_OPEN}"

_NEWEST = "x.id IN (SELECT id FROM executions WHERE status = 'COMPLETED' ORDER BY created DESC LIMIT :limit)"
_LAST_RUNS = text(f"{_EXECUTION} WHERE {_NEWEST} ORDER BY x.created")

_NODE = """
    SELECT n.id, n.name, n.epoch, p.name AS pool, n.cpus, n.mem, n.disk, n.custom, n.labels, n.launch_failures,
           n.state = 'READY' AND n.is_active AND NOT n.is_silent AND n.degraded IS NULL AS ready,
           n.state <> 'READY' AS gone, n.is_paused AS paused, n.is_draining OR n.is_leaving AS draining,
           CASE WHEN n.labels ->> 'serves' IS NOT NULL
                THEN ARRAY(SELECT j.id FROM projects j WHERE j.name = ANY(string_to_array(n.labels ->> 'serves', ','))
                           AND (n.project_ids IS NULL OR j.id = ANY(n.project_ids)))
                ELSE n.project_ids
           END AS projects, n.runs_ahead
    FROM nodes n
    JOIN pools p ON p.id = n.pool_id
"""

_NODES = text(_NODE + " WHERE n.state = 'READY'")

_LASTING_NODES = text(_NODE + " WHERE n.state <> 'GONE' AND n.is_active ORDER BY n.id")

# What a new node of a pool would be, as the pool says or else as the scheduler last believed; and how many nodes it may have.
_TEMPLATES = text("""
    SELECT p.id, p.name, COALESCE(p.template, s.detail -> 'template') AS template,
           COALESCE(s.detail -> 'labels', '{}') || p.labels AS labels,
           CASE p.sizing WHEN 'fixed' THEN p.size ELSE p.largest END AS most
    FROM pools p
    LEFT JOIN pool_states s ON s.pool_id = p.id
    WHERE (p.sizing = 'fixed' AND p.size > 0 OR p.sizing = 'auto' AND (p.largest IS NULL OR p.largest > 0))
      AND jsonb_typeof(COALESCE(p.template, s.detail -> 'template')) = 'object'
""")

_CHANGED_NODES = f"{_NODE} WHERE {_SINCE.format('n.')}"

_POLICY_CHANGED = f"""
    EXISTS (SELECT FROM projects WHERE {_SINCE.format("")})
        OR EXISTS (SELECT FROM job_types WHERE {_SINCE.format("")})
        OR EXISTS (SELECT FROM pools WHERE {_SINCE.format("")})
"""  # noqa: S608 - our own text


def _rows(statement: str) -> str:
    return f"(SELECT json_agg(v) FROM ({statement}) AS v)"  # noqa: S608 - our own text


# The watermark is the snapshot of the very statement that reads what changed up to it.
_CHANGES = text(f"""
    {_MARK}, {_rows(_CHANGED_NODES)} AS nodes, {_rows(_CHANGED_EXECUTIONS)} AS executions, {_rows(_CHANGED_JOBS)} AS jobs,
    {_POLICY_CHANGED} AS policy_changed
    {_LEADER}
""")

_PROJECTS = text("""
    SELECT p.id, p.weight, p.is_paused, p.quota, COALESCE(u.share, 0) AS usage, COALESCE(u.lag_s, 0) AS lag_s, COALESCE(u.credit, 0) AS credit
    FROM projects p
    LEFT JOIN usage u ON u.project_id = p.id
""")

_TYPES = text("SELECT id, is_paused, max_scheduled FROM job_types WHERE is_paused OR max_scheduled IS NOT NULL")

_POOLS = text("SELECT name, is_paused, settings FROM pools")

# Not of projects that were deleted: nothing says so to the cluster state, which has no other use for them. One that is just being
# edited or deleted is left for the next time.
_USAGE = text("""
    INSERT INTO usage (project_id, share, lag_s, credit, at)
    SELECT p.id, v.share, v.lag_s, v.credit, now()
    FROM unnest(CAST(:ids AS bigint[]), CAST(:shares AS float8[]), CAST(:lags AS float8[]), CAST(:credits AS float8[]))
        AS v (id, share, lag_s, credit)
    JOIN (SELECT id FROM projects WHERE id = ANY(:ids) FOR KEY SHARE SKIP LOCKED) AS p ON p.id = v.id
    ON CONFLICT (project_id) DO UPDATE SET share = EXCLUDED.share, lag_s = EXCLUDED.lag_s,
        credit = EXCLUDED.credit, at = EXCLUDED.at
""")


class ChangeWatermark(NamedTuple):
    """A moment of the database, to read changes from next time: its clock, and the leader's switches.

    `seen` is the snapshot as PostgreSQL writes it ("xmin:xmax:open,..."), `life` names the server's life it is of. `claims`
    (the column's old name) are the reservations carried from the last plan: job, shape, nodes, promised start, due start.
    `needs_changed`: the resolver has something to do.
    """

    seen: str
    life: str
    now: float
    is_paused: bool
    queue_mode: str
    preemption: bool | None
    reservations: int | None
    claims: Sequence[tuple[JobId, ShapeId, Sequence[NodeId], float, float]]
    needs_changed: bool


class Changes(NamedTuple):
    """What changed between two watermarks, and whether any project, job type or pool was edited.

    Nodes (`gone` ones are to be forgotten), executions that were placed, started or released, and jobs that were queued, changed
    while queued or cancelled.
    """

    nodes: list[NodeStateRow]
    executions: list[ExecutionState]
    jobs: list[QueuedJob]
    policy: bool


def watermark(tx: Connection) -> ChangeWatermark:
    """Take the watermark; what is read after it, up to the next one, together misses nothing."""
    return records.read_one(ChangeWatermark, tx.execute(_WATERMARK))


def changes(tx: Connection, since: ChangeWatermark) -> tuple[ChangeWatermark, Changes]:
    """Return the next watermark and what changed up to it, read by one statement."""
    *mark, nodes, executions, jobs, policy = tx.execute(_CHANGES, _after(since)).one()
    found = Changes(
        [NodeStateRow(**row) for row in nodes or ()],
        [ExecutionState(**row) for row in executions or ()],
        [QueuedJob(**row) for row in jobs or ()],
        policy,
    )
    return ChangeWatermark(*mark), found


def read_at_leisure(tx: Connection) -> None:
    """Give this transaction minutes where the others have seconds: a million rows are read, and worked on in between."""
    tx.execute(_AT_LEISURE, {"most": _MOST_READING})


def plain_jobs(tx: Connection) -> Sequence[Row[tuple[JobId, ShapeId, Attempt, float]]]:
    """Return every queued job that is neither held, nor delayed, nor choosy: (id, shape, attempt, queued at).

    There may be a million of them: they stay rows as the driver gives them.
    """
    return tx.execute(_PLAIN_JOBS).all()


def special_jobs(tx: Connection) -> list[QueuedJob]:
    """Return the other queued jobs."""
    return records.read_all(QueuedJob, tx.execute(_SPECIAL_JOBS))


def jobs_by_id(tx: Connection, ids: Sequence[JobId]) -> list[QueuedJob]:
    """Return these jobs, whatever their status."""
    return records.read_all(QueuedJob, tx.execute(_JOBS_BY_ID, {"ids": list(ids)}))


def shapes(tx: Connection, ids: Sequence[ShapeId]) -> list[ShapeRow]:
    """Return these shapes."""
    return records.read_all(ShapeRow, tx.execute(_SHAPES, {"ids": list(ids)}))


def live_executions(tx: Connection) -> list[ExecutionState]:
    """Return every execution that holds room."""
    return records.read_all(ExecutionState, tx.execute(_LIVE))


def last_runs(tx: Connection, limit: int) -> list[ExecutionState]:
    """Return the newest completed executions, oldest first, for a predictor that has just started."""
    return records.read_all(ExecutionState, tx.execute(_LAST_RUNS, {"limit": limit}))


def nodes(tx: Connection) -> list[NodeStateRow]:
    """Return every node that is there."""
    return records.read_all(NodeStateRow, tx.execute(_NODES))


def lasting_nodes(tx: Connection) -> list[NodeStateRow]:
    """Return every node that is there or may come back."""
    return records.read_all(NodeStateRow, tx.execute(_LASTING_NODES))


def templates(tx: Connection) -> list[PoolTemplate]:
    """Return for each pool that starts nodes what a new one would be."""
    return records.read_all(PoolTemplate, tx.execute(_TEMPLATES))


def projects(tx: Connection) -> list[ProjectAccount]:
    """Return every project's weight, pause, quota and account."""
    return records.read_all(ProjectAccount, tx.execute(_PROJECTS))


def limited_types(tx: Connection) -> list[LimitedType]:
    """Return the job types that are paused or capped."""
    return records.read_all(LimitedType, tx.execute(_TYPES))


def pools(tx: Connection) -> list[PoolPolicy]:
    """Return every pool's pause and settings."""
    return records.read_all(PoolPolicy, tx.execute(_POOLS))


def write_accounts(tx: Connection, accounts: Mapping[int, ShareAccount]) -> None:
    """Write the accounts of projects: a new leader goes on from there, and so does a forecast of the next plan."""
    if accounts:
        columns = (list(column) for column in zip(*accounts.values(), strict=True))
        tx.execute(_USAGE, {"ids": list(accounts), **dict(zip(("shares", "lags", "credits"), columns, strict=True))})


def _after(since: ChangeWatermark) -> dict[str, str]:
    _, following, still_open = since.seen.split(":")
    return {"next": following, "open": f"{{{still_open}}}"}
