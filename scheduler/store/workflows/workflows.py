"""Runs of workflows: written with their jobs, read with where these stand, and marked as ended."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

import orjson
from sqlalchemy import Connection, text

from scheduler.documents import Document
from scheduler.identifiers import JobId, ProjectId
from scheduler.rules.workflow.state import WorkflowCounts
from scheduler.store import records


@dataclass(frozen=True, slots=True)
class NewWorkflow:
    """A run to insert."""

    project_id: ProjectId
    created_by: int
    name: str | None = None
    definition: str = ""
    on_failure: str = "go_on"
    timeout_s: int | None = None
    inputs: Document = field(default_factory=dict)
    outputs: Document = field(default_factory=dict)
    labels: dict[str, str] | None = None
    type_revision_id: int | None = None
    rerun_of: int | None = None
    parent_job_id: int | None = None
    given: Document = field(default_factory=dict)
    total: int = 0
    is_open: bool = False


class WorkflowRow(NamedTuple):
    """A run as it is stored. `state` is null while its jobs may still move; then it is derived from where they stand."""

    id: int
    uuid: str
    project_id: ProjectId
    project: str
    name: str | None
    state: str | None
    type_name: str | None
    type_revision: int | None
    rerun_of: int | None
    parent_job_id: int | None
    borrowed: list[str] | None
    is_held: bool
    on_failure: str
    timeout_s: int | None
    definition: str
    inputs: Document
    outputs: Document
    labels: dict[str, str] | None
    total: int
    created_by: str | None
    canceled: datetime | None
    canceled_by: str | None
    cancel_reason: str | None
    created: datetime
    started: datetime | None
    ended: datetime | None
    last_modified: datetime


class WorkflowJobRow(NamedTuple):
    """A job of a run by its step; the jobs that it needs are those of the same run, by id."""

    job_id: JobId
    step: str
    member: int | None
    status: str
    is_skipped: bool
    allow_failure: bool
    is_finally: bool
    superseded_by: JobId | None
    type_name: str
    started: datetime | None
    ended: datetime | None
    error: str | None
    message: str | None
    reused_from: JobId | None


@dataclass(frozen=True, slots=True)
class WorkflowJobFilter:
    """Which jobs of a run, by their steps and where they stand. Empty is all."""

    step: tuple[str, ...] = ()
    status: tuple[str, ...] = ()


ALL_JOBS = WorkflowJobFilter()

_INSERT = text("""
    INSERT INTO workflows (project_id, created_by, name, definition, on_failure, timeout_s, inputs, outputs, labels,
                           type_revision_id, rerun_of, parent_job_id, given, total, is_open)
    VALUES (:project_id, :created_by, :name, :definition, :on_failure, :timeout_s, CAST(:inputs AS jsonb),
            CAST(:outputs AS jsonb), CAST(:labels AS jsonb), :type_revision_id, :rerun_of, :parent_job_id, CAST(:given AS jsonb), :total, :is_open)
    RETURNING id
""")

_JOBS = text("""
    INSERT INTO workflow_jobs (job_id, workflow_id, step, member, allow_failure, is_finally)
    SELECT CAST(c.job_id AS bigint), :workflow_id, c.step, NULLIF(CAST(c.member AS int), -1),
           CAST(c.flags AS int) & 1 > 0, CAST(c.flags AS int) & 2 > 0
    FROM ROWS FROM (jsonb_array_elements(CAST(:jobs AS jsonb)), jsonb_array_elements_text(CAST(:steps AS jsonb)),
                    jsonb_array_elements(CAST(:members AS jsonb)), jsonb_array_elements(CAST(:flags AS jsonb)))
         AS c (job_id, step, member, flags)
""")

# Everybody is told when a job of a workflow ends, for with it the workflow may.
_OPEN = text("UPDATE workflows SET is_open = false, created = now() WHERE id = :id RETURNING parent_job_id")

_COLUMNS = """
    w.id, CAST(w.uuid AS text) AS uuid, w.project_id, p.name AS project, w.name, w.state, t.name AS type_name,
    r.revision_num AS type_revision, w.rerun_of, w.parent_job_id, w.given -> 'borrowed' AS borrowed, w.is_held, w.on_failure, w.timeout_s, w.definition,
    w.inputs, w.outputs, w.labels, w.total, k.name AS created_by, w.canceled, w.canceled_by, w.cancel_reason,
    w.created, w.started, w.ended, w.last_modified
"""
_SOURCE = """
    workflows w
    JOIN projects p ON p.id = w.project_id
    LEFT JOIN tokens k ON k.id = w.created_by
    LEFT JOIN workflow_revisions r ON r.id = w.type_revision_id
    LEFT JOIN workflow_types t ON t.id = r.workflow_type_id
