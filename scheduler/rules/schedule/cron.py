"""Cron expressions: which wall-clock times match, without any zone. What a change of clocks does is in `instants`.

Five fields: minute, hour, day of the month, month, day of the week. Each is `*`, numbers, names (JAN, MON), ranges (1-5), steps (*/15,
10-50/20) and lists of these. `L` is the last day of the month, `L-2` two days before it, `5L` the last Friday, `5#2` the second one; `H`
is a number made of the schedule's name, which spreads load: `H`, `H/15`, `H(0-29)`. Where both day fields say something, a day that matches
either counts, as in every cron.
"""

from __future__ import annotations

import calendar
import re
import zlib
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from scheduler.errors import InvalidInput

MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
LONGEST = 256
_MONTHS = {
    name: n
    for n, name in enumerate(("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"), 1)
}
_DAYS = {name: n for n, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"))}
_LAST_DAY = re.compile(r"L(?:-([0-9]{1,2}))?\Z")
_NTH = re.compile(r"([0-7]|SUN|MON|TUE|WED|THU|FRI|SAT)(?:#([1-5])|(L))\Z")
_HASH = re.compile(r"H(?:\(([0-9]{1,2})-([0-9]{1,2})\))?(?:/([0-9]{1,2}))?\Z")
_RANGE = re.compile(r"(\*|[0-9A-Z]{1,3})(?:-([0-9A-Z]{1,3}))?(?:/([0-9]{1,2}))?\Z")
_WEEK = 7


@dataclass(frozen=True, slots=True)
class CronPattern:
    """A cron expression, read. `any_hour`: its hours are no fixed ones (`*` or a step), which matters where clocks change.

    `last_days` are days counted back from the last one of a month; `nth` are (day of the week with 0 for Sunday, n), n = -1 the last.
    """

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    last_days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    nth: frozenset[tuple[int, int]]
    any_hour: bool
    either_day: bool

    def matches_day(self, day: date) -> bool:
        """Return whether something happens on this day."""
        if day.month not in self.months:
            return False
        by_date, by_week = self._matches_date(day), self._matches_weekday(day)
        return by_date or by_week if self.either_day else by_date and by_week

    def on_day(self, day: date) -> Iterator[datetime]:
        """Yield the wall-clock times of a day, in order."""
        if self.matches_day(day):
            for hour in self.hours:
                for minute in self.minutes:
                    yield datetime.combine(day, time(hour, minute))

    def after(self, wall: datetime, until: date) -> datetime | None:
        """Return the first wall-clock time after `wall` that matches; None when there is none up to the day `until`."""
        day = wall.date()
        if self.matches_day(day):
            found = self._after_within(day, wall.hour, wall.minute)
            if found is not None:
                return found
        while True:
            day = self._next_day(day)
            if day > until:
                return None
            if self.matches_day(day):
                return datetime.combine(day, time(self.hours[0], self.minutes[0]))

    def _after_within(self, day: date, hour: int, minute: int) -> datetime | None:
        place = bisect_left(self.hours, hour)
        if place < len(self.hours) and self.hours[place] == hour:
            later = bisect_left(self.minutes, minute + 1)
            if later < len(self.minutes):
                return datetime.combine(day, time(hour, self.minutes[later]))
            place += 1
        return datetime.combine(day, time(self.hours[place], self.minutes[0])) if place < len(self.hours) else None

    def _next_day(self, day: date) -> date:
        """Return the next day that can match: months that cannot are passed over as a whole."""
        following = day + timedelta(days=1)
        if following.month in self.months:
            return following
        year, month = following.year, following.month
        while month not in self.months:
            year, month = (year + 1, 1) if month == 12 else (year, month + 1)  # noqa: PLR2004 - December
        return date(year, month, 1)

    def _matches_date(self, day: date) -> bool:
        if day.day in self.days:
            return True
        return bool(self.last_days) and calendar.monthrange(day.year, day.month)[1] - day.day in self.last_days

    def _matches_weekday(self, day: date) -> bool:
        weekday = day.isoweekday() % _WEEK
        if weekday in self.weekdays:
            return True
        if not self.nth:
            return False
        is_last = day.day + _WEEK > calendar.monthrange(day.year, day.month)[1]
        return (weekday, (day.day - 1) // _WEEK + 1) in self.nth or (is_last and (weekday, -1) in self.nth)


def parse(expression: str, name: str = "") -> CronPattern:
    """Return what an expression means for the schedule of this name. Raises InvalidInput that says which field is wrong."""
    text = expression.strip()
    text = MACROS.get(text.lower(), text)
    fields = text.upper().split()
    if len(expression) > LONGEST or len(fields) != 5:  # noqa: PLR2004 - the five fields of cron
        macros = ", ".join(MACROS)
        raise InvalidInput(
            f"a cron expression has five fields (minute hour day month weekday), or is one of {macros}", field="cron"
        )
    minute, hour, day, month, weekday = fields
    salt = zlib.crc32(name.encode())
    minutes = _numbers("minute", minute, 0, 59, {}, salt)
    hours = _numbers("hour", hour, 0, 23, {}, salt >> 6)
    months = _numbers("month", month, 1, 12, _MONTHS, salt >> 11)
    days, last_days = _days_of_month(day, salt >> 15)
    weekdays, nth = _days_of_week(weekday, salt >> 20)
    both = not day.startswith("*") and not weekday.startswith("*")
    return CronPattern(
        minutes=tuple(sorted(minutes)),
        hours=tuple(sorted(hours)),
        days=days,
        last_days=last_days,
        months=months,
        weekdays=weekdays,
        nth=nth,
        any_hour="*" in hour or "/" in hour,
        either_day=both,
    )


def _days_of_month(field: str, salt: int) -> tuple[frozenset[int], frozenset[int]]:
    plain: list[str] = []
    last: set[int] = set()
    for part in field.split(","):
        found = _LAST_DAY.match(part)
        if found is None:
            plain.append(part)
        else:
            last.add(int(found[1] or 0))
    # No month is without a 28th day: a hash that names a later one would be left out in some.
    days = _numbers("day", ",".join(plain), 1, 31, {}, salt, most_hashed=28) if plain else frozenset[int]()
    return days, frozenset(last)


def _days_of_week(field: str, salt: int) -> tuple[frozenset[int], frozenset[tuple[int, int]]]:
    plain: list[str] = []
    nth: set[tuple[int, int]] = set()
    for part in field.split(","):
        found = _NTH.match(part)
        if found is None:
            plain.append(part)
        else:
            weekday = int(found[1]) if found[1].isdigit() else _DAYS[found[1]]
            nth.add((weekday % _WEEK, -1 if found[3] else int(found[2])))
    days = _numbers("weekday", ",".join(plain), 0, 7, _DAYS, salt, most_hashed=6) if plain else frozenset[int]()
    return frozenset(day % _WEEK for day in days), frozenset(nth)


def _numbers(
    field: str, text: str, least: int, most: int, names: dict[str, int], salt: int, most_hashed: int | None = None
) -> frozenset[int]:
    def number(word: str) -> int:
        value = names[word] if word in names else int(word) if word.isascii() and word.isdigit() else -1
        if not least <= value <= most:
            raise InvalidInput(
                f"the {field} field of the cron expression takes {least} to {most}, not {word!r}", field="cron"
            )
        return value

    found: set[int] = set()
    for part in text.split(","):
        hashed = _HASH.match(part)
        if hashed is not None:
            found |= _hashed(hashed, number, least, most if most_hashed is None else most_hashed, salt)
            continue
        plain = _RANGE.match(part)
        if plain is None:
            raise InvalidInput(f"the {field} field of the cron expression cannot be read: {part[:40]!r}", field="cron")
        found |= _range(field, plain, number, least, 6 if field == "weekday" else most)
    return frozenset(found)


def _range(field: str, part: re.Match[str], number: Callable[[str], int], least: int, most: int) -> set[int]:
    first, last, step = part[1], part[2], int(part[3] or 1)
    if step < 1:
        raise InvalidInput(f"a step in the {field} field of the cron expression is at least 1", field="cron")
    if first == "*":
        if last is not None:
            raise InvalidInput(
                f"the {field} field of the cron expression cannot be read: {part[0][:40]!r}", field="cron"
            )
        return set(range(least, most + 1, step))
    start = number(first)
    end = number(last) if last is not None else most if part[3] is not None else start
    if end < start:
        raise InvalidInput(
            f"a range in the {field} field of the cron expression runs backwards: {part[0][:40]!r}", field="cron"
        )
    return set(range(start, end + 1, step))


def _hashed(part: re.Match[str], number: Callable[[str], int], least: int, most: int, salt: int) -> set[int]:
    start = number(part[1]) if part[1] is not None else least
    end = number(part[2]) if part[2] is not None else most
    if end < start:
        raise InvalidInput(f"a range in the cron expression runs backwards: {part[0]!r}", field="cron")
    if part[3] is None:
        return {start + salt % (end - start + 1)}
    step = max(1, int(part[3]))
    return set(range(start + salt % min(step, end - start + 1), end + 1, step))
