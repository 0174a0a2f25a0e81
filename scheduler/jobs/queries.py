"""Queries of jobs and executions: lists and details, as far as the caller may see them.

Nothing here changes anything. Jobs of another project are NotFound, like jobs that do not exist.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypedDict, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine

from scheduler.documents import DataEntry, JobDataDocument, JobResults
from scheduler.errors import NotFound, Purged
from scheduler.identifiers import ExecutionId, JobId, JobTypeId
from scheduler.identity import Caller
from scheduler.rules.job_type import definition as definitions
from scheduler.rules.job_type.definition import Definition
from scheduler.runtime import Runtime
from scheduler.store import paging
from scheduler.store.executions import listing as execution_listing
from scheduler.store.executions.listing import ExecutionFilter, ExecutionRow
from scheduler.store.jobs import detail, operations, waiting_by_type
from scheduler.store.jobs import listing as job_listing
from scheduler.store.jobs.detail import JobEventRow, JobRest, NamedFile
from scheduler.store.jobs.listing import JobFilter, JobRow
from scheduler.store.jobs.waiting_by_type import WaitingType
from scheduler.store.paging import EstimatedCounts, PageWindow, RowCondition, RowPage
from scheduler.store.retention import gone
from scheduler.store.uploads import uploads
from scheduler.store.uploads.uploads import UploadRow

R = TypeVar("R")

MAX_EXECUTIONS = 100
"""Most executions in a job's detail, or all of a larger gang; the list of its executions has the rest."""

EXPORT_PAGE = 1_000

_estimates: WeakKeyDictionary[Engine, EstimatedCounts] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class FullJob:
    """A job in full. `row` is the row of lists, `more` has the other columns, `files` every file that is named, by id."""

    row: JobRow
    more: JobRest
    definition: Definition
    executions: list[ExecutionRow]
    files: Mapping[int, NamedFile] = field(default_factory=dict)
    uploads: Sequence[UploadRow] = ()


@dataclass(frozen=True, slots=True)
class JobPage:
    """A page of jobs, with the newest execution of each by job id if that is asked for."""

    page: RowPage[JobRow]
    latest: Mapping[JobId, ExecutionRow] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UpdatedJobs:
    """A page of jobs, what each was given by its id, and their input files by theirs."""

    page: RowPage[JobRow]
    data: Mapping[JobId, JobDataDocument]
    files: Mapping[int, NamedFile]


def jobs(rt: Runtime, caller: Caller, chosen: JobFilter, window: PageWindow) -> JobPage:
    """Return one page of jobs."""
    with _listing(rt) as (tx, keyed):
        return JobPage(_page(rt, tx, keyed, job_listing.condition(tx, bound(chosen, caller)), window))


def every_page(
    rt: Runtime, caller: Caller, chosen: JobFilter, order: tuple[tuple[str, bool], ...], limit: int
) -> Iterator[Sequence[JobRow]]:
    """Yield jobs in order, a page of `EXPORT_PAGE` at a time, at most `limit` of them; each page is a transaction of its own.

    Names in the filter are looked for before the first page is yielded: raises as `jobs` does.
    """
    window = PageWindow(1, min(EXPORT_PAGE, limit), order)
    page = jobs(rt, caller, chosen, window).page

    def pages() -> Iterator[Sequence[JobRow]]:
        left, found = limit, page
        while found.rows:
            yield found.rows
            left -= len(found.rows)
            if left <= 0 or not found.has_next:
                return
            found = jobs(rt, caller, chosen, PageWindow(2, min(EXPORT_PAGE, left), order, found.last)).page

    return pages()


def updates(rt: Runtime, caller: Caller, chosen: JobFilter, window: PageWindow) -> UpdatedJobs:
    """Return one page of jobs with their input files; the filter's times apply to the last change of status."""
    with _listing(rt) as (tx, keyed):
        condition = job_listing.condition(tx, bound(chosen, caller), times_of="last_status_change")
        page = _page(rt, tx, keyed, condition, window)
        data = detail.data(keyed, [row.id for row in page.rows])
        ids = {one for each in data.values() for one in input_files(each)}
        return UpdatedJobs(page, data, detail.files(tx, ids, {row.project for row in page.rows}))


