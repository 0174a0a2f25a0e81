"""Data sets as the API shows them."""

from __future__ import annotations

from typing import Any, cast

from api.http.data_sets.schema import DataSetJobView, DataSetVersionView, DataSetView
from scheduler.data_sets.working import StartedWork
from scheduler.store.data_sets.sets import DataSetRow
from scheduler.store.data_sets.versions import VersionRow


def entry(row: DataSetRow) -> DataSetView:
    """Return a data set."""
    return {
        "id": row.id,
        "uuid": row.uuid,
        "project": row.project,
        "kind": row.kind,
        "name": row.name,
        "description": cast("str | None", row.about.get("description")),
        "grid": cast("dict[str, Any]", row.definition["grid"]),
        "latest": row.latest,
        "created_by": row.created_by_name,
        "modified_by": row.modified_by_name,
        "created": row.created,
        "last_modified": row.last_modified,
        "deleted": row.deleted,
    }


def version(row: VersionRow) -> DataSetVersionView:
    """Return a version."""
    return {
        "number": row.number,
        "uuid": row.uuid,
        "parent": row.parent,
        "base": row.base,
        "job_id": row.job_id,
        "comment": row.comment,
        "columns": [
            {
                "col_id": column["col_id"],
                "title": column["title"],
                "data_type": column["data_type"],
                "unit_id": column.get("unit_id"),
                "file_id": column.get("file_id"),
            }
            for column in row.columns
        ],
        "bounds": cast("dict[str, Any] | None", row.bounds),
        "created_by": row.created_by_name,
        "created": row.created,
    }


def job(started: StartedWork) -> DataSetJobView:
    """Return a job that was asked for."""
    return {
        "job_id": started.job_id,
        "job_uuid": started.job_uuid,
        "version_uuid": started.version_uuid,
        "awaits_file": started.needs_file,
    }
