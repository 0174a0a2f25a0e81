"""What becomes of a job that cannot start although it is its turn: room is kept for it, or made for it."""

import numpy as np

from scheduler.rules import filters, preemption, reservation
from scheduler.rules.ledger import Ledger
from scheduler.rules.nodes import Mask
from scheduler.rules.ordering import Entrant, Front
from scheduler.rules.plan import Preemption, Reservation, Snapshot
from scheduler.rules.policy import Packing
from scheduler.rules.preemption import Clearing
from scheduler.rules.reservation import Ends, Start, Timetable
from scheduler.rules.scoring import Choice
from scheduler.rules.seating import kept_apart
from scheduler.rules.shapes import Shape

_MOST_PREEMPTIONS = 16
"""Jobs that one plan may clear nodes for: enough to follow demand, few enough to see the effect before going on."""

_CLEARED_S = 1.0
"""When room that is being cleared counts as due: at once, so that nothing else moves in."""


_NODES_PER_KEPT = 32
"""At most one place is kept per so many nodes, one at least: what is kept idle stays under 3 % of a large fleet."""


class Blocking:
    """The reservations and preemptions of one plan."""

    def __init__(self, snapshot: Snapshot, ledger: Ledger, now: float) -> None:
        self.reservations: list[Reservation] = []
        self.preemptions: list[Preemption] = []
        self._policy, self._running, self._nodes = snapshot.policy, snapshot.running, snapshot.nodes
        self._ledger, self._now = ledger, now
        self._done: set[int] = set()
        self._most_kept = min(self._policy.reservations, max(1, len(self._nodes) // _NODES_PER_KEPT))
        self._largest: list[int] | None = None
        self._timetable: Timetable | None = None
        self._clearing: Clearing | None = None

    def hopeless(self, shape: Shape) -> bool:
        """Whether the shape needs more of something than the emptiest node had free when last looked: no need to try."""
        if self._largest is None:
            return False
        need = self._nodes.vector(shape.requires).tolist()
        return any(amount > most for amount, most in zip(need, self._largest, strict=True))

    def block(self, entrant: Entrant, front: Front) -> None:
        """Take note that the front's foremost job cannot start, and keep or make room for it where the policy has it so.

        A shape that no node could hold even when empty blocks nobody.
        """
        shape = front.line.shape
        self._largest = self._ledger.free[:, self._nodes.ready()].max(axis=1, initial=0).tolist()
        where = filters.eligible(shape, self._nodes, self._policy)
        if not where.any():
            return
        if id(entrant) not in self._done or self._policy.preemption:
            kept = self._make_way(shape, front.foremost, where)
            if not kept or len(self.reservations) >= self._most_kept:
                self._done.add(id(entrant))

    def blocked(self, entrant: Entrant) -> bool:
        """Whether the project's oldest jobs have had their chance: as many places are kept as may be."""
        return id(entrant) in self._done

    def stopped(self, entrant: Entrant) -> bool:
        """Whether nobody may pass the blocked job."""
        return not self._policy.backfill and self.blocked(entrant)

    def why(self, shape: Shape, choice: Choice) -> str:
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

    def _make_way(self, shape: Shape, job_id: int, where: Mask) -> bool:
        """Keep or make room for a job; whether that was possible and allowed."""
        full = len(self.reservations) >= self._most_kept
        if full and not self._policy.preemption:
            return False
        ledger = self._ledger
        where = preemption.could_help(shape, ledger, where)
        if shape.apart is not None:
            where &= ~kept_apart(shape, ledger)
        if full and not self._could_seat(shape, where):
            return False
        if self._timetable is None:
            self._timetable = Timetable(ledger, self._running, self._now)
        ends = self._timetable.ends(where)
        need = self._nodes.vector(shape.requires)
        start = reservation.earliest(need, shape.count, where, ledger, ends)
        if self._policy.preemption and (start is None or start.at > self._now + _CLEARED_S):
            start = self._clear(shape, job_id, where) or start
        if start is None or (full and start.at > self._now + _CLEARED_S):
            return False
        self._keep(shape, job_id, start, ends)
        return True

    def _could_seat(self, shape: Shape, where: Mask) -> bool:
        """Whether room could be made for the job, or is being made already."""
        return self._clearer().could_seat(shape, where, stop=len(self.preemptions) < _MOST_PREEMPTIONS)

    def _clear(self, shape: Shape, job_id: int, where: Mask) -> Start | None:
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
        seats = preemption.cleared(found)
        return Start(self._now + _CLEARED_S, seats.rows, seats.counts)

    def _clearer(self) -> Clearing:
        if self._clearing is None:
            self._clearing = Clearing(self._ledger, self._running, self._now)
        return self._clearing

    def _keep(self, shape: Shape, job_id: int, start: Start, ends: Ends) -> None:
        reservation.keep(self._ledger, self._nodes.vector(shape.requires), start, ends)
        rows = np.repeat(start.rows, start.counts).tolist()
        node_ids = tuple(self._nodes.at(row).id for row in rows)
        self.reservations.append(Reservation(job_id, shape.id, node_ids, start.at, shape.requires))
