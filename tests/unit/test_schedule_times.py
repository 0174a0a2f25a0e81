"""Times of schedules: cron expressions, and what changes of clocks do, held against a walk over real minutes and another cron."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import pytest
from cronsim import CronSim

from scheduler.errors import InvalidInput
from scheduler.rules.schedule import cron, instants
from scheduler.rules.schedule.cron import CronPattern
from scheduler.rules.schedule.instants import ScheduleTimes
from scheduler.schedules import definition, zones
from scheduler.schedules.definition import ScheduleTiming

BERLIN = zones.zone("Europe/Berlin")
MINUTE = timedelta(minutes=1)
EXPRESSIONS = (
    "30 2 * * *", "15 * * * *", "*/20 */2 * * *", "0 0 * * *", "5 1,2,3 * * *", "0 2 L * *", "30 0-4 * * 0", "45 23 * * *",
    "0 */3 * * *", "10 0 1 * *", "0,30 23 * * *", "30 1 * 3,10,11 *", "0 12 13 * 5",
)  # fmt: skip


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def times(expression: str, zone: tzinfo = UTC) -> ScheduleTimes:
    return ScheduleTimes(zone, cron=cron.parse(expression))


def upcoming(expression: str, moment: str, count: int, zone: tzinfo = UTC) -> list[str]:
    return [f"{one:%m-%d %H:%M}" for one in instants.upcoming(times(expression, zone), at(moment), count)]


def test_a_time_in_the_gap_fires_once_at_its_end_and_one_that_comes_twice_the_first_time() -> None:
    assert upcoming("30 2 * * *", "2027-03-27T12:00+00:00", 3, BERLIN) == ["03-28 01:00", "03-29 00:30", "03-30 00:30"]
    assert upcoming("30 2 * * *", "2027-10-30T12:00+00:00", 2, BERLIN) == ["10-31 00:30", "11-01 01:30"]
    assert upcoming("0,30 2 * * *", "2027-03-28T00:00+00:00", 2, BERLIN) == ["03-28 01:00", "03-29 00:00"]


def test_wildcard_hours_fire_at_every_real_match_and_none_in_the_gap() -> None:
    assert upcoming("15 * * * *", "2027-03-28T00:00+00:00", 3, BERLIN) == ["03-28 00:15", "03-28 01:15", "03-28 02:15"]
    assert upcoming("15 */1 * * *", "2027-10-30T23:30+00:00", 3, BERLIN) == [
        "10-31 00:15",
        "10-31 01:15",
        "10-31 02:15",
    ]


def test_every_is_elapsed_time_and_knows_no_clocks() -> None:
    interval = ScheduleTimes(BERLIN, every=timedelta(hours=6), start=at("2027-03-27T23:00+00:00"))
    found = instants.upcoming(interval, at("2027-03-27T23:30+00:00"), 3)
    assert [f"{one:%d %H}" for one in found] == ["28 05", "28 11", "28 17"]
    assert instants.after(interval, at("2020-01-01T00:00+00:00")) == at("2027-03-27T23:00+00:00")


def test_a_list_of_times_ends_and_so_does_a_schedule_with_an_end() -> None:
    two = ScheduleTimes(UTC, at=(at("2027-01-02T00:00+00:00"), at("2027-01-01T00:00+00:00")))
    assert len(instants.upcoming(two, at("2026-01-01T00:00+00:00"), 5)) == 2
    ending = ScheduleTimes(UTC, cron=cron.parse("0 0 * * *"), end=at("2027-01-02T00:00+00:00"))
    assert len(instants.upcoming(ending, at("2026-12-31T12:00+00:00"), 5)) == 2


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_time_is_that_of_a_walk_over_real_minutes(expression: str) -> None:
    """A sample of all zones and of their changes of clocks; GANGER_FUZZ_EXAMPLES of them in the long run."""
    dice = random.Random(expression)
    names = sorted(zones.names())
    for _ in range(12):
        zone = zones.zone(dice.choice(names))
        year = datetime(dice.randint(2007, 2036), 1, 1, tzinfo=UTC)
        change = instants.change_near(zone, year, year + timedelta(days=366))
        middle = change[0] if change else year + timedelta(days=dice.randint(0, 365))
        start = middle.replace(second=0) - timedelta(days=1, minutes=dice.randint(0, 1000))
        end = start + timedelta(days=2)
        pattern = cron.parse(expression)
        walked = [one for one in walk(pattern, zone, start - timedelta(days=1), end) if start < one <= end]
        found = list(instants.between(ScheduleTimes(zone, cron=pattern), start, end))
        assert found == walked, (str(zone), middle)
        assert found == sorted(set(found))


def walk(pattern: CronPattern, zone: tzinfo, moment: datetime, end: datetime) -> Iterator[datetime]:
    """Every minute there is: the instants at which the schedule is due, by its rules for gaps and for hours that come twice."""
    seen: set[datetime] = set()
    before: datetime | None = None
    while moment <= end:
        wall = moment.astimezone(zone).replace(tzinfo=None)
        is_due = False
        missing = before + MINUTE if before is not None else wall
        while missing < wall and not pattern.any_hour:
            is_due |= matches(pattern, missing)
            missing += MINUTE
        if matches(pattern, wall) and (pattern.any_hour or wall not in seen):
            is_due = True
        seen.add(wall)
        if is_due:
            yield moment
        before, moment = wall, moment + MINUTE


def matches(pattern: CronPattern, wall: datetime) -> bool:
    return wall.minute in pattern.minutes and wall.hour in pattern.hours and pattern.matches_day(wall.date())


@pytest.mark.parametrize(
    "expression", [*EXPRESSIONS, "0 9 * * MON-FRI", "0 0 L 2 *", "5 4 * * 5L", "5 4 * * 1#2", "1-59/7 3 1,15 * *"]
)
def test_times_are_those_of_another_cron(expression: str) -> None:
    """The rule that Debian's cron goes by, written by somebody else."""
    for zone, start in (
        ("UTC", "2027-01-01T00:00+00:00"),
        ("Europe/Berlin", "2027-03-20T00:00+01:00"),
        ("America/New_York", "2027-10-28T00:00-04:00"),
    ):
        begin = at(start).astimezone(zones.zone(zone))
        theirs = CronSim(expression, begin)
        expected = [next(theirs).astimezone(UTC) for _ in range(40)]
        assert instants.upcoming(times(expression, zones.zone(zone)), at(start), 40) == expected


