"""Bulk operations: cancel, requeue, hold, release, pin or unpin every job that matches a filter, in chunks, with visible progress.

An operation is a row. A worker thread holds the lock of that row for one chunk, so that no two threads work on it at once;
the chunk itself is an ordinary verb with its own transaction. After a crash in between, one chunk is repeated, which
changes nothing twice: every verb skips jobs that have the wanted status already.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

import structlog

from scheduler.errors import GangerError, InvalidInput, NotFound
from scheduler.events import OPERATION_FAILED
from scheduler.identifiers import JobId
from scheduler.identity import Caller
from scheduler.jobs import cancel, hold, pin, priorities, requeue
from scheduler.rules.lifecycle.states import OperationStatus
from scheduler.runtime import Runtime
from scheduler.store import paging
from scheduler.store.admin import audit
from scheduler.store.jobs import listing, operations
from scheduler.store.jobs.listing import JobFilter, JobRow
from scheduler.store.jobs.operations import (
    OpenOperation,
    OperationArguments,
    OperationFilter,
    OperationRow,
    StoppedProcesses,
    StoredFilter,
)
from scheduler.store.lookup import grouping
from scheduler.store.lookup.grouping import JobGroupCount
from scheduler.store.paging import PageWindow, RowPage

CHUNK = 500
"""Jobs of one transaction: enough to be quick, few enough not to lock their rows for long."""

SAMPLES = 20
MOST_GROUPS = 20
"""What a preview shows of the jobs that match: so many of them, and of each kind so many groups, the largest first."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class OperationPreview:
    """The jobs that an operation would meet: groups by status, job type and project, some of them, and how many somebody else submitted."""

    groups: Sequence[JobGroupCount]
    samples: Sequence[JobRow]
    others: int


def count(rt: Runtime, caller: Caller, chosen: JobFilter) -> int:
    """Return how many jobs match a filter now; above 10,000 the number is an estimate."""
    with rt.db.begin() as tx:
        bound = replace(chosen, project_id=caller.project_id)
        return paging.count(tx, listing.JOBS, listing.condition(tx, bound))[0]


def begin(
    rt: Runtime,
    caller: Caller,
    kind: str,
    chosen: JobFilter,
    *,
    everything: bool,
    reason: str | None = None,
    priority: int | None = None,
) -> int:
    """Record an operation on all jobs that match, and return its id; `step` carries it out.

    `kind` is one of ACTIONS. Raises InvalidInput for an empty filter unless `everything`.
    """
    if chosen.is_empty() and not everything:
        raise InvalidInput("an empty filter means every job; say all: true if that is meant", field="all")
    priorities.check(rt.settings, caller, priority)
    matched = count(rt, caller, chosen)
    with rt.db.begin() as tx:
        operation_id = operations.insert(
            tx,
            kind=kind,
            filters=_stored(chosen),
            arguments=_arguments(reason, priority),
            project_id=caller.project_id,
            matched=matched,
            created_by=caller.name,
        )
        audit.write(tx, caller.name, f"jobs.{kind}", f"operation:{operation_id}", reason=reason)
    rt.nudge("operations")
    return operation_id


def record(
    rt: Runtime, caller: Caller, kind: str, ids: Sequence[JobId], *, changed: Sequence[int], priority: int | None
) -> int:
    """Record an operation on these jobs that has been carried out already, and return its id."""
    with rt.db.begin() as tx:
        operation_id = operations.insert(
            tx,
            kind=kind,
            filters=_stored(JobFilter(job_id=tuple(ids))),
            arguments=_arguments(None, priority),
            project_id=caller.project_id,
            matched=len(ids),
            created_by=caller.name,
        )
        skipped = len(ids) - len(changed)
        operations.advance(tx, operation_id, changed=changed, skipped=skipped, last_job_id=max(ids))
        operations.end(tx, operation_id, OperationStatus.COMPLETED)
        audit.write(tx, caller.name, f"jobs.{kind}", f"operation:{operation_id}")
    return operation_id


def named_jobs(rt: Runtime, caller: Caller, operation_id: int) -> frozenset[int]:
    """Return the ids of the jobs that an operation named; raises NotFound, and InvalidInput if it had another filter."""
    filters = get(rt, caller, operation_id).filters
    if set(filters) != {"job_id"}:
        raise InvalidInput("this operation did not name its jobs by their ids", field="operation_id")
    return frozenset(_filter(filters).job_id)


def page(rt: Runtime, caller: Caller, chosen: OperationFilter, window: PageWindow) -> RowPage[OperationRow]:
    """Return one page of operations of the caller's projects."""
    with rt.db.begin() as tx:
        bound = replace(chosen, project_id=caller.project_id)
        return paging.read(tx, operations.OPERATIONS, operations.condition(bound), window)


