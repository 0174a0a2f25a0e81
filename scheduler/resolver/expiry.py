"""Expiry: a job that bears waiting for its needs only so long fails when that time is over."""

from __future__ import annotations

from sqlalchemy import Connection

from scheduler.identifiers import JobId
from scheduler.resolver import release
from scheduler.rules.lifecycle.failures import NEEDS_TIMEOUT
from scheduler.rules.lifecycle.moves import JobEvent
from scheduler.runtime import Runtime
from scheduler.store.jobs import jobs
from scheduler.store.needs import deadlines, plans, verdicts
from scheduler.store.needs.deadlines import LateJob

_AT_ONCE = 500


def expire(rt: Runtime) -> int:
    """Fail the jobs that have waited for their needs for too long, some of them; return how many. One transaction."""
    with rt.db.begin() as tx:
        found = deadlines.due(tx, _AT_ONCE)
        late = [job for job in found if job.is_late]
        deadlines.look_later(tx, [job.id for job in found if not job.is_late])
        if not late:
            return 0
        error_id = release.error(tx, NEEDS_TIMEOUT)
        why = {job.id: _why(tx, job) for job in late}
        steps = [jobs.JobMove(job.id, job.attempt, error_id=error_id, reason=why[job.id]) for job in late]
        moved = jobs.move(tx, JobEvent.EXPIRE, steps, "scheduler")
        plans.write_messages(tx, {job_id: why[job_id] for job_id in moved})
    rt.nudge("tick")
    return len(moved)


def _why(tx: Connection, job: LateJob) -> str:
    """Return what it waited for, the first of that by name."""
    needs = [one for one in verdicts.open_needs(tx, job.id, 2) if one.settled is None]
    whom = "its needs" if not needs else _named(needs[0].needs_id, needs[0].group_id, needs[0].status)
    return f"within {job.within_s} s it did not get what it needs: it waited for {whom}"


def _named(needs_id: JobId, group_id: int | None, status: str | None) -> str:
    return f"group {group_id}" if group_id is not None else f"job {needs_id}, which is {status}"
