"""What waits, by job type."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, text

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


def status(tx: Connection, *, project_id: int | None) -> list[Any]:
    """Return `count`, `longest_queued` and `highest_priority` (the smallest number) per type with waiting jobs."""
    return list(tx.execute(_STATUS, {"project_id": project_id}))


def type_exists(tx: Connection, job_type_id: int) -> bool:
    """Tell whether there is such a job type."""
    return bool(tx.execute(_TYPE, {"id": job_type_id}).scalar())
