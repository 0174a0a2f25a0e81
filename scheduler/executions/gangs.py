"""Gangs: from ends of executions to ends of attempts. For most jobs both are the same; a gang's attempt ends with its last member.

When a member of a gang does not complete, the others are withdrawn or told to stop in the same transaction, so that half
a gang never goes on alone. The job stays RUNNING until the last member is gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from scheduler.identifiers import Attempt, ErrorId, ExecutionId, JobId, NodeId
from scheduler.rules.lifecycle import gangs
from scheduler.rules.lifecycle.gangs import Member
from scheduler.rules.lifecycle.moves import ExecutionStatus, JobStatus
from scheduler.rules.lifecycle.outcome import Outcome, StopReason
from scheduler.store.admin import errors_by_name
from scheduler.store.executions import executions
from scheduler.store.jobs import jobs


@dataclass(frozen=True, slots=True)
class EndedExecution:
    """One execution that has ended: how, and with which error if it failed. For a gang, the member that decides for all.

    With `charge` its try is still to be charged, with the move of its job.
    """

    execution_id: ExecutionId
    job_id: JobId
    attempt: Attempt
    node_id: NodeId
    outcome: Outcome
    error: errors_by_name.NamedError | None = None
    message: str | None = None
    charge: bool = False


def over(
    tx: Connection, locked: dict[JobId, jobs.LockedJob], ended: Iterable[EndedExecution]
) -> tuple[list[EndedExecution], list[str]]:
    """Return the attempts that are over now, one for each job, and the names of the nodes that must stop members of others.

    The caller has ended the executions and holds the locks of the jobs. Without a gang this reads nothing. Ring the nodes
    after the commit.
    """
    ended = list(ended)
    known = {
        one.job_id: one.attempt for one in ended if locked[one.job_id].is_gang and _is_live(locked[one.job_id], one)
    }
    found = [one for one in ended if not locked[one.job_id].is_gang]
    if not known:
        return found, []
    attempts = executions.members(tx, known)
    left, told = _wind_down(tx, [members for members in attempts.values() if gangs.cause(members) is not None])
    finished = [
        members
        for members in attempts.values()
        if gangs.is_over(members) or (gangs.cause(members) is not None and members[0].job_id not in left)
    ]
    return [*found, *_decided(tx, locked, finished)], told


def _wind_down(tx: Connection, broken: Sequence[Sequence[Member]]) -> tuple[set[int], list[str]]:
    """Withdraw or stop the members that are left of broken attempts; return the jobs that still run, and the nodes to ring."""
    live = [one for members in broken for one in members if not one.released]
    waiting = [one for one in live if one.status is ExecutionStatus.QUEUED]
    running = [one for one in live if one.status is ExecutionStatus.RUNNING]
    executions.withdraw(tx, [(one.id, one.attempt) for one in waiting], "another member of its gang has ended")
    asked = [one.id for one in running if not one.asked]
    told = executions.request_stop(tx, asked, reason=StopReason.GANG) if asked else []
    return {one.job_id for one in running}, told


def _decided(
    tx: Connection, locked: dict[JobId, jobs.LockedJob], finished: Sequence[Sequence[Member]]
) -> list[EndedExecution]:
    causes = [gangs.cause(members) for members in finished]
    failed = [cause.error_id for cause in causes if cause is not None and cause.error_id is not None]
    errors = errors_by_name.by_id(tx, failed) if failed else {}
    return [
        _verdict(locked[members[0].job_id], members, cause, errors)
        for members, cause in zip(finished, causes, strict=True)
    ]


def _verdict(
    job: jobs.LockedJob,
    members: Sequence[Member],
    cause: Member | None,
    errors: dict[ErrorId, errors_by_name.NamedError],
) -> EndedExecution:
    how = gangs.outcome(members, charged=job.charged)
    if cause is None:
        first = min(members, key=lambda one: one.member)
        return EndedExecution(first.id, job.id, job.attempt, first.node_id, how)
    said = f"member {cause.member} of {job.members}" + (f": {cause.message}" if cause.message else "")
    error = errors[cause.error_id] if cause.failed and cause.error_id is not None else None
    return EndedExecution(cause.id, job.id, job.attempt, cause.node_id, how, error, said)


def _is_live(job: jobs.LockedJob, end: EndedExecution) -> bool:
    return job.status == JobStatus.RUNNING and job.attempt == end.attempt
