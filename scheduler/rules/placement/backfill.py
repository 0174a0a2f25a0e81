"""The way of a job that cannot start although it is its turn: room is kept for it, or made for it.

Its start is *promised* when room is first kept, by limits: by then all that runs in its way is over. A job that
starts beside the kept room must end before it is due, by a cautious guess. Such guesses fail, so less is risked the
nearer the promise is: the guess moves from the cautious one to the limit. A promise that was missed all the same lets
in only what ends before by its own limit.
"""

from dataclasses import replace
from enum import Enum, auto
from math import inf

import numpy as np

from scheduler.identifiers import JobId, NodeId
from scheduler.rules.cluster.nodes import Mask
from scheduler.rules.cluster.plan import CarriedReservation, Preemption, Reservation, ReservationBasis, Snapshot
from scheduler.rules.cluster.policy import Mode, Packing
from scheduler.rules.cluster.shapes import Shape
from scheduler.rules.placement import filters, preemption, reservation, reservation_rights
from scheduler.rules.placement.ordering import GroupHead
from scheduler.rules.placement.plan_state import PlanState
from scheduler.rules.placement.preemption import Preemptor
from scheduler.rules.placement.reservation import EndBasis, FutureStart, Slots, Timetable
from scheduler.rules.placement.reservation_limit import ReservationLimit
from scheduler.rules.placement.reservation_rights import ReservationRights
from scheduler.rules.placement.scoring import Assignment

_MOST_PREEMPTIONS = 16
"""Jobs that one plan may clear nodes for: enough to follow demand, few enough to see the effect before going on."""

_CLEARED_S = 1.0
"""When room that is being cleared counts as due: at once, so that nothing else moves in."""

_PATIENCE_S = 10.0
"""Nothing is stopped for a job that can start by itself so soon: whoever is stopped takes about as long to end."""

_STAY_FACTOR = 2.0
"""Room stays where it was kept unless elsewhere it would come this many times as soon: a node half drained is worth something."""


_STRICTNESS = 2
"""The power of the part of the time to its promised start that a job has waited: half of it makes a fourth of full strictness."""

StartAndBasis = tuple[FutureStart, ReservationBasis]


class ReserveResult(Enum):
    """The result for a job that could not start: its members could not sit even if all ended, no more room may be kept, or it is kept."""

    NEVER = auto()
    LIMIT_REACHED = auto()
    RESERVED = auto()


