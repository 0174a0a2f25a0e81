"""Placement decides which waiting job goes to which node now. This file runs the decision step by step.

How one plan is made
====================

The input is a *snapshot*: the nodes, the queue, the executions that run, and the policy that operators set. The
output is a *plan*: placements, reservations, preemptions, and a refusal for every group of jobs that stays. Jobs that
ask for the same form one *queue group*, so a plan costs time for each group and for each placement, but not for each
waiting job.

    snapshot ─▶ contest ─▶ turn ─▶ settle ─▶ placements ───▶ plan
                one for     ▲        │ no room                 ▲
                each        │        ▼                         │
                priority    │     reserve ─▶ reservations ─────┘
                            │        │       and preemptions
                            └────────┘
                  backfill: the next turns use what the reservations leave over

1. **Contest** (`ordering.contests`). All jobs of one priority contend with each other, and the most urgent priority
   is served first. Each project has one queue in the contest. The project with the lowest standing (`fairshare`: its
   share, less what it is owed) is first, and within it the group whose first job's turn comes first. Reservations
   that the last plan has left are served before any project has its turn (`reservation_rights`).
2. **Turn** (`_take_turn`). The first project places jobs of its first group until it has received `GRAIN` of the
   fleet, or until another project or group is first. Quotas and type limits say how many jobs may start (`limits`).
3. **Settle** (`_settle`). `assignment` chooses nodes: `filters` removes nodes that cannot run the job, `scoring` and
   `fragmentation` rank the rest. `plan_state` counts the placement, so that later turns see what is left.
4. **Reserve** (`backfill.reserve`). No node has room. If the policy allows it, `preemption` stops less urgent jobs.
   Otherwise `reservation` computes the earliest start from the time limits of what runs, and the job's nodes are
   reserved from then on: that start is *promised*. `reservation_limit` bounds how many jobs may have a reservation. The
   group then leaves this plan.
5. **Backfill**. The contest goes on. A job may use a node with a reservation if a cautious guess says that it ends
   before the reserved start, or if it needs only what the reserved job leaves over. The nearer the promised start, the
   nearer that guess is to the job's time limit; once it has passed, the limit itself must end before. Jobs that may have no reservation are now ordered by merit (`ordering.MeritOrdering`).

The scheme is conservative backfilling for a bounded number of jobs: between EASY, which reserves for the first job
only (Lifka 1995), and full conservative backfilling, which reserves for all (Mu'alem and Feitelson, IEEE TPDS 12(6),
2001).

What is guaranteed
------------------

* The same snapshot, time and chance give the same plan, and nothing of the snapshot changes that a later plan could
  notice.
* No node gets more than it has free, and no project or job type passes its limits.
* A gang is placed whole or not at all; a job is placed at most once.
* A less urgent job gets only room that no more urgent job can use now, and it delays the reservation of none.
* A backfilled job delays no reservation as long as it does not outlive its cautious guess (one run in four does). Wrong
  predictions of what runs delay none: promises are made from time limits.

An example
----------

Node 1 and node 2 have 4 cpus each. On node 1 a job holds 3 cpus for another 60 s; on node 2 one holds 4 cpus for
another 600 s. Three jobs of one project wait, with equal priority:

    job   cpus   time limit   waited
    S        1         40 s    100 s   turn 1: node 1 has 1 cpu free: placed there
    L        4        600 s    300 s   turn 2: no node has 4 cpus free; node 1 will in 60 s: reserved from then on
    M        1       7200 s     10 s   turn 3: on node 1 it would run on after 60 s, when L needs all cpus: refused

`tests/unit/test_placement_example.py` runs this example.
"""

import heapq
from collections.abc import Callable
from math import ceil, inf

import numpy as np

from scheduler.identifiers import Attempt, JobId, NodeId
from scheduler.rules.cluster.plan import CarriedReservation, Placement, Plan, Refusal, Snapshot
from scheduler.rules.cluster.policy import Mode
from scheduler.rules.cluster.reasons import Reason
from scheduler.rules.cluster.shapes import Shape
from scheduler.rules.placement import assignment, filters, ordering, reservation_rights
from scheduler.rules.placement.assignment import AssignmentRequest
from scheduler.rules.placement.backfill import Backfill, ReserveResult
from scheduler.rules.placement.filters import LimitAllowance
from scheduler.rules.placement.limits import PlanLimits
from scheduler.rules.placement.ordering import GroupHead, GroupHeads, Ordering, ProjectQueue
from scheduler.rules.placement.plan_state import PlanState
from scheduler.rules.placement.run_ahead.ahead import AheadPlan
from scheduler.rules.placement.scoring import Assignment

