"""The mix of what waits, and how much of the room for it a placement would take.

A node has room for so many jobs of each shape; a member placed there leaves room for fewer. The node that loses the
least for the shapes that wait is the best one for the member: cpus without memory are of use to those who ask for
little memory, and half a node is worth less than half of a whole one while somebody waits for a whole one.
After the idea of the fragmentation gradient (Weng et al., "Beware of Fragmentation", USENIX ATC 2023), with what waits as the
expected work. Measured over random fleets: docs/decisions/031-choice-of-a-node.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scheduler.rules.cluster.nodes import Amounts, Nodes, Rows
from scheduler.rules.cluster.policy import Policy
from scheduler.rules.cluster.queue import QueueGroup
from scheduler.rules.placement import filters

_MOST_SHAPES = 12
"""Shapes that are looked at: those that wait for the most. The others hardly move a sum, and each costs time."""

_BROKEN = 0.75
"""What room for less than one whole member is worth beside as large a part of room for many. Below 1, for it is of use only once more
is free there; not 0, for that comes sooner the more there is."""

_WHOLE = 1 - 1e-9
"""Room for one: a little less, for the rounding of fractions."""


@dataclass(frozen=True, slots=True)
class Fragmentation:
    """The shapes that wait for the most: what they need, a column for each, and their weights.

    `where` marks by shape the rows that could take it.
    """

    need: NDArray[np.float64]
    weights: NDArray[np.float64]
    where: NDArray[np.bool_]

    def loss(self, need: Amounts, free: Amounts, rows: Rows) -> NDArray[np.float64]:
        """What a member that takes `need` would take from the room for the mix on each of the rows.

        `free` is what is free on all rows. In members of the mix, each weighed by its size and by how much of it waits.
        """
        lost = np.zeros(len(rows))
        before = np.maximum(free[:, rows], 0).astype(np.float64)
        after = np.maximum(before - need[:, None], 0.0)
        for shape, weight in enumerate(self.weights.tolist()):
            taken = _room(self.need[:, shape], before) - _room(self.need[:, shape], after)
            lost += weight * taken * self.where[shape, rows]
        return lost


def _room(need: NDArray[np.float64], free: NDArray[np.float64]) -> NDArray[np.float64]:
    """Room for how many members that need this, by row; for a part of one, at a discount."""
    asked = np.flatnonzero(need).tolist()
    room: NDArray[np.float64] = free[asked[0]] / need[asked[0]]
    for axis in asked[1:]:
        np.minimum(room, free[axis] / need[axis], out=room)
    room[room < _WHOLE] *= _BROKEN
    return room


def of_groups(groups: Sequence[QueueGroup], nodes: Nodes, policy: Policy, scale: NDArray[np.float64]) -> Fragmentation:
    """The mix of some lines, without those that no node could take.

    `scale` turns each axis into fractions of the largest node; a member's size is the sum of its.
    """
    vectors = [nodes.vector(group.shape.requires) for group in groups]
    sizes = [float(size) for size in np.array(vectors).reshape(len(groups), len(scale)) @ scale]
    first = sorted(range(len(groups)), key=lambda at: (-groups[at].live * sizes[at] ** 2, groups[at].shape.id))
    chosen: list[int] = []
    for at in first:
        if len(chosen) == _MOST_SHAPES:
            break
        if sizes[at] > 0 and filters.eligible(groups[at].shape, nodes, policy).any():
            chosen.append(at)
    need = np.array([vectors[at] for at in chosen], dtype=np.float64)
    amount = np.array([groups[at].live * groups[at].shape.count * sizes[at] for at in chosen])
    where = [filters.eligible(groups[at].shape, nodes, policy) for at in chosen]
    return Fragmentation(
        need.reshape(len(chosen), len(nodes.axes)).T,
        amount / max(amount.sum(), 1.0) * np.array([sizes[at] for at in chosen]),
        np.array(where, dtype=np.bool_).reshape(len(chosen), nodes.capacity.shape[1]),
    )
