"""Forgetting: results that are there are not reused any more; the jobs that made them stay."""

from __future__ import annotations

from scheduler.errors import InvalidInput
from scheduler.identity import Caller
from scheduler.jobs import submit
from scheduler.runtime import Runtime
from scheduler.store.admin import audit
from scheduler.store.needs import reuse


def forget(rt: Runtime, caller: Caller, job_type: str | None, project: str | None) -> int:
    """Forget the results of a job type, as `name` or `name:version`, or of all; return of how many jobs. Raises InvalidInput, Forbidden."""
    name, _, version = (job_type or "").partition(":")
    if job_type is not None and not name:
        raise InvalidInput("a job type is a name, or name:version", field="job_type")
    with rt.db.begin() as tx:
        project_id = caller.project_id
        if project is not None:
            project_id = submit.project_of(tx, submit.named_project(caller, project)).id
        count = reuse.forget(tx, project_id, name or None, version or None)
        audit.write(tx, caller.name, "cache.forget", job_type or "all", detail={"count": count})
    return count