"""
_ONE = text(f"SELECT {_COLUMNS} FROM {_SOURCE} WHERE w.id = :id AND NOT w.is_open")  # noqa: S608 - our own text

_COUNTS = text("""
    SELECT j.workflow_id,
           count(*) AS total,
           count(*) FILTER (WHERE j.status IN ('PENDING_UPLOAD', 'PENDING', 'QUEUED', 'RUNNING')
                            OR j.status = 'CANCELED' AND x.job_id IS NOT NULL) AS live,
           count(*) FILTER (WHERE j.num_exes > 0) AS started,
           count(*) FILTER (WHERE j.status = 'COMPLETED') AS completed,
           count(*) FILTER (WHERE j.status = 'FAILED') AS failed,
           count(*) FILTER (WHERE j.status = 'BLOCKED') AS blocked,
           count(*) FILTER (WHERE j.status = 'CANCELED' AND NOT j.is_skipped) AS canceled,
           count(*) FILTER (WHERE j.status = 'CANCELED' AND j.is_skipped) AS skipped,
           count(*) FILTER (WHERE j.status IN ('FAILED', 'BLOCKED') AND m.allow_failure) AS excused,
           min(j.started) AS first_start, max(j.ended) AS last_end
    FROM jobs j
    JOIN workflow_jobs m ON m.job_id = j.id AND m.superseded_by IS NULL
    LEFT JOIN LATERAL (
        SELECT job_id FROM executions WHERE job_id = j.id AND released_at IS NULL AND j.status = 'CANCELED' LIMIT 1
    ) AS x ON true
    WHERE j.workflow_id = ANY(:ids)
    GROUP BY j.workflow_id
""")

_JOBS_OF = text("""
    SELECT m.job_id, m.step, m.member, j.status, j.is_skipped, m.allow_failure, m.is_finally, m.superseded_by,
           t.name AS type_name, j.started, j.ended, e.title AS error, q.message, c.reused_from
    FROM workflow_jobs m
    JOIN jobs j ON j.id = m.job_id
    JOIN job_types t ON t.id = j.job_type_id
    JOIN job_specs q ON q.job_id = j.id
    LEFT JOIN errors e ON e.id = j.error_id
    LEFT JOIN job_cache c ON c.job_id = j.id
    WHERE m.workflow_id = :id AND m.job_id > :after
      AND (CAST(:steps AS text[]) = '{}' OR m.step = ANY(:steps))
      AND (CAST(:statuses AS text[]) = '{}' OR j.status = ANY(:statuses))
    ORDER BY m.job_id
    LIMIT :limit
""")

_CULPRIT = text("""
    SELECT m.job_id, m.step, m.member, j.status, j.is_skipped, m.allow_failure, m.is_finally, m.superseded_by,
           t.name AS type_name, j.started, j.ended, e.title AS error, q.message, c.reused_from
    FROM workflow_jobs m
    JOIN jobs j ON j.id = m.job_id
    JOIN job_types t ON t.id = j.job_type_id
    JOIN job_specs q ON q.job_id = j.id
    LEFT JOIN errors e ON e.id = j.error_id
    LEFT JOIN job_cache c ON c.job_id = j.id
    WHERE m.workflow_id = :id AND j.workflow_id = :id AND j.status = 'FAILED' AND NOT m.allow_failure
      AND m.superseded_by IS NULL
    ORDER BY j.ended, j.id
    LIMIT 1
""")

_ENDED = text("""
    UPDATE workflows w
    SET state = v.state, started = v.started, ended = COALESCE(v.ended, now()), last_modified = now()
    FROM unnest(CAST(:ids AS bigint[]), CAST(:states AS text[]), CAST(:starts AS timestamptz[]), CAST(:ends AS timestamptz[]))
         AS v (id, state, started, ended)
    WHERE w.id = v.id AND w.state IS DISTINCT FROM v.state
    RETURNING w.id
""")

# One look into an index for each: whether a job of it may still move.
_AT_REST = text("""
    SELECT w.id
    FROM workflows w
    WHERE w.id = ANY(:ids) AND w.state IS NULL AND NOT w.is_open
      AND NOT EXISTS (
          SELECT FROM jobs j WHERE j.workflow_id = w.id
          AND (j.status IN ('PENDING_UPLOAD', 'PENDING', 'QUEUED', 'RUNNING')) IS TRUE)
""")

_WORKFLOWS_OF = text("SELECT DISTINCT workflow_id FROM jobs WHERE id = ANY(:ids) AND workflow_id IS NOT NULL")

_LIVE = text(
    "SELECT count(*) FROM (SELECT FROM workflows WHERE project_id = :project_id AND state IS NULL LIMIT :most) AS live"
)

_CANCEL = text("""
    UPDATE workflows
    SET canceled = COALESCE(canceled, now()), canceled_by = COALESCE(canceled_by, :actor),
        cancel_reason = COALESCE(cancel_reason, :reason), last_modified = now()
    WHERE id = :id
    RETURNING id
""")

_CANCELED = text("SELECT id FROM workflows WHERE id = ANY(:ids) AND canceled IS NOT NULL")

_TO_CANCEL = text("""
    SELECT j.id
    FROM workflow_jobs m
    JOIN jobs j ON j.id = m.job_id
    WHERE m.workflow_id = :id AND (:finally OR NOT m.is_finally)
      AND j.status IN ('PENDING_UPLOAD', 'PENDING', 'BLOCKED', 'QUEUED', 'RUNNING')
    ORDER BY j.id
    LIMIT :limit
