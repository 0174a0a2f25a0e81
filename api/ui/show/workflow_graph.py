"""A workflow as shapes: boxes with where their jobs stand, arrows between them, the chain that decided its time, and bars over time."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from api.ui.show import formats, marks

MARGIN = 8
INNER, BAR_Y = 12, 44
"""Of a box: from its edge to its text, and from its top to its bar."""

MOST_ROWS = 60
TIME_WIDTH = 1_000.0

ORDER = ("FAILED", "BLOCKED", "RUNNING", "QUEUED", "PENDING", "PENDING_UPLOAD", "COMPLETED", "CANCELED", "SKIPPED")
"""What a box of several jobs is shown as: the first of these that one of them is."""

_LONGEST_NAME = 24


@dataclass(frozen=True, slots=True)
class WorkflowBarPart:
    """A part of the bar of a box: as wide as its share of the jobs."""

    x: float
    width: float
    tone: str


@dataclass(frozen=True, slots=True)
class WorkflowDrawnBox:
    """One box: where it is, what it says, and which job, or which jobs, it leads to."""

    x: int
    y: int
    name: str
    title: str
    words: str
    status: str
    tone: str
    parts: Sequence[WorkflowBarPart]
    total: int
    job_id: int | None
    step: str | None
    is_critical: bool


@dataclass(frozen=True, slots=True)
class WorkflowArrow:
    """A curve from a box to one that needs it."""

    path: str
    is_critical: bool


@dataclass(frozen=True, slots=True)
class WorkflowDrawing:
    """The whole drawing. `folded`: boxes stand for several names, since there would be too many."""

    boxes: Sequence[WorkflowDrawnBox]
    arrows: Sequence[WorkflowArrow]
    width: int
    height: int
    box_width: int
    box_height: int
    folded: bool


@dataclass(frozen=True, slots=True)
class TimeBar:
    """When the jobs of a box ran, within `TIME_WIDTH`."""

    name: str
    x: float
    width: float
    tone: str
    words: str


def draw(graph: Mapping[str, Any]) -> WorkflowDrawing:
    """Return the drawing of a graph as the API tells it."""
    wide, high = graph["box_width"], graph["box_height"]
    places = {box["name"]: (box["x"] + MARGIN, box["y"] + MARGIN) for box in graph["boxes"]}
    chain = critical(graph)
    pairs = set(itertools.pairwise(chain))
    boxes = [_box(box, places[box["name"]], wide, is_critical=box["name"] in chain) for box in graph["boxes"]]
    arrows = [
        WorkflowArrow(_curve(places[source], places[target], wide, high), (source, target) in pairs)
        for source, target in ((one["source"], one["target"]) for one in graph["arrows"])
    ]
    folded = any(len(box["jobs"]) > 1 for box in graph["boxes"])
    size = (graph["width"] + 2 * MARGIN, graph["height"] + 2 * MARGIN)
    return WorkflowDrawing(boxes, sorted(arrows, key=lambda one: one.is_critical), *size, wide, high, folded)


def critical(graph: Mapping[str, Any]) -> list[str]:
    """Return the chain of boxes that decided when the last one ended: of each the parent that ended last. Empty until all have ended."""
    if any(box["counts"] and box["ended"] is None for box in graph["boxes"]):
        return []
    ended = {
        box["name"]: box["ended"] for box in graph["boxes"] if box["ended"] is not None and box["started"] is not None
    }
    above: dict[str, list[str]] = {}
    for one in graph["arrows"]:
        above.setdefault(one["target"], []).append(one["source"])
    chain: list[str] = []
    at = max(ended, key=lambda name: ended[name], default=None)
    while at is not None and at not in chain:
        chain.append(at)
        at = max((one for one in above.get(at, ()) if one in ended), key=lambda name: ended[name], default=None)
    return chain[::-1] if len(chain) > 1 else []


def over_time(graph: Mapping[str, Any], now: datetime) -> Sequence[TimeBar]:
    """Return a bar for each box that has begun, in the order of their starts; nothing for more than are readable."""
    begun = sorted((box for box in graph["boxes"] if box["started"] is not None), key=lambda box: box["started"])
    if not begun or len(begun) > MOST_ROWS:
        return []
    first = begun[0]["started"]
    whole = max(0.001, (max(box["ended"] or now for box in begun) - first).total_seconds())
    return [_time_bar(box, first, whole, now) for box in begun]


def _time_bar(box: Mapping[str, Any], first: datetime, whole: float, now: datetime) -> TimeBar:
    end = box["ended"] or now
    x = (box["started"] - first).total_seconds() / whole * TIME_WIDTH
    width = max(3.0, (end - box["started"]).total_seconds() / whole * TIME_WIDTH)
    words = f"{formats.between(box['started'], end)}{'' if box['ended'] else ' so far'}"
    return TimeBar(
        box["name"],
        min(x, TIME_WIDTH - 3),
        min(width, TIME_WIDTH - min(x, TIME_WIDTH - 3)),
        marks.tone(_status(box["counts"])),
        words,
    )


def _box(box: Mapping[str, Any], place: tuple[int, int], wide: int, *, is_critical: bool) -> WorkflowDrawnBox:
    counts: Mapping[str, int] = box["counts"]
    total = sum(counts.values())
    status = _status(counts)
    words = _words(counts, total)
    name = box["name"] if len(box["name"]) <= _LONGEST_NAME else box["name"][: _LONGEST_NAME - 1] + "…"
    lasted = f", {formats.between(box['started'], box['ended'])}" if box["started"] and box["ended"] else ""
    return WorkflowDrawnBox(
        *place, name, f"{box['name']}: {words}{lasted}", words, status, marks.tone(status), _parts(counts, total, wide - 2 * INNER), total,
        box["job_id"], box["name"] if len(box["jobs"]) == 1 else None, is_critical,
    )  # fmt: skip


def _status(counts: Mapping[str, int]) -> str:
    return next((word for word in ORDER if counts.get(word)), "PENDING")


def _words(counts: Mapping[str, int], total: int) -> str:
    """Return where the jobs of a box stand, in words."""
    if total == 1:
        return next(iter(counts)).replace("_", " ").lower()
    if not total:
        return "no jobs yet"
    told = [f"{counts[word]} {word.replace('_', ' ').lower()}" for word in ORDER if counts.get(word)]
    return ", ".join(told) if len(told) > 1 else f"all {told[0]}"


def _parts(counts: Mapping[str, int], total: int, width: float) -> list[WorkflowBarPart]:
    found, x = [], 0.0
    for word in reversed(ORDER):
        if count := counts.get(word, 0):
            share = width * count / total
            found.append(WorkflowBarPart(x, share, marks.tone(word)))
            x += share
    return found


def _curve(source: tuple[int, int], target: tuple[int, int], wide: int, high: int) -> str:
    x1, y1 = source[0] + wide, source[1] + high // 2
    x2, y2 = target[0], target[1] + high // 2
    bend = max(24, (x2 - x1) // 2)
    return f"M{x1},{y1} C{x1 + bend},{y1} {x2 - bend},{y2} {x2},{y2}"
