"""Lists of job types and their revisions, and what their jobs do."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from scheduler.store.paging import Condition, Key, Listing


@dataclass(frozen=True, slots=True)
class TypeFilter:
    """Which types. Values of one field are alternatives, fields narrow; `keyword` is the beginning of name or title."""

    started: datetime | None = None
    ended: datetime | None = None
    id: tuple[int, ...] = ()
    name: tuple[str, ...] = ()
    category: tuple[str, ...] = ()
    keyword: tuple[str, ...] = ()
    is_active: bool | None = None
    is_system: bool | None = None
    is_operational: bool | None = None
    is_paused: bool | None = None


_CONDITIONS = {
    "started": "j.last_modified >= :started",
    "ended": "j.last_modified <= :ended",
    "id": "j.id = ANY(:id)",
    "name": "j.name = ANY(:name)",
    "category": "j.category = ANY(:category)",
    "keyword": """EXISTS (
        SELECT FROM unnest(CAST(:keyword AS text[])) AS word
        WHERE starts_with(lower(j.name), lower(word)) OR starts_with(lower(j.title), lower(word)))""",
    "is_active": "j.is_active = :is_active",
    "is_system": "j.is_system = :is_system",
    "is_operational": "j.is_operational = :is_operational",
    "is_paused": "j.is_paused = :is_paused",
}

KEYS = {
    "id": Key("j.id", "bigint"),
    "name": Key('j.name COLLATE "C"', "text"),
    "version": Key('j.version COLLATE "C"', "text"),
    "title": Key('j.title COLLATE "C"', "text"),
    "category": Key("COALESCE(j.category, '') COLLATE \"C\"", "text"),
    "created": Key("j.created", "timestamptz"),
    "last_modified": Key("j.last_modified", "timestamptz"),
}

TYPES = Listing(
    "job_types j",
    "j.*, r.definition, r.id AS revision_id",
    """job_types j ON j.id = page.id
       JOIN job_type_revisions r ON r.job_type_id = j.id AND r.revision_num = j.revision_num""",
    KEYS,
)

REVISIONS = Listing(
    "job_type_revisions j",
    "j.*",
    "job_type_revisions j ON j.id = page.id",
    {"revision_num": Key("j.revision_num", "int"), "created": Key("j.created", "timestamptz")},
)

_SHORT = """
    t.id AS type_id, t.name AS type_name, t.version AS type_version, t.title AS type_title,
    t.description AS type_description, t.category AS type_category, t.author_name, t.author_url, t.icon_code,
    t.is_system, t.is_long_running, t.is_active, t.is_operational, t.is_paused
"""

# What runs counts whenever it began; the two halves use an index each.
_STATUSES = text(f"""
    WITH counted AS (
        SELECT job_type_id, status, error_id, count(*) AS count, max(last_status_change) AS most_recent
        FROM jobs j
        WHERE j.status <> 'RUNNING'
          AND (CAST(:started AS timestamptz) IS NULL OR j.last_modified >= :started)
          AND (CAST(:ended AS timestamptz) IS NULL OR j.last_modified <= :ended)
          AND (CAST(:project_id AS bigint) IS NULL OR j.project_id = :project_id)
        GROUP BY job_type_id, status, error_id
        UNION ALL
        SELECT job_type_id, status, NULL, count(*), max(last_status_change)
        FROM jobs j
        WHERE j.status = 'RUNNING'
          AND (CAST(:project_id AS bigint) IS NULL OR j.project_id = :project_id)
        GROUP BY job_type_id, status
    )
    SELECT {_SHORT}, c.status, e.category AS error_category, sum(c.count)::bigint AS count,
           max(c.most_recent) AS most_recent
    FROM job_types t
    LEFT JOIN counted c ON c.job_type_id = t.id
    LEFT JOIN errors e ON e.id = c.error_id
    GROUP BY t.id, c.status, e.category
    ORDER BY t.name, t.version, t.id, c.status, e.category
""")  # noqa: S608 - the only text put in are our own columns

_RUNNING = text(f"""
    SELECT {_SHORT}, r.count, r.longest_running
    FROM (
        SELECT job_type_id, count(*) AS count, min(COALESCE(started, last_status_change)) AS longest_running
        FROM jobs
        WHERE status = 'RUNNING' AND (CAST(:project_id AS bigint) IS NULL OR project_id = :project_id)
        GROUP BY job_type_id
    ) AS r
    JOIN job_types t ON t.id = r.job_type_id
    ORDER BY r.longest_running, t.id
""")  # noqa: S608


def condition(chosen: TypeFilter) -> Condition:
    """Return the filter as SQL."""
    given = {one.name: getattr(chosen, one.name) for one in fields(chosen)}
    given = {name: value for name, value in given.items() if value is not None and value != ()}
    parameters = {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()}
    return Condition(" AND ".join(_CONDITIONS[name] for name in given) or "true", parameters)


def statuses(tx: Connection, *, project_id: int | None, started: datetime | None, ended: datetime | None) -> list[Any]:
    """Return one row per type, status and error category with `count` and `most_recent`; every type has at least one."""
    return list(tx.execute(_STATUSES, {"project_id": project_id, "started": started, "ended": ended}))


def running(tx: Connection, *, project_id: int | None) -> list[Any]:
    """Return `count` and `longest_running` of every type that has running jobs, the longest first."""
    return list(tx.execute(_RUNNING, {"project_id": project_id}))
