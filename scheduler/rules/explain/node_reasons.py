"""Node reasons: why each node cannot take a member of a shape at the moment, and how many members fit."""

from math import inf

import numpy as np
from numpy.typing import NDArray

from scheduler.rules.cluster.nodes import Mask
from scheduler.rules.cluster.plan import Snapshot
from scheduler.rules.cluster.policy import Policy
from scheduler.rules.cluster.reasons import Reason
from scheduler.rules.cluster.shapes import Shape
from scheduler.rules.placement import assignment, capacity, filters
from scheduler.rules.placement.plan_state import EndTimes, PlanState
from scheduler.rules.placement.scoring import room_for

_OF_THE_MOMENT = (Reason.NO_ROOM, Reason.RESERVED, Reason.APART)


class NodeReasons:
    """The reasons of all nodes, for members of one shape that start now. Reserved room is not for them.

    `room` is what each row has for one member, `masks` the rows that fail for each reason (a row may fail for
    several), `usable` those that fail for none.
    """

    def __init__(self, shape: Shape, snapshot: Snapshot, state: PlanState, now: float, policy: Policy) -> None:
        self._shape, self._nodes, self._state, self._policy = shape, snapshot.nodes, state, policy
        self.expected_s = snapshot.predictor.expected_s(
            shape.project_id, shape.job_type_id, shape.timeout_s, shape.requires
        )
        self._now = now
        self._ends = _ends(snapshot, shape, self.expected_s, now)
        self.need = self._nodes.vector(shape.requires)
        self.room = state.room(np.arange(len(self._nodes.present())), self._ends)
        self.masks = self._refused()
        failing = np.logical_or.reduce([~self._nodes.present(), *self.masks.values()])
        self.usable: Mask = np.asarray(~failing)

    def fitting(self, besides: int | None = None) -> int:
        """Return how many of the members could start at once.

        With `besides`, also on that row, which is not usable yet.
        """
        usable = self.usable.copy()
        if besides is not None:
            usable[besides] = True
        slots = np.where(usable, room_for(self.need, self.room), 0)
        return min(self._shape.count, capacity.members_on(self._shape, self._nodes, slots))

    def unmet(self) -> dict[str, int]:
        """Return how many nodes fail each constraint, of those constraints that some node fails."""
        present = self._nodes.present()
        asked = sorted(set(self._shape.constraints), key=str)
        counts = {str(one): int((present & ~self._nodes.matching(one)).sum()) for one in asked}
        return {constraint: count for constraint, count in counts.items() if count}

    def ready_s(self) -> NDArray[np.float64] | None:
        """Return for each row how long a member may run on room that is reserved from a later moment on; 0 elsewhere.

        None for gangs: their members would have to be short on every node.
        """
        if self._shape.count > 1:
            return None
        longest = np.zeros(len(self.usable))
        for reserved in self._state.reserved.values():
            if self.masks[Reason.RESERVED][reserved.row]:
                longest[reserved.row] = reserved.start - self._now
        return longest

    def main(self) -> Reason:
        """Return the reason to show when no member fits.

        If nodes in service could take the job when empty, it is a reason of the moment; otherwise the reason why none
        could.
        """
        eligible = filters.eligible(self._shape, self._nodes, self._policy)
        some = bool(eligible.any())
        asked = {reason: mask for reason, mask in self.masks.items() if (reason in _OF_THE_MOMENT) == some}
        where = eligible if some else self._nodes.present()
        counts = {reason: int((mask & where).sum()) for reason, mask in asked.items()}
        return max(counts, key=lambda reason: counts[reason], default=Reason.NODE_NOT_READY)

    def counts(self) -> dict[Reason, int]:
        """Return how many nodes fail for each reason, of those reasons that some node has."""
        return {reason: int(mask.sum()) for reason, mask in self.masks.items() if mask.any()}

    def short_of(self) -> dict[str, int]:
        """Return how many nodes have not enough of each resource now."""
        present = self._nodes.present()
        short = {
            axis: int((present & (self.room[number] < self.need[number])).sum())
            for number, axis in enumerate(self._nodes.axes)
            if self.need[number]
        }
        return {axis: count for axis, count in short.items() if count}

    def _refused(self) -> dict[Reason, Mask]:
        shape, nodes, present = self._shape, self._nodes, self._nodes.present()
        masks = filters.refusals(shape, nodes, self._policy)
        large = filters.holds(self.need, nodes.capacity)
        free = filters.holds(self.need, self._state.free)
        masks[Reason.NO_ROOM] = present & large & ~free
        masks[Reason.RESERVED] = present & free & ~self._state.fits(self.need, present & free, self._ends)
        if shape.apart is not None:
            masks[Reason.APART] = present & assignment.kept_apart(shape, self._state)
        return masks


def _ends(snapshot: Snapshot, shape: Shape, expected_s: float, now: float) -> EndTimes:
    """When a member that started now would have ended."""
    kind = shape.project_id, shape.job_type_id, shape.timeout_s
    limit = inf if shape.timeout_s is None else shape.timeout_s
    proven = min(limit, snapshot.predictor.longest_s(*kind, shape.requires))
    return EndTimes(
        now,
        now + expected_s,
        now + snapshot.predictor.cautious_s(*kind, expected_s, shape.requires),
        now + proven,
        now + limit,
    )
