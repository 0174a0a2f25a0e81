"""What users have deleted: noted here, and so hidden at once, until nothing of it runs any more and it can go."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from scheduler.identifiers import JobId, ProjectId
from scheduler.store import records
from scheduler.store.retention.due import ChangedJob

HIDDEN_JOB = "EXISTS (SELECT FROM deletions d WHERE d.kind = 'job' AND d.object_id = j.id)"
"""The condition that somebody has deleted the job `j`."""

HIDDEN_WORKFLOW = "EXISTS (SELECT FROM deletions d WHERE d.kind = 'workflow' AND d.object_id = j.id)"
"""The condition that somebody has deleted the workflow `j`."""


class DeletedJob(NamedTuple):
    """A job that somebody has deleted, with what a purge must know. `is_live`: it has not ended."""

    id: JobId
    status: str
    last_modified: datetime
    project_id: ProjectId
    is_live: bool


_NOTE = text("""
    INSERT INTO deletions (kind, object_id, project_id, actor)
    SELECT :kind, id, :project_id, :actor FROM unnest(CAST(:ids AS bigint[])) AS one (id)
    ON CONFLICT DO NOTHING
    RETURNING object_id
""")

_JOBS = text("""
    SELECT j.id, j.status, j.last_modified, j.project_id,
           j.status NOT IN ('COMPLETED', 'FAILED', 'CANCELED') AS is_live
    FROM deletions d JOIN jobs j ON j.id = d.object_id
    WHERE d.kind = 'job' AND d.object_id > :after AND (CAST(:ids AS bigint[]) IS NULL OR d.object_id = ANY(:ids))
    ORDER BY d.object_id
    LIMIT :limit
""")

_LIVE = text("""
    SELECT id FROM jobs
    WHERE project_id = :project_id AND status IN ('PENDING_UPLOAD', 'PENDING', 'BLOCKED', 'QUEUED', 'RUNNING')
    ORDER BY id
    LIMIT :limit
""")

_EMPTY = text("""
    SELECT d.object_id FROM deletions d
    WHERE d.kind = 'workflow' AND NOT EXISTS (SELECT FROM jobs j WHERE j.workflow_id = d.object_id)
    LIMIT :limit
""")

_GONE = text("DELETE FROM deletions WHERE kind = 'workflow' AND object_id = ANY(:ids)")


def note(tx: Connection, kind: str, project_id: ProjectId, ids: Sequence[int], actor: str) -> list[int]:
    """Note that somebody has deleted these; return those that nobody had deleted before."""
    parameters = {"kind": kind, "project_id": project_id, "ids": list(ids), "actor": actor}
    return list(tx.execute(_NOTE, parameters).scalars())


def jobs(tx: Connection, *, after: int, limit: int, ids: Sequence[JobId] | None = None) -> list[DeletedJob]:
    """Return the next deleted jobs behind the id `after`, of these if `ids` names some."""
    parameters = {"after": after, "limit": limit, "ids": None if ids is None else list(ids)}
    return records.read_all(DeletedJob, tx.execute(_JOBS, parameters))


def empty_workflows(tx: Connection, limit: int) -> list[int]:
    """Return deleted workflows whose jobs are gone, and note of them no longer."""
    found = list(tx.execute(_EMPTY, {"limit": limit}).scalars())
    tx.execute(_GONE, {"ids": found})
    return found


def live_jobs(tx: Connection, project_id: ProjectId, limit: int) -> list[JobId]:
    """Return jobs of a project that have not ended."""
    return list(tx.execute(_LIVE, {"project_id": project_id, "limit": limit}).scalars())


def changed(deleted: Sequence[DeletedJob]) -> dict[ProjectId, list[ChangedJob]]:
    """Return those that have ended by their project, as a purge takes them."""
    found: dict[ProjectId, list[ChangedJob]] = {}
    for job in deleted:
        if not job.is_live:
            found.setdefault(job.project_id, []).append(ChangedJob(job.id, job.status, job.last_modified))
    return found
