"""Files in short: read by their ids or by their names, many at a time."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from scheduler.identifiers import FileId, JobId, ProjectId
from scheduler.store import records
from scheduler.store.searching import SearchedTable


class FileSummary(NamedTuple):
    """A file in short; `job_id` is the job that made it."""

    id: FileId
    project_id: ProjectId
    file_name: str
    file_size: int
    sha256: str
    created: datetime
    last_modified: datetime
    job_id: JobId | None


TABLE = SearchedTable(
    "files j",
    {"id": "CAST(j.id AS text)", "filename": "j.file_name"},
    {
        "id": "j.id",
        "filename": 'j.file_name COLLATE "C"',
        "size": "j.file_size",
        "created": "j.created",
        "modified": "j.last_modified",
    },
)
"""Files can be searched by id and name."""

_COLUMNS = "f.id, f.project_id, f.file_name, f.file_size, f.sha256, f.created, f.last_modified, f.job_id"

_READ = text(f"""
    SELECT {_COLUMNS}
    FROM unnest(CAST(:ids AS bigint[])) WITH ORDINALITY AS wanted (id, n) JOIN files f ON f.id = wanted.id
    WHERE f.project_id = :project_id AND (:gone OR f.is_published AND NOT f.is_deleted)
    ORDER BY wanted.n
""")  # noqa: S608 - our own text

_NEWEST = text("""
    SELECT DISTINCT ON (f.file_name) f.file_name, f.id
    FROM files f
    WHERE f.project_id = :project_id AND f.file_name = ANY(:names) AND f.is_published AND NOT f.is_deleted
    ORDER BY f.file_name, f.id DESC
""")


def read(
    tx: Connection, project_id: ProjectId, ids: Collection[int], *, with_deleted: bool = False
) -> list[FileSummary]:
    """Return files of a project by their ids, in this order; others are left out."""
    parameters = {"ids": list(ids), "project_id": project_id, "gone": with_deleted}
    return records.read_all(FileSummary, tx.execute(_READ, parameters))


def newest(tx: Connection, project_id: ProjectId, names: Sequence[str]) -> dict[str, FileId]:
    """Return the newest file of each of these names that a project has, by name."""
    rows = tx.execute(_NEWEST, {"project_id": project_id, "names": list(names)})
    return {row.file_name: row.id for row in rows}