def test_the_hash_of_a_name_spreads_and_stays() -> None:
    one, same, other = (cron.parse("H H(0-5) H * *", name) for name in ("a", "a", "another"))
    assert (one, len(one.minutes), one.hours[0] <= 5, max(one.days) <= 28) == (same, 1, True, True)
    assert (one.minutes, one.hours, one.days) != (other.minutes, other.hours, other.days)
    assert len({cron.parse("H * * * *", f"job {n}").minutes for n in range(500)}) > 50
    assert len(cron.parse("H/15 * * * *", "x").minutes) == 4


@pytest.mark.parametrize(
    "expression",
    [
        "", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *", "* * * 13 *", "* * * * 8", "5-1 * * * *",
        "*/0 * * * *", "a * * * *", "* * * FOO *", "@never", "@reboot", "1,,2 * * * *", "-1 * * * *", "* * L-x * *", "* * * * 5#6", "x" * 400,
        "*-5 * * * *", "\u0661 * * * *",
    ],
)  # fmt: skip
def test_an_expression_that_cannot_be_read_is_refused(expression: str) -> None:
    with pytest.raises(InvalidInput) as told:
        cron.parse(expression)
    assert told.value.field == "cron"


def test_an_expression_that_never_comes_has_no_time() -> None:
    assert instants.after(times("0 0 30 2 *"), at("2027-01-01T00:00+00:00")) is None
    assert instants.after(times("0 0 29 2 *"), at("2097-01-01T00:00+00:00")) == at("2104-02-29T00:00+00:00")


@pytest.mark.parametrize(
    ("facts", "field"),
    [
        ({}, "cron"), ({"cron": "@daily", "every": "1h"}, "every"), ({"every": "15"}, "every"), ({"every": "0s"}, "every"), ({"every": ""}, "every"),
        ({"cron": "@daily", "zone": "Europe/Nowhere"}, "zone"), ({"cron": "@daily", "zone": "../etc"}, "zone"), ({"at": []}, "at"),
    ],
)  # fmt: skip
def test_a_timing_that_cannot_be_is_refused_by_its_field(facts: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as told:
        definition.rule(ScheduleTiming(**facts), "x")
    assert told.value.field == field
