"""Lists of job types and their revisions, and what their jobs do."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from scheduler.documents import Document
from scheduler.identifiers import JobTypeId, ProjectId, RevisionId
from scheduler.store import records, type_in_short
from scheduler.store.paging import Listing, RowCondition, SortKey


@dataclass(frozen=True, slots=True)
class TypeFilter:
    """Which types. Values of one field are alternatives, fields narrow; `keyword` is the beginning of name or title.

    `seen_by` leaves out what other projects than this one own.
    """

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
    project: tuple[str, ...] = ()
    seen_by: ProjectId | None = None


class TypeRow(NamedTuple):
    """A job type as lists show it, with the definition of its current revision."""

    id: JobTypeId
    name: str
    version: str
    title: str
    description: str
    category: str | None
    author_name: str | None
    author_url: str | None
    icon_code: str | None
    is_system: bool
    is_long_running: bool
    is_operational: bool
    is_active: bool
    is_paused: bool
    pause_reason: str | None
    max_scheduled: int | None
    revision_num: int
    created: datetime
    archived: datetime | None
    paused: datetime | None
    last_modified: datetime
    definition: Document
    revision_id: RevisionId
    project: str | None


class TypeOwner(NamedTuple):
    """One of the types of a name and version; `project` None is the installation."""

    id: JobTypeId
    project_id: ProjectId | None
    project: str | None


class RevisionRow(NamedTuple):
    """One state of a job type."""

    id: RevisionId
    job_type_id: JobTypeId
    revision_num: int
    definition: Document
    created: datetime


@dataclass(frozen=True, slots=True)
class TypeStatusCount(type_in_short.JobTypeInShort):
    """How many jobs of a type have one status and error category; both are None for a type without jobs.

    `counted_since` is the same in all: jobs that do not run and changed before are not counted. None: all of the window are.
    """

    status: str | None
    error_category: str | None
    count: int | None
    most_recent: datetime | None
    counted_since: datetime | None


@dataclass(frozen=True, slots=True)
class RunningType(type_in_short.JobTypeInShort):
    """How many jobs of a type run, and since when the first of them."""

    count: int
    longest_running: datetime


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
    "project": "j.project_id = ANY(ARRAY(SELECT id FROM projects WHERE name = ANY(:project)))",
    "seen_by": "(j.project_id IS NULL OR j.project_id = :seen_by)",
}

KEYS = {
    "id": SortKey("j.id", "bigint"),
    "name": SortKey('j.name COLLATE "C"', "text"),
    "version": SortKey("(j.version_order || ' ' || j.version) COLLATE \"C\"", "text"),
    "title": SortKey('j.title COLLATE "C"', "text"),
    "category": SortKey("COALESCE(j.category, '') COLLATE \"C\"", "text"),
    "created": SortKey("j.created", "timestamptz"),
    "last_modified": SortKey("j.last_modified", "timestamptz"),
}

TYPES = Listing(
    TypeRow,
    "job_types j",
    """j.id, j.name, j.version, j.title, j.description, j.category, j.author_name, j.author_url, j.icon_code, j.is_system,
       j.is_long_running, j.is_operational, j.is_active, j.is_paused, j.pause_reason, j.max_scheduled, j.revision_num,
       j.created, j.archived, j.paused, j.last_modified, r.definition, r.id AS revision_id,
       p.name AS project""",
    """job_types j ON j.id = page.id
       JOIN job_type_revisions r ON r.job_type_id = j.id AND r.revision_num = j.revision_num
       LEFT JOIN projects p ON p.id = j.project_id""",
    KEYS,
)

REVISIONS = Listing(
    RevisionRow,
    "job_type_revisions j",
    "j.id, j.job_type_id, j.revision_num, j.definition, j.created",
    "job_type_revisions j ON j.id = page.id",
    {"revision_num": SortKey("j.revision_num", "int"), "created": SortKey("j.created", "timestamptz")},
)

COUNTED = 50_000
"""Of the jobs that do not run, so many that changed last are counted by their types, however many the time window has."""

# What runs counts whenever it began; the two halves use an index each.
_STATUSES = text(f"""
    WITH latest AS MATERIALIZED (
        SELECT j.job_type_id, j.status, j.error_id, j.last_status_change, j.last_modified
        FROM jobs j
        WHERE j.status <> 'RUNNING'
          AND (CAST(:started AS timestamptz) IS NULL OR j.last_modified >= :started)
          AND (CAST(:ended AS timestamptz) IS NULL OR j.last_modified <= :ended)
          AND (CAST(:project_id AS bigint) IS NULL OR j.project_id = :project_id)
        ORDER BY j.last_modified DESC, j.id DESC
        LIMIT :most
    ), counted AS (
        SELECT job_type_id, status, error_id, count(*) AS count, max(last_status_change) AS most_recent
        FROM latest
        GROUP BY job_type_id, status, error_id
        UNION ALL
        SELECT job_type_id, status, NULL, count(*), max(last_status_change)
        FROM jobs j
        WHERE j.status = 'RUNNING'
          AND (CAST(:project_id AS bigint) IS NULL OR j.project_id = :project_id)
        GROUP BY job_type_id, status
    )
    SELECT {type_in_short.SELECTED}, c.status, e.category AS error_category, sum(c.count)::bigint AS count,
           max(c.most_recent) AS most_recent,
           (SELECT min(last_modified) FROM latest HAVING count(*) >= :most) AS counted_since
    FROM job_types t
    LEFT JOIN counted c ON c.job_type_id = t.id
    LEFT JOIN errors e ON e.id = c.error_id
    WHERE CAST(:project_id AS bigint) IS NULL OR t.project_id IS NULL OR t.project_id = :project_id
    GROUP BY t.id, c.status, e.category
    ORDER BY t.name, t.version, t.id, c.status, e.category
