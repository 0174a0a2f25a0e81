"""Data sets that go for good: those that were deleted long ago, with their versions, and what only they held on to."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, text

from scheduler.identifiers import DataSetId, FileId, ProjectId
from scheduler.store import records
from scheduler.store.data_sets import reports
from scheduler.store.retention.preview import DueContent

# One that a job has not done with waits for the next sweep. Whoever restores it has its row locked, and keeps it.
_DUE = """
    d.project_id = :project_id AND d.deleted < :before
    AND NOT EXISTS (
        SELECT FROM data_set_jobs s JOIN jobs j ON j.id = s.job_id
        WHERE s.data_set_id = d.id
          AND (j.status NOT IN ('COMPLETED', 'FAILED', 'CANCELED')
               OR EXISTS (SELECT FROM executions x WHERE x.job_id = j.id AND x.released_at IS NULL)))
"""

_TAKE = text(f"SELECT d.id FROM data_sets d WHERE {_DUE} ORDER BY d.id LIMIT 1 FOR UPDATE SKIP LOCKED")  # noqa: S608 - our own text

_DELETE = (
    text("DELETE FROM data_set_versions WHERE data_set_id = :id"),
    text("DELETE FROM data_set_jobs WHERE data_set_id = :id"),
)
_FREE = text("DELETE FROM data_set_files WHERE data_set_id = :id RETURNING file_id")
_LAST = text("DELETE FROM data_sets WHERE id = :id")

_HIDE = text("UPDATE data_sets SET deleted = now() WHERE project_id = :project_id AND deleted IS NULL")

_COUNT = text(f"""
    SELECT count(DISTINCT d.id) AS count, COALESCE(sum(f.file_size), 0)::bigint AS size, min(d.deleted) AS oldest
    FROM data_sets d
    LEFT JOIN data_set_files k ON k.data_set_id = d.id
    LEFT JOIN files f ON f.id = k.file_id
    WHERE {_DUE}
""")  # noqa: S608


def take(tx: Connection, project_id: ProjectId, before: datetime) -> tuple[DataSetId, list[FileId]] | None:
    """Delete one data set of a project that was deleted before a moment; return it with the files that nothing holds any more.

    Its versions and what is known of its jobs as a set's go with it; the jobs themselves stay. None when none is due.
    """
    found: int | None = tx.execute(_TAKE, {"project_id": project_id, "before": before}).scalar()
    if found is None:
        return None
    reports.delete_all(tx, DataSetId(found))
    for statement in _DELETE:
        tx.execute(statement, {"id": found})
    freed = [FileId(one) for one in tx.execute(_FREE, {"id": found}).scalars()]
    tx.execute(_LAST, {"id": found})
    return DataSetId(found), freed


def hide_all(tx: Connection, project_id: ProjectId) -> None:
    """Delete all data sets of a project that goes, so that they are due at once."""
    tx.execute(_HIDE, {"project_id": project_id})


def due(tx: Connection, project_id: ProjectId, before: datetime) -> DueContent:
    """Return how many are due, with the bytes that they hold and since when the oldest is deleted."""
    return records.read_one(DueContent, tx.execute(_COUNT, {"project_id": project_id, "before": before}))
