"""Gangs: what the ends of the members mean for an attempt that is several executions.

The members start and end together. An attempt is completed when all of them are. When one member ends otherwise, the
attempt is broken: no member starts any more, those that run are stopped, and only when all are gone does the job go
on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from scheduler.identifiers import Attempt, ErrorId, ExecutionId, JobId, NodeId
from scheduler.rules.lifecycle.moves import ExecutionStatus
from scheduler.rules.lifecycle.outcome import Outcome

MOST_MEMBERS = 1_000
"""The most members of a gang.

Each member gets the nodes of the others in one environment variable, of which Linux takes 128 KiB: 1,000 names of 128
characters just fit.
"""

_FAILURES = frozenset({ExecutionStatus.FAILED, ExecutionStatus.LOST})


@dataclass(frozen=True, slots=True)
class Member:
    """One execution of a gang's attempt. `asked`: it was told to stop; `ended` is in epoch seconds."""

    id: ExecutionId
    job_id: JobId
    attempt: Attempt
    member: int
    node_id: NodeId
    status: ExecutionStatus
    released: bool
    asked: bool
    ended: float | None
    error_id: ErrorId | None
    message: str | None

    @property
    def failed(self) -> bool:
        """Return whether it ended by a fault of its own or of its node."""
        return self.status in _FAILURES


def cause(members: Sequence[Member]) -> Member | None:
    """Return the member whose end broke the attempt; None while all that ended have completed.

    This is the first to end. A member that was told to stop comes after one that was not. Of those that ended at the
    same moment, the one that failed is the cause, for the others were taken back because of it.
    """
    broken = [one for one in members if one.released and one.status is not ExecutionStatus.COMPLETED]
    return min(broken, key=_order, default=None)


def is_over(members: Sequence[Member]) -> bool:
    """Return whether nothing of the attempt holds room any more."""
    return all(one.released for one in members)


def outcome(members: Sequence[Member], *, charged: bool) -> Outcome:
    """Return how an attempt that is over ended; `charged`: a node had claimed a member of it."""
    first = cause(members)
    if first is None:
        return Outcome.COMPLETED
    if first.failed:
        return Outcome.LOST if first.status is ExecutionStatus.LOST else Outcome.FAILED
    return Outcome.RETURNED if charged else Outcome.WITHDRAWN


def _order(one: Member) -> tuple[bool, float, bool, int]:
    return one.asked, inf if one.ended is None else one.ended, not one.failed, one.member