""")


class CountsRow(NamedTuple):
    """Where the jobs of a run stand, when the first has started and the last has ended."""

    counts: WorkflowCounts
    started: datetime | None
    ended: datetime | None


NO_JOBS = CountsRow(WorkflowCounts(), None, None)


def insert(tx: Connection, new: NewWorkflow) -> int:
    """Insert a run and return its id; its jobs follow."""
    facts = {name: getattr(new, name) for name in NewWorkflow.__slots__}
    for name in ("inputs", "outputs", "labels", "given"):
        facts[name] = None if facts[name] is None else orjson.dumps(facts[name]).decode()
    return int(tx.execute(_INSERT, facts).scalar_one())


def insert_jobs(tx: Connection, workflow_id: int, jobs: Sequence[tuple[JobId, str, int | None, bool, bool]]) -> None:
    """Write which jobs a run has: (job, step, member, allow_failure, is_finally)."""
    columns = {
        "jobs": [one[0] for one in jobs],
        "steps": [one[1] for one in jobs],
        "members": [-1 if one[2] is None else one[2] for one in jobs],
        "flags": [one[3] + 2 * one[4] for one in jobs],
    }
    given = {name: orjson.dumps(values).decode() for name, values in columns.items()}
    tx.execute(_JOBS, {"workflow_id": workflow_id, **given})


def open_up(tx: Connection, workflow_id: int) -> JobId | None:
    """Let a run be seen: all its jobs are there. Return the job that runs it, which may have been cancelled meanwhile."""
    return tx.execute(_OPEN, {"id": workflow_id}).scalar()


def one(tx: Connection, workflow_id: int) -> WorkflowRow | None:
    """Return a run, None if there is none."""
    return records.read_optional(WorkflowRow, tx.execute(_ONE, {"id": workflow_id}))


def counts(tx: Connection, ids: Collection[int]) -> dict[int, CountsRow]:
    """Return where the jobs of these runs stand."""
    if not ids:
        return {}
    found: dict[int, CountsRow] = {}
    names = WorkflowCounts.__slots__
    for row in tx.execute(_COUNTS, {"ids": sorted(ids)}):
        facts = {name: getattr(row, name) for name in names}
        found[row.workflow_id] = CountsRow(WorkflowCounts(**facts), row.first_start, row.last_end)
    return found


def jobs(
    tx: Connection, workflow_id: int, chosen: WorkflowJobFilter, *, after: int = 0, limit: int = 1_000
) -> list[WorkflowJobRow]:
    """Return jobs of a run by their ids, from behind `after` on."""
    parameters = {
        "id": workflow_id,
        "after": after,
        "limit": limit,
        "steps": list(chosen.step),
        "statuses": list(chosen.status),
    }
    return records.read_all(WorkflowJobRow, tx.execute(_JOBS_OF, parameters))


def culprit(tx: Connection, workflow_id: int) -> WorkflowJobRow | None:
    """Return the job of a run that failed first, of those that may not fail; None where none did."""
    return records.read_optional(WorkflowJobRow, tx.execute(_CULPRIT, {"id": workflow_id}))


def at_rest(tx: Connection, ids: Collection[int]) -> list[int]:
    """Return those of these runs of which no job moves by itself any more, and that are not marked as ended."""
    return list(tx.execute(_AT_REST, {"ids": sorted(ids)}).scalars()) if ids else []


def mark_ended(tx: Connection, ended: Sequence[tuple[int, str, datetime | None, datetime | None]]) -> list[int]:
    """Write the state of runs that have ended, with their times; return those that changed."""
    if not ended:
        return []
    columns = {name: [one[n] for one in ended] for n, name in enumerate(("ids", "states", "starts", "ends"))}
    return list(tx.execute(_ENDED, columns).scalars())


def of_jobs(tx: Connection, ids: Collection[JobId]) -> list[int]:
    """Return the runs that these jobs belong to."""
    return list(tx.execute(_WORKFLOWS_OF, {"ids": sorted(ids)}).scalars()) if ids else []


def live(tx: Connection, project_id: ProjectId, most: int) -> int:
    """Return how many runs of a project are live, counted up to `most`."""
    return int(tx.execute(_LIVE, {"project_id": project_id, "most": most}).scalar_one())


def cancel(tx: Connection, workflow_id: int, actor: str, reason: str | None) -> None:
    """Write that somebody has cancelled a run."""
    tx.execute(_CANCEL, {"id": workflow_id, "actor": actor, "reason": reason})


def canceled(tx: Connection, ids: Collection[int]) -> set[int]:
    """Return those of these runs that somebody has cancelled."""
    return set(tx.execute(_CANCELED, {"ids": sorted(ids)}).scalars())


def to_cancel(tx: Connection, workflow_id: int, limit: int, *, with_finally: bool) -> list[JobId]:
    """Return jobs of a run that have not ended; those that run finally only if they are meant, too."""
    parameters = {"id": workflow_id, "limit": limit, "finally": with_finally}
    return list(tx.execute(_TO_CANCEL, parameters).scalars())
