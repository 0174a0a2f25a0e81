"""Run ahead: short jobs wait on a node beyond its room, and the node starts the next one by itself when room frees.

Between two jobs there is then no round trip. What is ahead holds no room and is no try; it may be taken back at any
moment. How far ahead is a matter of time: about `Policy.ahead_s` seconds of work for all that a node has, by the mean of
runs of the same shape, and nothing for shapes that are not sure to be short (`short_runs`).

Work that is less urgent does not count, for the node starts the more urgent first: so one urgent job among many short
ones waits for no answer of anybody, but only for the next end.

Order is kept by two rules. Whoever waits for room and could use what frees next on a node *blocks* it: nobody later goes
ahead there, and what is less urgent there is *recalled*. And the node starts what is ahead in the order of priority, then
of placement; one that needs more room than frees at a time makes the others wait until it fits.
"""

from math import inf

import numpy as np

from scheduler.identifiers import ExecutionId
from scheduler.rules.cluster.nodes import Amounts, Rows
from scheduler.rules.cluster.plan import Snapshot
from scheduler.rules.cluster.policy import Mode
from scheduler.rules.cluster.shapes import Shape
from scheduler.rules.placement import filters
from scheduler.rules.placement.plan_state import PlanState
from scheduler.rules.placement.run_ahead import ahead_room, recalls
from scheduler.rules.placement.run_ahead.ahead_room import AheadRoom
from scheduler.rules.placement.scoring import NO_ASSIGNMENT, Assignment

_NOBODY = ahead_room.NOBODY


class AheadPlan:
    """The work ahead of room while one plan is made. Everything is computed when first asked for: most plans never do."""

    def __init__(self, snapshot: Snapshot, state: PlanState, now: float) -> None:
        self._snapshot, self._state, self._now = snapshot, state, now
        self._nodes, self._running, self._policy = snapshot.nodes, snapshot.running, snapshot.policy
        self._allowed_s = 0.0 if self._policy.mode is Mode.LIFO or not self._policy.predict else self._policy.ahead_s
        self._is_on = self._allowed_s > 0 and bool(self._nodes.running_ahead().any())
        self._room: AheadRoom | None = None
        self._blocking: list[Shape] = []
        self._begins: list[tuple[Rows, Amounts]] = []
        self._shapes = {run.shape_id for run in self._running.ahead()} if self._running.has_ahead else set[int]()

    def brief_s(self, shape: Shape) -> float:
        """Return how long jobs of the shape take, if they may go ahead of room at all; inf otherwise."""
        if not self._is_on or shape.count > 1 or shape.serial is not None or shape.apart or shape.spread:
            return inf
        kind = shape.project_id, shape.job_type_id, shape.timeout_s, shape.requires
        return self._snapshot.predictor.short_s(*kind, self._allowed_s)

    def part(self, brief_s: float) -> float:
        """Return the part of a slot's time ahead that one job takes, at most 1."""
        return min(1.0, brief_s / self._allowed_s)

    def block(self, shape: Shape) -> None:
        """The shape waits for room: where it could have what frees next, nobody later goes ahead."""
        if self._is_on and shape.count == 1:
            self._blocking.append(shape)

    def has_any(self, shape: Shape) -> bool:
        """Whether jobs of the shape are ahead somewhere, so that none of it needs a reservation."""
        return shape.id in self._shapes

    def assign(self, shape: Shape, brief_s: float, avoid: frozenset[int], wanted: int) -> Assignment:
        """Return the nodes on which up to `wanted` jobs of the shape may wait ahead, and how many on each. Counts nothing yet."""
        room, need = self._get_room(), self._nodes.vector(shape.requires)
        where = filters.eligible(shape, self._nodes, self._policy) & self._nodes.running_ahead()
        where &= filters.holds(need, room.soon) & (room.wanted_by == _NOBODY)
        for row, kept in self._state.reserved.items():
            where[row] &= kept.start > self._now + ahead_room.SOON * self._allowed_s
        for node_id in avoid:
            row_of = self._nodes.row(node_id)
            if row_of is not None:
                where[row_of] = False
        rows = np.flatnonzero(where)
        if not len(rows):
            return NO_ASSIGNMENT
        work_s = room.work_s(shape.priority)[rows]
        counts = room.counts(self._nodes, need, rows, work_s, brief_s, self._allowed_s)
        rows, counts = ahead_room.fewest_first(rows, counts, work_s, wanted)
        return Assignment(rows, counts, len(rows))

    def may_have_room(self, shape: Shape) -> bool:
        """Whether a job of the shape could go ahead on some node now."""
        return bool(self.assign(shape, self.brief_s(shape), frozenset(), 1).counts.sum())

    def add(self, shape: Shape, brief_s: float, assigned: Assignment) -> None:
        """Count jobs that this plan puts ahead."""
        room, need = self._get_room(), self._nodes.vector(shape.requires)
        room.added_s[assigned.rows] += (
            ahead_room.shares(need, self._nodes.capacity[:, assigned.rows]) * brief_s * assigned.counts
        )
        room.count[assigned.rows] += assigned.counts
        self._shapes.add(shape.id)

    def occupy(self, shape: Shape, assigned: Assignment) -> None:
        """Count jobs that this plan starts with room: what is not sure to be short frees nothing soon."""
        is_short = self.brief_s(shape) < inf
        if is_short is (self._room is None) and self._is_on:
            takes = self._nodes.vector(shape.requires)[:, None] * assigned.counts
            if self._room is None:
                self._begins.append((assigned.rows, takes))
            else:
                self._room.soon[:, assigned.rows] -= takes

    def _get_room(self) -> "AheadRoom":
        if self._room is None:
            self._room = ahead_room.read(self._snapshot, self._state, self._now, self._allowed_s, self._begins)
        room = self._room
        for shape in self._blocking:
            need = self._nodes.vector(shape.requires)
            wants = filters.eligible(shape, self._nodes, self._policy) & filters.holds(need, room.soon)
            room.wanted_by[wants] = np.minimum(room.wanted_by[wants], shape.priority)
        self._blocking.clear()
        return room

    def recalls(self) -> tuple[ExecutionId, ...]:
        """Return what is to be taken back from nodes: for somebody more urgent, for a node that is idle, or as a wrong guess."""
        if not self._running.has_ahead:
            return ()
        room = self._get_room() if self._blocking or self._room is not None else None
        return recalls.chosen(self._snapshot, self._state, self._now, self._allowed_s, room)
