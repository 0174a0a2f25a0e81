"""The interfaces of job types, as a project means them by their names now."""

from __future__ import annotations

from scheduler.identifiers import ProjectId
from scheduler.rules.job_type import definition as definitions
from scheduler.rules.job_type.interface import Interface
from scheduler.runtime import Runtime
from scheduler.store.admin import job_types


def of_type(rt: Runtime, project_id: ProjectId, name: str) -> Interface | None:
    """Return the interface of the type that this name means in a project; None when there is none."""
    with rt.db.begin() as tx:
        found = job_types.by_name(tx, project_id, [(name, None)]).get((name, None))
        if found is None:
            return None
        return definitions.read(job_types.definitions(tx, [found.revision_id])[found.revision_id]).interface
