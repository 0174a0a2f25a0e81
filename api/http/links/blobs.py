"""Links to what moves by them: an upload on its way in, a file on its way out. Both lead to one address, `api.http.blobs`.

    links = blobs.upload_link(call.rt, upload.uuid)       PUT, whole or in blocks; good until its job has what it awaits
    links = blobs.download_link(call.rt, file.uuid)       GET and HEAD, whole or in ranges

Whoever gets a link may use it: hand it out only to those who may do the same with a token. Both raise ServiceUnavailable
where there is no key to sign with; `signed.can_sign` tells.
"""

from __future__ import annotations

from uuid import UUID

from api.http.links import signed
from scheduler.runtime import Runtime


def path_of(uuid: UUID) -> str:
    """Return the path of an upload, and of the file that it becomes."""
    return f"/blobs/{uuid}"


def upload_link(rt: Runtime, uuid: UUID) -> str:
    """Return an absolute address to send the content of an upload to; a fresh one each time."""
    return signed.link(rt, signed.WRITE, path_of(uuid))


def download_link(rt: Runtime, uuid: UUID, good_for_s: float | None = None) -> str:
    """Return an absolute address to get a file from, good for so many seconds (default: the setting `link_s`)."""
    return signed.link(rt, signed.READ, path_of(uuid), good_for_s=good_for_s)
