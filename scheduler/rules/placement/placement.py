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
from scheduler.rules.placement.ordering import ByAge, ByArrival, ByMerit, ByNewest, GroupHead, Ordering, ProjectQueue
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
    snapshot.queue.release_due(now)
    return _Planner(snapshot, now, chance, inf if limit is None else limit).plan()


class _Planner:
    """One plan in the making."""

    def __init__(self, snapshot: Snapshot, now: float, chance: Callable[[], float], limit: float) -> None:
        self._now, self._chance, self._placements_left = now, chance, limit
        self._queue, self._policy, self._nodes = snapshot.queue, snapshot.policy, snapshot.nodes
        self._predictor = snapshot.predictor
        for group in snapshot.queue.ready_groups.values():
            snapshot.nodes.vector(group.shape.requires)  # gives every resource its axis before arrays are copied
        self._state = PlanState(snapshot)
        self._backfill = Backfill(snapshot, self._state, now)
        self._limits = PlanLimits(snapshot, self._state, now)
        self._stopped = False
        self._placements: list[Placement] = []
        self._refusals: dict[int, Refusal] = {}
        self._newest = self._policy.mode is Mode.LIFO
        self._carried = () if self._newest else snapshot.carried
        self._order: Ordering = ByAge() if self._policy.weighing else ByArrival()
        if self._newest:
            self._order = ByNewest()

    def plan(self) -> Plan:
        """Run the contests, most urgent priority first."""
        backfill = self._backfill
        for contest in ordering.contests(self._heads(), self._state.standing):
            backfill.rights.begin_contest(contest)
            self._serve_carried(contest)
            while contest:
                self._take_turn(contest)
        return Plan(
            tuple(self._placements),
            self._refusals,
            tuple(backfill.reservations),
            tuple(backfill.preemptions),
            tuple(backfill.carried),
        )

    def _heads(self) -> list[GroupHead]:
        """The lines that may place something at all, each at its foremost job."""
        open_groups = []
        for group in self._queue.ready_groups.values():
            pause = filters.paused(group.shape, self._policy)
            if pause is None:
                open_groups.append(group)
            else:
                self._refuse(group.shape, pause)
        self._state.waiting = open_groups
        shares = self._state.shares([group.shape for group in open_groups]).tolist()
        return [self._head_of(group, share) for group, share in zip(open_groups, shares, strict=True)]

    def _head_of(self, group: QueueGroup, share: float) -> GroupHead:
        head = GroupHead(group, len(group.ids) if self._newest else group.first, self._expected(group.shape), share)
        self._move_to_first(head, self._order)
        return head

    def _expected(self, shape: Shape) -> float:
        if not self._policy.predict:
            return inf if shape.timeout_s is None else shape.timeout_s
        return self._predictor.expected_s(shape.project_id, shape.job_type_id, shape.timeout_s, shape.requires)

    def _serve_carried(self, contest: list[ProjectQueue]) -> None:
        """Before any project's turn: who has a claim of this priority starts, or has its room kept again."""
        by_shape = {head.group.shape.id: (project, head) for project in contest for head in project.heads}
        for carried in self._carried:
            place = by_shape.pop(carried.shape_id, None)
            if place is not None and reservation_rights.still_waits(self._queue, carried):
                self._serve_reservation(*place, carried)
        contest[:] = [project for project in contest if project.heads]
        for project in contest:
            project.standing = self._state.standing(project.project_id)
        heapq.heapify(contest)

    def _serve_reservation(self, project: ProjectQueue, head: GroupHead, carried: CarriedReservation) -> None:
        """Make good a claim. It is the line's: were an older job to come into it, that one would go first."""
        if self._placements_left < 1:
            self._backfill.carried.append(carried)  # its priority was not reached
            return
        due = self._now if self._allowed(head).jobs >= 1 else self._limits.hold_back(head.group.shape, self._now)
        if due is None:
            return
        more = False
        if due <= self._now and self._settle(head, [head.job_id]):
            self._move_past(head, 1)
            head.served += 1 / head.group.live
            more = self._move_to_first(head, self._order)
        else:
            self._reserve(project, head, carried, due)
        if more:
            heapq.heapify(project.heads)
        else:
            _drop_head(project, head)

    def _take_turn(self, contest: list[ProjectQueue]) -> None:
        """One turn of the project that stands first."""
        project = contest[0]
        head = project.heads[0]
        if self._place_turn(project, head, self._turn_size(head, contest)):
            heapq.heapreplace(project.heads, head)
        else:
            _drop_head(project, head)
            if self._stopped:
                self._end_contest(contest)
                return
        if project.heads:
            project.standing = self._state.standing(project.project_id)
            heapq.heapreplace(contest, project)
        else:
            heapq.heappop(contest)

    def _turn_size(self, head: GroupHead, contest: list[ProjectQueue]) -> int:
        """How many jobs the front may place before another shape or project is due."""
        if head.share <= 0:
            return head.group.live
        gap = GRAIN
        if len(contest) > 1:
            weight = self._policy.weights.get(head.group.shape.project_id, 1.0)
            rival = min(project.standing for project in contest[1:3])
            gap = min(gap, (rival - contest[0].standing + GRAIN) * max(weight, 0.0))
        return max(1, ceil(gap / head.share))

    def _place_turn(self, project: ProjectQueue, head: GroupHead, most: int) -> bool:
        """Place the foremost jobs of a front, at most `most`; whether the front may go on."""
        shape = head.group.shape
        if self._placements_left < 1:
            return self._refuse(shape, Reason.BEHIND)
        allowed = self._allowed(head)
        if allowed.jobs < 1:
            if (
                allowed.reason is not Reason.BEHIND
                and reservation_rights.rows_once_empty(shape, self._state, self._policy).any()
            ):
                self._limits.hold_back(shape, self._now)
            self._backfill.rights.remove(shape)
            return self._refuse(shape, allowed.reason or Reason.TYPE_LIMIT)
        if self._backfill.exceeds_largest_free(shape):
            return self._reserve(project, head)
        jobs, cursor = self._next_jobs(project, head, int(min(most, allowed.jobs, self._placements_left)))
        placed = self._settle(head, jobs)
        if placed < len(jobs):
            self._move_past(head, placed)
            return self._reserve(project, head)
        head.cursor = cursor
        head.served += placed / head.group.live
        return self._move_to_first(head, self._order_for(head))

    def _allowed(self, head: GroupHead) -> Allowance:
        return self._limits.allowance(head.group.shape, self._ends_by(head))

    def _ends_by(self, head: GroupHead) -> float:
        return self._now + cautious_s(head.expected_s, head.group.shape.timeout_s)

    def _next_jobs(self, project: ProjectQueue, head: GroupHead, most: int) -> tuple[list[int], int]:
        """The next jobs of one step, in order, and the cursor behind them."""
        if head.group.avoiding or head.group.shape.count > 1:
            most = 1
        if self._newest:
            next_best = max((rival.queued_at for rival in project.heads[1:3]), default=-inf)
            return self._queue.list_newest(head.group, head.cursor, most, next_best)
        until = self._order_for(head).until(head, self._now)
        jobs, cursor = self._queue.list_oldest(head.group, head.cursor, most, until)
        return (jobs, cursor) if jobs else self._queue.list_oldest(head.group, head.cursor, 1)

    def _settle(self, head: GroupHead, jobs: list[int]) -> int:
        """Give the jobs seats as far as there is room; how many got one (of a gang's job: 1 or 0)."""
        shape = head.group.shape
        ends_by = self._ends_by(head)
        avoid = self._queue.avoided(jobs[0])
        request = AssignmentRequest(shape, self._nodes.vector(shape.requires), ends_by, avoid, self._chance())
        placed = 0
        while placed < len(jobs):
            wanted = (len(jobs) - placed) * shape.count
            choice = assignment.assign(request, self._state, self._policy, wanted)
            some = int(choice.counts.sum()) // shape.count
            if not some:
                break
            self._state.add_placements(shape, choice.rows, choice.counts, self._now + head.expected_s, ends_by)
            self._record(head, jobs[placed : placed + some], choice)
            placed += some
        self._placements_left -= placed
        self._limits.add_placements(shape, placed, self._now + head.expected_s, ends_by)
        return placed

    def _record(self, head: GroupHead, jobs: list[int], choice: Assignment) -> None:
        shape, attempt = head.group.shape, self._queue.attempt
        why = self._backfill.explain_choice(shape, choice)
        ids = [self._nodes.at(row).id for row in choice.rows.tolist()]
        seats = iter(np.repeat(np.array(ids, dtype=np.int64), choice.counts).tolist())
        for job_id in jobs:
            for member in range(shape.count):
                self._placements.append(
                    Placement(job_id, attempt(job_id), shape.id, next(seats), why, head.expected_s, member)
                )

    def _move_past(self, head: GroupHead, placed: int) -> None:
        """Move the front behind the jobs that were placed, so that it stands at the first that was not."""
        if not placed:
            return
        take = self._queue.list_newest if self._newest else self._queue.list_oldest
        _, head.cursor = take(head.group, head.cursor, placed)

    def _reserve(
        self, project: ProjectQueue, head: GroupHead, carried: CarriedReservation | None = None, due: float = 0.0
    ) -> bool:
        """Leave the front for this plan: nothing of its shape fits. Its oldest job may get room kept, from `due` on."""
        shape, backfill = head.group.shape, self._backfill
        if carried is not None or not head.by_merit or self._policy.preemption:
            self._move_to_first(head, self._order)
            result = backfill.reserve(head, carried, due)
            if result is not ReserveResult.NEVER:
                self._stopped = self._stopped or not self._policy.backfill
                self._reorder(project)
            if result is ReserveResult.RESERVED:
                self._limits.hold_back(shape, backfill.reservations[-1].start)
        return self._refuse(shape, Reason.NO_ROOM if shape.count == 1 else Reason.GANG)

    def _reorder(self, project: ProjectQueue) -> None:
        """Where as many places are kept as may be, the project's oldest jobs have had their chance: the others go by merit."""
        done = [head for head in project.heads if not head.by_merit and self._backfill.limit_reached(head.group.shape)]
        for head in done:
            head.by_merit = True
            head.step = self._order_for(head).step(head, self._now)
        if done:
            heapq.heapify(project.heads)

    def _end_contest(self, contest: list[ProjectQueue]) -> None:
        """Without backfill nobody passes a job that cannot start."""
        for project in contest:
            for head in project.heads:
                self._refuse(head.group.shape, Reason.BEHIND)
        contest.clear()
        self._placements_left = 0
        self._stopped = False

    def _order_for(self, head: GroupHead) -> Ordering:
        return ByMerit() if head.by_merit and self._policy.weighing and not self._newest else self._order

    def _move_to_first(self, head: GroupHead, order: Ordering) -> bool:
        """Let the front stand by its foremost job; false when none is left."""
        if not ordering.advance(self._queue, head, newest=self._newest):
            self._backfill.rights.remove(head.group.shape)
            return False
        head.step = order.step(head, self._now)
        return True

    def _refuse(self, shape: Shape, reason: Reason) -> bool:
        counts = filters.refusal_counts(shape, self._nodes, self._policy)
        self._refusals[shape.id] = Refusal(shape.id, reason, counts)
        return False


def _drop_head(project: ProjectQueue, head: GroupHead) -> None:
    """Let a front contend no more, wherever in the heap it stands."""
    if project.heads[0] is head:
        heapq.heappop(project.heads)
    else:
        project.heads.remove(head)
        heapq.heapify(project.heads)
