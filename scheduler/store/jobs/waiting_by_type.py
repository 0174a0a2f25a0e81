"""What waits, by job type."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from scheduler.identifiers import JobTypeId, ProjectId
from scheduler.store import records

_STATUS = text("""
    SELECT t.id AS type_id, t.name AS type_name, t.version AS type_version, t.title AS type_title,
           t.description AS type_description, t.category AS type_category, t.author_name, t.author_url, t.icon_code,
           t.is_system, t.is_long_running, t.is_active, t.is_operational, t.is_paused,
           q.count, q.longest_queued, q.highest_priority
    FROM (
        SELECT job_type_id, count(*) AS count, min(COALESCE(queued, created)) AS longest_queued,
               min(priority) AS highest_priority
        FROM jobs
        WHERE status = 'QUEUED' AND (CAST(:project_id AS bigint) IS NULL OR project_id = :project_id)
        GROUP BY job_type_id
    ) AS q
    JOIN job_types t ON t.id = q.job_type_id
    ORDER BY t.is_paused, q.highest_priority, q.longest_queued, t.id
""")

_TYPE = text("SELECT EXISTS (SELECT FROM job_types WHERE id = :id)")


@dataclass(frozen=True, slots=True)
class WaitingType:
    """How many jobs of a type wait, since when the first of them, and the most urgent priority (the smallest number)."""

    type_id: JobTypeId
    type_name: str
    type_version: str
    type_title: str
    type_description: str
    type_category: str | None
    author_name: str | None
    author_url: str | None
    icon_code: str | None
    is_system: bool
    is_long_running: bool
    is_active: bool
    is_operational: bool
    is_paused: bool
    count: int
    longest_queued: datetime
    highest_priority: int


def status(tx: Connection, *, project_id: ProjectId | None) -> list[WaitingType]:
    """Return every type that has waiting jobs: unpaused types first, then by urgency and age."""
    return records.read_all(WaitingType, tx.execute(_STATUS, {"project_id": project_id}))


def type_exists(tx: Connection, job_type_id: JobTypeId) -> bool:
    """Tell whether there is such a job type."""
    return bool(tx.execute(_TYPE, {"id": job_type_id}).scalar())