GRAIN = 0.002
"""The fraction of the fleet that one turn gives to a queue group, or by which one project may pass another.

It is small, so that groups of equal age are mixed as they came: a mix fills nodes better than one kind of job after
the other. It is not so small that large fleets would be filled job by job.
"""


def place(snapshot: Snapshot, now: float, chance: Callable[[], float], limit: int | None = None) -> Plan:
    """Return the plan for this moment, with at most `limit` placements of jobs.

    `now` is in epoch seconds; `chance` returns a number from 0 to 1. Nothing changes that lasts, so a plan may be
    thrown away. Jobs of one shape are placed in their order.
    """
    snapshot.queue.release_due(now)
    return _Planner(snapshot, now, chance, inf if limit is None else limit).plan()


class _Planner:
    """Makes one plan. It runs the contests, and leaves to `GroupHeads` which job of a queue group is next."""

    def __init__(self, snapshot: Snapshot, now: float, chance: Callable[[], float], limit: float) -> None:
        self._now, self._chance, self._placements_left = now, chance, limit
        self._queue, self._policy, self._nodes = snapshot.queue, snapshot.policy, snapshot.nodes
        for group in snapshot.queue.ready_groups.values():
            snapshot.nodes.vector(group.shape.requires)  # gives every resource its axis before arrays are copied
        self._state = PlanState(snapshot)
        self._backfill = Backfill(snapshot, self._state, now)
        self._limits = PlanLimits(snapshot, self._state, now)
        self._heads = GroupHeads(snapshot, now)
        self._ahead = AheadPlan(snapshot, self._state, now)
        self._carried = () if self._policy.mode is Mode.LIFO else snapshot.carried
        self._stopped = False
        self._placements: list[Placement] = []
        self._refusals: dict[int, Refusal] = {}

    def plan(self) -> Plan:
        """Run the contests, most urgent priority first."""
        backfill = self._backfill
        for contest in ordering.contests(self._open_heads(), self._state.standing):
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
            self._ahead.recalls(),
        )

    def _open_heads(self) -> list[GroupHead]:
        """Return the groups that no pause holds back, each at its first job; refuse the others."""
        open_groups = []
        for group in self._queue.ready_groups.values():
            pause = filters.paused(group.shape, self._policy)
            if pause is None:
                open_groups.append(group)
            else:
                self._refuse(group.shape, pause)
        self._state.waiting = open_groups
        shares = self._state.shares([group.shape for group in open_groups]).tolist()
        return [self._heads.head_of(group, share) for group, share in zip(open_groups, shares, strict=True)]

    def _serve_carried(self, contest: list[ProjectQueue]) -> None:
        """Start the jobs with a carried reservation, before any project has its turn, or reserve for them again."""
        by_shape = {head.group.shape.id: (project, head) for project in contest for head in project.heads}
        for carried in self._carried:
            entry = by_shape.pop(carried.shape_id, None)
            if entry is not None and reservation_rights.still_waits(self._queue, carried):
                self._serve_reservation(*entry, carried)
        contest[:] = [project for project in contest if project.heads]
        for project in contest:
            project.standing = self._state.standing(project.project_id)
        heapq.heapify(contest)

    def _serve_reservation(self, project: ProjectQueue, head: GroupHead, carried: CarriedReservation) -> None:
        """Start the first job of a group that has a carried reservation, or reserve for it again.

        The reservation belongs to the group: if an older job has joined it meanwhile, that job goes first.
        """
        if self._placements_left < 1:
            self._backfill.carried.append(carried)  # its priority was not reached
            return
        if self._ahead.brief_s(head.group.shape) < inf and self._ahead.may_have_room(head.group.shape):
            return  # it needs no reservation any more: its turn comes in the contest
        due = self._now if self._allowed(head).jobs >= 1 else self._limits.hold_back(head.group.shape, self._now)
        if due is None:
            return
        more = False
        if due <= self._now and self._settle(head, [head.job_id]):
            self._heads.move_past(head, 1)
            head.served += 1 / head.group.live
            more = self._move_to_first(head, self._heads.by_turn)
        else:
            self._reserve(project, head, carried, due)
        if more:
            heapq.heapify(project.heads)
        else:
            ordering.drop_head(project, head)

    def _take_turn(self, contest: list[ProjectQueue]) -> None:
        """Give the project with the lowest standing one turn."""
        project = contest[0]
        head = project.heads[0]
        if self._place_turn(project, head, self._turn_size(head, contest)):
            heapq.heapreplace(project.heads, head)
        else:
            ordering.drop_head(project, head)
            if self._stopped:
                self._end_contest(contest)
                return
        if project.heads:
            project.standing = self._state.standing(project.project_id)
            heapq.heapreplace(contest, project)
        else:
            heapq.heappop(contest)

    def _turn_size(self, head: GroupHead, contest: list[ProjectQueue]) -> int:
        """Return how many jobs the group may place before another group or project is due."""
        if head.share <= 0:
            return head.group.live
        gap = GRAIN
        if len(contest) > 1:
            weight = self._policy.weights.get(head.group.shape.project_id, 1.0)
            rival = min(project.standing for project in contest[1:3])
            gap = min(gap, (rival - contest[0].standing + GRAIN) * max(weight, 0.0))
        return max(1, ceil(gap / head.share))

    def _place_turn(self, project: ProjectQueue, head: GroupHead, most: int) -> bool:
        """Place the next jobs of a group, at most `most`; return whether the group stays in the contest."""
        shape = head.group.shape
        if self._placements_left < 1:
            return self._refuse(shape, Reason.BEHIND)
        allowed = self._allowed(head)
        if allowed.jobs < 1:
            return self._refuse_by_limit(shape, allowed)
        if self._backfill.exceeds_largest_free(shape):
            return self._wait(project, head, most)
        jobs, cursor = self._heads.next_jobs(project, head, int(min(most, allowed.jobs, self._placements_left)))
        placed = self._settle(head, jobs)
        if placed < len(jobs):
            self._heads.move_past(head, placed)
            return self._wait(project, head, most)
        head.cursor = cursor
        head.served += placed / head.group.live
        return self._move_to_first(head, self._heads.ordering_of(head))

    def _wait(self, project: ProjectQueue, head: GroupHead, most: int) -> bool:
        """No job of the group finds room: short ones wait on nodes ahead of it, others get a reservation or stay."""
        shape = head.group.shape
        brief_s = self._ahead.brief_s(shape)
        if brief_s == inf:
            return self._reserve(project, head)
        part = self._ahead.part(brief_s)
        most = int(min(ceil(most / part), self._allowed(head).jobs, self._placements_left))
        jobs, cursor = self._heads.next_jobs(project, head, most) if most > 0 else ([], head.cursor)
        placed = self._go_ahead(head, jobs, brief_s) if jobs else 0
        if not placed and not self._ahead.has_any(shape):
            return self._reserve(project, head)
        head.served += placed / max(head.group.live, 1)
        if placed < len(jobs) or not jobs:
            self._heads.move_past(head, placed)
            return self._refuse(shape, Reason.NO_ROOM)  # those before it have the room that comes, and it is next
        head.cursor = cursor
        return self._move_to_first(head, self._heads.ordering_of(head))

    def _go_ahead(self, head: GroupHead, jobs: list[int], brief_s: float) -> int:
        """Put jobs on nodes ahead of room, in order, as far as there is time for them; return how many."""
        shape, ends = head.group.shape, self._heads.ends(head)
        assigned = self._ahead.assign(shape, brief_s, self._queue.avoided(jobs[0]), len(jobs))
        placed = int(assigned.counts.sum())
        if placed:
            self._ahead.add(shape, brief_s, assigned)
            self._state.add_placements(shape, assigned.rows, assigned.counts, ends, self._ahead.part(brief_s))
            self._record(head, jobs[:placed], assigned, f"next there: jobs like it take about {brief_s:.2g} s")
            self._placements_left -= placed
            self._limits.add_placements(shape, placed, ends)
        return placed

    def _refuse_by_limit(self, shape: Shape, allowed: LimitAllowance) -> bool:
        """Refuse a group that a limit stops, and hold back under that limit what its next job needs."""
        own_limit = allowed.reason is not Reason.BEHIND
        if own_limit and reservation_rights.rows_once_empty(shape, self._state, self._policy).any():
            self._limits.hold_back(shape, self._now)
        self._backfill.rights.remove(shape)
        return self._refuse(shape, allowed.reason or Reason.TYPE_LIMIT)

    def _allowed(self, head: GroupHead) -> LimitAllowance:
        return self._limits.allowance(head.group.shape, self._heads.ends(head))

    def _settle(self, head: GroupHead, jobs: list[int]) -> int:
        """Assign nodes to the jobs, in order, as far as there is room; return how many were placed (a gang: 1 or 0)."""
        shape = head.group.shape
        ends = self._heads.ends(head)
        avoid = self._queue.avoided(jobs[0])
        request = AssignmentRequest(shape, self._nodes.vector(shape.requires), ends, avoid, self._chance())
        placed = 0
        while placed < len(jobs):
            wanted = (len(jobs) - placed) * shape.count
            assigned = assignment.assign(request, self._state, self._policy, wanted)
            more = int(assigned.counts.sum()) // shape.count
            if not more:
                break
            self._state.add_placements(shape, assigned.rows, assigned.counts, ends)
            self._ahead.occupy(shape, assigned)
            self._record(head, jobs[placed : placed + more], assigned)
            placed += more
        self._placements_left -= placed
        self._limits.add_placements(shape, placed, ends)
        return placed

    def _record(self, head: GroupHead, jobs: list[int], assigned: Assignment, why_ahead: str | None = None) -> None:
        """Add a placement for every member of the jobs to the plan."""
        shape, attempt = head.group.shape, self._queue.attempt
        why = why_ahead or self._backfill.explain_choice(shape, assigned)
        ids = [self._nodes.at(row).id for row in assigned.rows.tolist()]
        node_ids = iter(np.repeat(np.array(ids, dtype=np.int64), assigned.counts).tolist())
        for job_id in jobs:
            for member in range(shape.count):
                self._placements.append(
                    Placement(
                        JobId(job_id),
                        Attempt(attempt(job_id)),
                        shape.id,
                        NodeId(next(node_ids)),
                        why,
                        head.expected_s,
                        member,
                        why_ahead is not None,
                    )
                )

    def _reserve(
        self, project: ProjectQueue, head: GroupHead, carried: CarriedReservation | None = None, due: float = 0.0
    ) -> bool:
        """Take a group of which no job fits out of this plan; its oldest job may get a reservation, from `due` on."""
        shape, backfill = head.group.shape, self._backfill
        if carried is not None or not head.by_merit or self._policy.preemption:
            self._move_to_first(head, self._heads.by_turn)
            result = backfill.reserve(head, carried, due)
            if result is not ReserveResult.NEVER:
                self._stopped = self._stopped or not self._policy.backfill
                self._reorder(project)
            if result is ReserveResult.RESERVED:
                self._limits.hold_back(shape, backfill.reservations[-1].start)
        self._ahead.block(shape)
        return self._refuse(shape, Reason.NO_ROOM if shape.count == 1 else Reason.GANG)

    def _reorder(self, project: ProjectQueue) -> None:
        """Order by merit those groups of a project for which no more reservations may be made.

        The project's oldest jobs have had their chance of a reservation by then.
        """
        done = [head for head in project.heads if not head.by_merit and self._backfill.limit_reached(head.group.shape)]
        for head in done:
            head.by_merit = True
            head.step = self._heads.ordering_of(head).step(head, self._now)
        if done:
            heapq.heapify(project.heads)

    def _end_contest(self, contest: list[ProjectQueue]) -> None:
        """End the plan: with `Policy.backfill` off, no job passes one that cannot start."""
        for project in contest:
            for head in project.heads:
                self._refuse(head.group.shape, Reason.BEHIND)
        contest.clear()
        self._placements_left = 0
        self._stopped = False

    def _move_to_first(self, head: GroupHead, order: Ordering) -> bool:
        """Move a head to the first job of its group that is not placed; return False when there is none."""
        if self._heads.move_to_first(head, order):
            return True
        self._backfill.rights.remove(head.group.shape)
        return False

    def _refuse(self, shape: Shape, reason: Reason) -> bool:
        counts = filters.refusal_counts(shape, self._nodes, self._policy)
        self._refusals[shape.id] = Refusal(shape.id, reason, counts)
        return False
