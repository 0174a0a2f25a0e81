"""How many members of a job fit at the same time if nothing else runs.

It counts the nodes there are, and the nodes that pools may start.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scheduler.rules.cluster.nodes import Mask, Node, Nodes, labels_of
from scheduler.rules.cluster.policy import Policy
from scheduler.rules.cluster.reasons import Reason
from scheduler.rules.cluster.shapes import NODE_LABEL, Shape
from scheduler.rules.placement import filters
from scheduler.rules.placement.scoring import room_for

MemberCounts = NDArray[np.int64]

_EVER = (Reason.OTHER_POOL, Reason.CONSTRAINT, Reason.TOO_SMALL)
"""The filters that an empty node fails for good."""


@dataclass(frozen=True, slots=True)
class PoolGrowth:
    """Nodes that a pool may have: like this one, at most so many (None: no limit). The node's id is the pool's."""

    like: Node
    most: int | None = None


def refused_for_good(shape: Shape, nodes: Nodes) -> dict[Reason, Mask]:
    """Return the rows of nodes that could hold no member even if empty and in service, by reason."""
    nodes.vector(shape.requires)
    policy, present = Policy(), nodes.present()
    return {reason: mask(shape, nodes, policy) & present for reason, mask in filters.STATIC if reason in _EVER}


def most_members(shape: Shape, nodes: Nodes, growth: Iterable[PoolGrowth] = ()) -> int:
    """Return how many members could ever run at once on empty nodes; beyond what the job has, the number may be off.

    The nodes of a pool may give way to new ones, so each node that the pool may have counts as the better of what it
    is and what a new one would be. If members are kept apart by a label, each value of it counts once.
    """
    growth = list(growth)
    new = Nodes(one.like for one in growth)
    values, slots = _kept_apart(shape, nodes, _slots(shape, nodes))
    new_values, new_slots = _kept_apart(shape, new, _slots(shape, new))
    some = {one.like.id for one in growth if one.most is None or one.most > 0}
    members = len({value for _, value in values} | {value for pool, value in new_values if pool in some})
    fixed = nodes.present().copy()
    for one in growth:
        there = nodes.in_pools(frozenset({one.like.pool or ""}))
        fixed &= ~there
        members += _of_pool(slots[there], int(new_slots[new.row(one.like.id)]), one.most, shape.count)
    return members + int(slots[fixed].sum())


def members_on(shape: Shape, nodes: Nodes, slots: MemberCounts) -> int:
    """Return how many members fit on rows with so many slots each."""
    values, slots = _kept_apart(shape, nodes, np.minimum(slots, shape.count))
    return len({value for _, value in values}) + int(slots.sum())


def _slots(shape: Shape, nodes: Nodes) -> MemberCounts:
    """Return how many members each row would hold when empty, at most as many as the job has."""
    refused = np.logical_or.reduce(list(refused_for_good(shape, nodes).values()))
    room = np.minimum(room_for(nodes.vector(shape.requires), nodes.capacity), shape.count)
    return np.where(nodes.present() & ~refused, room, 0)


def _kept_apart(shape: Shape, nodes: Nodes, slots: MemberCounts) -> tuple[set[tuple[int, str]], MemberCounts]:
    """Split the slots by the label that keeps members apart.

    Returns the values of the label, each with a node that has it and a slot; and the slots that the label does not
    concern.
    """
    if shape.apart is None or shape.count == 1:
        return set(), slots
    if shape.apart == NODE_LABEL:
        return set(), np.minimum(slots, 1)
    labelled = nodes.label_codes(shape.apart) >= 0
    there = [nodes.at(row) for row in np.flatnonzero(labelled & (slots > 0)).tolist()]
    return {(node.id, labels_of(node)[shape.apart]) for node in there}, np.where(labelled, 0, slots)


def _of_pool(there: MemberCounts, new: int, most: int | None, enough: int) -> int:
    """Return how many members fit in a pool with these slots on its nodes and `new` on one that it would start."""
    if not new:
        return int(there.sum())
    if most is None:
        return enough
    better = np.sort(np.maximum(there, new))[::-1][:most]
    return max(int(there.sum()), int(better.sum()) + new * max(0, most - len(there)))
