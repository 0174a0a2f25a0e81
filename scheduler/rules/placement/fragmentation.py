"""Fragmentation: how much room for the waiting jobs a placement would take.

A node has room for so many jobs of each waiting shape; after a member is placed there, it has room for fewer. The
best node for the member is the one that loses the least. For example, cpus without memory are of use only to jobs
that need little memory, and half a node is worth less than half of a whole one while a job waits for a whole node.

The idea is that of fragmentation gradient descent (Weng et al., "Beware of Fragmentation: Scheduling GPU-Sharing
Workloads with Fragmentation Gradient Descent", USENIX ATC 2023). There the expected work comes from a distribution;
here it is what waits in the queue. Measured over random fleets in docs/decisions/031-choice-of-a-node.md.
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
"""Shapes that count: those with the most waiting work. The others hardly change a sum, and each costs time."""

_BROKEN = 0.75
"""The worth of room for a part of one member, beside the same part of room for many.

It is below 1, since such room is of use only once more comes free there. It is not 0, since that comes sooner the
more there is.
"""

_WHOLE = 1 - 1e-9
"""Room for one member: a little less, because of the rounding of fractions."""


@dataclass(frozen=True, slots=True)
class Fragmentation:
    """The shapes with the most waiting work: their needs, one column for each, and their weights.

    `where` marks, for each shape, the rows that could take it.
    """

    need: NDArray[np.float64]
    weights: NDArray[np.float64]
    where: NDArray[np.bool_]

    def loss(self, need: Amounts, free: Amounts, rows: Rows) -> NDArray[np.float64]:
        """Return how much room for the waiting shapes a member that takes `need` would use up, for each of the rows.

        `free` has what is free on all rows. The unit is members of the waiting shapes, each weighed by its size and
        by how much of it waits.
        """
        lost = np.zeros(len(rows))
        before = np.maximum(free[:, rows], 0).astype(np.float64)
        after = np.maximum(before - need[:, None], 0.0)
        for shape, weight in enumerate(self.weights.tolist()):
            taken = _room(self.need[:, shape], before) - _room(self.need[:, shape], after)
            lost += weight * taken * self.where[shape, rows]
        return lost


def _room(need: NDArray[np.float64], free: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return for how many members with this need each row has room; a part of one counts at a discount."""
    asked = np.flatnonzero(need).tolist()
    room: NDArray[np.float64] = free[asked[0]] / need[asked[0]]
    for axis in asked[1:]:
        np.minimum(room, free[axis] / need[axis], out=room)
    room[room < _WHOLE] *= _BROKEN
    return room


def of_groups(groups: Sequence[QueueGroup], nodes: Nodes, policy: Policy, scale: NDArray[np.float64]) -> Fragmentation:
    """Return the fragmentation measure for some queue groups, without those that no node could take.

    `scale` turns each axis into fractions of the largest node; the size of a member is the sum of its fractions.
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
