"""Purges by hand: what the next sweep would delete, and a sweep that begins now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from scheduler.errors import NotFound
from scheduler.identifiers import ProjectId
from scheduler.identity import Caller
from scheduler.retention import policy
from scheduler.rules.lifecycle.moves import JobStatus
from scheduler.runtime import Runtime
from scheduler.store.admin import audit
from scheduler.store.data_sets import purge as data_sets
from scheduler.store.retention import due, gone, preview
from scheduler.store.retention.due import RetainingProject
from scheduler.store.retention.gone import PurgedAmount


@dataclass(frozen=True, slots=True)
class DueItem:
    """What is kept no longer of one project: jobs of one status, printed output, output files, or deleted data sets.

    `size` is in bytes, None for jobs: what they hold is not summed up.
    """

    project: str
    what: str
    status: str | None
    count: int
    size: int | None
    oldest: datetime


def due_now(rt: Runtime, project: str | None = None) -> list[DueItem]:
    """Return what the next sweep would delete, by project; of one project if it is named. Raises NotFound."""
    with rt.db.begin() as tx:
        chosen = [one for one in due.projects(tx) if project in {None, one.name}]
    if project is not None and not chosen:
        raise NotFound(f"there is no project {project!r}")
    found: list[DueItem] = []
    for one in chosen:
        with rt.db.begin() as tx:
            found += _of(tx, rt, one)
    return found


def begin(rt: Runtime, caller: Caller) -> None:
    """Let the leader begin a sweep now; it goes on in the background."""
    with rt.db.begin() as tx:
        audit.write(tx, caller.name, "purge", "installation")
    rt.nudge("purging")


def amounts(rt: Runtime) -> Sequence[PurgedAmount]:
    """Return how much was purged so far, by project and kind."""
    with rt.db.begin() as tx:
        return gone.amounts(tx)


def project_names(rt: Runtime) -> dict[ProjectId, str]:
    """Return the names of all projects, by id."""
    with rt.db.begin() as tx:
        return {project.id: project.name for project in due.projects(tx)}


def _of(tx: Connection, rt: Runtime, project: RetainingProject) -> Iterator[DueItem]:
    limits = policy.cutoffs(tx, rt, project)
    for row in preview.jobs(
        tx,
        project.id,
        completed=limits.jobs.get(JobStatus.COMPLETED),
        failed=limits.jobs.get(JobStatus.FAILED),
        canceled=limits.jobs.get(JobStatus.CANCELED),
    ):
        yield DueItem(project.name, "jobs", row.status, row.count, None, row.oldest)
    files_before = policy.files_cutoff(tx, rt, project)
    sets_before = policy.data_sets_cutoff(rt, project)
    for what, before, count in (
        ("output", limits.output, preview.output),
        ("files", files_before, preview.files),
        ("data-sets", sets_before, data_sets.due),
    ):
        if before is not None and (found := count(tx, project.id, before)).oldest is not None:
            yield DueItem(project.name, what, None, found.count, found.size, found.oldest)
