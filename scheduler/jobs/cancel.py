"""Cancel: the job is CANCELED in the database at once, and its node kills the process tree soon after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from scheduler.identifiers import JobId
from scheduler.rules.lifecycle.moves import ExecutionEvent, JobEvent, JobStatus, allows
from scheduler.runtime import Runtime
from scheduler.store.executions import executions
from scheduler.store.jobs import jobs
from scheduler.store.needs import followers

MOST_FOLLOWERS = 10_000
"""Most followers that are cancelled with one job; of a workflow there may be more, and it is cancelled as a whole."""


@dataclass(frozen=True, slots=True)
class CancelResult:
    """`moved` are the jobs that became CANCELED now, `unchanged` the others with their status."""

    moved: list[JobId]
    unchanged: dict[JobId, JobStatus]


@dataclass(frozen=True, slots=True)
class CanceledWithin:
    """The result of a cancel in a transaction that goes on, and the nodes to tell after its commit."""

    result: CancelResult
    nodes: list[str]


def cancel(rt: Runtime, job_ids: Sequence[JobId], *, actor: str, reason: str | None = None) -> CancelResult:
    """Cancel jobs; safe to repeat. Unknown ids are in neither part of the answer.

    One transaction: the jobs are CANCELED when this returns, and no later report can change that. Placements that no node
    has claimed are dropped, and their room is free. Running executions are asked to stop; they keep their room until
    their processes are dead.
    """
    with rt.db.begin() as tx:
        done = within(tx, job_ids, actor=actor, reason=reason)
    if done.result.moved:
        rt.nudge("tick")
    rt.ring(done.nodes)
    return done.result


def within(
    tx: Connection, job_ids: Sequence[JobId], *, actor: str, reason: str | None = None, wait: bool = True
) -> CanceledWithin:
    """Cancel jobs in a transaction of the caller's, who rings the nodes after its commit; safe to repeat.

    Without `wait` the jobs that somebody has locked are in neither part of the answer.
    """
    answer = _cancel(tx, jobs.lock(tx, job_ids, wait=wait), actor, reason)
    if not answer.moved:
        return CanceledWithin(answer, [])
    nodes = executions.request_cancel(tx, answer.moved)
    executions.end(tx, ExecutionEvent.DROP, executions.unclaimed_of_jobs(tx, answer.moved))
    return CanceledWithin(answer, nodes)


def with_followers(rt: Runtime, job_id: JobId, *, actor: str) -> CancelResult:
    """Cancel a job, and then what waits for it and for nothing else; safe to repeat.

    A job that has ended takes those with it that it blocks. The job first, so that its followers cannot start in between.
    """
    answer = cancel(rt, [job_id], actor=actor)
    if answer.unchanged.get(job_id) is JobStatus.COMPLETED:
        return answer
    with rt.db.begin() as tx:
        found = followers.only_waiting_for(tx, [job_id], MOST_FOLLOWERS)
    if found:
        more = cancel(rt, found, actor=actor, reason=f"job {job_id}, which it needs, was cancelled")
        answer = CancelResult(answer.moved + more.moved, answer.unchanged | more.unchanged)
    return answer


def _cancel(tx: Connection, locked: dict[JobId, jobs.LockedJob], actor: str, reason: str | None) -> CancelResult:
    steps = [
        jobs.JobMove(job.id, job.attempt, reason=reason)
        for job in locked.values()
        if allows(JobEvent.CANCEL, job.status)
    ]
    moved = jobs.move(tx, JobEvent.CANCEL, steps, actor)
    gone = set(moved)
    return CancelResult(sorted(moved), {job.id: job.status for job in locked.values() if job.id not in gone})
