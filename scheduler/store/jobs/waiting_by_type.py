"""The waiting jobs by job type."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from scheduler.identifiers import JobTypeId, ProjectId
from scheduler.store import records, type_in_short

_STATUS = text(f"""
    SELECT {type_in_short.SELECTED}, q.count, q.longest_queued, q.highest_priority
    FROM (
        SELECT job_type_id, count(*) AS count, min(COALESCE(queued, created)) AS longest_queued,
               min(priority) AS highest_priority
        FROM jobs
        WHERE status = 'QUEUED' AND (CAST(:project_id AS bigint) IS NULL OR project_id = :project_id)
        GROUP BY job_type_id
    ) AS q
    JOIN job_types t ON t.id = q.job_type_id
    ORDER BY t.is_paused, q.highest_priority, q.longest_queued, t.id
""")  # noqa: S608 - the only text put in are our own columns

_TYPE = text("SELECT EXISTS (SELECT FROM job_types WHERE id = :id)")


@dataclass(frozen=True, slots=True)
class WaitingType(type_in_short.JobTypeInShort):
    """How many jobs of a type wait, since when the first of them, and the most urgent priority (the smallest number)."""

    count: int
    longest_queued: datetime
    highest_priority: int


def status(tx: Connection, *, project_id: ProjectId | None) -> list[WaitingType]:
    """Return every type that has waiting jobs: unpaused types first, then by urgency and age."""
    return records.read_all(WaitingType, tx.execute(_STATUS, {"project_id": project_id}))


def type_exists(tx: Connection, job_type_id: JobTypeId) -> bool:
    """Tell whether there is such a job type."""
    return bool(tx.execute(_TYPE, {"id": job_type_id}).scalar())
