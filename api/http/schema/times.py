"""Time windows in query strings: an ISO-8601 time with zone, or a duration back from now."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from api.http.schema.fields import parse_moment
from scheduler.errors import InvalidInput

SINCE = "changed at this time or later: `2026-11-22T10:00:00Z`, or a length of time before now such as `PT3H`"
UNTIL = "not changed after this time, written likewise"
"""What `started` and `ended` of lists mean."""

_DURATION = re.compile(
    r"P(?:(?P<weeks>\d{1,6}(?:\.\d+)?)W)?(?:(?P<days>\d{1,6}(?:\.\d+)?)D)?"
    r"(?:T(?:(?P<hours>\d{1,8}(?:\.\d+)?)H)?(?:(?P<minutes>\d{1,9}(?:\.\d+)?)M)?(?:(?P<seconds>\d{1,11}(?:\.\d+)?)S)?)?\Z",
    re.ASCII,
)


def window(started: str | None, ended: str | None, now: datetime) -> tuple[datetime | None, datetime | None]:
    """Return the bounds of a time window; raises InvalidInput for a bad time, or equal or reversed bounds."""
    first, last = moment(started, "started", now), moment(ended, "ended", now)
    if first is not None and last is not None and first >= last:
        raise InvalidInput("started must be before ended", field="started")
    return first, last


def moment(value: str | None, field: str, now: datetime) -> datetime | None:
    """Return the time a parameter means; raises InvalidInput."""
    if value is None:
        return None
    try:
        return now - duration(value) if value.startswith("P") else parse_moment(value)
    except (ValueError, OverflowError) as error:
        raise InvalidInput(f"{field}: {error}", field=field) from None


def duration(value: str) -> timedelta:
    """Return an ISO-8601 duration of weeks, days, hours, minutes and seconds; raises ValueError."""
    found = _DURATION.match(value)
    if found is None or value.endswith("T"):
        raise ValueError(f"{value[:60]!r} is not a duration such as PT3H0M0S")
    return timedelta(**{unit: float(amount) for unit, amount in found.groupdict(default="0").items()})
