"""Charts drawn on the server, as shapes that print, need no script, and have their numbers in a table beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

WIDTH, HEIGHT = 600, 120


@dataclass(frozen=True, slots=True)
class LoadChart:
    """Running and waiting jobs over time: two paths within `WIDTH` by `HEIGHT`, the largest value, and the first and last time."""

    running: str
    waiting: str
    most: int
    first: datetime
    last: datetime
    rows: Sequence[Mapping[str, Any]]


def load(samples: Sequence[Mapping[str, Any]]) -> LoadChart | None:
    """Return the chart of these samples, the oldest first; None where there are too few to draw a line."""
    if len(samples) < 2:  # noqa: PLR2004 - one point is no line
        return None
    first, last = samples[0]["time"], samples[-1]["time"]
    span = max(1.0, (last - first).total_seconds())
    waits = [one["pending_count"] + one["queued_count"] for one in samples]
    runs = [one["running_count"] for one in samples]
    most = max(1, *waits, *runs)
    xs = [WIDTH * (one["time"] - first).total_seconds() / span for one in samples]
    step = max(1, len(samples) // 24)
    return LoadChart(_area(xs, runs, most), _area(xs, waits, most), most, first, last, samples[::-step][:25])


def _area(xs: Sequence[float], values: Sequence[int], most: int) -> str:
    points = [f"{x:.1f},{HEIGHT - HEIGHT * value / most:.1f}" for x, value in zip(xs, values, strict=True)]
    return f"M{xs[0]:.1f},{HEIGHT} L" + " L".join(points) + f" L{xs[-1]:.1f},{HEIGHT} Z"