def with_executions(rt: Runtime, caller: Caller, chosen: JobFilter, window: PageWindow) -> JobPage:
    """Return one page of jobs with the newest execution of each."""
    with _listing(rt) as (tx, keyed):
        page = _page(rt, tx, keyed, job_listing.condition(tx, bound(chosen, caller)), window)
        return JobPage(page, latest=execution_listing.latest(tx, [row.id for row in page.rows]))


def job(rt: Runtime, caller: Caller, job_id: JobId) -> FullJob:
    """Return a job in full, with its newest executions; raises NotFound. One statement for a job that was never placed and names no file."""
    with rt.keyed.connect() as tx:
        found = detail.whole(tx, job_id, caller.project_id)
        if found is None:
            raise _missing(tx, caller, job_id)
        return full(tx, *found)


def full(tx: Connection, row: JobRow, more: JobRest) -> FullJob:
    """Return a job in full whose columns are known; nothing is read of one that was never placed and names no file."""
    executions = execution_listing.newest(tx, row.id, max(MAX_EXECUTIONS, row.members)) if row.attempt else []
    wanted = input_files(more.data) | output_files(more.results)
    files = detail.files(tx, wanted, {row.project}) if wanted else {}
    awaited = uploads.of_jobs(tx, [row.id]) if more.has_uploads else []
    return FullJob(row, more, definitions.read(more.definition), executions, files, awaited)


def require_job(rt: Runtime, caller: Caller, job_id: JobId) -> None:
    """Raise NotFound for a job that does not exist or that the caller may not see."""
    with _reading(rt) as tx:
        one_job(tx, caller, job_id)


def one_job(tx: Connection, caller: Caller, job_id: JobId) -> JobRow:
    """Return a job's row as lists show it; raises NotFound, or Purged for a job that was kept no longer."""
    chosen = bound(JobFilter(job_id=(job_id,)), caller)
    rows = paging.read(tx, job_listing.JOBS, job_listing.condition(tx, chosen), PageWindow(1, 1, ())).rows
    if not rows:
        raise _missing(tx, caller, job_id)
    return rows[0]


def _missing(tx: Connection, caller: Caller, job_id: JobId) -> NotFound | Purged:
    """Return why a job is not there: it never was, for this caller, or it was kept no longer."""
    purged = gone.when(tx, job_id, project_id=caller.project_id)
    if purged is not None:
        return Purged(f"job {job_id} has ended, and was purged on {purged:%Y-%m-%d}: it is kept no longer")
    return NotFound(f"there is no job {job_id}")


def job_ids(rt: Runtime, caller: Caller, chosen: JobFilter, limit: int) -> list[JobId]:
    """Return the ids of the first `limit` jobs that match, in order."""
    with _reading(rt) as tx:
        condition = job_listing.condition(tx, bound(chosen, caller))
        return operations.next_jobs(tx, condition, after=0, created_before=rt.now(), limit=limit)


def queue_status(rt: Runtime, caller: Caller) -> list[WaitingType]:
    """Return what waits of each job type: types that are not paused first, then by urgency and age."""
    with _reading(rt) as tx:
        return waiting_by_type.status(tx, project_id=caller.project_id)


def type_exists(rt: Runtime, job_type_id: JobTypeId) -> bool:
    """Tell whether this job type exists."""
    with _reading(rt) as tx:
        return waiting_by_type.type_exists(tx, job_type_id)


def executions(rt: Runtime, caller: Caller, chosen: ExecutionFilter, window: PageWindow) -> RowPage[ExecutionRow]:
    """Return one page of executions."""
    with _reading(rt) as tx:
        return _executions(tx, caller, chosen, window)


def executions_of(
    rt: Runtime, caller: Caller, job_id: JobId, chosen: ExecutionFilter, window: PageWindow
) -> RowPage[ExecutionRow]:
    """Return one page of a job's executions; raises NotFound if the job does not exist."""
    with _reading(rt) as tx:
        one_job(tx, caller, job_id)
        return _executions(tx, caller, replace(chosen, job_id=(job_id,)), window)


