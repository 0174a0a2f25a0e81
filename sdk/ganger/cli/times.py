"""Moments as people write them: `3h` ago, `yesterday`, a date, a time with or without a zone."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from ganger.cli import quantities
from ganger.errors import UsageError

FORMS = "3h, 2d, today, yesterday, 2026-11-22, 2026-11-22T10:00 or 2026-11-22T10:00:00Z"


def past(text: str, option: str) -> str:
    """Return a moment as the API takes it; a length of time is so long ago, a time without zone is of this machine's. Raises UsageError."""
    now = datetime.now(UTC)
    words = {"now": now, "today": _midnight(now), "yesterday": _midnight(_midnight(now) - timedelta(hours=1))}
    if text.lower() in words:
        return words[text.lower()].isoformat()
    if not re.fullmatch(r"\d+", text):  # a number alone might be seconds, a year or a timestamp
        try:
            return (now - timedelta(seconds=quantities.seconds(text))).isoformat()
        except (ValueError, OverflowError):
            pass
    return moment(text, option, FORMS).isoformat()


def moment(text: str, option: str, forms: str = "2026-11-22T20:00:00Z") -> datetime:
    """Return a time or date, in this machine's zone where it names none. Raises UsageError."""
    try:
        when = datetime.fromisoformat(text)
        return when if when.tzinfo else when.astimezone()
    except (ValueError, OverflowError):
        raise UsageError(f"{option}: {text!r} is not a time such as {forms}") from None


def _midnight(when: datetime) -> datetime:
    return when.astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
