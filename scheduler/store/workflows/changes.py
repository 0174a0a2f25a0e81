"""What happens to runs after they were made: cancelled in steps, ended, begun anew, held, deleted."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from scheduler.identifiers import JobId, ProjectId
from scheduler.store import records

_LOCK = text("SELECT id, state, canceled IS NOT NULL AS is_canceled, is_held FROM workflows WHERE id = :id FOR UPDATE")

_REVIVE = text("""
    UPDATE workflows w
    SET state = NULL, ended = NULL, last_modified = now()
    WHERE w.id = ANY(:ids) AND w.state IS NOT NULL
      AND EXISTS (
          SELECT FROM jobs j WHERE j.workflow_id = w.id
          AND (j.status IN ('PENDING_UPLOAD', 'PENDING', 'QUEUED', 'RUNNING')) IS TRUE)
    RETURNING w.id
""")

_REOPEN = text("""
    UPDATE workflows
    SET state = NULL, ended = NULL, canceled = NULL, canceled_by = NULL, cancel_reason = NULL, last_modified = now()
    WHERE id = :id
""")

_TO_RESTART = text("""
    SELECT m.job_id
    FROM workflow_jobs m JOIN jobs j ON j.id = m.job_id
    WHERE m.workflow_id = :id AND m.superseded_by IS NULL
      AND (j.status = 'FAILED' OR j.status = 'CANCELED' AND NOT j.is_skipped)
    ORDER BY m.job_id
""")

# What must be looked at while nothing else tells of it: runs that are being cancelled, are over their time, or whose jobs
# were not all written, since whoever wrote them is gone.
_DUE = text("""
    SELECT id, canceled IS NOT NULL AS is_canceled, is_open, timeout_s,
           timeout_s IS NOT NULL AND created + make_interval(secs => timeout_s) < now() AS is_late
    FROM workflows
    WHERE state IS NULL
      AND (canceled IS NOT NULL
           OR timeout_s IS NOT NULL AND created + make_interval(secs => timeout_s) < now()
           OR is_open AND created < now() - make_interval(secs => :patience_s))
    ORDER BY id
    LIMIT :limit
""")

# After a failure that counts: what has not started, of runs that are to stop then.
_TO_STOP = text("""
    SELECT j.id
    FROM workflows w
    JOIN workflow_jobs m ON m.workflow_id = w.id AND NOT m.is_finally
    JOIN jobs j ON j.id = m.job_id
    WHERE w.id = ANY(:ids) AND w.on_failure = 'stop'
      AND j.status IN ('PENDING_UPLOAD', 'PENDING', 'BLOCKED', 'QUEUED')
      AND EXISTS (
          SELECT FROM workflow_jobs f JOIN jobs b ON b.id = f.job_id
          WHERE f.workflow_id = w.id AND NOT f.allow_failure AND f.superseded_by IS NULL AND b.status = 'FAILED')
    ORDER BY j.id
    LIMIT :limit
""")
_STOPPING = text("SELECT id FROM workflows WHERE id = ANY(:ids) AND on_failure = 'stop'")

_HOLD = text("UPDATE workflows SET is_held = :held, last_modified = now() WHERE id = :id")

_JOB_IDS = text(
    "SELECT job_id FROM workflow_jobs WHERE workflow_id = :id AND job_id > :after ORDER BY job_id LIMIT :limit"
)

_DELETE = (
    text("DELETE FROM workflow_jobs WHERE workflow_id = :id"),
    text("DELETE FROM workflows WHERE id = :id"),
)

_JOBS_TO_PURGE = text("""
    SELECT j.id, j.status, j.last_modified
    FROM workflow_jobs m JOIN jobs j ON j.id = m.job_id
    WHERE m.workflow_id = :id
    ORDER BY j.id DESC
    LIMIT :limit
