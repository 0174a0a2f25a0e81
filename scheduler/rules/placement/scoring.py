"""Which of the nodes that fit is best, and how many of a run of equal jobs each one takes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scheduler.rules.cluster.nodes import Amounts, Nodes, Rows
from scheduler.rules.cluster.shapes import Preference

Scores = NDArray[np.float64]
Ranks = NDArray[np.int64]

_ENDLESS = int(np.iinfo(np.int32).max)
"""How many members that ask for nothing a node takes."""

_LEAST = 1e-12
"""The fraction that a member takes which asks for nothing."""

_LEVELS = 40
"""Halvings of the search for the level that spreading fills to: finer than one claim on the largest node."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """Node rows in the order to be filled, and how many members each takes. Together they may be fewer than wanted.

    `among` is how many nodes there were to choose from.
    """

    rows: Rows
    counts: NDArray[np.int64]
    among: int = 0


NO_ASSIGNMENT = Assignment(np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.int64))


def best(rows: Rows, scores: Scores, wanted: int) -> Rows:
    """The rows with the smallest scores, smallest first: as many as are needed if each takes one at least."""
    return rows[_smallest(scores, wanted)]


def pack(need: Amounts, room: Amounts, rows: Rows, wanted: int, portion: int) -> Assignment:
    """Fill the rows in order, each to one `portion`-th of what it could take; `room` has a column for each."""
    counts = room_for(need, room)
    return _cut(rows, -(-counts // portion), wanted)


def spread(need: Amounts, room: Amounts, capacity: Amounts, rows: Rows, ranked: Ranks, wanted: int) -> Assignment:
    """Even out the used fraction over the nodes: the emptiest takes first; those of a later rank only once the others are full.

    `room` and `capacity` have a column for each of the rows.
    """
    choice = NO_ASSIGNMENT
    for rank in range(int(ranked.max(initial=-1)) + 1):
        alike = ranked == rank
        left = wanted - int(choice.counts.sum())
        choice = joined(choice, _level(need, room[:, alike], capacity[:, alike], rows[alike], left))
    return choice


def joined(first: Assignment, second: Assignment) -> Assignment:
    """The second choice filled after the first."""
    return Assignment(np.concatenate([first.rows, second.rows]), np.concatenate([first.counts, second.counts]))


def ranks(nodes: Nodes, rows: Rows, preferences: tuple[Preference, ...], avoid: frozenset[int]) -> Ranks:
    """How the rows rank before fit is asked, 0 best: those to avoid last of all, then by the weight of what is liked there."""
    liking = np.zeros(len(rows))
    for preference in preferences:
        liking += preference.weight * nodes.matching(preference.constraint)[rows]
    avoided = np.isin(rows, nodes.rows_of(np.array(sorted(avoid), dtype=np.int64)))
    order = np.lexsort((-liking, avoided))
    steps = (np.diff(liking[order]) != 0) | (np.diff(avoided[order]) != 0)
    found = np.zeros(len(rows), dtype=np.int64)
    found[order[1:]] = np.cumsum(steps)
    return found


def room_for(need: Amounts, free: Amounts) -> NDArray[np.int64]:
    """How many times `need` goes into each column of `free`; without end where nothing is needed."""
    counts = np.full(free.shape[1], _ENDLESS, dtype=np.int64)
    for axis in np.flatnonzero(need).tolist():
        np.minimum(counts, free[axis] // need[axis], out=counts)
    return np.maximum(counts, 0)


def _level(need: Amounts, room: Amounts, capacity: Amounts, rows: Rows, wanted: int) -> Assignment:
    """Fill to the lowest common level that takes all that is wanted, or to the brim.

    The level is of what is asked for: an over-committed resource that nobody asks for says nothing.
    """
    most = np.minimum(room_for(need, room), wanted)
    asked = need > 0
    whole = np.maximum(capacity[asked], 1)
    used = ((capacity[asked] - room[asked]) / whole).max(axis=0, initial=0.0)
    each = np.maximum((need[asked][:, None] / whole).max(axis=0, initial=0.0), _LEAST)
    low, high = 0.0, float((used + each * most).max(initial=1.0))
    for _ in range(_LEVELS):
        middle = (low + high) / 2
        enough = _up_to(middle, used, each, most).sum() >= wanted
        low, high = (low, middle) if enough else (middle, high)
    counts = _up_to(low, used, each, most)
    more = _up_to(high, used, each, most) - counts
    order = np.argsort(used + counts * each, kind="stable")
    rest = _cut(order, more[order], wanted - int(counts.sum()))
    counts[rest.rows] += rest.counts
    some = np.flatnonzero(counts)
    return Assignment(rows[some], counts[some])


def _up_to(level: float, used: Scores, each: Scores, most: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many claims bring each node up to the level."""
    return np.clip(np.ceil((level - used) / each), 0, most).astype(np.int64)


def _smallest(values: Scores, count: int) -> Rows:
    """Where the `count` smallest values are, smallest first, earlier before later among equal ones."""
    if count < len(values):
        edge = np.partition(values, count - 1)[count - 1]
        near = np.flatnonzero(values <= edge)
        return near[np.argsort(values[near], kind="stable")][:count]
    return np.argsort(values, kind="stable")


def _cut(rows: Rows, counts: NDArray[np.int64], wanted: int) -> Assignment:
    """Only as many as wanted, the first nodes full."""
    before = np.cumsum(counts) - counts
    counts = np.minimum(counts, wanted - before)
    some = counts > 0
    return Assignment(rows[some], counts[some])
