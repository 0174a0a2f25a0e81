"""Children: what a job submits in its own name is cancelled with it.

The parent is named with the submission. Of its end nothing follows but of a cancel: a parent that is done, or failed, leaves them be.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection

from scheduler.errors import Conflict, FaultList, GangerError, NotFound
from scheduler.identifiers import JobId, ProjectId
from scheduler.store.needs import children

FIELD = "parent_job_id"


def adopt(
    tx: Connection, project_id: ProjectId, wanted: Mapping[int, int], ids: Mapping[int, JobId]
) -> dict[int, FaultList]:
    """Write the parents of new jobs, whose rows are there, by their numbers; return what is wrong, likewise. The parents are locked."""
    if not wanted:
        return {}
    oldest = min(ids[number] for number in wanted)
    known = children.lock_parents(tx, project_id, {one for one in wanted.values() if one < oldest})
    faults: dict[int, FaultList] = {}
    for number, parent in wanted.items():
        error = _refusal(parent, known)
        if error is not None:
            faults.setdefault(number, FaultList()).add(error)
    if not faults:
        children.insert(tx, {ids[number]: JobId(parent) for number, parent in wanted.items()})
    return faults


def of_run(tx: Connection, project_id: ProjectId, parent: int | None) -> None:
    """Lock the job that submits a run, if one does. Raises NotFound, Conflict."""
    if parent is None:
        return
    error = _refusal(parent, children.lock_parents(tx, project_id, {parent}))
    if error is not None:
        raise error


def _refusal(parent: int, known: Mapping[int, children.ParentJob]) -> GangerError | None:
    found = known.get(parent)
    if found is None:
        return NotFound(f"there is no job {parent} that could submit it", field=FIELD)
    if found.is_canceled:
        return Conflict(f"the job {parent} was cancelled: it submits nothing any more", field=FIELD)
    return None
