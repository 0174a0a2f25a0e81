"""How values are written for people: times in their zone, durations, amounts, text that somebody else has chosen."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from markupsafe import Markup

from api.ui.session.preferences import Preferences

_CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f\u0080-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
NARROW = "\u202f"
"""A narrow space that does not break, between a number and its unit."""

NONE = "\u2013"
"""Where there is no value."""


def plain(value: object) -> str:
    """Return a text with every control character, and every one that turns or hides text, as a visible mark."""
    return _CONTROL.sub("\ufffd", str(value))


def cut(value: object, letters: int = 80) -> Markup:
    """Return somebody's text as one isolated piece of at most so many letters, the whole of it as the title."""
    whole = plain(value)
    if len(whole) <= letters:
        return Markup('<bdi dir="auto">{}</bdi>').format(whole)
    return Markup('<bdi dir="auto" title="{}">{}…</bdi>').format(whole[:2_000], whole[: letters - 1])


def cut_plain(value: object, letters: int = 80) -> str:
    """Return somebody's text as at most so many letters, for drawings, where there are no elements within a text."""
    whole = plain(value)
    return whole if len(whole) <= letters else f"{whole[: letters - 1]}…"


def parsed(value: datetime | str | None) -> datetime | None:
    """Return a time that may be written as text."""
    if isinstance(value, str):
        return datetime.fromisoformat(value)
    return value


def moment(value: datetime | None, liked: Preferences, *, seconds: bool = True) -> str:
    """Return a time in the reader's zone and clock."""
    if value is None:
        return NONE
    clock = "%H:%M" if liked.clock == "24" else "%I:%M"
    clock += ":%S" if seconds else ""
    shown = value.astimezone(liked.tz)
    return shown.strftime(f"%Y-%m-%d {clock}") + (shown.strftime(" %p") if liked.clock == "12" else "")


def clock(value: datetime | None, liked: Preferences, now: datetime) -> Markup:
    """Return how long ago a time was, or how long it is to it, as an element whose title is the time itself."""
    if value is None:
        return Markup('<span class="none">{}</span>').format(NONE)
    title = f"{moment(value, liked)} {liked.zone} · {value.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return Markup('<time datetime="{}" title="{}" data-ago>{}</time>').format(
        value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), title, ago((now - value).total_seconds())
    )


def stamp(value: datetime | None, liked: Preferences) -> Markup:
    """Return a time of the day or the date with it, as an element whose title has UTC."""
    if value is None:
        return Markup('<span class="none">{}</span>').format(NONE)
    utc = value.astimezone(UTC)
    return Markup('<time datetime="{}" title="{} UTC">{}</time>').format(
        utc.strftime("%Y-%m-%dT%H:%M:%SZ"), utc.strftime("%Y-%m-%d %H:%M:%S"), moment(value, liked)
    )


def ago(seconds: float) -> str:
    """Return a distance from now in words."""
    if abs(seconds) < 1:
        return "now"
    return f"{duration(seconds)} ago" if seconds > 0 else f"in {duration(-seconds)}"


def duration(seconds: float | timedelta | None) -> str:
    """Return a length of time in at most two units, as a person would say it."""
    if seconds is None:
        return NONE
    value = seconds.total_seconds() if isinstance(seconds, timedelta) else float(seconds)
    value = max(0.0, value)
    if value < 1:
        return f"{value * 1000:.0f}{NARROW}ms"
    if value < 10:  # noqa: PLR2004 - tenths tell something below ten seconds
        return f"{value:.1f}{NARROW}s"
    whole = int(value)
    for size, unit, smaller, below in ((_DAY, "d", _HOUR, "h"), (_HOUR, "h", _MINUTE, "min"), (_MINUTE, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // smaller
            more = f" {rest}{NARROW}{below}" if rest else ""
            return f"{whole // size}{NARROW}{unit}{more}"
    return f"{whole}{NARROW}s"


def between(start: datetime | None, end: datetime | None) -> str:
    """Return the time from one moment to another; a dash where one of them has not been."""
    return NONE if start is None or end is None else duration((end - start).total_seconds())


def count(value: float | None) -> str:
    """Return a whole number with its thousands apart."""
    return NONE if value is None else f"{value:,.0f}".replace(",", NARROW)


def number(value: float | None) -> str:
    """Return a number without digits that say nothing."""
    if value is None:
        return NONE
    text = f"{value:,.3f}".rstrip("0").rstrip(".")
    return text.replace(",", NARROW)


def mib(value: float | None) -> str:
    """Return an amount of MiB in the unit that reads best."""
    return NONE if value is None else size(value * 1024 * 1024)


def size(value: float | None) -> str:
    """Return a number of bytes in the unit that reads best."""
    if value is None:
        return NONE
    amount = float(value)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(amount) < 1024 or unit == "TiB":  # noqa: PLR2004 - bytes go by 1024
            digits = 0 if unit == "B" or amount >= 100 or amount == int(amount) else 1  # noqa: PLR2004 - three digits are enough
            return f"{amount:.{digits}f}{NARROW}{unit}"
        amount /= 1024
    raise AssertionError


def resource(name: str, value: float | None) -> str:
    """Return an amount of a resource by its name."""
    return mib(value) if name in {"mem", "disk"} else number(value)


def percent(part: float, whole: float) -> float:
    """Return a share as a number from 0 to 100."""
    return 0.0 if whole <= 0 else max(0.0, min(100.0, 100.0 * part / whole))


def pairs(value: Mapping[str, object] | None) -> list[str]:
    """Return labels as `key=value`."""
    return [f"{key}={one}" for key, one in (value or {}).items()]
