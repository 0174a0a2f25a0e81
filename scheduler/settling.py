"""What becomes of a job when its execution has ended: done, another try, the end, or back in the queue.

Both ways an execution can end come through here: the node's report (`execution.report`) and the loss of the node
(`upkeep`). The caller holds the locks of the jobs; a job that is no longer RUNNING at this attempt (cancelled
meanwhile, say) is not touched, because `jobs.move` is guarded.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from scheduler.rules import on_oom
from scheduler.rules.lifecycle import ExecutionEvent, ExecutionStatus, JobEvent, JobStatus
from scheduler.rules.retry import Backoff, delay_s, may_try_again
from scheduler.runtime import Runtime
from scheduler.store import catalogue, events, executions, growing, jobs


@dataclass(frozen=True, slots=True)
class Ended:
    """One execution that has ended: how, and with which error if it failed."""

    job_id: int
    attempt: int
    node_id: int
    outcome: str
    error: catalogue.NamedError | None = None
    message: str | None = None


def settle(
    tx: Connection, rt: Runtime, locked: dict[int, jobs.LockedJob], ended: Iterable[Ended], actor: str
) -> set[int]:
    """Move each job as its execution's end demands; return the ids that moved.

    `outcome` is one of completed, failed, returned (not charged) and withdrawn (was never claimed).
    """
    steps: dict[JobEvent, list[jobs.Step]] = {}
    starved: set[int] = set()
    for end in ended:
        event, step = _decide(rt, locked[end.job_id], end)
        steps.setdefault(event, []).append(step)
        if end.error is not None and end.error.name == on_oom.OUT_OF_MEMORY:
            starved.add(end.job_id)
    steps[JobEvent.RETRY] = _with_more_memory(tx, locked, steps.get(JobEvent.RETRY, []), starved)
    moved: set[int] = set()
    moved.update(jobs.move(tx, JobEvent.COMPLETE, steps.get(JobEvent.COMPLETE, []), actor))
    moved.update(jobs.move(tx, JobEvent.RETRY, steps.get(JobEvent.RETRY, []), actor))
    moved.update(jobs.move(tx, JobEvent.FAIL, steps.get(JobEvent.FAIL, []), actor))
    moved.update(jobs.move(tx, JobEvent.GIVE_BACK, steps.get(JobEvent.GIVE_BACK, []), actor))
    moved.update(jobs.move(tx, JobEvent.WITHDRAW, steps.get(JobEvent.WITHDRAW, []), actor))
    return moved


def take_back(
    tx: Connection,
    rt: Runtime,
    locked: dict[int, jobs.LockedJob],
    rows: Iterable[executions.LockedExecution],
    why: str,
) -> list[executions.LockedExecution]:
    """Withdraw placements that no node has claimed, their jobs back into the queue; return those that were still so."""
    unclaimed = [row for row in rows if row.status == ExecutionStatus.QUEUED and not row.released]
    ids = executions.end(tx, ExecutionEvent.TAKE_BACK, [executions.End(r.id, r.attempt) for r in unclaimed])
    taken = [row for row in unclaimed if row.id in ids]
    settle(
        tx, rt, locked, [Ended(r.job_id, r.attempt, r.node_id, "withdrawn", message=why) for r in taken], "scheduler"
    )
    return taken


def hold_hopeless(
    tx: Connection, rt: Runtime, locked: dict[int, jobs.LockedJob], taken: Iterable[executions.LockedExecution]
) -> None:
    """Hold jobs that were placed again and again and never claimed: they would go round for ever, being charged nothing."""
    limit = rt.settings.max_withdrawals
    hopeless = [row.job_id for row in taken if locked[row.job_id].withdrawals + 1 >= limit]
    if hopeless:
        reason = f"placed {limit} times, but no node claimed it"
        held = jobs.hold(tx, hopeless, held=True, reason=reason)
        events.note(tx, held, "HOLD", actor="scheduler", reason=reason)


def _decide(rt: Runtime, job: jobs.LockedJob, end: Ended) -> tuple[JobEvent, jobs.Step]:
    simple = {"completed": JobEvent.COMPLETE, "returned": JobEvent.GIVE_BACK, "withdrawn": JobEvent.WITHDRAW}
    step = jobs.Step(end.job_id, end.attempt, node_id=end.node_id, reason=end.message)
    if end.outcome in simple:
        return simple[end.outcome], step
    assert end.error is not None, "a failed try names its error"  # noqa: S101 - promised by both callers
    reason = f"{end.error.name}: {end.message}" if end.message else end.error.name
    tries = job.num_exes - job.forgiven
    if may_try_again(
        num_exes=job.num_exes,
        forgiven=job.forgiven,
        max_tries=job.max_tries,
        should_be_retried=end.error.should_be_retried,
    ):
        backoff = Backoff(first_s=rt.settings.retry_first_s, limit_s=rt.settings.retry_limit_s)
        delay = delay_s(max(tries, 1), backoff, rt.chance)
        return JobEvent.RETRY, jobs.Step(
            end.job_id, end.attempt, node_id=end.node_id, error_id=end.error.id, delay_s=delay, reason=reason
        )
    return JobEvent.FAIL, jobs.Step(end.job_id, end.attempt, error_id=end.error.id, reason=reason)


def _with_more_memory(
    tx: Connection, locked: dict[int, jobs.LockedJob], retries: list[jobs.Step], starved: set[int]
) -> list[jobs.Step]:
    """Let the next try of those that ran out of memory ask for more, where they want it; return all with reasons."""
    live = [s.job_id for s in retries if s.job_id in starved and _is_live(locked[s.job_id], s)]
    rows = growing.wishes(tx, live) if live else []
    before = {row.id: row.mem for row in rows}
    grown = {
        row.id: mem for row in rows if (mem := on_oom.next_mem(row.on_oom, on_oom.OUT_OF_MEMORY, row.mem)) is not None
    }
    if not grown:
        return retries
    growing.grow(tx, rows, grown)
    return [
        replace(s, reason=f"{s.reason}; {on_oom.sentence(before[s.job_id], grown[s.job_id])}")
        if s.job_id in grown
        else s
        for s in retries
    ]


def _is_live(job: jobs.LockedJob, step: jobs.Step) -> bool:
    return job.status == JobStatus.RUNNING and job.attempt == step.attempt
