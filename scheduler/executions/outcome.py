"""Outcome: decides what becomes of a job whose execution has ended. It is complete, tried again, failed, or queued again.

Every end of an execution comes through here: the node's report (`node_protocol.report`), the loss of the node
(`nodes.lost`) and a withdrawal (`withdrawal`). The caller holds the locks of the jobs. A job that is no longer RUNNING at
this attempt (because it was cancelled, for instance) is not changed: `jobs.move` is guarded.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import assert_never

from sqlalchemy import Connection

from scheduler.executions import gangs
from scheduler.executions.gangs import EndedExecution
from scheduler.identifiers import ExecutionId, JobId
from scheduler.rules.lifecycle import on_oom
from scheduler.rules.lifecycle.failures import CHECKSUM
from scheduler.rules.lifecycle.moves import JobEvent, JobStatus
from scheduler.rules.lifecycle.outcome import Outcome
from scheduler.rules.lifecycle.retry import RetryBackoff, delay_s, may_try_again, wanted
from scheduler.runtime import Runtime
from scheduler.store.jobs import jobs, oom, retry_policies
from scheduler.store.jobs.retry_policies import RetryPolicy
from scheduler.store.needs import reuse


@dataclass(frozen=True, slots=True)
class SettledJobs:
    """The jobs that are COMPLETED now, by the execution whose results are theirs, and the nodes that must stop gang members.

    Ring these nodes after the commit.
    """

    completed: dict[ExecutionId, JobId]
    to_tell: list[str]


def settle(
    tx: Connection, rt: Runtime, locked: dict[JobId, jobs.LockedJob], ended: Iterable[EndedExecution], actor: str
) -> SettledJobs:
    """Move each job as the end of its executions demands; all that end in this transaction are given at once.

    A gang moves when the last of its members has ended.
    """
    steps: dict[JobEvent, list[jobs.JobMove]] = {}
    starved: set[int] = set()
    over, to_tell = gangs.over(tx, locked, ended)
    wishes = retry_policies.read(tx, [end.job_id for end in over if end.error is not None])
    for end in over:
        event, step = _decide(rt, locked[end.job_id], end, wishes.get(end.job_id, RetryPolicy()))
        steps.setdefault(event, []).append(step)
        if end.error is not None and end.error.name == on_oom.OUT_OF_MEMORY:
            starved.add(end.job_id)
    steps[JobEvent.RETRY] = _with_more_memory(tx, locked, steps.get(JobEvent.RETRY, []), starved)
    completed = set(jobs.move(tx, JobEvent.COMPLETE, steps.get(JobEvent.COMPLETE, []), actor))
    jobs.move(tx, JobEvent.RETRY, steps.get(JobEvent.RETRY, []), actor)
    failed = set(jobs.move(tx, JobEvent.FAIL, steps.get(JobEvent.FAIL, []), actor))
    reuse.doubt(tx, [end.job_id for end in over if end.job_id in failed and _lacks_input(end)])
    jobs.move(tx, JobEvent.GIVE_BACK, steps.get(JobEvent.GIVE_BACK, []), actor)
    jobs.move(tx, JobEvent.WITHDRAW, steps.get(JobEvent.WITHDRAW, []), actor)
    jobs.move(tx, JobEvent.HAND_BACK, steps.get(JobEvent.HAND_BACK, []), actor)
    well = {
        end.job_id: end.execution_id for end in over if end.outcome is Outcome.COMPLETED and end.job_id in completed
    }
    return SettledJobs({execution_id: job_id for job_id, execution_id in well.items()}, to_tell)


def _lacks_input(end: EndedExecution) -> bool:
    """Tell whether a try failed because an input was not as it was made. Of what fails in staging much has nothing to do with files."""
    return end.error is not None and end.error.name == CHECKSUM


def _decide(rt: Runtime, job: jobs.LockedJob, end: EndedExecution, wish: RetryPolicy) -> tuple[JobEvent, jobs.JobMove]:
    step = jobs.JobMove(end.job_id, end.attempt, node_id=end.node_id, reason=end.message)
    match end.outcome:
        case Outcome.COMPLETED:
            return JobEvent.COMPLETE, replace(step, charge=end.charge)
        case Outcome.RETURNED | Outcome.CANCELED:  # the job of a cancelled one is CANCELED by now, and does not move
            return JobEvent.GIVE_BACK, step
        case Outcome.WITHDRAWN:
            return JobEvent.WITHDRAW, step
        case Outcome.UNSTARTED:
            return JobEvent.HAND_BACK, step
        case Outcome.FAILED | Outcome.LOST:
            return _after_failure(rt, job, end, wish)
        case _:
            assert_never(end.outcome)


def _after_failure(
    rt: Runtime, job: jobs.LockedJob, end: EndedExecution, wish: RetryPolicy
) -> tuple[JobEvent, jobs.JobMove]:
    assert end.error is not None, "a failed try names its error"  # noqa: S101 - promised by both callers
    reason = f"{end.error.name}: {end.message}" if end.message else end.error.name
    tries = job.num_exes - job.forgiven
    if may_try_again(
        num_exes=job.num_exes,
        forgiven=job.forgiven,
        max_tries=job.max_tries,
        should_be_retried=wanted(
            wish.retry_on,
            name=end.error.name,
            category=end.error.category,
            should_be_retried=end.error.should_be_retried,
            is_met=wish.has_on_oom and end.error.name == on_oom.OUT_OF_MEMORY,
        ),
    ):
        backoff = RetryBackoff(first_s=rt.settings.retry_first_s, limit_s=rt.settings.retry_limit_s)
        delay = delay_s(max(tries, 1), backoff, rt.chance)
        return JobEvent.RETRY, jobs.JobMove(
            end.job_id, end.attempt, node_id=end.node_id, error_id=end.error.id, delay_s=delay, reason=reason
        )
    return JobEvent.FAIL, jobs.JobMove(end.job_id, end.attempt, error_id=end.error.id, reason=reason)


def _with_more_memory(
    tx: Connection, locked: dict[JobId, jobs.LockedJob], retries: list[jobs.JobMove], starved: set[int]
) -> list[jobs.JobMove]:
    """Raise the memory of jobs that ran out of it, for their next try, if they want that; return all steps with reasons."""
    live = [s.job_id for s in retries if s.job_id in starved and _is_live(locked[s.job_id], s)]
    rows = oom.wishes(tx, live) if live else []
    before = {row.id: row.mem for row in rows}
    grown = {
        row.id: mem
        for row in rows
        if (mem := on_oom.next_mem(row.on_oom, on_oom.OUT_OF_MEMORY, row.mem, row.largest_node)) is not None
    }
    if not grown:
        return retries
    oom.grow(tx, rows, grown)
    return [
        replace(s, reason=f"{s.reason}; {on_oom.sentence(before[s.job_id], grown[s.job_id])}")
        if s.job_id in grown
        else s
        for s in retries
    ]


def _is_live(job: jobs.LockedJob, step: jobs.JobMove) -> bool:
    return job.status == JobStatus.RUNNING and job.attempt == step.attempt
