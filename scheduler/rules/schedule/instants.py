"""The instants at which a schedule is due: strictly increasing, in UTC, by the clocks of its zone.

Where clocks change, as in Debian's cron:

    spring      02:00 ──► 03:00     fixed hours (`30 2 * * *`) that are left out fire once, at the first instant after the gap;
                                    wildcard hours (`*`, `*/2`) have no time in the gap
    autumn      03:00 ──► 02:00     fixed hours fire once, the first time; wildcard hours fire at every real match, so both times

`every` is elapsed time and knows no clocks. Most times are far from any change of clocks, and are found by wall-clock arithmetic alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo

from scheduler.rules.schedule.cron import CronPattern

HORIZON = timedelta(days=9 * 366)
"""A schedule without a time in so long is refused: it was not meant."""

_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class ScheduleTimes:
    """When a schedule is due: by `cron` in `zone`, `every` so long counted from `start`, or `at` given instants.

    One of the three is given. Nothing is due before `start` or after `end`.
    """

    zone: tzinfo
    cron: CronPattern | None = None
    every: timedelta | None = None
    at: Sequence[datetime] = ()
    start: datetime | None = None
    end: datetime | None = None


def after(times: ScheduleTimes, moment: datetime) -> datetime | None:
    """Return the first instant after a moment at which the schedule is due; None when there is none."""
    if times.start is not None and moment < times.start - _SECOND:
        moment = times.start - _SECOND
    found: datetime | None
    if times.every is not None:
        found = _by_interval(times.start or moment, times.every, moment)
    elif times.cron is not None:
        found = _by_cron(times.cron, times.zone, moment.astimezone(UTC))
    else:
        found = min((one for one in times.at if one > moment), default=None)
    return None if found is None or (times.end is not None and found > times.end) else found


def upcoming(times: ScheduleTimes, moment: datetime, count: int) -> list[datetime]:
    """Return the next `count` instants after a moment, fewer where there are no more."""
    found: list[datetime] = []
    while len(found) < count:
        following = after(times, found[-1] if found else moment)
        if following is None:
            break
        found.append(following)
    return found


def between(times: ScheduleTimes, start: datetime, end: datetime) -> Iterator[datetime]:
    """Yield the instants after `start` up to `end`, both included if they are due themselves at `end`."""
    moment = after(times, start)
    while moment is not None and moment <= end:
        yield moment
        moment = after(times, moment)


def change_near(zone: tzinfo, start: datetime, end: datetime) -> tuple[datetime, timedelta, timedelta] | None:
    """Return the first change of clocks between two instants: its instant, and the offsets before and after it."""
    moment = start
    while moment < end:
        following = min(moment + _DAY, end)
        if _offset(zone, moment) != _offset(zone, following):
            return _change(zone, moment, following), _offset(zone, moment), _offset(zone, following)
        moment = following
    return None


def _by_interval(start: datetime, every: timedelta, moment: datetime) -> datetime:
    if moment < start:
        return start
    return start + ((moment - start) // every + 1) * every


def _by_cron(cron: CronPattern, zone: tzinfo, moment: datetime) -> datetime | None:
    until = (moment + HORIZON).date()
    offset = _offset(zone, moment)
    wall = (moment + offset).replace(tzinfo=None)
    near = cron.after(wall, until)
    if near is not None:
        found = near.replace(tzinfo=UTC) - offset
        if all(
            _offset(zone, one) == offset for one in (moment - _DAY, moment + _DAY, found - _DAY, found, found + _DAY)
        ):
            return found
    return _by_days(cron, zone, moment, until)


def _by_days(cron: CronPattern, zone: tzinfo, moment: datetime, until: date) -> datetime | None:
    """Look at every real instant of the days around, whatever clocks do there."""
    day = moment.astimezone(zone).date() - _DAY
    while day <= until:
        # A change of clocks about midnight makes the times of two days alternate, so two are looked at together.
        found = [one for near in (day, day + _DAY) for one in _on_day(cron, zone, near) if one > moment]
        if found:
            return min(found)
        following = cron.after(datetime.combine(day + _DAY, datetime.max.time()), until)
        if following is None:
            return None
        day = max(day + _DAY, following.date() - _DAY)
    return None


def _on_day(cron: CronPattern, zone: tzinfo, day: date) -> Iterator[datetime]:
    for wall in cron.on_day(day):
        first, second = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
        if first.astimezone(zone).replace(tzinfo=None) == wall:
            yield first
            if second != first and cron.any_hour:
                yield second
        elif not cron.any_hour:
            # In a gap the earlier reading lies behind it and the later one before it.
            yield _change(zone, min(first, second) - _SECOND, max(first, second))


def _change(zone: tzinfo, before: datetime, behind: datetime) -> datetime:
    """Return the first instant with the offset of `behind`, which differs from that of `before`; exact to the second."""
    offset = _offset(zone, behind)
    while behind - before > _SECOND:
        middle = before + timedelta(seconds=int((behind - before).total_seconds()) // 2)
        if _offset(zone, middle) == offset:
            behind = middle
        else:
            before = middle
    return behind


def _offset(zone: tzinfo, moment: datetime) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()
