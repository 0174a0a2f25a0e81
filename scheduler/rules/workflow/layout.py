"""Where the boxes of a drawn workflow stand: one column for each level, parents to the left, at most 500 boxes.

Layers by the longest path from a root, and in each layer the order of the parents' middle (the barycentre of Sugiyama,
Tagawa and Toda, 1981, one pass). More steps than boxes are drawn as one box for each level.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

MOST_BOXES = 500
WIDTH, HEIGHT, GAP_X, GAP_Y = 200, 56, 60, 24
"""Of boxes, and between them, in the units of the drawing."""


@dataclass(frozen=True, slots=True)
class WorkflowBox:
    """One box: the steps that it stands for, its level, and its upper left corner."""

    name: str
    steps: tuple[str, ...]
    level: int
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class WorkflowLayout:
    """Boxes, the pairs of names that arrows connect, and the size of the whole."""

    boxes: Sequence[WorkflowBox]
    arrows: Sequence[tuple[str, str]]
    width: int
    height: int


def layout(parents: Mapping[str, Sequence[str]]) -> WorkflowLayout:
    """Return the drawing of steps, given with their parents; parents stand before those that need them."""
    levels: dict[str, int] = {}
    for name, needed in parents.items():
        levels[name] = 1 + max((levels.get(one, -1) for one in needed), default=-1)
    if len(parents) > MOST_BOXES:
        return _collapsed(parents, levels)
    columns: dict[int, list[str]] = {}
    for name, level in levels.items():
        columns.setdefault(level, []).append(name)
    rows: dict[str, int] = {}
    for level in sorted(columns):
        ordered = sorted(columns[level], key=lambda name: _middle(name, parents, rows))
        rows.update({name: row for row, name in enumerate(ordered)})
    boxes = [_box(name, (name,), levels[name], rows[name]) for name in parents]
    arrows = [(one, name) for name, needed in parents.items() for one in dict.fromkeys(needed)]
    return _sized(boxes, arrows)


def _middle(name: str, parents: Mapping[str, Sequence[str]], rows: Mapping[str, int]) -> float:
    known = [rows[one] for one in parents[name] if one in rows]
    return sum(known) / len(known) if known else 0.0


def _collapsed(parents: Mapping[str, Sequence[str]], levels: Mapping[str, int]) -> WorkflowLayout:
    """Return one box a level; of more levels than boxes, neighbours share one."""
    width = 1 + max(levels.values()) // MOST_BOXES
    groups: dict[int, list[str]] = {}
    for name, level in levels.items():
        groups.setdefault(level // width, []).append(name)
    names = {key: f"{len(steps)} jobs of level {key * width + 1}" for key, steps in groups.items()}
    boxes = [_box(names[key], tuple(groups[key]), key, 0) for key in sorted(groups)]
    arrows = {
        (names[levels[one] // width], names[levels[name] // width])
        for name, needed in parents.items()
        for one in needed
        if one in levels and levels[one] // width != levels[name] // width
    }
    return _sized(boxes, sorted(arrows))


def _box(name: str, steps: tuple[str, ...], level: int, row: int) -> WorkflowBox:
    return WorkflowBox(name, steps, level, level * (WIDTH + GAP_X), row * (HEIGHT + GAP_Y))


def _sized(boxes: Sequence[WorkflowBox], arrows: Sequence[tuple[str, str]]) -> WorkflowLayout:
    width = max((box.x + WIDTH for box in boxes), default=0)
    height = max((box.y + HEIGHT for box in boxes), default=0)
    return WorkflowLayout(boxes, arrows, width, height)
