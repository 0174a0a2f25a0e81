"""How projects stood beside each other over time: a line for each, above the middle while the others owe it, below while it owes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

WIDTH, HALF = 600, 60
TABLE_ROWS = 24
STOOD_S = 1.0
"""Seconds of the whole fleet: less is even."""


@dataclass(frozen=True, slots=True)
class ProjectLine:
    """One project: its line, the number of its colour, and what it was owed at the times of the table."""

    name: str
    path: str
    colour: int
    owed: Sequence[float]


@dataclass(frozen=True, slots=True)
class ProjectChart:
    """The lines, the largest debt in seconds, the first time, and the times of the table, newest first."""

    lines: Sequence[ProjectLine]
    most_s: float
    first: datetime
    times: Sequence[datetime]


def draw(courses: Sequence[Mapping[str, Any]]) -> ProjectChart | None:
    """Return the chart of these projects; None where all stood even, or there are too few samples for a line."""
    most_s = max((abs(point["owed_s"]) for one in courses for point in one["points"]), default=0.0)
    times = [point["time"] for point in courses[0]["points"]] if courses else []
    if most_s < STOOD_S or len(times) < 2:  # noqa: PLR2004 - one point is no line
        return None
    span = max(1.0, (times[-1] - times[0]).total_seconds())
    xs = [WIDTH * (at - times[0]).total_seconds() / span for at in times]
    step = max(1, len(times) // TABLE_ROWS)
    lines = []
    for number, one in enumerate(courses):
        owed = [point["owed_s"] for point in one["points"]]
        points = " L".join(f"{x:.1f},{HALF - HALF * value / most_s:.1f}" for x, value in zip(xs, owed, strict=True))
        lines.append(ProjectLine(one["project"], f"M{points}", number, owed[::-step][:TABLE_ROWS]))
    return ProjectChart(lines, most_s, times[0], times[::-step][:TABLE_ROWS])
