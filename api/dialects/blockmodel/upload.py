"""The addresses of the files of jobs, and the word that one is uploaded."""

from __future__ import annotations

from uuid import UUID

from api.http.links import blobs
from api.http.routing import ApiCall
from scheduler.data_sets import working
from scheduler.errors import Purged
from scheduler.identifiers import JobId
from scheduler.identity import Role
from scheduler.uploads import arrival


def address(call: ApiCall, job_id: JobId) -> str | None:
    """Return a fresh address to send the file of a job to; None to callers who may not, and once nothing is awaited."""
    if call.caller.role is None or call.caller.role < Role.SUBMITTER:
        return None
    upload = working.awaited(call.rt, job_id)
    return None if upload is None else blobs.upload_link(call.rt, upload)


def done(call: ApiCall, job_id: JobId) -> None:
    """Let a job go on with what was uploaded for it; safe to repeat."""
    arrival.uploaded(call.rt, job_id, call.caller.name)


def download(call: ApiCall, file: UUID | None) -> str:
    """Return a fresh address to get the file of a query from. Raises Purged for one that is kept no longer."""
    if file is None:
        raise Purged("the file of this query is kept no longer; ask again")
    return blobs.download_link(call.rt, file)
