"""Lists of executions: what they can be filtered and ordered by, and those of given jobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from scheduler.documents import Document, JobResults
from scheduler.identifiers import Attempt, ErrorId, ExecutionId, JobId, JobTypeId, NodeId, ProjectId
from scheduler.store import by_key, records
from scheduler.store.paging import Listing, RowCondition, SortKey


@dataclass(frozen=True, slots=True)
class ExecutionFilter:
    """Which executions. Values of one field are alternatives, fields narrow; `project_id` is the caller's bound."""

    project_id: int | None = None
    job_id: tuple[int, ...] = ()
    started: datetime | None = None
    ended: datetime | None = None
    status: tuple[str, ...] = ()
    job_type_id: tuple[int, ...] = ()
    job_type_name: tuple[str, ...] = ()
    job_type_category: tuple[str, ...] = ()
    node: tuple[str, ...] = ()
    node_id: tuple[int, ...] = ()
    error_id: tuple[int, ...] = ()
    error_category: tuple[str, ...] = ()


class ExecutionRow(NamedTuple):
    """An execution as lists and details show it, with its job type, its node, and its error if it has one."""

    id: ExecutionId
    uuid: str
    job_id: JobId
    attempt: Attempt
    member: int
    status: str
    cpus: int
    mem: int
    disk: int
    custom: dict[str, int] | None
    cancel_requested: str | None
    message: str | None
    why: str | None
    pre_started: datetime | None
    pre_completed: datetime | None
    pre_exit_code: int | None
    job_started: datetime | None
    job_completed: datetime | None
    job_exit_code: int | None
    post_started: datetime | None
    post_completed: datetime | None
    post_exit_code: int | None
    usage: dict[str, dict[str, float]] | None
    results: JobResults | None
    created: datetime
    queued: datetime | None
    started: datetime | None
    ended: datetime | None
    last_modified: datetime
    output_purged: datetime | None
    released: datetime | None
    timeout_s: int | None
    command: list[str]
    type_id: JobTypeId
    type_name: str
    type_version: str
    node_id: NodeId
    node_name: str
    hostname: str
    error_id: ErrorId | None
    error_name: str | None
    error_title: str | None
    error_description: str | None
    error_category: str | None
    is_builtin: bool | None
    should_be_retried: bool | None


class ExecutionOrigin(NamedTuple):
    """The definition and data that an execution's job ran by: the revision of its type, and what the job says over it."""

    overrides: Document
    definition: Document
    project_id: ProjectId


_JOB = "JOIN jobs jj ON jj.id = j.job_id"

_CONDITIONS = {
    "project_id": "jj.project_id = :project_id",
    "job_id": "j.job_id = ANY(:job_id)",
    "started": "j.last_modified >= :started",
    "ended": "j.last_modified <= :ended",
    "status": "j.status = ANY(:status)",
    "job_type_id": "jj.job_type_id = ANY(:job_type_id)",
    "job_type_name": "jj.job_type_id = ANY(ARRAY(SELECT id FROM job_types WHERE name = ANY(:job_type_name)))",
    "job_type_category": "jj.job_type_id = ANY(ARRAY(SELECT id FROM job_types WHERE category = ANY(:job_type_category)))",
    "node": """j.node_id = ANY(ARRAY(
        SELECT id FROM nodes
        WHERE hostname = ANY(:node) OR name = ANY(:node) OR CAST(id AS text) = ANY(:node)))""",
    "node_id": "j.node_id = ANY(:node_id)",
    "error_id": "j.error_id = ANY(:error_id)",
    "error_category": "j.error_id = ANY(ARRAY(SELECT id FROM errors WHERE category = ANY(:error_category)))",
}
_OF_THE_JOB = {"project_id", "job_type_id", "job_type_name", "job_type_category"}

_END_OF_TIME = "CAST('infinity' AS timestamptz)"

KEYS: dict[str, SortKey] = {
    "id": SortKey("j.id", "bigint"),
    "created": SortKey("j.created", "timestamptz"),
    "started": SortKey(f"COALESCE(j.started, {_END_OF_TIME})", "timestamptz"),
    "ended": SortKey(f"COALESCE(j.ended, {_END_OF_TIME})", "timestamptz"),
    "last_modified": SortKey("j.last_modified", "timestamptz"),
    "status": SortKey('j.status COLLATE "C"', "text"),
    "attempt": SortKey("j.attempt", "int"),
    "member": SortKey("j.member", "int"),
    "job_id": SortKey("j.job_id", "bigint"),
}

