"""The heart: which waiting job goes to which node now.

Shapes contend by priority, then project share, then age and merit; a shape that fits nowhere is left whole. The plan
is made on a scratch book, so it may be thrown away; the same snapshot, time and chance give the same plan.
"""

import heapq
from collections.abc import Callable
from math import ceil, inf

import numpy as np

from scheduler.rules.cluster.plan import CarriedReservation, Placement, Plan, Refusal, Snapshot
from scheduler.rules.cluster.policy import Mode
from scheduler.rules.cluster.prediction import cautious_s
from scheduler.rules.cluster.queue import QueueGroup
from scheduler.rules.cluster.reasons import Reason
from scheduler.rules.cluster.shapes import Shape
from scheduler.rules.placement import assignment, filters, ordering, reservation_rights
from scheduler.rules.placement.assignment import AssignmentRequest
from scheduler.rules.placement.backfill import Backfill, ReserveResult
from scheduler.rules.placement.filters import Allowance
from scheduler.rules.placement.limits import PlanLimits
from scheduler.rules.placement.ordering import ByAge, ByArrival, ByMerit, ByNewest, GroupHead, Order, ProjectQueue
from scheduler.rules.placement.plan_state import PlanState
from scheduler.rules.placement.scoring import Assignment

GRAIN = 0.002
"""The fraction of the fleet that one turn gives to a shape, or by which one project may pass another.

Small, so that shapes of equal age are mixed as they came, for a good mix fills nodes better than one kind after the other; not
so small that large fleets would be filled job by job.
"""


def place(snapshot: Snapshot, now: float, chance: Callable[[], float], limit: int | None = None) -> Plan:
    """The plan for this moment, at most `limit` placements of jobs. `now` is epoch seconds; `chance` returns 0 to 1.

    Changes nothing that lasts. Jobs of one shape are placed in their order; the cost grows with the number of
    shapes and placements, not with the number of jobs that wait.
    """
    snapshot.queue.ripen(now)
    return _Planner(snapshot, now, chance, inf if limit is None else limit).plan()


