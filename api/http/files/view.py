"""Files as the API shows them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

from api.http.files.schema import FileView, GeoJsonDocument, PointView
from api.http.links import public
from scheduler.store.admin.files import FileRow
from scheduler.store.jobs.detail import NamedFile


def entry(row: FileRow | NamedFile) -> FileView:
    """Return a file; `url` is where its content can be read."""
    return {
        "id": row.id,
        "uuid": row.uuid.hex,
        "project": row.project,
        "workspace": {"id": row.workspace_id, "name": row.workspace_name},
        "file_name": row.file_name,
        "media_type": row.media_type,
        "file_size": row.file_size,
        "sha256": row.sha256,
        "data_type": [],
        "is_deleted": row.is_deleted,
        "url": public.url(f"/files/{row.id}/content/"),
        "created": row.created,
        "deleted": row.deleted,
        "data_started": row.data_started,
        "data_ended": row.data_ended,
        "geometry": cast("GeoJsonDocument | None", row.geometry),
        "center_point": None if row.geometry is None else center_point(row.geometry),
        "is_operational": row.is_operational,
        "is_published": row.is_published,
        "published": row.published,
        "unpublished": row.unpublished,
        "job_type": None if row.job_type_id is None else {"id": row.job_type_id},
        "job": None if row.job_id is None else {"id": row.job_id},
        "job_exe": None if row.execution_id is None else {"id": row.execution_id},
        "output": row.output,
        "meta_data": row.meta_data,
        "last_modified": row.last_modified,
    }


def center_point(geometry: Mapping[str, object]) -> PointView | None:
    """Return the middle of the box around a GeoJSON geometry; None for one that has no position."""
    positions = [*_positions(geometry)]
    if not positions:
        return None
    middle = [(min(axis) + max(axis)) / 2 for axis in zip(*positions, strict=True)]
    return {"type": "Point", "coordinates": middle}


def _positions(value: object) -> Iterator[tuple[float, float]]:
    """Yield longitude and latitude of every position within a geometry, a feature, or a collection of these."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Mapping):
            waiting += [one[name] for name in ("coordinates", "geometry", "geometries", "features") if name in one]
        elif isinstance(one, list) and len(one) > 1 and all(isinstance(part, int | float) for part in one[:2]):
            yield float(one[0]), float(one[1])
        elif isinstance(one, list):
            waiting += one