def breakdown(rt: Runtime, caller: Caller, chosen: JobFilter) -> OperationPreview:
    """Return what the jobs that match are: how many of each kind, some of them, and how many are not the caller's own.

    Of more than `COUNT_EXACTLY` jobs the kinds are those of so many of them.
    """
    with rt.db.begin() as tx:
        condition = listing.condition(tx, replace(chosen, project_id=caller.project_id))
        groups = [
            group
            for key in ("status", "job_type", "project")
            for group in grouping.groups(tx, condition, key, most=MOST_GROUPS)
        ]
        window = PageWindow(1, SAMPLES, (("id", False),))
        return OperationPreview(
            groups,
            paging.read(tx, listing.JOBS, condition, window).rows,
            grouping.of_others(tx, condition, caller.token_id),
        )


def get(rt: Runtime, caller: Caller, operation_id: int) -> OperationRow:
    """Return an operation's row; raises NotFound."""
    with rt.db.begin() as tx:
        row = operations.find(tx, operation_id, bound=caller.project_id)
    if row is None:
        raise NotFound(f"there is no operation {operation_id}")
    return row


def processes(rt: Runtime, caller: Caller, operation_id: int) -> StoppedProcesses:
    """Return how many executions an operation has stopped, and of how many nothing runs any more; raises NotFound."""
    get(rt, caller, operation_id)
    with rt.db.begin() as tx:
        return operations.processes(tx, operation_id)


def step(rt: Runtime) -> bool:
    """Carry out one chunk of the oldest operation that no other thread works on; return whether there was one."""
    with rt.db.begin() as tx:
        operation = operations.lock_next(tx)
        if operation is None:
            return False
        chosen = replace(_filter(operation.filters), project_id=operation.project_id)
        ids = operations.next_jobs(
            tx,
            listing.condition(tx, chosen),
            after=operation.last_job_id,
            created_before=operation.created,
            limit=CHUNK,
        )
        if not ids:
            operations.end(tx, operation.id, OperationStatus.COMPLETED)
            return True
        try:
            changed = ACTIONS[operation.kind](rt, ids, operation)
        except GangerError as error:
            log.warning(OPERATION_FAILED, operation_id=operation.id, error=str(error))
            operations.end(tx, operation.id, OperationStatus.FAILED, str(error))
            return True
        skipped = len(ids) - len(changed)
        operations.advance(tx, operation.id, changed=changed, skipped=skipped, last_job_id=ids[-1])
    return True


def _cancel(rt: Runtime, ids: Sequence[JobId], operation: OpenOperation) -> Sequence[int]:
    reason = operation.arguments.get("reason")
    return cancel.cancel(rt, ids, actor=operation.created_by, reason=reason).moved


def _requeue(rt: Runtime, ids: Sequence[JobId], operation: OpenOperation) -> Sequence[int]:
    wish = operation.arguments
    return requeue.requeue(
        rt, ids, actor=operation.created_by, reason=wish.get("reason"), priority=wish.get("priority")
    )


def _hold(rt: Runtime, ids: Sequence[JobId], operation: OpenOperation) -> Sequence[int]:
    return hold.hold(rt, ids, actor=operation.created_by, reason=operation.arguments.get("reason"))


def _release(rt: Runtime, ids: Sequence[JobId], operation: OpenOperation) -> Sequence[int]:
    return hold.release(rt, ids, actor=operation.created_by, reason=operation.arguments.get("reason"))


def _pin(rt: Runtime, ids: Sequence[JobId], operation: OpenOperation) -> Sequence[int]:
    return pin.pin(rt, ids, actor=operation.created_by, reason=operation.arguments.get("reason"))


def _unpin(rt: Runtime, ids: Sequence[JobId], operation: OpenOperation) -> Sequence[int]:
    return pin.unpin(rt, ids, actor=operation.created_by, reason=operation.arguments.get("reason"))


ACTIONS: dict[str, Callable[[Runtime, Sequence[JobId], OpenOperation], Sequence[int]]] = {
    "cancel": _cancel,
    "requeue": _requeue,
    "hold": _hold,
    "release": _release,
    "pin": _pin,
    "unpin": _unpin,
}
"""The verb of each kind; it changes a chunk of jobs and returns the ids of those that it changed."""

_TIMES = ("started", "ended", "created_after", "created_before")


def _arguments(reason: str | None, priority: int | None) -> OperationArguments:
    arguments = OperationArguments()
    if reason is not None:
        arguments["reason"] = reason
    if priority is not None:
        arguments["priority"] = priority
    return arguments


def _stored(chosen: JobFilter) -> StoredFilter:
    given = {one.name: getattr(chosen, one.name) for one in fields(chosen) if one.name not in {"project_id", "without"}}
    kept = {name: value for name, value in given.items() if value is not None and value != ()}
    stored: dict[str, Any] = {  # of JSON
        name: value.isoformat() if name in _TIMES else list(value) for name, value in kept.items()
    }
    if chosen.without is not None:
        stored["without"] = _stored(chosen.without)
    return stored


def _filter(stored: StoredFilter) -> JobFilter:
    given: dict[str, Any] = {  # of the types of the filter's fields
        name: datetime.fromisoformat(value)
        if isinstance(value, str)
        else _filter(value)
        if isinstance(value, Mapping)
        else tuple(value)
        for name, value in stored.items()
    }
    return JobFilter(**given)
