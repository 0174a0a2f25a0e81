"""The id that a job has in this dialect: a UUID that says the job's number, so nothing has to be looked up, or kept, to find it."""

from __future__ import annotations

from uuid import UUID

from api.http.routing import ApiCall
from scheduler.errors import NotFound
from scheduler.identifiers import JobId
from scheduler.jobs import queries
from scheduler.jobs.queries import FullJob
from scheduler.lookup import repeats

SUBMITTED = "compute.organization"
"""The label of a job that was submitted here, with the organization that it was submitted to."""

_OURS = 0x67616E67_6572_8000 << 64 | 0b10 << 62
"""The upper half is the word "ganger" in a UUID of version 8, which is free to mean what its maker says (RFC 9562)."""

_NUMBER = (1 << 62) - 1


def uuid_of(job_id: JobId) -> UUID:
    """Return the id of a job in this dialect."""
    return UUID(int=_OURS | job_id)


def path_of(org: UUID, task: str, job_id: JobId) -> str:
    """Return the address of a job, without what comes before it on this server."""
    return f"/compute/orgs/{org}/{task}/{uuid_of(job_id)}"


def organization(call: ApiCall, org: str) -> UUID:
    """Return the organization that an address names. Raises NotFound unless it is this installation's."""
    own = call.rt.settings.organization
    try:
        found = UUID(org)
    except ValueError:
        found = None
    if found != own:
        raise NotFound(f"there is no organization {org[:80]!r}")
    return own


def job(call: ApiCall, org: str, task: str, word: str) -> FullJob:
    """Return the job that an address names; raises NotFound also for one of another task or organization."""
    organization(call, org)
    missing = NotFound(f"there is no job {word[:80]} of the task {task}")
    try:
        number = UUID(word).int
    except ValueError:
        raise missing from None
    if number & ~_NUMBER != _OURS:
        raise missing
    try:
        found = queries.job(call.rt, call.caller, JobId(number & _NUMBER))
    except NotFound:
        raise missing from None
    labels = found.row.labels or {}
    if found.row.type_name != task or SUBMITTED not in labels:
        raise missing
    if repeats.MARK in labels:
        repeats.asked_for(call.rt, found.row.id)
    return found