""")

# Jobs that a run has are its own: they are as if they had never been written.
_UNDO = (
    text("DELETE FROM need_changes WHERE job_id IN (SELECT id FROM jobs WHERE workflow_id = :id)"),
    text("DELETE FROM need_deadlines WHERE job_id IN (SELECT id FROM jobs WHERE workflow_id = :id)"),
    text("DELETE FROM job_plans WHERE job_id IN (SELECT id FROM jobs WHERE workflow_id = :id)"),
    text("DELETE FROM job_needs WHERE job_id IN (SELECT id FROM jobs WHERE workflow_id = :id)"),
    text("""
        WITH gone AS (
            DELETE FROM group_members WHERE job_id IN (SELECT id FROM jobs WHERE workflow_id = :id) RETURNING group_id
        )
        DELETE FROM job_groups WHERE id IN (SELECT group_id FROM gone)
    """),
    text("DELETE FROM events WHERE job_id IN (SELECT id FROM jobs WHERE workflow_id = :id)"),
    text("DELETE FROM job_specs WHERE job_id IN (SELECT id FROM jobs WHERE workflow_id = :id)"),
    text("DELETE FROM jobs WHERE workflow_id = :id"),
)


class LockedWorkflow(NamedTuple):
    """What decides whether a run may be changed, read under its row lock."""

    id: int
    state: str | None
    is_canceled: bool
    is_held: bool


class DueWorkflow(NamedTuple):
    """A run that wants looking at: it is being cancelled, is over its time, or was never written in full."""

    id: int
    is_canceled: bool
    is_open: bool
    timeout_s: int | None
    is_late: bool


class PurgeableJob(NamedTuple):
    """A job of a run that is to be deleted."""

    id: JobId
    status: str
    last_modified: datetime


def lock(tx: Connection, workflow_id: int) -> LockedWorkflow:
    """Lock a run that there is."""
    return records.read_one(LockedWorkflow, tx.execute(_LOCK, {"id": workflow_id}))


def lock_if_there(tx: Connection, workflow_id: int) -> LockedWorkflow | None:
    """Lock a run; None where there is none any more."""
    return records.read_optional(LockedWorkflow, tx.execute(_LOCK, {"id": workflow_id}))


def revive(tx: Connection, ids: Collection[int]) -> list[int]:
    """Let those of these runs be live again of which a job is; return which were not."""
    return list(tx.execute(_REVIVE, {"ids": sorted(ids)}).scalars()) if ids else []


def reopen(tx: Connection, workflow_id: int) -> None:
    """Let a run be live again, and forget that it was cancelled."""
    tx.execute(_REOPEN, {"id": workflow_id})


def to_restart(tx: Connection, workflow_id: int) -> list[JobId]:
    """Return the jobs of a run that failed, or that somebody cancelled."""
    return list(tx.execute(_TO_RESTART, {"id": workflow_id}).scalars())


def due(tx: Connection, patience_s: float, limit: int) -> list[DueWorkflow]:
    """Return the runs that want looking at."""
    return records.read_all(DueWorkflow, tx.execute(_DUE, {"patience_s": patience_s, "limit": limit}))


def to_stop(tx: Connection, ids: Collection[int], limit: int) -> list[JobId]:
    """Return jobs that are not to start any more, since another job of their run failed."""
    stopping = list(tx.execute(_STOPPING, {"ids": sorted(ids)}).scalars()) if ids else []
    return list(tx.execute(_TO_STOP, {"ids": stopping, "limit": limit}).scalars()) if stopping else []


def hold(tx: Connection, workflow_id: int, *, held: bool) -> None:
    """Write that a run is held, or no longer."""
    tx.execute(_HOLD, {"id": workflow_id, "held": held})


def job_ids(tx: Connection, workflow_id: int, *, after: int, limit: int) -> list[JobId]:
    """Return the next jobs of a run."""
    return list(tx.execute(_JOB_IDS, {"id": workflow_id, "after": after, "limit": limit}).scalars())


def to_purge(tx: Connection, workflow_id: int, limit: int) -> list[PurgeableJob]:
    """Return jobs of a run that are still there, followers before their parents."""
    return records.read_all(PurgeableJob, tx.execute(_JOBS_TO_PURGE, {"id": workflow_id, "limit": limit}))


def delete(tx: Connection, workflow_id: int) -> None:
    """Delete a run whose jobs are gone."""
    for statement in _DELETE:
        tx.execute(statement, {"id": workflow_id})


def undo(tx: Connection, workflow_id: int) -> None:
    """Delete a run that was never written in full, with the jobs that it has; nobody saw them, and none has started."""
    for statement in (*_UNDO, *_DELETE):
        tx.execute(statement, {"id": workflow_id})


def project_of(tx: Connection, workflow_id: int) -> ProjectId:
    """Return the project of a run."""
    return ProjectId(
        tx.execute(text("SELECT project_id FROM workflows WHERE id = :id"), {"id": workflow_id}).scalar_one()
    )
