"""What the ends of members mean for their attempt."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from scheduler.identifiers import Attempt, ExecutionId, JobId, NodeId
from scheduler.rules.lifecycle import gangs
from scheduler.rules.lifecycle.gangs import Member
from scheduler.rules.lifecycle.moves import LIVE_EXECUTION, ExecutionStatus


def member(number: int, status: str, *, at: float | None = 1.0, asked: bool = False) -> Member:
    live = ExecutionStatus(status) in LIVE_EXECUTION
    ended = None if live else at
    return Member(
        ExecutionId(number),
        JobId(1),
        Attempt(1),
        number,
        NodeId(10 + number),
        ExecutionStatus(status),
        not live,
        asked,
        ended,
        None,
        None,
    )


def cause(*members: Member) -> int | None:
    found = gangs.cause(members)
    return None if found is None else found.member


def test_nothing_is_broken_while_members_only_end_well() -> None:
    assert cause(member(0, "COMPLETED"), member(1, "RUNNING"), member(2, "QUEUED")) is None


def test_the_first_to_end_badly_is_the_cause() -> None:
    assert cause(member(0, "FAILED", at=2.0), member(1, "LOST", at=1.0), member(2, "RUNNING")) == 1


def test_who_was_told_to_stop_is_not_the_cause_however_it_ended() -> None:
    told = member(0, "FAILED", at=1.0, asked=True)  # its transaction began earlier and waited
    assert cause(told, member(1, "WITHDRAWN", at=2.0)) == 1


def test_who_was_taken_back_at_the_same_moment_is_not_the_cause() -> None:
    assert cause(member(0, "WITHDRAWN"), member(1, "FAILED"), member(2, "WITHDRAWN")) == 1


def test_an_attempt_of_which_nothing_was_claimed_is_withdrawn_and_otherwise_given_back() -> None:
    ends = [member(0, "WITHDRAWN"), member(1, "WITHDRAWN")]
    assert gangs.outcome(ends, charged=False) == "withdrawn"
    ends = [member(0, "CANCELED", at=2.0, asked=True), member(1, "WITHDRAWN")]
    assert gangs.outcome(ends, charged=True) == "returned"


ANY_STATUS = st.sampled_from([str(status) for status in ExecutionStatus])


@given(st.lists(st.tuples(ANY_STATUS, st.booleans(), st.integers(0, 3)), min_size=2, max_size=6))
def test_an_attempt_is_well_exactly_when_every_member_is(ends: list[tuple[str, bool, int]]) -> None:
    members = [member(n, status, at=at, asked=asked) for n, (status, asked, at) in enumerate(ends)]
    words: set[Any] = {one.status for one in members}
    assert gangs.is_over(members) == (not words & LIVE_EXECUTION)
    if gangs.is_over(members):
        assert (gangs.outcome(members, charged=True) == "completed") == (words == {ExecutionStatus.COMPLETED})
    assert (gangs.cause(members) is None) == (words <= LIVE_EXECUTION | {ExecutionStatus.COMPLETED})
