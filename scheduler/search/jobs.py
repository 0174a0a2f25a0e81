"""Searches of a project's jobs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from scheduler.documents import DataEntry
from scheduler.errors import NotFound
from scheduler.identifiers import JobId, ProjectId
from scheduler.runtime import Runtime
from scheduler.search import parts
from scheduler.store import searching
from scheduler.store.admin import file_summaries
from scheduler.store.admin.file_summaries import FileSummary
from scheduler.store.jobs import summaries
from scheduler.store.jobs.summaries import JobSummary
from scheduler.store.paging import RowCondition
from scheduler.store.retention.deletions import HIDDEN_JOB
from scheduler.store.searching import FieldOrder, TextCondition


@dataclass(frozen=True, slots=True)
class FoundJob:
    """A job in short, with the files that its data and results name, by id."""

    job: JobSummary
    files: Mapping[int, FileSummary]


_SEEN = f"j.project_id = :own AND NOT {HIDDEN_JOB}"


def find(
    rt: Runtime, project_id: ProjectId, conditions: Sequence[TextCondition], order: FieldOrder
) -> Iterator[FoundJob]:
    """Yield every job of a project that meets the conditions, in order."""

    def rows(tx: Connection, ids: Sequence[int]) -> list[FoundJob]:
        return _read(tx, project_id, ids)

    with rt.db.begin() as tx:
        found = searching.ids(tx, summaries.TABLE, RowCondition(_SEEN, {"own": project_id}), conditions, order)
    return parts.read(rt, found, rows)


def one(rt: Runtime, project_id: ProjectId, job_id: JobId) -> FoundJob:
    """Return one job of a project; raises NotFound, also for one that somebody has deleted."""
    with rt.db.begin() as tx:
        bound = RowCondition(f"j.id = :id AND {_SEEN}", {"own": project_id, "id": job_id})
        found = _read(tx, project_id, searching.ids(tx, summaries.TABLE, bound, (), FieldOrder()))
    if not found:
        raise NotFound(f"there is no job {job_id}")
    return found[0]


def _read(tx: Connection, project_id: ProjectId, ids: Sequence[int]) -> list[FoundJob]:
    rows = summaries.read(tx, [JobId(one) for one in ids])
    named = {row.id: _named(row) for row in rows}
    wanted = {one for found in named.values() for one in found}
    files: dict[int, FileSummary] = {
        file.id: file for file in file_summaries.read(tx, project_id, sorted(wanted), with_deleted=True)
    }
    return [FoundJob(row, {one: files[one] for one in named[row.id] if one in files}) for row in rows]


def _named(row: JobSummary) -> set[int]:
    results: Sequence[DataEntry] = row.results.get("output_data", ()) if row.results else ()
    return {one for entry in (*row.data.get("input_data", ()), *results) for one in file_ids(entry)}


def file_ids(entry: DataEntry) -> Sequence[int]:
    """Return the ids of the files that an entry of data names."""
    file_id = entry.get("file_id")
    return (entry.get("file_ids") or ()) if file_id is None else (file_id,)
