"""Searches of a project's files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection

from scheduler.errors import NotFound
from scheduler.identifiers import FileId, ProjectId
from scheduler.runtime import Runtime
from scheduler.search import parts
from scheduler.store import searching
from scheduler.store.admin import file_summaries
from scheduler.store.admin.file_summaries import FileSummary
from scheduler.store.paging import RowCondition
from scheduler.store.searching import FieldOrder, TextCondition


def find(
    rt: Runtime, project_id: ProjectId, conditions: Sequence[TextCondition], order: FieldOrder
) -> Iterator[FileSummary]:
    """Yield every file of a project that meets the conditions, in order."""
    bound = RowCondition("j.project_id = :own AND j.is_published AND NOT j.is_deleted", {"own": project_id})

    def rows(tx: Connection, ids: Sequence[int]) -> list[FileSummary]:
        return file_summaries.read(tx, project_id, ids)

    with rt.db.begin() as tx:
        found = searching.ids(tx, file_summaries.TABLE, bound, conditions, order)
    return parts.read(rt, found, rows)


def one(rt: Runtime, project_id: ProjectId, file_id: FileId) -> FileSummary:
    """Return one file of a project; raises NotFound."""
    with rt.db.begin() as tx:
        found = file_summaries.read(tx, project_id, [file_id])
    if not found:
        raise NotFound(f"there is no file {file_id}")
    return found[0]


def newest(rt: Runtime, project_id: ProjectId, names: Sequence[str]) -> dict[str, FileId]:
    """Return the newest file of each of these names that a project has, by name."""
    if not names:
        return {}
    with rt.db.begin() as tx:
        return file_summaries.newest(tx, project_id, names)
