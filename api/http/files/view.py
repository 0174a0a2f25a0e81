"""Files as the API shows them."""

from __future__ import annotations

from api.http.files.schema import FileView
from scheduler.store.admin.files import FileRow
from scheduler.store.jobs.detail import NamedFile


def entry(row: FileRow | NamedFile) -> FileView:
    """Return a file; `url` is where its content can be read."""
    return {
        "id": row.id,
        "uuid": str(row.uuid),
        "project": row.project,
        "workspace": {"id": row.workspace_id, "name": row.workspace_name},
        "file_name": row.file_name,
        "media_type": row.media_type,
        "file_size": row.file_size,
        "sha256": row.sha256,
        "data_type": [],
        "is_deleted": row.is_deleted,
        "is_published": row.is_published,
        "published": row.published,
        "url": f"/files/{row.id}/content/",
        "job": None if row.job_id is None else {"id": row.job_id},
        "job_exe": None if row.execution_id is None else {"id": row.execution_id},
        "output": row.output,
        "created": row.created,
        "deleted": row.deleted,
        "meta_data": row.meta_data,
        "last_modified": row.last_modified,
    }
