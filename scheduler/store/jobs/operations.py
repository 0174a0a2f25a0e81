"""Bulk operations: what was asked, how far it has come. A row is locked while a chunk of it is walked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, text

from scheduler.store.paging import Condition


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation that has not ended, locked for the next chunk."""

    id: int
    kind: str
    filters: Mapping[str, Any]
    arguments: Mapping[str, Any]
    project_id: int | None
    last_job_id: int
    created_by: str
    created: datetime


_INSERT = text("""
    INSERT INTO operations (kind, filters, arguments, project_id, matched, created_by)
    VALUES (:kind, CAST(:filters AS jsonb), CAST(:arguments AS jsonb), :project_id, :matched, :created_by)
    RETURNING id
""")

_COLUMNS = "id, kind, status, filters, arguments, matched, done, skipped, message, created_by, created, ended"

_FIND = text(f"""
    SELECT {_COLUMNS} FROM operations
    WHERE id = :id AND (CAST(:bound AS bigint) IS NULL OR project_id = :bound)
""")  # noqa: S608 - the only text put in are our own column names

_TAKE = text("""
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


def insert(
    tx: Connection,
    *,
    kind: str,
    filters: Mapping[str, Any],
    arguments: Mapping[str, Any],
    project_id: int | None,
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


def find(tx: Connection, operation_id: int, *, bound: int | None) -> Any:
    """Return an operation's row, None when there is none in this project (`bound` None: in any)."""
    return tx.execute(_FIND, {"id": operation_id, "bound": bound}).one_or_none()


def take(tx: Connection) -> Operation | None:
    """Lock the oldest operation with something left to do that nobody else is walking; None when there is none."""
    row = tx.execute(_TAKE).one_or_none()
    return None if row is None else Operation(**row._mapping)  # noqa: SLF001


def next_jobs(tx: Connection, condition: Condition, *, after: int, created_before: datetime, limit: int) -> list[int]:
    """Return the next matching job ids above `after`, in order; jobs submitted since the operation are not in it."""
    statement = text(f"""
        SELECT j.id FROM jobs j {" ".join(condition.joins)}
        WHERE j.id > :after AND j.created <= :created_before AND {condition.sql}
        ORDER BY j.id
        LIMIT :limit
    """)  # noqa: S608 - our own text; what clients send is in the parameters
    parameters = {**condition.parameters, "after": after, "created_before": created_before, "limit": limit}
    return list(tx.execute(statement, parameters).scalars())


def advance(tx: Connection, operation_id: int, *, done: int, skipped: int, last_job_id: int) -> None:
    """Write how far a locked operation has come."""
    tx.execute(_ADVANCE, {"id": operation_id, "done": done, "skipped": skipped, "last_job_id": last_job_id})


def end(tx: Connection, operation_id: int, status: str, message: str | None = None) -> None:
    """End a locked operation as COMPLETED or FAILED."""
    tx.execute(_END, {"id": operation_id, "status": status, "message": message})
