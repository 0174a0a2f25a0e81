"""Awaited inputs as the API shows them, with fresh links for those who may send what is awaited."""

from __future__ import annotations

from collections.abc import Sequence

from flask import g

from api.http import api_runtime
from api.http.jobs.answer_schema import AwaitedView
from api.http.links import blobs, signed
from scheduler.identity import Caller, Role
from scheduler.store.uploads.uploads import UploadRow


def shown(uploads: Sequence[UploadRow]) -> list[AwaitedView]:
    """Return what a job awaits, or has awaited. Links are for callers who may submit jobs: a link needs no token any more."""
    return [_shown(row) for row in uploads]


def _shown(row: UploadRow) -> AwaitedView:
    return {
        "name": row.name,
        "file_name": row.file_name,
        "media_type": row.media_type,
        "max_size": row.max_size,
        "sha256": row.sha256,
        "optional": row.is_optional,
        "expires": row.expires,
        "size": row.size,
        "received": row.received,
        "file_id": row.file_id,
        "upload_url": _link(row),
    }


def _link(row: UploadRow) -> str | None:
    rt = api_runtime.of_this_app().rt
    caller: Caller | None = g.get("caller")
    may_send = caller is not None and caller.role is not None and caller.role >= Role.SUBMITTER
    return blobs.upload_link(rt, row.uuid) if may_send and row.is_open and signed.can_sign(rt) else None
