"""The one reason by which waiting jobs are counted: the reason that their explanation names first."""

from collections.abc import Mapping

import numpy as np

from scheduler.rules.cluster.nodes import Mask
from scheduler.rules.cluster.plan import Refusal, Snapshot
from scheduler.rules.cluster.reasons import Reason
from scheduler.rules.cluster.shapes import Shape
from scheduler.rules.placement import assignment, filters
from scheduler.rules.placement.plan_state import PlanState

_OF_NODES = frozenset({Reason.NO_ROOM, Reason.GANG, Reason.RESERVED, Reason.APART})
"""The reasons that a plan gives for a shape that found no room, whatever the nodes' own reasons are."""


class MainReasons:
    """The first reason why the shapes wait that a plan refused.

    The snapshot is as it is once the plan has been carried out.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._state: PlanState | None = None
        for group in snapshot.queue.ready_groups.values():
            snapshot.nodes.vector(group.shape.requires)  # gives every resource its axis before what is free is copied
        self._free = snapshot.nodes.free()

    def of(self, shape: Shape, refusal: Refusal) -> Reason:
        """Return the main reason of one shape.

        Reasons of the job itself come before those of nodes. If the job is larger than every node, that is the
        reason, whatever else the nodes fail. If some node would do except for its room, the reason is the room:
        taken, reserved for others, near a job of the same kind, or too little for all members at once. Otherwise it
        is the filter that refuses most nodes.
        """
        if refusal.reason not in _OF_NODES:
            return refusal.reason
        nodes, policy = self._snapshot.nodes, self._snapshot.policy
        present = int(nodes.present().sum())
        if present and refusal.nodes.get(Reason.TOO_SMALL, 0) >= present:
            return Reason.TOO_SMALL
        would_do = filters.eligible(shape, nodes, policy)
        if not would_do.any():
            return _most({reason: refusal.nodes.get(reason, 0) for reason, _ in filters.STATIC})
        free = filters.holds(nodes.vector(shape.requires), self._free)
        near = self._near(shape)
        could_start = int((would_do & free & ~near).sum())
        if shape.count > 1 and could_start:
            return Reason.GANG
        # A job could have started on these nodes and did not, so their room is reserved for another.
        return _most(
            {
                Reason.NO_ROOM: int((would_do & ~free).sum()),
                Reason.RESERVED: could_start,
                Reason.APART: int((would_do & near).sum()),
            }
        )

    def _near(self, shape: Shape) -> Mask:
        """Return the rows that are too near to an execution of the same kind."""
        if shape.apart is None:
            return np.zeros_like(self._snapshot.nodes.present())
        if self._state is None:
            self._state = PlanState(self._snapshot)
        return assignment.kept_apart(shape, self._state)


def _most(counts: Mapping[Reason, int]) -> Reason:
    """Return the reason that most nodes have; of equal ones, the first."""
    return max(counts, key=lambda reason: counts[reason])
