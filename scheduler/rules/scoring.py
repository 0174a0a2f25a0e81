"""Which of the nodes that fit is best, and how many of a run of equal jobs each one takes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scheduler.rules.nodes import Amounts, Mask, Rows


@dataclass(frozen=True, slots=True)
class Choice:
    """Node rows in the order to be filled, and how many members each takes. Together they may be fewer than wanted."""

    rows: Rows
    counts: NDArray[np.int64]


NONE = Choice(np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.int64))


def pack(
    need: Amounts, free: Amounts, fits: Mask, scale: NDArray[np.float64], wanted: int, turn: int
) -> Choice:
    """Fill the nodes that are left with the least room over all resources, each as full as it gets.

    `scale` is one over the largest capacity of each resource; `turn` decides between equal nodes.
    """
    rows = np.flatnonzero(fits)
    if not len(rows):
        return NONE
    rows = np.roll(rows, -(turn % len(rows)))
    left = scale @ free[:, rows]
    rows = rows[_smallest(left, wanted)]
    return _cut(rows, room_for(need, free[:, rows]), wanted)


def room_for(need: Amounts, free: Amounts) -> NDArray[np.int64]:
    """How many times `need` goes into each column of `free`, by whole claims; all of need 0 means without end."""
    counts = np.full(free.shape[1], np.iinfo(np.int32).max, dtype=np.int64)
    for axis in np.flatnonzero(need).tolist():
        np.minimum(counts, free[axis] // need[axis], out=counts)
    return np.maximum(counts, 0)


def _smallest(values: NDArray[np.float64], count: int) -> Rows:
    """Where the `count` smallest values are, smallest first, earlier before later among equal ones."""
    if count < len(values):
        edge = np.partition(values, count - 1)[count - 1]
        near = np.flatnonzero(values <= edge)
        return near[np.argsort(values[near], kind="stable")][:count]
    return np.argsort(values, kind="stable")


def _cut(rows: Rows, counts: NDArray[np.int64], wanted: int) -> Choice:
    """Only as many as wanted, the first nodes full."""
    before = np.cumsum(counts) - counts
    counts = np.minimum(counts, wanted - before)
    some = counts > 0
    return Choice(rows[some], counts[some])
