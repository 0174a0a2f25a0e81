"""Force: an operator says that a FAILED or BLOCKED job is done, with the outputs that its followers are to have."""

from __future__ import annotations

from collections.abc import Mapping

from scheduler.documents import JobResults
from scheduler.identifiers import JobId
from scheduler.rules.lifecycle.moves import JobEvent, allows
from scheduler.runtime import Runtime
from scheduler.store.jobs import jobs
from scheduler.store.needs import results


def force(rt: Runtime, given: Mapping[JobId, JobResults], *, actor: str, reason: str | None = None) -> list[JobId]:
    """Make FAILED and BLOCKED jobs COMPLETED with these results, which the caller has checked; return those that moved.

    One transaction. The job says who forced it; it has no execution that completed. Repeated, it moves nothing.
    """
    with rt.db.begin() as tx:
        locked = jobs.lock(tx, given)
        steps = [
            jobs.JobMove(job.id, job.attempt, reason=reason)
            for job in locked.values()
            if allows(JobEvent.FORCE, job.status)
        ]
        moved = jobs.move(tx, JobEvent.FORCE, steps, actor)
        results.write(tx, {job_id: given[job_id] for job_id in moved})
    if moved:
        rt.nudge("tick")
    return sorted(moved)
