"""Bulk operations: what was asked, how far it has come. A row is locked while a chunk of it is walked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import NamedTuple, TypeAlias, TypedDict

import orjson
from sqlalchemy import Connection, text

from scheduler.identifiers import JobId, ProjectId
from scheduler.rules.lifecycle.states import OperationStatus
from scheduler.store import records
from scheduler.store.paging import Listing, RowCondition, SortKey

StoredFilter: TypeAlias = Mapping[str, "str | list[int] | list[str] | StoredFilter"]
"""A job filter as JSON: times in ISO 8601, all else lists of alternatives; `without` is a filter of which nothing may hold."""


class OperationArguments(TypedDict, total=False):
    """The arguments of an operation beside its kind: the reason it gives, and the priority that a requeue sets."""

    reason: str
    priority: int


class StoppedProcesses(NamedTuple):
    """Executions that a bulk action has stopped: how many were told to, of how many nothing runs any more, and the last such moment."""

    told: int
    dead: int
    last: datetime | None


class OpenOperation(NamedTuple):
    """An operation that has not ended, locked for the next chunk."""

    id: int
    kind: str
    filters: StoredFilter
    arguments: OperationArguments
    project_id: ProjectId | None
    last_job_id: JobId
    created_by: str
    created: datetime


class OperationRow(NamedTuple):
    """An operation as its author sees it: how many jobs matched, were changed, and were passed over."""

    id: int
    kind: str
    status: str
    filters: StoredFilter
    arguments: OperationArguments
    matched: int
    done: int
    skipped: int
    message: str | None
    created_by: str
    created: datetime
    ended: datetime | None


@dataclass(frozen=True, slots=True)
class OperationFilter:
    """Which operations. Values of one field are alternatives, fields narrow; `project_id` bounds what the caller may see."""

    kind: tuple[str, ...] = ()
    status: tuple[str, ...] = ()
    created_by: tuple[str, ...] = ()
    project_id: ProjectId | None = None


_INSERT = text("""
    INSERT INTO operations (kind, filters, arguments, project_id, matched, created_by)
    VALUES (:kind, CAST(:filters AS jsonb), CAST(:arguments AS jsonb), :project_id, :matched, :created_by)
    RETURNING id
""")

_COLUMNS = "id, kind, status, filters, arguments, matched, done, skipped, message, created_by, created, ended"

OPERATIONS = Listing(
    OperationRow,
    "operations j",
    ", ".join(f"j.{name.strip()}" for name in _COLUMNS.split(",")),
    "operations j ON j.id = page.id",
    {"id": SortKey("j.id", "bigint"), "created": SortKey("j.created", "timestamptz")},
)
_CONDITIONS = {
    "kind": "j.kind = ANY(:kind)",
    "status": "j.status = ANY(:status)",
    "created_by": "j.created_by = ANY(:created_by)",
    "project_id": "j.project_id = :project_id",
}

_FIND = text(f"""
    SELECT {_COLUMNS} FROM operations
    WHERE id = :id AND (CAST(:bound AS bigint) IS NULL OR project_id = :bound)
""")  # noqa: S608 - the only text put in are our own column names

_LOCK_NEXT = text("""
    SELECT id, kind, filters, arguments, project_id, COALESCE(last_job_id, 0) AS last_job_id, created_by, created
    FROM operations
    WHERE status = 'RUNNING'
    ORDER BY id
    LIMIT 1
    FOR UPDATE SKIP LOCKED
""")

_ADVANCE = text("""
    UPDATE operations
    SET done = done + :done, skipped = skipped + :skipped, last_job_id = :last_job_id,
        changed = COALESCE(changed, '{}') + COALESCE(
            (SELECT range_agg(int8range(id, id, '[]')) FROM unnest(CAST(:changed AS bigint[])) AS id), '{}'),
        matched = GREATEST(matched, done + skipped + :done + :skipped)
    WHERE id = :id
""")

# What was counted before may have been an estimate, or have changed: in the end it is what was walked.
_END = text("""
    UPDATE operations
    SET status = :status, message = :message, ended = now(),
        matched = CASE WHEN :status = 'COMPLETED' THEN done + skipped ELSE matched END
    WHERE id = :id
""")


_PROCESSES = text("""
    SELECT count(*) AS told, count(x.released_at) AS dead, max(x.released_at) AS last
    FROM operations o, unnest(o.changed) AS span, executions x
    WHERE o.id = :id AND x.job_id >= lower(span) AND x.job_id < upper(span) AND x.cancel_requested = 'canceled'
      AND (x.released_at IS NULL OR x.released_at >= o.created)
""")


def insert(
    tx: Connection,
    *,
    kind: str,
    filters: StoredFilter,
    arguments: OperationArguments,
    project_id: ProjectId | None,
    matched: int,
    created_by: str,
) -> int:
    """Insert an operation that has everything still to do, and return its id."""
    parameters = {
        "kind": kind,
        "filters": orjson.dumps(filters).decode(),
        "arguments": orjson.dumps(arguments).decode(),
        "project_id": project_id,
        "matched": matched,
        "created_by": created_by,
    }
    return int(tx.execute(_INSERT, parameters).scalar_one())


def condition(chosen: OperationFilter) -> RowCondition:
    """Return the filter as SQL."""
    given = {one.name: getattr(chosen, one.name) for one in fields(chosen)}
    given = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in given.items()
        if value is not None and value != ()
    }
    return RowCondition(" AND ".join(_CONDITIONS[name] for name in given) or "true", given)


def find(tx: Connection, operation_id: int, *, bound: ProjectId | None) -> OperationRow | None:
    """Return an operation, None when there is none in this project (`bound` None: in any)."""
    return records.read_optional(OperationRow, tx.execute(_FIND, {"id": operation_id, "bound": bound}))


def processes(tx: Connection, operation_id: int) -> StoppedProcesses:
    """Return how many executions of its jobs were told to stop, and of how many nothing runs any more."""
    return records.read_one(StoppedProcesses, tx.execute(_PROCESSES, {"id": operation_id}))


def lock_next(tx: Connection) -> OpenOperation | None:
    """Lock the oldest operation with something left to do that nobody else is walking; None when there is none."""
    return records.read_optional(OpenOperation, tx.execute(_LOCK_NEXT))


def next_jobs(
    tx: Connection, condition: RowCondition, *, after: int, created_before: datetime, limit: int
) -> list[JobId]:
    """Return the next matching job ids above `after`, in order; jobs submitted since the operation are not in it."""
    statement = text(f"""
        SELECT j.id FROM jobs j {" ".join(condition.joins)}
        WHERE j.id > :after AND j.created <= :created_before AND {condition.sql}
        ORDER BY j.id
        LIMIT :limit
    """)  # noqa: S608 - our own text; what clients send is in the parameters
    parameters = {**condition.parameters, "after": after, "created_before": created_before, "limit": limit}
    return list(tx.execute(statement, parameters).scalars())


def advance(tx: Connection, operation_id: int, *, changed: Sequence[int], skipped: int, last_job_id: JobId) -> None:
    """Write how far a locked operation has come: the jobs that it changed now, and how many it passed over."""
    parameters = {"id": operation_id, "done": len(changed), "changed": list(changed)}
    tx.execute(_ADVANCE, {**parameters, "skipped": skipped, "last_job_id": last_job_id})


def end(tx: Connection, operation_id: int, status: OperationStatus, message: str | None = None) -> None:
    """End a locked operation as COMPLETED or FAILED."""
    tx.execute(_END, {"id": operation_id, "status": status, "message": message})
