"""Jobs and runs that jobs have submitted: who their parent is, and which of them end with it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from sqlalchemy import Connection, text

from scheduler.identifiers import JobId, ProjectId
from scheduler.store import records

# The lock of a parent that is being cancelled is waited for: a child is written before, and goes with it, or refused.
_LOCK = text("""
    SELECT id, status = 'CANCELED' AS is_canceled
    FROM jobs
    WHERE id = ANY(:ids) AND project_id = :project_id
    ORDER BY id
    FOR NO KEY UPDATE
""")

_TOLD = text("UPDATE jobs SET followers = 1 WHERE id = ANY(:ids) AND followers = 0")

_INSERT = text("""
    INSERT INTO job_parents (job_id, parent_job_id)
    SELECT * FROM unnest(CAST(:jobs AS bigint[]), CAST(:parents AS bigint[]))
""")

_CANCELED = """
    SELECT p.id FROM jobs p WHERE p.id = ANY(:ids) AND p.status = 'CANCELED' AND NOT p.is_skipped OFFSET 0
"""

_LIVE = text(f"""
    SELECT c.job_id, c.parent_job_id
    FROM ({_CANCELED}) AS p
    JOIN job_parents c ON c.parent_job_id = p.id
    JOIN jobs j ON j.id = c.job_id
    WHERE j.status IN ('PENDING_UPLOAD', 'PENDING', 'BLOCKED', 'QUEUED', 'RUNNING')
    ORDER BY c.job_id
    LIMIT :limit
""")  # noqa: S608 - our own text

_RUNS = text(f"""
    SELECT w.id AS workflow_id, w.parent_job_id
    FROM ({_CANCELED}) AS p
    JOIN workflows w ON w.parent_job_id = p.id
    WHERE w.state IS NULL AND w.canceled IS NULL AND NOT w.is_open
    ORDER BY w.id
    LIMIT :limit
""")  # noqa: S608 - our own text

_LOCK_RUNS = text("""
    SELECT id FROM workflows
    WHERE id = ANY(:ids) AND state IS NULL AND canceled IS NULL
    ORDER BY id
    FOR UPDATE SKIP LOCKED
""")


class ParentJob(NamedTuple):
    """A job that submits others, locked."""

    id: JobId
    is_canceled: bool


class ChildJob(NamedTuple):
    """A job that has not ended, with the one that submitted it."""

    job_id: JobId
    parent_job_id: JobId


class ChildRun(NamedTuple):
    """A run of a workflow that has not ended, with the job that submitted it."""

    workflow_id: int
    parent_job_id: JobId


def lock_parents(tx: Connection, project_id: ProjectId, ids: Collection[int]) -> dict[int, ParentJob]:
    """Lock these jobs of a project, and have the resolver told of their ends; return them by id, others are left out."""
    rows = tx.execute(_LOCK, {"ids": sorted(ids), "project_id": project_id})
    found: dict[int, ParentJob] = {row.id: row for row in records.read_all(ParentJob, rows)}
    tx.execute(_TOLD, {"ids": sorted(found)})
    return found


def insert(tx: Connection, parents: Mapping[JobId, JobId]) -> None:
    """Write the parents of new jobs."""
    tx.execute(_INSERT, {"jobs": list(parents), "parents": list(parents.values())})


def live(tx: Connection, ids: Collection[JobId], limit: int) -> list[ChildJob]:
    """Return jobs that have not ended, and that those of these jobs have submitted that somebody cancelled."""
    return records.read_all(ChildJob, tx.execute(_LIVE, {"ids": sorted(ids), "limit": limit}))


def live_runs(tx: Connection, ids: Collection[JobId], limit: int) -> list[ChildRun]:
    """Return the runs of workflows of which the same is true, and that nobody cancels yet."""
    return records.read_all(ChildRun, tx.execute(_RUNS, {"ids": sorted(ids), "limit": limit}))


def lock_runs(tx: Connection, ids: Collection[int]) -> list[int]:
    """Lock those of these runs that nobody holds and that nobody has cancelled; return them."""
    return list(tx.execute(_LOCK_RUNS, {"ids": sorted(ids)}).scalars()) if ids else []
