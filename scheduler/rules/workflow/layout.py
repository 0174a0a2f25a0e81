"""Where the boxes of a drawn workflow stand: one column for each level, parents to the left, at most 500 boxes.

Layers by the longest path from a root, and in each layer the order of the neighbours' middle (the barycentre of Sugiyama,
Tagawa and Toda, 1981), swept to and fro. Of more steps than boxes, those with the same parents and the same followers become
one box; if these are still too many, each level is one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

MOST_BOXES = 500
WIDTH, HEIGHT, GAP_X, GAP_Y = 200, 56, 60, 24
"""Of boxes, and between them, in the units of the drawing."""

SWEEPS = 4
"""Pairs of passes, to the right by the parents and to the left by the followers; more change little."""


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
    groups: dict[str, tuple[str, ...]] = {name: (name,) for name in parents}
    if len(groups) > MOST_BOXES:
        groups = _alike(parents)
    if len(groups) > MOST_BOXES:
        groups = _by_level(parents)
    box_of = {step: name for name, steps in groups.items() for step in steps}
    needed = {
        name: list(dict.fromkeys(box_of[one] for step in steps for one in parents[step] if box_of.get(one, name) != name))
        for name, steps in groups.items()
    }  # fmt: skip
    levels = _levels(needed)
    columns: dict[int, list[str]] = {}
    for name, level in levels.items():
        columns.setdefault(level, []).append(name)
    _untangle([columns[level] for level in sorted(columns)], needed)
    tallest = max(map(len, columns.values()), default=0)
    place = {name: (level, row) for level, names in columns.items() for row, name in enumerate(names)}
    boxes = [
        WorkflowBox(name, tuple(steps), place[name][0], place[name][0] * (WIDTH + GAP_X),
                    _y(place[name][1], len(columns[place[name][0]]), tallest))
        for name, steps in groups.items()
    ]  # fmt: skip
    arrows = [(one, name) for name, above in needed.items() for one in above]
    width = max((box.x + WIDTH for box in boxes), default=0)
    height = max((box.y + HEIGHT for box in boxes), default=0)
    return WorkflowLayout(boxes, arrows, width, height)


def _levels(needed: Mapping[str, Sequence[str]]) -> dict[str, int]:
    levels: dict[str, int] = {}
    for name, above in needed.items():
        levels[name] = 1 + max((levels.get(one, -1) for one in above), default=-1)
    return levels


def _y(row: int, rows: int, tallest: int) -> int:
    """Return where a box stands: each column is as far from the top as from the bottom."""
    return row * (HEIGHT + GAP_Y) + (tallest - rows) * (HEIGHT + GAP_Y) // 2


def _untangle(columns: Sequence[list[str]], needed: Mapping[str, Sequence[str]]) -> None:
    """Order the boxes of each column by where the middle of their neighbours is, to the right and to the left in turn."""
    followers: dict[str, list[str]] = {name: [] for name in needed}
    for name, above in needed.items():
        for one in above:
            followers[one].append(name)
    height = {name: (row + 0.5) / len(names) for names in columns for row, name in enumerate(names)}
    for _ in range(SWEEPS):
        for ordered, neighbours in ((columns, needed), (columns[::-1], followers)):
            for names in ordered:
                middles = {name: _middle(neighbours[name], height, height[name]) for name in names}
                names.sort(key=middles.__getitem__)
                height.update({name: (row + 0.5) / len(names) for row, name in enumerate(names)})


def _middle(neighbours: Sequence[str], height: Mapping[str, float], otherwise: float) -> float:
    return sum(height[one] for one in neighbours) / len(neighbours) if neighbours else otherwise


def _alike(parents: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Return the steps, those with the same parents and the same followers together, in the order of the first of each."""
    followers: dict[str, list[str]] = {name: [] for name in parents}
    for name, needed in parents.items():
        for one in needed:
            if one in followers:
                followers[one].append(name)
    return _named(((frozenset(parents[name]), frozenset(followers[name])), name) for name in parents)


def _named(keyed: Iterable[tuple[object, str]]) -> dict[str, tuple[str, ...]]:
    groups: dict[object, list[str]] = {}
    for key, name in keyed:
        groups.setdefault(key, []).append(name)
    return {
        steps[0] if len(steps) == 1 else f"{steps[0]} and {len(steps) - 1} like it": tuple(steps)
        for steps in groups.values()
    }


def _by_level(parents: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Return one group a level; of more levels than boxes, neighbours share one."""
    levels = _levels(parents)
    width = 1 + max(levels.values()) // MOST_BOXES
    groups: dict[int, list[str]] = {}
    for name, level in levels.items():
        groups.setdefault(level // width, []).append(name)
    return {f"{len(groups[key])} jobs of level {key * width + 1}": tuple(groups[key]) for key in sorted(groups)}
