"""Where a wait went: from a job's own events and the reasons that were recorded of its shape."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.explain.wait_words import WORDS, said
from scheduler.explain.words import REASONS
from scheduler.rules.lifecycle.waits import JobPast, TryStart, WaitEvent, WaitSpan, totals, waits

ZERO = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return ZERO + timedelta(seconds=seconds)


def span(reason: str, began: float, ended: float | None) -> WaitSpan:
    return WaitSpan(reason, at(began), None if ended is None else at(ended))


def event(
    seconds: float, word: str, before: str, after: str, attempt: int = 0, delay_s: float | None = None
) -> WaitEvent:
    return WaitEvent(at(seconds), word, before, after, attempt, delay_s)


def past(status: str, *events: WaitEvent, starts: tuple[TryStart, ...] = (), **more: Any) -> JobPast:
    known = {"is_held": False, "not_before": None, "has_needs": False, "is_serial": False, **more}
    return JobPast(ZERO, status, events=events, starts=starts, **known)


def test_a_wait_is_what_was_recorded_of_its_shape_while_it_was_queued() -> None:
    job = past("RUNNING", event(100, "PLACE", "QUEUED", "RUNNING", 1), starts=(TryStart(1, at(103), is_ahead=False),))
    recorded = [span("no-room-now", -50, 40), span("project-quota", 40, 99), span("no-room-now", 200, None)]
    assert waits(job, recorded, WORDS) == [
        span("no-room-now", 0, 40),
        span("project-quota", 40, 100),
        span("starting", 100, 103),
    ]


def test_while_it_waits_the_last_stretch_is_open_and_counts_until_now() -> None:
    found = waits(past("QUEUED"), [span("behind-others", 1, 30), span("no-room-now", 30, None)], WORDS)
    assert found == [span("behind-others", 0, 30), span("no-room-now", 30, None)]
    assert totals(found, at(100)) == {"no-room-now": 70.0, "behind-others": 30.0}


def test_holds_needs_and_the_pause_before_a_next_try_are_of_the_job_alone() -> None:
    job = past(
        "QUEUED",
        event(10, "READY", "PENDING", "QUEUED"),
        event(20, "HOLD", "QUEUED", "QUEUED"),
        event(50, "RELEASE", "QUEUED", "QUEUED"),
        event(60, "PLACE", "QUEUED", "RUNNING", 1),
        event(100, "RETRY", "RUNNING", "QUEUED", 1, delay_s=30),
        starts=(TryStart(1, at(60), is_ahead=False),),
        has_needs=True,
    )
    assert waits(job, [span("no-room-now", 0, None)], WORDS) == [
        span("needs", 0, 10),
        span("no-room-now", 10, 20),
        span("held", 20, 50),
        span("no-room-now", 50, 60),
        span("not-before", 100, 130),
        span("no-room-now", 130, None),
    ]


def test_a_time_for_which_nothing_was_recorded_is_said_to_be_such() -> None:
    recorded = [span("no-room-now", 0, 40), span("no-room-now", 90, 100)]
    ended = event(100, "PLACE", "QUEUED", "RUNNING", 1)
    assert [one.reason for one in waits(past("RUNNING", ended), recorded, WORDS)] == [
        "no-room-now", "unrecorded", "no-room-now",
    ]  # fmt: skip
    in_turn = waits(past("RUNNING", ended, is_serial=True), [], WORDS)
    assert [one.reason for one in in_turn] == ["another-job-changes-the-data-set"]
    assert waits(past("RUNNING", event(1, "PLACE", "QUEUED", "RUNNING", 1)), [], WORDS) == [span("next-tick", 0, 1)]


def test_a_job_that_was_submitted_held_waited_for_its_release() -> None:
    job = past("QUEUED", event(30, "RELEASE", "QUEUED", "QUEUED"))
    assert waits(job, [span("no-room-now", 30, None)], WORDS) == [span("held", 0, 30), span("no-room-now", 30, None)]
    assert waits(past("QUEUED", is_held=True), [], WORDS) == [span("held", 0, None)]


def test_behind_others_on_its_node_is_a_wait_too_until_it_starts_or_is_taken_back() -> None:
    moves = (event(0, "PLACE", "QUEUED", "RUNNING", 1), event(50, "HAND_BACK", "RUNNING", "QUEUED", 1))
    job = past("QUEUED", *moves, starts=(TryStart(1, None, is_ahead=True),))
    assert waits(job, [span("no-room-now", 50, None)], WORDS) == [
        span("behind-others", 0, 50), span("no-room-now", 50, None),
    ]  # fmt: skip


@given(
    st.lists(st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 50), st.integers(0, 30)), max_size=8),
    st.lists(
        st.sampled_from(["HOLD", "RELEASE", "PLACE", "WITHDRAW", "RETRY", "CANCEL", "REQUEUE"]), max_size=8
    ),
)  # fmt: skip
def test_stretches_never_overlap_and_a_job_that_waits_has_an_open_one(
    drawn: list[tuple[str, int, int]], words: list[str]
) -> None:
    recorded, reached = [], 0
    for reason, pause, length in drawn:
        recorded.append(span(reason, reached + pause, reached + pause + length))
        reached += pause + length
    events, status = [], "QUEUED"
    after = {"PLACE": "RUNNING", "WITHDRAW": "QUEUED", "RETRY": "QUEUED", "CANCEL": "CANCELED", "REQUEUE": "QUEUED"}
    for number, word in enumerate(words):
        events.append(event(number * 17, word, status, after.get(word, status), number, 5 if word == "RETRY" else None))
        status = after.get(word, status)
    found = waits(past(status, *events), recorded, WORDS)
    for one, following in itertools.pairwise(found):
        assert one.ended is not None
        assert one.began < one.ended <= following.began
    if status == "QUEUED":
        assert found[-1].ended is None


@pytest.mark.parametrize("word", sorted(REASONS))
def test_every_reason_has_words(word: str) -> None:
    assert said(word)
