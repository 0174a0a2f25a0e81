"""How much a sweep would delete now: counts and bytes, without a lock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from scheduler.identifiers import ProjectId
from scheduler.store import records


@dataclass(frozen=True, slots=True)
class DueJobs:
    """Jobs of one final status that are kept no longer, and the oldest last change among them."""

    status: str
    count: int
    oldest: datetime


@dataclass(frozen=True, slots=True)
class DueContent:
    """Outputs of executions, or files, that are kept no longer; bytes; the oldest last change. `oldest` is None for none."""

    count: int
    size: int
    oldest: datetime | None


_JOBS = text("""
    SELECT status, count(*) AS count, min(last_modified) AS oldest
    FROM jobs
    WHERE project_id = :project_id
      AND NOT is_pinned
      AND last_modified < CASE status
              WHEN 'COMPLETED' THEN CAST(:completed AS timestamptz)
              WHEN 'FAILED' THEN CAST(:failed AS timestamptz)
              WHEN 'CANCELED' THEN CAST(:canceled AS timestamptz)
          END
      AND last_modified < GREATEST(CAST(:completed AS timestamptz), :failed, :canceled)
    GROUP BY status
    ORDER BY status
""")

_OUTPUT = text("""
    SELECT count(DISTINCT x.id) AS count, COALESCE(sum(octet_length(c.data)), 0)::bigint AS size,
           min(j.last_modified) AS oldest
    FROM jobs j
    JOIN executions x ON x.job_id = j.id AND x.output_purged IS NULL
    JOIN output_chunks c ON c.execution_id = x.id
    WHERE j.project_id = :project_id
      AND j.last_modified < :before
      AND j.status IN ('COMPLETED', 'FAILED', 'CANCELED')
      AND NOT j.is_pinned
""")

_FILES = text("""
    SELECT count(*) AS count, COALESCE(sum(f.file_size), 0)::bigint AS size, min(f.last_modified) AS oldest
    FROM files f
    WHERE f.project_id = :project_id
      AND f.last_modified < :before
      AND f.job_id IS NOT NULL AND f.is_published AND NOT f.is_deleted
      AND NOT EXISTS (SELECT FROM jobs j WHERE j.id = f.job_id AND j.is_pinned)
""")


def jobs(
    tx: Connection,
    project_id: ProjectId,
    *,
    completed: datetime | None,
    failed: datetime | None,
    canceled: datetime | None,
) -> list[DueJobs]:
    """Return the ended jobs that changed last before the moment of their status; None keeps that status."""
    moments = {"completed": completed, "failed": failed, "canceled": canceled}
    return records.read_all(DueJobs, tx.execute(_JOBS, {"project_id": project_id, **moments}))


def output(tx: Connection, project_id: ProjectId, before: datetime) -> DueContent:
    """Return the printed output of jobs that ended and changed last before a moment."""
    return records.read_one(DueContent, tx.execute(_OUTPUT, {"project_id": project_id, "before": before}))


def files(tx: Connection, project_id: ProjectId, before: datetime) -> DueContent:
    """Return the output files that changed last before a moment; those that live jobs read are counted, and will be kept."""
    return records.read_one(DueContent, tx.execute(_FILES, {"project_id": project_id, "before": before}))