""")  # noqa: S608 - the only text put in are our own columns

_RUNNING = text(f"""
    SELECT {type_in_short.SELECTED}, r.count, r.longest_running
    FROM (
        SELECT job_type_id, count(*) AS count, min(COALESCE(started, last_status_change)) AS longest_running
        FROM jobs
        WHERE status = 'RUNNING' AND (CAST(:project_id AS bigint) IS NULL OR project_id = :project_id)
        GROUP BY job_type_id
    ) AS r
    JOIN job_types t ON t.id = r.job_type_id
    ORDER BY r.longest_running, t.id
""")  # noqa: S608


_OWNERS = text("""
    SELECT t.id, t.project_id, p.name AS project
    FROM job_types t LEFT JOIN projects p ON p.id = t.project_id
    WHERE t.name = :name AND t.version = :version
""")


def owners_of(tx: Connection, name: str, version: str) -> list[TypeOwner]:
    """Return the types of this name and version, at most one of each owner."""
    return records.read_all(TypeOwner, tx.execute(_OWNERS, {"name": name, "version": version}))


def condition(chosen: TypeFilter) -> RowCondition:
    """Return the filter as SQL."""
    given = {one.name: getattr(chosen, one.name) for one in fields(chosen)}
    given = {name: value for name, value in given.items() if value is not None and value != ()}
    parameters = {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()}
    return RowCondition(" AND ".join(_CONDITIONS[name] for name in given) or "true", parameters)


def statuses(
    tx: Connection,
    *,
    project_id: ProjectId | None,
    started: datetime | None,
    ended: datetime | None,
    most: int = COUNTED,
) -> list[TypeStatusCount]:
    """Return one count per type, status and error category; every type that the project sees has at least one.

    Of the jobs of the window that do not run, the `most` that changed last are counted.
    """
    parameters = {"project_id": project_id, "started": started, "ended": ended, "most": most}
    return records.read_all(TypeStatusCount, tx.execute(_STATUSES, parameters))


def running(tx: Connection, *, project_id: ProjectId | None) -> list[RunningType]:
    """Return every type that has running jobs, the one that has run longest first."""
    return records.read_all(RunningType, tx.execute(_RUNNING, {"project_id": project_id}))
