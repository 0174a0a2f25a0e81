"""What a schedule does when it is due: overlap, catching up, and that every time is fired, skipped with a reason, or waits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.rules.schedule import instants, overlap
from scheduler.rules.schedule.instants import ScheduleTimes
from scheduler.rules.schedule.overlap import CatchUpRule, FiringKind, OverlapRule, ScheduleRule, decide

START = datetime(2027, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
REGULAR, CATCH_UP = FiringKind.REGULAR, FiringKind.CATCH_UP


def rule(**facts: Any) -> ScheduleRule:
    return ScheduleRule(ScheduleTimes(UTC, every=HOUR, start=START), **facts)


def hour(number: int) -> datetime:
    return START + number * HOUR


def test_a_time_that_is_due_fires_while_nothing_is_live() -> None:
    found = decide(rule(), hour(1), hour(1), 0, [])
    assert (found.fire, found.skip, found.following) == ([(hour(1), REGULAR)], [], hour(2))
    assert decide(rule(), hour(1), hour(1) - timedelta(seconds=1), 0, []).fire == []


def test_the_overlap_rules() -> None:
    for word, fire, wait, skip, cancels in (
        ("skip", 0, 0, 1, False), ("queue", 0, 1, 0, False), ("queue_all", 0, 1, 0, False), ("cancel", 0, 1, 0, True), ("allow", 1, 0, 0, False),
    ):  # fmt: skip
        found = decide(rule(overlap=OverlapRule(word)), hour(1), hour(1), 1, [])
        assert (len(found.fire), len(found.wait), len(found.skip), found.cancel_live) == (fire, wait, skip, cancels), (
            word
        )
    assert decide(rule(overlap=OverlapRule.ALLOW, max_live=2), hour(1), hour(1), 2, []).skip == [
        (hour(1), overlap.FULL)
    ]
    newest = decide(rule(overlap=OverlapRule.QUEUE), hour(2), hour(2), 1, [(hour(1), REGULAR)])
    assert (newest.wait, newest.replaced) == ([(hour(2), REGULAR)], [hour(1)])
    full = decide(rule(overlap=OverlapRule.QUEUE_ALL, max_live=2), hour(2), hour(2), 1, [(hour(1), REGULAR)])
    assert full.skip == [(hour(2), overlap.FULL)]


def test_what_waits_fires_when_there_is_room() -> None:
    found = decide(rule(overlap=OverlapRule.QUEUE), hour(9), hour(3), 0, [(hour(1), REGULAR)])
    assert (found.fire, found.following) == ([(hour(1), REGULAR)], hour(9))


def test_what_was_missed_is_caught_up_as_the_schedule_says() -> None:
    now = hour(5) + timedelta(minutes=30)
    none = decide(rule(catch_up=CatchUpRule.NONE), hour(1), now, 0, [])
    assert (none.fire, [one for one, _ in none.skip]) == ([], [hour(n) for n in range(1, 6)])
    last = decide(rule(catch_up=CatchUpRule.LAST), hour(1), now, 0, [])
    assert (last.fire, len(last.skip)) == ([(hour(5), CATCH_UP)], 4)
    everything = decide(rule(catch_up=CatchUpRule.ALL), hour(1), now, 0, [])
    assert (everything.fire, [one for one, _ in everything.wait]) == (
        [(hour(1), CATCH_UP)],
        [hour(n) for n in range(2, 6)],
    )
    parallel = decide(rule(catch_up=CatchUpRule.ALL, overlap=OverlapRule.ALLOW, max_live=3), hour(1), now, 0, [])
    assert (len(parallel.fire), len(parallel.wait)) == (3, 2)
    old = decide(rule(catch_up=CatchUpRule.ALL, window=timedelta(hours=2)), hour(1), now, 0, [])
    assert [reason for _, reason in old.skip] == [overlap.TOO_OLD] * 3
    assert decide(rule(catch_up=CatchUpRule.NONE), hour(1), hour(1) + timedelta(seconds=50), 0, []).fire, (
        "a little late is on time"
    )


def test_a_long_downtime_is_looked_at_in_parts_and_at_most_a_hundred_are_caught_up() -> None:
    wanted = rule(catch_up=CatchUpRule.ALL, window=timedelta(days=31))
    first = decide(wanted, hour(1), hour(700), 0, [])
    assert (len(first.fire) + len(first.wait), len(first.skip)) == (100, 600)
    last = rule(catch_up=CatchUpRule.LAST)
    one = decide(last, hour(1), hour(1_500), 0, [])
    assert (one.fire, len(one.skip), one.following) == ([], 1_000, hour(1_001))
    assert decide(last, one.following, hour(1_500), 0, []).fire == [(hour(1_500), REGULAR)]


def test_jitter_is_the_same_each_time_and_never_moves_the_time_itself() -> None:
    spread = rule(jitter_s=600, key="a")
    late = spread.due_at(hour(1)) - hour(1)
    assert timedelta(0) <= late < timedelta(minutes=10)
    assert spread.due_at(hour(1)) == rule(jitter_s=600, key="a").due_at(hour(1))
    assert decide(spread, hour(1), spread.due_at(hour(1)), 0, []).fire == [(hour(1), REGULAR)]
    assert len({rule(jitter_s=600, key=str(n)).due_at(hour(1)) for n in range(50)}) > 20


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(OverlapRule), st.sampled_from(CatchUpRule), st.integers(1, 4), st.integers(0, 1200),
    st.lists(st.tuples(st.integers(1, 600), st.booleans()), min_size=1, max_size=12),
)  # fmt: skip
def test_every_time_is_decided_once_and_no_more_is_live_than_may_be(
    how: OverlapRule, catch_up: CatchUpRule, max_live: int, jitter_s: int, turns: list[tuple[int, bool]]
) -> None:
    """Turns at any distance, between which the oldest run may end: as leaders, pauses of machines and clocks make them."""
    wanted = rule(overlap=how, catch_up=catch_up, max_live=max_live, jitter_s=jitter_s, window=timedelta(days=2))
    now, following = hour(0), instants.after(wanted.times, hour(0) - HOUR / 2)
    live: list[datetime] = []
    waiting: list[tuple[datetime, FiringKind]] = []
    decided: list[datetime] = []
    for minutes, one_ends in turns:
        now += timedelta(minutes=minutes)
        live = live[1:] if one_ends else live
        found = decide(wanted, following, now, len(live), waiting)
        following = found.following
        fired = [one for one, _ in found.fire]
        live += fired
        decided += [one for one in fired if one not in {nominal for nominal, _ in waiting}]
        decided += [one for one, _ in found.skip]
        decided += [one for one, _ in found.wait]
        waiting = [one for one in waiting if one[0] not in {*fired, *found.replaced}] + found.wait
        assert len(live) <= wanted.at_once
        assert len(set(live)) == len(live)
    assert sorted(decided) == sorted(set(decided)), "no time is decided twice"
    assert following is not None
    expected = list(instants.between(wanted.times, hour(0) - HOUR / 2, following - timedelta(seconds=1)))
    assert sorted(decided) == expected, "none is left out"
