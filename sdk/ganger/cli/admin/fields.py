"""Shared by the commands of administrators: the fields that were given, times in words, and the line about a change."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from ganger.cli import screen
from ganger.documents import JsonObject
from ganger.errors import UsageError

_SPAN = re.compile(r"([0-9]{1,5})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def given(**fields: object) -> dict[str, object]:
    """Return the fields that are not None: those that the user named."""
    return {name: value for name, value in fields.items() if value is not None}


def moment_in(words: str) -> datetime:
    """Return the time that `90d`, `12h`, `2w` or `30m` from now, or an ISO date or time, means. Raises UsageError."""
    found = _SPAN.fullmatch(words.strip())
    if found is not None:
        return datetime.now(UTC) + timedelta(**{_UNITS[found[2]]: int(found[1])})
    try:
        meant = datetime.fromisoformat(words)
    except ValueError:
        raise UsageError(f"a time is 90d, 12h, 2w, 30m or a date such as 2027-01-31, not {words!r}") from None
    return meant if meant.tzinfo is not None else meant.astimezone()


def seconds_in(words: str) -> int:
    """Return the seconds of `1h`, `30m` or `2d`. Raises UsageError."""
    found = _SPAN.fullmatch(words.strip())
    if found is None:
        raise UsageError(f"a span of time is 1h, 30m, 2d or 1w, not {words!r}")
    return int(timedelta(**{_UNITS[found[2]]: int(found[1])}).total_seconds())


def print_changed(document: JsonObject, sentence: str, *, as_json: bool) -> None:
    """Print what was made or changed: as JSON in full, else one sentence."""
    if as_json:
        screen.document(document)
    else:
        screen.text(sentence)