class Backfill:
    """The reservations, claims and preemptions of one plan."""

    def __init__(self, snapshot: Snapshot, state: PlanState, now: float) -> None:
        self.reservations: list[Reservation] = []
        self.preemptions: list[Preemption] = []
        self.carried: list[CarriedReservation] = []
        self.rights = ReservationRights(snapshot, state)
        self._policy, self._running, self._nodes = snapshot.policy, snapshot.running, snapshot.nodes
        self._state, self._now = state, now
        self._limit = ReservationLimit(self._policy.reservations)
        self._largest: list[int] | None = None
        self._placed_at_update = -1
        self._timetables: dict[EndBasis, Timetable] = {}
        self._basis = EndBasis.PROVEN if self._policy.predict else EndBasis.LIMIT
        self._preemptor: Preemptor | None = None

    def exceeds_largest_free(self, shape: Shape) -> bool:
        """Whether the shape needs more of something than the emptiest node had free when last looked: no need to try."""
        if self._largest is None:
            return False
        need = self._nodes.vector(shape.requires).tolist()
        return any(amount > most for amount, most in zip(need, self._largest, strict=True))

    def reserve(self, head: GroupHead, carried: CarriedReservation | None = None, due: float = 0.0) -> ReserveResult:
        """Keep or make room for the front's foremost job, which cannot start, where the policy has it so.

        With the carried reservation of an earlier plan, by that right and where it was kept before; not from before `due` on.
        """
        self._update_largest()
        shape = head.group.shape
        where = reservation_rights.rows_once_empty(shape, self._state, self._policy)
        if not where.any():
            return ReserveResult.NEVER
        full = self.limit_reached(shape)
        if full and not self._policy.preemption:
            return ReserveResult.LIMIT_REACHED
        where = preemption.rows_to_clear(shape, self._state, where)
        if not reservation_rights.fits_all_members(shape, self._state, where):
            return ReserveResult.LIMIT_REACHED
        if full and not self._get_preemptor().could_fit(shape, where, stop=len(self.preemptions) < _MOST_PREEMPTIONS):
            return ReserveResult.LIMIT_REACHED
        return self._reserve_or_preempt(head, where, carried, due, full=full)

    def _update_largest(self) -> None:
        """See what the emptiest node has free of each resource, where something was placed since the last look."""
        if self._placed_at_update != len(self._state.planned):
            self._placed_at_update = len(self._state.planned)
            self._largest = self._state.free[:, self._nodes.ready()].max(axis=1, initial=0).tolist()

    def limit_reached(self, shape: Shape) -> bool:
        """Whether there are as many reservations as may be among the nodes of the kind that the shape asks for."""
        return self._limit.reached(filters.of_kind(shape, self._nodes, self._policy))

    def explain_choice(self, shape: Shape, choice: Assignment) -> str:
        """In a few words, by what rule a job of the shape got its node now, out of how many with room."""
        among, pool = choice.among, self._nodes.at(int(choice.rows[0])).pool
        if among == 1:
            how = "the only node with room for it"
        elif shape.spread is not None:
            how = f"where fewest of its kind run, by {shape.spread}, of {among} nodes with room"
        elif self._policy.packing.get(pool) is Packing.SPREAD:
            how = f"the emptiest of {among} nodes with room"
        elif shape.preferences:
            how = f"best by its preferences and then by fit, of {among} nodes with room"
        else:
            how = f"best fit of {among} nodes with room"
        return f"{how}, beside room kept for a larger job" if self._state.reserved else how

    def _reserve_or_preempt(
        self, head: GroupHead, where: Mask, carried: CarriedReservation | None, due: float, *, full: bool
    ) -> ReserveResult:
        shape, job_id = head.group.shape, head.job_id
        # Where no more room may be kept, all that matters is whether it could start in a moment.
        found, lasting = self._earliest_start(shape, where, carried, until=self._now + _PATIENCE_S if full else inf)
        if self._policy.preemption and (found is None or not self._starts_soon(shape, where, found)):
            cleared = self._preempt(shape, job_id, where)
            if cleared is not None:
                found, lasting = (cleared, ReservationBasis.ENDS), True
        if found is None:
            return ReserveResult.LIMIT_REACHED if full else ReserveResult.NEVER
        if full and found[0].at > self._now + _CLEARED_S:
            return ReserveResult.LIMIT_REACHED
        self._keep_room(head, where, found, carried, due, lasting=lasting)
        return ReserveResult.RESERVED

    def _keep_room(
        self,
        head: GroupHead,
        where: Mask,
        found: StartAndBasis,
        carried: CarriedReservation | None,
        due: float,
        *,
        lasting: bool,
    ) -> None:
        shape, job_id = head.group.shape, head.job_id
        start, (_, basis), strictness = replace(found[0], at=max(found[0].at, due)), found, 0.0
        if carried is None:
            carried = self._promise(shape, job_id, where, start, basis)
        if due <= self._now:  # else it is its own limits that hold the job
            basis, strictness = self._risk(head, carried, start, basis)
        need = self._nodes.vector(shape.requires)
        reservation.reserve(self._state, need, start, self._timetable(), basis, strictness)
        nodes = self._node_ids(start)
        kept = Reservation(JobId(job_id), shape.id, nodes, start.at, shape.requires, basis, strictness)
        self._record(shape, kept, replace(carried, node_ids=nodes), lasting=lasting)

    def _promise(
        self, shape: Shape, job_id: int, where: Mask, start: FutureStart, basis: ReservationBasis
    ) -> CarriedReservation:
        """Promise a start: when the job has its room even if all that runs takes as long as it may."""
        promised = start.at
        if self._basis is not EndBasis.LIMIT:
            certain = self._earliest_in(shape, where, basis=basis, until=inf, ends_by=EndBasis.LIMIT)
            promised = promised if certain is None else max(promised, certain[0].at)
        return CarriedReservation(JobId(job_id), shape.id, (), promised, start.at)

    def _risk(
        self, head: GroupHead, carried: CarriedReservation, start: FutureStart, basis: ReservationBasis
    ) -> tuple[ReservationBasis, float]:
        """What others may use of the room of a job, and how strictly they must have ended before.

        The members of a gang need their seats at one moment, so a single wrong guess puts it off. That may happen once: when the start
        it first had in view has passed, its room is closed. Where something without a limit runs no promise holds, and nobody is to idle for it.
        """
        limited = self._timetable().limited(start.rows)
        if head.group.shape.count > 1 and self._now > carried.due:
            return (ReservationBasis.CLOSED if limited else ReservationBasis.NOTHING), 0.0
        if not limited:
            return basis, 0.0
        waited_s, whole_s = self._now - head.queued_at, carried.promised - head.queued_at
        return basis, min(1.0, max(0.0, waited_s) / whole_s) ** _STRICTNESS if whole_s > 0 else 1.0

    def _starts_soon(self, shape: Shape, where: Mask, found: StartAndBasis) -> bool:
        """Whether the job can probably start by itself before anything that was stopped for it would have ended."""
        soon = self._now + _PATIENCE_S
        return found[0].at <= soon or self._earliest_in(shape, where, until=soon, ends_by=EndBasis.EXPECTED) is not None

    def _earliest_start(
        self, shape: Shape, where: Mask, carried: CarriedReservation | None, *, until: float
    ) -> tuple[StartAndBasis | None, bool]:
        """When and where the job could start, by certain ends until then, and whether it may keep that room in the next plan as well."""
        if carried is not None:
            return self._earliest_again(shape, where, carried, until=until), True
        if not self.rights.contested(shape):
            return self._earliest_in(shape, where, until=until), True
        free_for_all = self.rights.reservable_rows(shape, where)
        if reservation_rights.fits_all_members(shape, self._state, free_for_all):
            gathered = self._earliest_in(shape, free_for_all, basis=ReservationBasis.PIECES, until=until)
            if gathered is not None:
                return gathered, True
            where = free_for_all
        return self._earliest_in(shape, where, until=until), False

    def _earliest_again(
        self, shape: Shape, where: Mask, carried: CarriedReservation, *, until: float
    ) -> StartAndBasis | None:
        """The start where room was kept before, if that is not much later than elsewhere.

        While others wait too, room goes on being gathered from small pieces: were it given up for the next piece that is large enough, which
        comes soon, then all that was gathered would be refilled, and a project that lacks room would never get more.
        """
        rows = self._nodes.rows_of(np.array(carried.node_ids))
        seats = np.bincount(rows[rows >= 0], minlength=len(where))
        again = best = None
        if self.rights.contested(shape):
            again = self._earliest_in(shape, where, seats, basis=ReservationBasis.PIECES, until=until)
            best = self._earliest_in(shape, where, basis=ReservationBasis.PIECES, until=until)
        if again is None:
            again = self._earliest_in(shape, where, seats, until=until)
            best = self._earliest_in(shape, where, until=until)
        if again is None or best is None or again[0].at - self._now > _STAY_FACTOR * (best[0].at - self._now):
            return best
        return again

    def _earliest_in(
        self,
        shape: Shape,
        where: Mask,
        seats: Slots | None = None,
        *,
        basis: ReservationBasis = ReservationBasis.ENDS,
        until: float,
        ends_by: EndBasis | None = None,
    ) -> StartAndBasis | None:
        """The earliest start in `where` by the ends that are counted on; with `seats` at most so many members on each row."""
        most = np.where(where, shape.count if seats is None else seats, 0)
        need, values = self._nodes.vector(shape.requires), None
        if shape.apart is not None:
            values = self._nodes.label_codes(shape.apart)
        ends = reservation.counted_on(self._timetable(ends_by).ends(most > 0, until), need, basis)
        start = reservation.earliest(need, most, shape.count, self._state, ends, values)
        return None if start is None else (start, basis)

    def _node_ids(self, start: FutureStart) -> tuple[NodeId, ...]:
        """The nodes of a start, one for each member."""
        return tuple(self._nodes.at(row).id for row in np.repeat(start.rows, start.counts).tolist())

    def _timetable(self, basis: EndBasis | None = None) -> Timetable:
        basis = basis or self._basis
        timetable = self._timetables.get(basis)
        if timetable is None:
            timetable = self._timetables[basis] = Timetable(self._state, self._running, self._now, basis)
        return timetable

    def _preempt(self, shape: Shape, job_id: int, where: Mask) -> FutureStart | None:
        """Stop what is less urgent, where that makes room for the whole job."""
        if len(self.preemptions) >= _MOST_PREEMPTIONS:
            return None
        found = self._get_preemptor().victims(shape, where)
        for victim in found:
            if victim.executions:
                node_id = self._nodes.at(victim.row).id
                self.preemptions.append(Preemption(JobId(job_id), shape.id, node_id, victim.executions))
        if not found:
            return None
        seats = preemption.assignment_of(found)
        return FutureStart(self._now + _CLEARED_S, seats.rows, seats.counts)

    def _get_preemptor(self) -> Preemptor:
        if self._preemptor is None:
            self._preemptor = Preemptor(self._state, self._running, self._now)
        return self._preemptor

    def _record(self, shape: Shape, kept: Reservation, carried: CarriedReservation, *, lasting: bool) -> None:
        self.reservations.append(kept)
        self._limit.add(filters.of_kind(shape, self._nodes, self._policy))
        if self._policy.mode is Mode.LIFO:
            return
        if kept.basis is not ReservationBasis.NOTHING:  # then nothing idles for it
            self._state.charge_more(shape.project_id, reservation_rights.advance_charge(shape))
        if lasting:
            self.carried.append(carried)
