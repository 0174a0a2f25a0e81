"""Scoring: which of the nodes that fit is best, and how many of a run of equal jobs each one takes."""

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
"""The fraction of a node that a member takes which asks for nothing."""

_LEVELS = 40
"""Halvings in the search for the level to which nodes are filled: finer than one member on the largest node."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """Node rows in the order to be filled, and how many members each takes.

    Together they may be fewer than wanted. `among` is how many nodes there were to choose from.
    """

    rows: Rows
    counts: NDArray[np.int64]
    among: int = 0


NO_ASSIGNMENT = Assignment(np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.int64))


def best(rows: Rows, scores: Scores, wanted: int) -> Rows:
    """Return the rows with the smallest scores, smallest first: as many as are needed if each takes one at least."""
    return rows[_smallest(scores, wanted)]


def pack(need: Amounts, room: Amounts, rows: Rows, wanted: int, portion: int) -> Assignment:
    """Fill the rows in order, each to one `portion`-th of what fits there; `room` has a column for each row."""
    counts = room_for(need, room)
    return _cut(rows, -(-counts // portion), wanted)


def spread(need: Amounts, room: Amounts, capacity: Amounts, rows: Rows, ranked: Ranks, wanted: int) -> Assignment:
    """Even out the used fraction over the nodes: the emptiest node takes first.

    Nodes of a later rank take members only once the others are full. `room` and `capacity` have a column for each of
    the rows.
    """
    choice = NO_ASSIGNMENT
    for rank in range(int(ranked.max(initial=-1)) + 1):
        alike = ranked == rank
        left = wanted - int(choice.counts.sum())
        choice = joined(choice, _level(need, room[:, alike], capacity[:, alike], rows[alike], left))
    return choice


def joined(first: Assignment, second: Assignment) -> Assignment:
    """Return the second assignment filled after the first."""
    return Assignment(np.concatenate([first.rows, second.rows]), np.concatenate([first.counts, second.counts]))


def ranks(nodes: Nodes, rows: Rows, preferences: tuple[Preference, ...], avoid: frozenset[int]) -> Ranks:
    """Return the ranks of rows before their fit is compared; 0 is best.

    Nodes to avoid come last of all; the others go by the weights of the preferences that they meet.
    """
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
    """Return how many times `need` goes into each column of `free`; a very large number if nothing is needed."""
    counts = np.full(free.shape[1], _ENDLESS, dtype=np.int64)
    for axis in np.flatnonzero(need).tolist():
        np.minimum(counts, free[axis] // need[axis], out=counts)
    return np.maximum(counts, 0)


def _level(need: Amounts, room: Amounts, capacity: Amounts, rows: Rows, wanted: int) -> Assignment:
    """Fill nodes to the lowest common level at which all wanted members fit, or until they are full.

    Only resources that the members ask for count, so an over-committed resource that nobody asks for has no
    influence.
    """
    most = np.minimum(room_for(need, room), wanted)
    asked = need > 0
    whole = np.maximum(capacity[asked], 1)
    used = ((capacity[asked] - room[asked]) / whole).max(axis=0, initial=0.0)
    each = np.maximum((need[asked][:, None] / whole).max(axis=0, initial=0.0), _LEAST)
    # Bisection: filling to `low` takes too few members, filling to `high` enough (or all that there is room for).
    low, high = 0.0, float((used + each * most).max(initial=1.0))
    for _ in range(_LEVELS):
        middle = (low + high) / 2
        enough = _up_to(middle, used, each, most).sum() >= wanted
        low, high = (low, middle) if enough else (middle, high)
    # Between the two levels are equal nodes: they get the last members one after the other, the emptiest first.
    counts = _up_to(low, used, each, most)
    more = _up_to(high, used, each, most) - counts
    order = np.argsort(used + counts * each, kind="stable")
    rest = _cut(order, more[order], wanted - int(counts.sum()))
    counts[rest.rows] += rest.counts
    some = np.flatnonzero(counts)
    return Assignment(rows[some], counts[some])


def _up_to(level: float, used: Scores, each: Scores, most: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many members bring each node up to the level."""
    return np.clip(np.ceil((level - used) / each), 0, most).astype(np.int64)


def _smallest(values: Scores, count: int) -> Rows:
    """Return where the `count` smallest values are, smallest first, earlier before later among equal ones."""
    if count < len(values):
        edge = np.partition(values, count - 1)[count - 1]
        near = np.flatnonzero(values <= edge)
        return near[np.argsort(values[near], kind="stable")][:count]
    return np.argsort(values, kind="stable")


def _cut(rows: Rows, counts: NDArray[np.int64], wanted: int) -> Assignment:
    """Return only as many members as wanted; the first nodes are filled."""
    before = np.cumsum(counts) - counts
    counts = np.minimum(counts, wanted - before)
    some = counts > 0
    return Assignment(rows[some], counts[some])