def execution(rt: Runtime, caller: Caller, execution_id: ExecutionId) -> tuple[ExecutionRow, Definition]:
    """Return an execution's row and the definition of its job; raises NotFound."""
    with _reading(rt) as tx:
        origin = execution_listing.origin(tx, execution_id)
        if origin is None or caller.project_id not in {None, origin.project_id}:
            raise NotFound(f"there is no execution {execution_id}")
        only = paging.RowCondition("j.id = :id", {"id": execution_id})
        row = paging.read(tx, execution_listing.EXECUTIONS, only, PageWindow(1, 1, ())).rows[0]
    return row, definitions.read(origin.definition).with_overrides(origin.overrides)


JobEventEntry = TypedDict(
    "JobEventEntry",
    {
        "id": int,
        "at": datetime,
        "event": str,
        "from": str | None,
        "to": str,
        "attempt": int,
        "actor": str,
        "reason": str | None,
    },
)
"""An event of a job with the field names of the API, one of which is a keyword of Python."""


def events(rt: Runtime, caller: Caller, job_id: JobId, start: int, limit: int) -> tuple[list[JobEventEntry], int]:
    """Return up to `limit` changes of a job's status from the `start`-th on, and how many there are; raises NotFound.

    The oldest comes first: the job's submission, which is not stored as an event.
    """
    with _reading(rt) as tx:
        one_job(tx, caller, job_id)
        submission = detail.submission(tx, job_id)
        skipped = max(0, start - 1)
        rows = detail.events(tx, job_id, skipped, limit - 1 if start == 0 else limit)
        count = 1 + detail.count_events(tx, job_id)
    if start > 0:
        return [*map(_event, rows)], count
    submitted: JobEventEntry = {
        "id": 0, "at": submission.created, "event": "SUBMIT", "from": None, "to": submission.first_status,
        "attempt": 0, "actor": submission.actor, "reason": None,
    }  # fmt: skip
    return [submitted, *map(_event, rows)], count


def input_files(data: JobDataDocument | None) -> set[int]:
    """Return the ids of all files in a job's data."""
    return _files(data.get("input_data", ()) if data else ())


def output_files(results: JobResults | None) -> set[int]:
    """Return the ids of all files in a job's results."""
    return _files(results.get("output_data", ()) if results else ())


def _event(row: JobEventRow) -> JobEventEntry:
    return {
        "id": row.id, "at": row.at, "event": row.event, "from": row.from_status, "to": row.to_status,
        "attempt": row.attempt, "actor": row.actor, "reason": row.reason,
    }  # fmt: skip


@contextmanager
def _listing(rt: Runtime) -> Iterator[tuple[Connection, Connection]]:
    """Give two sessions, whose statements are a transaction each: one that plans anew, and one that keeps its plans."""
    with rt.db.connect() as tx, rt.keyed.connect() as keyed:
        yield tx.execution_options(isolation_level="AUTOCOMMIT"), keyed


def _page(
    rt: Runtime, tx: Connection, keyed: Connection, condition: RowCondition, window: PageWindow
) -> RowPage[JobRow]:
    estimates = _estimates.setdefault(rt.db, EstimatedCounts(time.monotonic))
    return paging.read(tx, job_listing.JOBS, condition, window, keyed=keyed, estimates=estimates)


@contextmanager
def _reading(rt: Runtime) -> Iterator[Connection]:
    with rt.db.begin() as tx:
        paging.join_as_written(tx)
        yield tx


def _files(entries: Sequence[DataEntry]) -> set[int]:
    single = {entry["file_id"] for entry in entries if entry.get("file_id") is not None}
    return single | {one for entry in entries for one in entry.get("file_ids") or ()}


def _executions(tx: Connection, caller: Caller, chosen: ExecutionFilter, window: PageWindow) -> RowPage[ExecutionRow]:
    bound = replace(chosen, project_id=caller.project_id)
    return paging.read(tx, execution_listing.EXECUTIONS, execution_listing.condition(bound), window)


def bound(chosen: JobFilter, caller: Caller) -> JobFilter:
    """Return a filter that lets only through what the caller may see."""
    return chosen if caller.project_id is None else replace(chosen, project_id=caller.project_id)
