"""The interfaces of job types, as a project means them by their names now."""

from __future__ import annotations

from scheduler.identifiers import ProjectId
from scheduler.identity import Caller
from scheduler.jobs.submit import DEFAULT_PROJECT
from scheduler.rules.job_type import definition as definitions
from scheduler.rules.job_type.interface import Interface
from scheduler.runtime import Runtime
from scheduler.store.admin import job_types
from scheduler.store.jobs import submissions


def of_type(rt: Runtime, project_id: ProjectId, name: str) -> Interface | None:
    """Return the interface of the type that this name means in a project; None when there is none."""
    with rt.db.begin() as tx:
        found = job_types.by_name(tx, project_id, [(name, None)]).get((name, None))
        if found is None:
            return None
        return definitions.read(job_types.definitions(tx, [found.revision_id])[found.revision_id]).interface


def of_callers(rt: Runtime, caller: Caller, name: str) -> Interface | None:
    """Return the interface of the type that this name means in the caller's project, the default one for a token of all."""
    with rt.db.begin() as tx:
        project = submissions.project(tx, caller.project or DEFAULT_PROJECT)
    return None if project is None else of_type(rt, project.id, name)
