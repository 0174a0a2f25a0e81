"""What becomes of a job that cannot start although it is its turn: room is kept for it, or made for it."""

from dataclasses import replace
from enum import Enum, auto
from math import inf

import numpy as np

from scheduler.rules.cluster.nodes import Mask
from scheduler.rules.cluster.plan import Basis, CarriedReservation, Preemption, Reservation, Snapshot
from scheduler.rules.cluster.policy import Mode, Packing
from scheduler.rules.cluster.shapes import Shape
from scheduler.rules.placement import filters, preemption, reservation, reservation_rights
from scheduler.rules.placement.ordering import GroupHead
from scheduler.rules.placement.plan_state import PlanState
from scheduler.rules.placement.preemption import Preemptor
from scheduler.rules.placement.reservation import FutureStart, Slots, Timetable
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


StartAndBasis = tuple[FutureStart, Basis]


class ReserveResult(Enum):
    """What came of a job that could not start: its members could not sit even if all ended, no more room may be kept, or it is kept."""

    NEVER = auto()
    FULL = auto()
    KEPT = auto()


class Backfill:
    """The reservations, claims and preemptions of one plan."""

    def __init__(self, snapshot: Snapshot, ledger: PlanState, now: float) -> None:
        self.reservations: list[Reservation] = []
        self.preemptions: list[Preemption] = []
        self.claims: list[CarriedReservation] = []
        self.rights = ReservationRights(snapshot, ledger)
        self._policy, self._running, self._nodes = snapshot.policy, snapshot.running, snapshot.nodes
        self._ledger, self._now = ledger, now
        self._places = ReservationLimit(self._policy.reservations)
        self._largest: list[int] | None = None
        self._looked_at = -1
        self._timetable: Timetable | None = None
        self._clearing: Preemptor | None = None

    def hopeless(self, shape: Shape) -> bool:
        """Whether the shape needs more of something than the emptiest node had free when last looked: no need to try."""
        if self._largest is None:
            return False
        need = self._nodes.vector(shape.requires).tolist()
        return any(amount > most for amount, most in zip(need, self._largest, strict=True))

    def block(self, front: GroupHead, claim: CarriedReservation | None = None, due: float = 0.0) -> ReserveResult:
        """Keep or make room for the front's foremost job, which cannot start, where the policy has it so.

        With the claim of an earlier plan, by that right and where it was kept before; not from before `due` on.
        """
        self._look()
        shape = front.line.shape
        where = reservation_rights.rows_once_empty(shape, self._ledger, self._policy)
        if not where.any():
            return ReserveResult.NEVER
        full = self.full(shape)
        if full and not self._policy.preemption:
            return ReserveResult.FULL
        where = preemption.rows_to_clear(shape, self._ledger, where)
        if not reservation_rights.fits_all_members(shape, self._ledger, where):
            return ReserveResult.FULL
        if full and not self._clearer().could_seat(shape, where, stop=len(self.preemptions) < _MOST_PREEMPTIONS):
            return ReserveResult.FULL
        return self._make_way(front, where, claim, due, full=full)

    def _look(self) -> None:
        """See what the emptiest node has free of each resource, where something was placed since the last look."""
        if self._looked_at != len(self._ledger.planned):
            self._looked_at = len(self._ledger.planned)
            self._largest = self._ledger.free[:, self._nodes.ready()].max(axis=1, initial=0).tolist()

    def full(self, shape: Shape) -> bool:
        """Whether as many places are kept as may be among the nodes of the kind that the shape asks for."""
        return self._places.full(filters.of_kind(shape, self._nodes, self._policy))

    def why(self, shape: Shape, choice: Assignment) -> str:
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
        return f"{how}, beside room kept for a larger job" if self._ledger.kept else how

    def _make_way(
        self, front: GroupHead, where: Mask, claim: CarriedReservation | None, due: float, *, full: bool
    ) -> ReserveResult:
        shape, job_id = front.line.shape, front.foremost
        # Where no more room may be kept, all that matters is whether it could start in a moment.
        found, rightful = self._find(shape, where, claim, until=self._now + _PATIENCE_S if full else inf)
        if self._policy.preemption and (found is None or found[0].at > self._now + _PATIENCE_S):
            cleared = self._clear(shape, job_id, where)
            if cleared is not None:
                found, rightful = (cleared, Basis.ENDS), True
        if found is None:
            return ReserveResult.FULL if full else ReserveResult.NEVER
        if full and found[0].at > self._now + _CLEARED_S:
            return ReserveResult.FULL
        start, basis = found
        start = replace(start, at=max(start.at, due))
        promised = start.at if claim is None else claim.promised
        if shape.count > 1 and promised < self._now and due <= self._now:
            # All members need their seats at one moment, so a single wrong guess puts a gang off. That may happen once: from then on
            # its room is closed. Not where something may run for ever: there no promise holds, and nobody is to idle for it. Nor
            # while it is its own limits that hold the gang.
            basis = Basis.CLOSED if self._times().limited(start.rows) else Basis.NOTHING
        self._keep(
            shape, CarriedReservation(job_id, shape.id, self._seats(start), promised), start, basis, rightful=rightful
        )
        return ReserveResult.KEPT

    def _find(
        self, shape: Shape, where: Mask, claim: CarriedReservation | None, *, until: float
    ) -> tuple[StartAndBasis | None, bool]:
        """When and where the job could start, by ends until then, and whether it may claim that room from the next plan as well."""
        if claim is not None:
            return self._found_again(shape, where, claim, until=until), True
        if not self.rights.contested(shape):
            return self._earliest(shape, where, until=until), True
        free_for_all = self.rights.open_to(shape, where)
        if reservation_rights.fits_all_members(shape, self._ledger, free_for_all):
            gathered = self._earliest(shape, free_for_all, basis=Basis.PIECES, until=until)
            if gathered is not None:
                return gathered, True
            where = free_for_all
        return self._earliest(shape, where, until=until), False

    def _found_again(
        self, shape: Shape, where: Mask, claim: CarriedReservation, *, until: float
    ) -> StartAndBasis | None:
        """The start where room was kept before, if that is not much later than elsewhere.

        While others wait too, room goes on being gathered from small pieces: were it given up for the next piece that is large enough, which
        comes soon, then all that was gathered would be refilled, and a project that lacks room would never get more.
        """
        rows = self._nodes.rows_of(np.array(claim.node_ids))
        seats = np.bincount(rows[rows >= 0], minlength=len(where))
        again = best = None
        if self.rights.contested(shape):
            again = self._earliest(shape, where, seats, basis=Basis.PIECES, until=until)
            best = self._earliest(shape, where, basis=Basis.PIECES, until=until)
        if again is None:
            again = self._earliest(shape, where, seats, until=until)
            best = self._earliest(shape, where, until=until)
        if again is None or best is None or again[0].at - self._now > _STAY_FACTOR * (best[0].at - self._now):
            return best
        return again

    def _earliest(
        self, shape: Shape, where: Mask, seats: Slots | None = None, *, basis: Basis = Basis.ENDS, until: float
    ) -> StartAndBasis | None:
        """The earliest start in `where` by the ends that are counted on; with `seats` at most so many members on each row."""
        most = np.where(where, shape.count if seats is None else seats, 0)
        need, values = self._nodes.vector(shape.requires), None
        if shape.apart is not None:
            values = self._nodes.label_codes(shape.apart)
        ends = reservation.counted_on(self._times().ends(most > 0, until), need, basis)
        start = reservation.earliest(need, most, shape.count, self._ledger, ends, values)
        return None if start is None else (start, basis)

    def _seats(self, start: FutureStart) -> tuple[int, ...]:
        """The nodes of a start, one for each member."""
        return tuple(self._nodes.at(row).id for row in np.repeat(start.rows, start.counts).tolist())

    def _times(self) -> Timetable:
        if self._timetable is None:
            self._timetable = Timetable(self._ledger, self._running, self._now)
        return self._timetable

    def _clear(self, shape: Shape, job_id: int, where: Mask) -> FutureStart | None:
        """Stop what is less urgent, where that makes room for the whole job."""
        if len(self.preemptions) >= _MOST_PREEMPTIONS:
            return None
        found = self._clearer().victims(shape, where)
        for victim in found:
            if victim.executions:
                node_id = self._nodes.at(victim.row).id
                self.preemptions.append(Preemption(job_id, shape.id, node_id, victim.executions))
        if not found:
            return None
        seats = preemption.assignment_of(found)
        return FutureStart(self._now + _CLEARED_S, seats.rows, seats.counts)

    def _clearer(self) -> Preemptor:
        if self._clearing is None:
            self._clearing = Preemptor(self._ledger, self._running, self._now)
        return self._clearing

    def _keep(
        self, shape: Shape, claim: CarriedReservation, start: FutureStart, basis: Basis, *, rightful: bool
    ) -> None:
        reservation.reserve(self._ledger, self._nodes.vector(shape.requires), start, self._times(), basis)
        self.reservations.append(Reservation(claim.job_id, shape.id, claim.node_ids, start.at, shape.requires, basis))
        self._places.add(filters.of_kind(shape, self._nodes, self._policy))
        if self._policy.mode is Mode.LIFO:
            return
        if basis is not Basis.NOTHING:  # then nothing idles for it
            self._ledger.charge(shape.project_id, reservation_rights.advance_charge(shape))
        if rightful:
            self.claims.append(claim)
