"""Where the wait of a job went, drawn as one bar: a part for each stretch of time, coloured by what kind of reason it was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from api.ui.show import formats

WIDTH = 1000.0
SHOWN_FROM_S = 1.0
"""Seconds: of a shorter wait nothing is said."""

_KINDS = {
    "needs": ("needs", "blocked", "awaiting-upload", "another-job-changes-the-data-set"),
    "limits": ("project-quota", "job-type-limit", "kept-for-another-job", "behind-others", "next-tick"),
    "choice": ("held", "not-before", "scheduler-paused", "project-paused", "job-type-paused", "pool-paused"),
    "starting": ("starting",),
    "unrecorded": ("unrecorded",),
}
KIND_OF = {word: kind for kind, words in _KINDS.items() for word in words}
"""The kind of a reason; every other one is about nodes and their room."""


@dataclass(frozen=True, slots=True)
class WaitPart:
    """One part of the bar, and the same in words."""

    x: float
    width: float
    kind: str
    title: str


@dataclass(frozen=True, slots=True)
class WaitBar:
    """The parts of the bar, from left to right, and the kind of each reason."""

    parts: list[WaitPart]
    kinds: Mapping[str, str]


def draw(history: Mapping[str, Any], now: datetime) -> WaitBar | None:
    """Return the drawing of a wait; None where there was hardly any. Time in which the job ran is left out."""
    spans, total = history["results"], sum(one["seconds"] for one in history["results"])
    if total < SHOWN_FROM_S:
        return None
    parts: list[WaitPart] = []
    reached = 0.0
    for one in spans:
        width = WIDTH * one["seconds"] / total
        words = f"{one['description']}: {formats.between(one['began'], one['ended'] or now)}"
        parts.append(WaitPart(round(reached, 2), round(width, 2), kind(one["reason"]), words))
        reached += width
    return WaitBar(parts, {one["reason"]: kind(one["reason"]) for one in history["totals"]})


def kind(reason: str) -> str:
    """Return the kind of a reason, which is its colour."""
    return KIND_OF.get(reason, "lack")
