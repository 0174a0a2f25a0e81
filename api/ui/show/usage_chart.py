"""What a try used over time, beside what it asked for: a drawing for each resource, and its numbers for a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

WIDTH, HEIGHT = 600, 90
TABLE_ROWS = 50
HEADROOM = 1.1
WORDS = {"cpus": "cpus", "mem": "memory", "disk": "disk"}


@dataclass(frozen=True, slots=True)
class ResourceLine:
    """One resource: its line within `WIDTH` by `HEIGHT`, the height of what was asked for, and the numbers beside it."""

    kind: str
    word: str
    path: str
    asked_y: str | None
    asked: float | None
    peak: float | None
    percent: int | None


@dataclass(frozen=True, slots=True)
class UsageChart:
    """The resources of which anything is known, and rows of the table, the newest first.

    `drawn` are those with a line, which goes from `first_s` to `last_s` seconds after the start.
    """

    resources: Sequence[ResourceLine]
    drawn: Sequence[ResourceLine]
    first_s: float
    last_s: float
    rows: Sequence[Mapping[str, Any]]
    message: str | None
    every: float


def draw(found: Mapping[str, Any]) -> UsageChart:
    """Return the drawing of what the API says of a try's usage."""
    points = found["points"]
    first_s, last_s = (points[0]["seconds"], points[-1]["seconds"]) if points else (0.0, 0.0)
    resources = [_resource(kind, found, first_s, last_s) for kind in WORDS]
    known = [one for one in resources if one.peak is not None]
    step = -(-len(points) // TABLE_ROWS) or 1
    rows = points[::-1][::step]
    return UsageChart(
        known, [one for one in known if one.path], first_s, last_s, rows, found["message"], found["every"]
    )


def _resource(kind: str, found: Mapping[str, Any], first_s: float, last_s: float) -> ResourceLine:
    asked, peak = found["asked"][kind], found["peak"][kind]
    percent = round(100 * peak / asked) if asked and peak is not None else None
    top = max(asked or 0.0, peak or 0.0) * HEADROOM
    known = [(one["seconds"], one[kind]) for one in found["points"] if one[kind] is not None]
    if len(known) < 2 or not top or last_s <= first_s:  # noqa: PLR2004 - one point is no line
        return ResourceLine(kind, WORDS[kind], "", None, asked, peak, percent)
    places = [f"{WIDTH * (at - first_s) / (last_s - first_s):.1f},{_height(value, top)}" for at, value in known]
    first, last = places[0].partition(",")[0], places[-1].partition(",")[0]
    path = f"M{first},{HEIGHT} L{' L'.join(places)} L{last},{HEIGHT} Z"
    return ResourceLine(kind, WORDS[kind], path, _height(asked, top) if asked else None, asked, peak, percent)


def _height(value: float, top: float) -> str:
    return f"{HEIGHT - HEIGHT * value / top:.1f}"