class _Planner:
    """One plan in the making."""

    def __init__(self, snapshot: Snapshot, now: float, chance: Callable[[], float], limit: float) -> None:
        self._now, self._chance, self._left = now, chance, limit
        self._queue, self._policy, self._nodes = snapshot.queue, snapshot.policy, snapshot.nodes
        self._predictor = snapshot.predictor
        for line in snapshot.queue.standing.values():
            snapshot.nodes.vector(line.shape.requires)  # gives every resource its axis before arrays are copied
        self._ledger = PlanState(snapshot)
        self._blocking = Backfill(snapshot, self._ledger, now)
        self._limits = PlanLimits(snapshot, self._ledger, now)
        self._stopped = False
        self._placements: list[Placement] = []
        self._refusals: dict[int, Refusal] = {}
        self._newest = self._policy.mode is Mode.LIFO
        self._claims = () if self._newest else snapshot.claims
        self._order: Order = ByAge() if self._policy.weighing else ByArrival()
        if self._newest:
            self._order = ByNewest()

    def plan(self) -> Plan:
        """Run the contests, most urgent priority first."""
        blocking = self._blocking
        for entrants in ordering.contests(self._fronts(), self._ledger.standing):
            blocking.rights.begin(entrants)
            self._honour(entrants)
            while entrants:
                self._contend(entrants)
        return Plan(
            tuple(self._placements),
            self._refusals,
            tuple(blocking.reservations),
            tuple(blocking.preemptions),
            tuple(blocking.claims),
        )

    def _fronts(self) -> list[GroupHead]:
        """The lines that may place something at all, each at its foremost job."""
        open_lines = []
        for line in self._queue.standing.values():
            pause = filters.paused(line.shape, self._policy)
            if pause is None:
                open_lines.append(line)
            else:
                self._refuse(line.shape, pause)
        self._ledger.waiting = open_lines
        shares = self._ledger.shares([line.shape for line in open_lines]).tolist()
        return [self._front(line, share) for line, share in zip(open_lines, shares, strict=True)]

    def _front(self, line: QueueGroup, share: float) -> GroupHead:
        front = GroupHead(line, len(line.ids) if self._newest else line.head, self._expected(line.shape), share)
        self._look(front, self._order)
        return front

    def _expected(self, shape: Shape) -> float:
        if not self._policy.predict:
            return inf if shape.timeout_s is None else shape.timeout_s
        return self._predictor.expected_s(shape.project_id, shape.job_type_id, shape.timeout_s, shape.requires)

    def _honour(self, entrants: list[ProjectQueue]) -> None:
        """Before any project's turn: who has a claim of this priority starts, or has its room kept again."""
        places = {front.line.shape.id: (entrant, front) for entrant in entrants for front in entrant.fronts}
        for claim in self._claims:
            place = places.pop(claim.shape_id, None)
            if place is not None and reservation_rights.still_waits(self._queue, claim):
                self._redeem(*place, claim)
        entrants[:] = [entrant for entrant in entrants if entrant.fronts]
        for entrant in entrants:
            entrant.standing = self._ledger.standing(entrant.project_id)
        heapq.heapify(entrants)

    def _redeem(self, entrant: ProjectQueue, front: GroupHead, claim: CarriedReservation) -> None:
        """Make good a claim. It is the line's: were an older job to come into it, that one would go first."""
        if self._left < 1:
            self._blocking.claims.append(claim)  # its priority was not reached
            return
        due = self._now if self._allowed(front).jobs >= 1 else self._limits.hold(front.line.shape, self._now)
        if due is None:
            return
        more = False
        if due <= self._now and self._settle(front, [front.foremost]):
            self._skip(front, 1)
            front.served += 1 / front.line.live
            more = self._look(front, self._order)
        else:
            self._block(entrant, front, claim, due)
        if more:
            heapq.heapify(entrant.fronts)
        else:
            _withdraw(entrant, front)

    def _contend(self, entrants: list[ProjectQueue]) -> None:
        """One turn of the project that stands first."""
        entrant = entrants[0]
        front = entrant.fronts[0]
        if self._advance(entrant, front, self._turn(front, entrants)):
            heapq.heapreplace(entrant.fronts, front)
        else:
            _withdraw(entrant, front)
            if self._stopped:
                self._stop(entrants)
                return
        if entrant.fronts:
            entrant.standing = self._ledger.standing(entrant.project_id)
            heapq.heapreplace(entrants, entrant)
        else:
            heapq.heappop(entrants)

    def _turn(self, front: GroupHead, entrants: list[ProjectQueue]) -> int:
        """How many jobs the front may place before another shape or project is due."""
        if front.share <= 0:
            return front.line.live
        gap = GRAIN
        if len(entrants) > 1:
            weight = self._policy.weights.get(front.line.shape.project_id, 1.0)
            rival = min(entrant.standing for entrant in entrants[1:3])
            gap = min(gap, (rival - entrants[0].standing + GRAIN) * max(weight, 0.0))
        return max(1, ceil(gap / front.share))

    def _advance(self, entrant: ProjectQueue, front: GroupHead, most: int) -> bool:
        """Place the foremost jobs of a front, at most `most`; whether the front may go on."""
        shape = front.line.shape
        if self._left < 1:
            return self._refuse(shape, Reason.BEHIND)
        allowed = self._allowed(front)
        if allowed.jobs < 1:
            if (
                allowed.reason is not Reason.BEHIND
                and reservation_rights.rows_once_empty(shape, self._ledger, self._policy).any()
            ):
                self._limits.hold(shape, self._now)
            self._blocking.rights.leave(shape)
            return self._refuse(shape, allowed.reason or Reason.TYPE_LIMIT)
        if self._blocking.hopeless(shape):
            return self._block(entrant, front)
        jobs, cursor = self._foremost(entrant, front, int(min(most, allowed.jobs, self._left)))
        placed = self._settle(front, jobs)
        if placed < len(jobs):
            self._skip(front, placed)
            return self._block(entrant, front)
        front.cursor = cursor
        front.served += placed / front.line.live
        return self._look(front, self._order_of(front))

    def _allowed(self, front: GroupHead) -> Allowance:
        return self._limits.allowance(front.line.shape, self._ends_by(front))

    def _ends_by(self, front: GroupHead) -> float:
        return self._now + cautious_s(front.expected_s, front.line.shape.timeout_s)

    def _foremost(self, entrant: ProjectQueue, front: GroupHead, most: int) -> tuple[list[int], int]:
        """The next jobs of one step, in order, and the cursor behind them."""
        if front.line.special or front.line.shape.count > 1:
            most = 1
        if self._newest:
            next_best = max((rival.oldest for rival in entrant.fronts[1:3]), default=-inf)
            return self._queue.take_newest(front.line, front.cursor, most, next_best)
        until = self._order_of(front).until(front, self._now)
        jobs, cursor = self._queue.take(front.line, front.cursor, most, until)
        return (jobs, cursor) if jobs else self._queue.take(front.line, front.cursor, 1)

    def _settle(self, front: GroupHead, jobs: list[int]) -> int:
        """Give the jobs seats as far as there is room; how many got one (of a gang's job: 1 or 0)."""
        shape = front.line.shape
        ends_by = self._ends_by(front)
        avoid = self._queue.avoided(jobs[0])
        seeker = AssignmentRequest(shape, self._nodes.vector(shape.requires), ends_by, avoid, self._chance())
        placed = 0
        while placed < len(jobs):
            wanted = (len(jobs) - placed) * shape.count
            choice = assignment.assign(seeker, self._ledger, self._policy, wanted)
            some = int(choice.counts.sum()) // shape.count
            if not some:
                break
            self._ledger.take(shape, choice.rows, choice.counts, self._now + front.expected_s, ends_by)
            self._record(front, jobs[placed : placed + some], choice)
            placed += some
        self._left -= placed
        self._limits.take(shape, placed, self._now + front.expected_s, ends_by)
        return placed

    def _record(self, front: GroupHead, jobs: list[int], choice: Assignment) -> None:
        shape, attempt = front.line.shape, self._queue.attempt
        why = self._blocking.why(shape, choice)
        ids = [self._nodes.at(row).id for row in choice.rows.tolist()]
        seats = iter(np.repeat(np.array(ids, dtype=np.int64), choice.counts).tolist())
        for job_id in jobs:
            for member in range(shape.count):
                self._placements.append(
                    Placement(job_id, attempt(job_id), shape.id, next(seats), why, front.expected_s, member)
                )

    def _skip(self, front: GroupHead, placed: int) -> None:
        """Move the front behind the jobs that were placed, so that it stands at the first that was not."""
        if not placed:
            return
        take = self._queue.take_newest if self._newest else self._queue.take
        _, front.cursor = take(front.line, front.cursor, placed)

    def _block(
        self, entrant: ProjectQueue, front: GroupHead, claim: CarriedReservation | None = None, due: float = 0.0
    ) -> bool:
        """Leave the front for this plan: nothing of its shape fits. Its oldest job may get room kept, from `due` on."""
        shape, blocking = front.line.shape, self._blocking
        if claim is not None or not front.by_merit or self._policy.preemption:
            self._look(front, self._order)
            fate = blocking.block(front, claim, due)
            if fate is not ReserveResult.NEVER:
                self._stopped = self._stopped or not self._policy.backfill
                self._reorder(entrant)
            if fate is ReserveResult.KEPT:
                self._limits.hold(shape, blocking.reservations[-1].start)
        return self._refuse(shape, Reason.NO_ROOM if shape.count == 1 else Reason.GANG)

    def _reorder(self, entrant: ProjectQueue) -> None:
        """Where as many places are kept as may be, the project's oldest jobs have had their chance: the others go by merit."""
        done = [front for front in entrant.fronts if not front.by_merit and self._blocking.full(front.line.shape)]
        for front in done:
            front.by_merit = True
            front.step = self._order_of(front).step(front, self._now)
        if done:
            heapq.heapify(entrant.fronts)

    def _stop(self, entrants: list[ProjectQueue]) -> None:
        """Without backfill nobody passes a job that cannot start."""
        for entrant in entrants:
            for front in entrant.fronts:
                self._refuse(front.line.shape, Reason.BEHIND)
        entrants.clear()
        self._left = 0
        self._stopped = False

    def _order_of(self, front: GroupHead) -> Order:
        return ByMerit() if front.by_merit and self._policy.weighing and not self._newest else self._order

    def _look(self, front: GroupHead, order: Order) -> bool:
        """Let the front stand by its foremost job; false when none is left."""
        if not ordering.advance(self._queue, front, newest=self._newest):
            self._blocking.rights.leave(front.line.shape)
            return False
        front.step = order.step(front, self._now)
        return True

    def _refuse(self, shape: Shape, reason: Reason) -> bool:
        counts = filters.refusal_counts(shape, self._nodes, self._policy)
        self._refusals[shape.id] = Refusal(shape.id, reason, counts)
        return False


def _withdraw(entrant: ProjectQueue, front: GroupHead) -> None:
    """Let a front contend no more, wherever in the heap it stands."""
    if entrant.fronts[0] is front:
        heapq.heappop(entrant.fronts)
    else:
        entrant.fronts.remove(front)
        heapq.heapify(entrant.fronts)