_COLUMNS = """
    j.id, CAST(j.uuid AS text) AS uuid, j.job_id, j.attempt, j.member, j.status, j.cpus, j.mem, j.disk, j.custom, j.cancel_requested, j.message, j.why,
    j.pre_started, j.pre_completed, j.pre_exit_code, j.job_started, j.job_completed, j.job_exit_code,
    j.post_started, j.post_completed, j.post_exit_code, j.usage, j.results, j.created, j.queued, j.started, j.ended,
    j.last_modified, j.output_purged, j.released_at AS released, jj.timeout_s,
    COALESCE(j.arguments, q.overrides -> 'command', r.definition -> 'command') AS command,
    t.id AS type_id, t.name AS type_name, t.version AS type_version,
    n.id AS node_id, n.name AS node_name, n.hostname,
    e.id AS error_id, e.name AS error_name, e.title AS error_title, e.description AS error_description,
    e.category AS error_category, e.is_builtin, e.should_be_retried
"""

_JOINS = """
    JOIN jobs jj ON jj.id = j.job_id
    JOIN job_specs q ON q.job_id = j.job_id
    JOIN job_type_revisions r ON r.id = jj.revision_id
    JOIN job_types t ON t.id = jj.job_type_id
    JOIN nodes n ON n.id = j.node_id
    LEFT JOIN errors e ON e.id = j.error_id
"""

EXECUTIONS = Listing(ExecutionRow, "executions j", _COLUMNS, f"executions j ON j.id = page.id {_JOINS}", KEYS)

_NEWEST = f"""
    SELECT {_COLUMNS}
    FROM executions j
    {_JOINS}
    WHERE j.job_id = %(job_id)s
    ORDER BY j.attempt DESC, j.member
    LIMIT %(limit)s
"""  # noqa: S608 - likewise

_LATEST = text(f"""
    SELECT {_COLUMNS}
    FROM unnest(CAST(:job_ids AS bigint[])) AS wanted (id)
    CROSS JOIN LATERAL (
        SELECT * FROM executions WHERE job_id = wanted.id ORDER BY created DESC, attempt DESC, member LIMIT 1
    ) AS j
    {_JOINS}
""")  # noqa: S608 - the only text put in are our own columns

_ORIGIN = text("""
    SELECT s.overrides, r.definition, j.project_id
    FROM executions x
    JOIN jobs j ON j.id = x.job_id
    JOIN job_specs s ON s.job_id = j.id
    JOIN job_type_revisions r ON r.id = j.revision_id
    WHERE x.id = :id
""")


def condition(chosen: ExecutionFilter) -> RowCondition:
    """Return the filter as SQL."""
    given = {one.name: getattr(chosen, one.name) for one in fields(chosen)}
    given = {name: value for name, value in given.items() if value is not None and value != ()}
    parameters = {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()}
    joins = (_JOB,) if _OF_THE_JOB.intersection(given) else ()
    return RowCondition(" AND ".join(_CONDITIONS[name] for name in given) or "true", parameters, joins)


def newest(tx: Connection, job_id: JobId, limit: int) -> list[ExecutionRow]:
    """Return a job's executions, the newest attempt first, its members in order."""
    return [ExecutionRow(*row) for row in by_key.rows(tx, _NEWEST, {"job_id": job_id, "limit": limit})]


def latest(tx: Connection, job_ids: Sequence[JobId]) -> dict[JobId, ExecutionRow]:
    """Return the newest execution of each job, by creation and then attempt; jobs without one are left out."""
    rows = records.read_all(ExecutionRow, tx.execute(_LATEST, {"job_ids": list(job_ids)}))
    return {row.job_id: row for row in rows}


def origin(tx: Connection, execution_id: ExecutionId) -> ExecutionOrigin | None:
    """Return what an execution's job ran by, None when there is no such execution."""
    return records.read_optional(ExecutionOrigin, tx.execute(_ORIGIN, {"id": execution_id}))
