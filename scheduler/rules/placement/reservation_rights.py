"""The right to keep room for longer than one plan.

A *carried* reservation holds in the next plan too: its room is kept again before any project has its turn, so that nobody
refills the node in between. It is an early charge on its project, never a gift: the room counts as held. And it is carried only
where no project that stands before could use it, for otherwise whoever asks for whole nodes would get more than a share.
"""

from collections.abc import Iterable

import numpy as np

from scheduler.rules.cluster.nodes import Mask
from scheduler.rules.cluster.plan import CarriedReservation, Snapshot
from scheduler.rules.cluster.policy import Policy
from scheduler.rules.cluster.queue import Queue
from scheduler.rules.cluster.resources import Resources
from scheduler.rules.cluster.shapes import Shape
from scheduler.rules.placement import filters, reservation, scoring
from scheduler.rules.placement.assignment import kept_apart
from scheduler.rules.placement.ordering import ProjectQueue
from scheduler.rules.placement.plan_state import PlanState


class ReservationRights:
    """The rivals: the jobs of one contest that could use room which somebody wants to keep."""

    def __init__(self, snapshot: Snapshot, state: PlanState) -> None:
        self._policy, self._state = snapshot.policy, state
        self._waiting: dict[int, dict[int, Shape]] = {}

    def begin_contest(self, contest: Iterable[ProjectQueue]) -> None:
        """A contest begins. A more urgent priority needs no rights against it."""
        self._waiting = {
            project.project_id: {head.group.shape.id: head.group.shape for head in project.heads} for project in contest
        }

    def remove(self, shape: Shape) -> None:
        """The shape has no jobs left that would start if there were room."""
        self._waiting[shape.project_id].pop(shape.id, None)

    def contested(self, shape: Shape) -> bool:
        """Whether another project has jobs that would start if there were room."""
        return any(shapes for project_id, shapes in self._waiting.items() if project_id != shape.project_id)

    def reservable_rows(self, shape: Shape, where: Mask) -> Mask:
        """Rows in `where` that a job of the shape may keep: no project could use them that would stand before it even then."""
        own = self._state.standing(shape.project_id, advance_charge(shape))
        for rival, shapes in self._waiting.items():
            if rival != shape.project_id and self._state.standing(rival) < own:
                for other in shapes.values():
                    where = where & ~rows_once_empty(other, self._state, self._policy)
        return where


def advance_charge(shape: Shape) -> Resources:
    """The amounts that count as held by the project of a job that room is kept for: half of it.

    So the project is as much below its share when it keeps the room as it is above once the job has started.
    """
    whole = shape.requires.times(shape.count).amounts()
    return Resources.from_amounts({name: amount // 2 for name, amount in whole.items()})


def rows_once_empty(shape: Shape, state: PlanState, policy: Policy) -> Mask:
    """Rows where members of the shape could sit once what runs there has ended; none unless all of a job's could.

    Where their like keep them apart they cannot, for who is there may stay for ever.
    """
    where = filters.eligible(shape, state.nodes, policy)
    if shape.apart is not None:
        where = where & ~kept_apart(shape, state)
    return where if fits_all_members(shape, state, where) else np.zeros_like(where)


def fits_all_members(shape: Shape, state: PlanState, where: Mask) -> bool:
    """Whether all members of a job could sit on the rows in `where` were these empty."""
    if shape.count == 1:
        return bool(where.any())
    nodes = state.nodes
    slots = np.where(where, scoring.room_for(nodes.vector(shape.requires), nodes.capacity), 0)
    if shape.apart is not None:
        slots = reservation.one_of_each(slots, nodes.label_codes(shape.apart), state.left)
    return int(np.minimum(slots, shape.count).sum()) >= shape.count


def still_waits(queue: Queue, carried: CarriedReservation) -> bool:
    """Whether the job of a carried reservation still waits in the same line: not gone, changed, held or put off."""
    if carried.job_id not in queue:
        return False
    job = queue[carried.job_id]
    return job.shape_id == carried.shape_id and job.held is None and job.not_before is None
