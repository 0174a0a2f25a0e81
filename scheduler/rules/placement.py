"""The heart: which waiting job goes to which node now.

Shapes contend by priority, then project share, then age; a shape that fits nowhere is left whole. The plan is
made on a scratch book, so it may be thrown away; the same snapshot, time and chance give the same plan.
"""

import heapq
from collections.abc import Callable
from math import ceil, inf

import numpy as np

from scheduler.rules import filters, ordering, scoring
from scheduler.rules.filters import Reason
from scheduler.rules.ledger import Ledger
from scheduler.rules.ordering import Entrant, Front
from scheduler.rules.plan import Placement, Plan, Refusal, Snapshot
from scheduler.rules.policy import Mode
from scheduler.rules.shapes import Shape

SHARE_GRAIN = 0.002
"""How far, as a fraction of the fleet, one project may pass another before the turn changes."""


def place(snapshot: Snapshot, now: float, chance: Callable[[], float], limit: int | None = None) -> Plan:
    """The plan for this moment, at most `limit` placements of jobs. `now` is epoch seconds; `chance` returns 0 to 1.

    Changes nothing that lasts. Jobs of one shape are placed in their order; the cost grows with the number of
    shapes and placements, not with the number of jobs that wait.
    """
    snapshot.queue.ripen(now)
    return _Draft(snapshot, now, chance, inf if limit is None else limit).plan()


class _Draft:
    """One plan in the making."""

    def __init__(self, snapshot: Snapshot, now: float, chance: Callable[[], float], limit: float) -> None:
        self._snapshot, self._now, self._chance, self._left = snapshot, now, chance, limit
        self._queue, self._policy, self._nodes = snapshot.queue, snapshot.policy, snapshot.nodes
        self._ledger = Ledger(snapshot)
        self._scale = self._ledger.scale
        self._placements: list[Placement] = []
        self._refusals: dict[int, Refusal] = {}

    def plan(self) -> Plan:
        """Run the contests, most urgent priority first."""
        for entrants in ordering.contests(self._fronts(), self._ledger.standing):
            self._contend(entrants)
        return Plan(tuple(self._placements), self._refusals)

    def _fronts(self) -> list[Front]:
        """The lines that may place something at all, each at its foremost job."""
        fronts = []
        for line in self._queue.lines.values():
            if not line.live:
                continue
            pause = filters.paused(line.shape, self._policy)
            if pause is not None:
                self._refuse(line.shape, pause)
                continue
            newest = self._policy.mode is Mode.LIFO
            front = Front(line, len(line.ids) if newest else line.head, self._expected(line.shape))
            self._step(front)
            fronts.append(front)
        return fronts

    def _contend(self, entrants: list[Entrant]) -> None:
        """Let the projects of one priority take turns until nothing of theirs fits."""
        heapq.heapify(entrants)
        while entrants:
            entrant = entrants[0]
            front = entrant.fronts[0]
            if self._left < 1:
                self._refuse(front.line.shape, Reason.BEHIND)
                more = False
            else:
                more = self._advance(front, self._turn(front, entrants))
            if more:
                heapq.heapreplace(entrant.fronts, front)
            else:
                heapq.heappop(entrant.fronts)
            if entrant.fronts:
                entrant.standing = self._ledger.standing(entrant.project_id)
                heapq.heapreplace(entrants, entrant)
            else:
                heapq.heappop(entrants)

    def _turn(self, front: Front, entrants: list[Entrant]) -> int:
        """How many jobs the front may place before another project is due."""
        shape = front.line.shape
        if len(entrants) < 2:  # noqa: PLR2004 - nobody to take turns with
            return front.line.live
        rival = min(entrant.standing for entrant in entrants[1:3])
        gap = rival - entrants[0].standing + SHARE_GRAIN
        each = shape.requires.times(shape.count).dominant_share(self._ledger.fleet)
        weight = self._policy.weights.get(shape.project_id, 1.0)
        return max(1, min(front.line.live, ceil(gap * weight / each))) if each else front.line.live

    def _advance(self, front: Front, most: int) -> bool:
        """Place the foremost jobs of a front, at most `most`; whether the front may go on."""
        shape = front.line.shape
        allowed = self._ledger.allowance(shape)
        if allowed.jobs < 1:
            assert allowed.reason is not None
            self._refuse(shape, allowed.reason)
            return False
        jobs, cursor = self._foremost(front, int(min(most, allowed.jobs, self._left)))
        if not jobs:
            return False
        placed = self._settle(front, jobs)
        if placed < len(jobs):
            self._refuse(shape, Reason.NO_ROOM if shape.count == 1 else Reason.GANG)
            return False
        front.cursor = cursor
        return self._step(front)

    def _foremost(self, front: Front, most: int) -> tuple[list[int], int]:
        """The next jobs of one age step, in order, and the cursor behind them."""
        if self._policy.mode is Mode.LIFO:
            return self._queue.take_newest(front.line, front.cursor, most)
        if front.line.special or front.line.shape.count > 1:
            most = 1
        until = ordering.step_ends(self._now, int(front.step))
        return self._queue.take(front.line, front.cursor, most, until)

    def _settle(self, front: Front, jobs: list[int]) -> int:
        """Give the jobs nodes as far as there is room; how many got one (of a gang's job: 1 or 0)."""
        shape = front.line.shape
        need = self._nodes.vector(shape.requires)
        fits = filters.eligible(shape, self._nodes, self._policy) & filters.holds(need, self._ledger.free)
        turn = int(self._chance() * self._nodes.capacity.shape[1])
        wanted = len(jobs) * shape.count
        choice = scoring.pack(need, self._ledger.free, fits, self._scale, wanted, turn)
        placed = int(choice.counts.sum()) // shape.count
        if not placed:
            return 0
        self._ledger.take(shape, choice.rows, choice.counts, placed)
        members = np.repeat(choice.rows, choice.counts).tolist()
        self._record(front, jobs[:placed], members)
        self._left -= placed
        return placed

    def _record(self, front: Front, jobs: list[int], rows: list[int]) -> None:
        shape, at, attempt = front.line.shape, self._nodes.at, self._queue.attempt
        ids = {row: at(row).id for row in set(rows)}
        for number, job_id in enumerate(jobs):
            for member in range(shape.count):
                node_id = ids[rows[number * shape.count + member]]
                self._placements.append(
                    Placement(
                        job_id, attempt(job_id), shape.id, node_id, "best fit", front.expected_s, member
                    )
                )

    def _refuse(self, shape: Shape, reason: Reason) -> None:
        nodes = filters.refusals(shape, self._nodes, self._policy)
        counts = {each: int(mark.sum()) for each, mark in nodes.items()}
        self._refusals[shape.id] = Refusal(shape.id, reason, counts)

    def _expected(self, shape: Shape) -> float:
        return self._snapshot.predictor.expected_s(shape.project_id, shape.job_type_id, shape.timeout_s)

    def _step(self, front: Front) -> bool:
        """Move the front's standing to its foremost job; false when none is left."""
        if self._policy.mode is Mode.LIFO:
            jobs, _ = self._queue.take_newest(front.line, front.cursor, 1)
            front.step = -self._queue[jobs[0]].queued_at if jobs else inf
        else:
            jobs, _ = self._queue.take(front.line, front.cursor, 1)
            front.step = ordering.age_step(self._now, self._queue[jobs[0]].queued_at) if jobs else inf
        return bool(jobs)
