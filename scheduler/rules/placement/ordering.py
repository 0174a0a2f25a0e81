"""Which waiting job goes first, among jobs of equal priority of one project.

First comes the job whose *turn* comes first: the time when it was queued, plus twice its length by a cautious
guess, a day at most. It gets a reservation if it cannot start, so nothing may delay it. The jobs that start beside it are
ordered by *merit*: (wait + length) / length ** 1.2, which is nearly what the literature calls the expansion factor. A short
job overtakes; a long one gains with every minute. A wide job finds room less easily than a narrow one, so its length counts
for less in both orders. Why this order and no other: docs/decisions/030-order-of-waiting-jobs.md.

The bound against starvation: the turn of a job comes at the latest a day after it was queued. No job that is queued after
the turn of another one can get a reservation before it. So only the jobs that waited already when its turn came can be
first.

Turn and merit are compared in steps, so that equal jobs are placed many at a time, and groups of one step are placed in
the proportions in which they wait.
"""

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import floor, inf, log2

from scheduler.rules.cluster.plan import Snapshot
from scheduler.rules.cluster.policy import Mode
from scheduler.rules.cluster.queue import Queue, QueueGroup
from scheduler.rules.cluster.shapes import Shape
from scheduler.rules.placement.plan_state import EndTimes

_STEPS = 16
"""Steps for every doubling of merit, or of the time since or until a turn: what differs by less than 4 % counts as equal."""

_BRIEF_S = 10.0
"""Jobs shorter than this are equally short: nobody cares to wait less than that (the tau of bounded slowdown)."""

TURN_LENGTHS = 2.0
"""A job's turn comes so many times its length after it was queued."""

LONGEST_TURN_S = 86400.0
"""And at the latest so long after: nobody who waits for a day wants to hear that others came first."""

_WIDE = 0.125
"""A job is wide if it asks for more than this part of the fleet: then its length counts for less."""

_WIDE_TURN, _WIDE_MERIT = 2, 10
"""The powers of the part of the fleet that a job leaves to others by which its length counts for its turn and for its merit."""

_BREVITY = 1.2
"""The power of the length in the merit: above 1 a brief job stays before a long one that has waited for as many times its length."""

_UNKNOWN_S = 86400.0
"""The length of a job of which nothing is known and that nothing bounds: a day."""


@dataclass(slots=True, eq=False)
class GroupHead:
    """The foremost jobs of one line while a plan is made.

    `share` is one job's dominant share of the fleet; `step` orders fronts, smallest first. All entries of the line from `cursor` on
    still wait (those before it, in LIFO order); `foremost` is the first of them, queued at `oldest`. Of equal steps
    the one goes first of whose line the smaller part has been `served`, then the smaller job id. `by_merit` once the project's
    oldest job has had its chance where these could run. `ends` is when a job of it that starts now will have ended, once asked for.
    """

    group: QueueGroup
    cursor: int
    expected_s: float
    cautious_s: float
    share: float = 0.0
    job_id: int = 0
    queued_at: float = 0.0
    step: float = 0.0
    served: float = 0.0
    by_merit: bool = False
    ends: EndTimes | None = None

    def __lt__(self, other: "GroupHead") -> bool:
        return (self.step, self.served, self.job_id) < (other.step, other.served, other.job_id)


@dataclass(slots=True, eq=False)
class ProjectQueue:
    """A project with jobs of one priority: its standing, and its fronts as a heap."""

    project_id: int
    standing: float = 0.0
    heads: list[GroupHead] = field(default_factory=list)

    def __lt__(self, other: "ProjectQueue") -> bool:
        return (self.standing, self.project_id) < (other.standing, other.project_id)


class TurnOrdering:
    """The job first whose turn comes first: when it was queued, and `TURN_LENGTHS` times its length, a day at most."""

    def step(self, head: GroupHead, now: float) -> float:
        """The step of the foremost job: 0 or less where its turn has come."""
        since = now - head.queued_at - _turn_s(head)
        if since >= 0:
            return -floor(_STEPS * log2(1.0 + since))
        return 1 + floor(_STEPS * log2(1.0 - since))

    def until(self, head: GroupHead, now: float) -> float | None:
        """The latest time at which a job of the same step was queued."""
        since = 2.0 ** (-head.step / _STEPS) - 1.0 if head.step <= 0 else 1.0 - 2.0 ** (head.step / _STEPS)
        return now - _turn_s(head) - float(since)


class MeritOrdering:
    """The job first whose wait is largest beside its length."""

    def step(self, head: GroupHead, now: float) -> float:
        """The step of the foremost job."""
        length = _merit_s(head)
        wait = max(0.0, now - head.queued_at)
        return -floor(_STEPS * log2((wait + length) / length**_BREVITY))

    def until(self, head: GroupHead, now: float) -> float | None:
        """The latest time at which a job of the same step was queued."""
        length = _merit_s(head)
        wait_and_length: float = 2.0 ** (-head.step / _STEPS) * length**_BREVITY
        return now - (wait_and_length - length)


class ArrivalOrdering:
    """The job that came first first, to the moment: for the classic policies, a job at a time."""

    def step(self, head: GroupHead, now: float) -> float:  # noqa: ARG002 - the same for every moment
        """The step of the foremost job."""
        return head.queued_at

    def until(self, head: GroupHead, now: float) -> float | None:  # noqa: ARG002 - likewise
        """Only those that came at the same moment."""
        return head.queued_at


class NewestOrdering:
    """The job that came last first; of one shape, without end."""

    def step(self, head: GroupHead, now: float) -> float:  # noqa: ARG002 - the same for every moment
        """The step of the foremost job."""
        return -head.queued_at

    def until(self, head: GroupHead, now: float) -> float | None:  # noqa: ARG002 - steps hold one job each
        """No bound: jobs are taken one by one."""
        return None


Ordering = TurnOrdering | ArrivalOrdering | MeritOrdering | NewestOrdering


def contests(heads: Iterable[GroupHead], standing: Callable[[int], float]) -> list[list[ProjectQueue]]:
    """One heap of projects per priority, most urgent first; their fronts are heaps by step."""
    levels: dict[int, dict[int, ProjectQueue]] = {}
    for head in heads:
        shape = head.group.shape
        contest = levels.setdefault(shape.priority, {})
        project = contest.get(shape.project_id)
        if project is None:
            project = contest[shape.project_id] = ProjectQueue(shape.project_id, standing(shape.project_id))
        project.heads.append(head)
    for contest in levels.values():
        for project in contest.values():
            heapq.heapify(project.heads)
    heaps = [list(levels[priority].values()) for priority in sorted(levels)]
    for heap in heaps:
        heapq.heapify(heap)
    return heaps


def advance(queue: Queue, head: GroupHead, *, newest: bool) -> bool:
    """Let the front see its foremost job; false when all its jobs are placed."""
    group = head.group
    jobs, _ = queue.list_newest(group, head.cursor, 1) if newest else queue.list_oldest(group, head.cursor, 1)
    if jobs:
        head.job_id, head.queued_at = jobs[0], queue.queued_at(jobs[0])
    return bool(jobs)


def drop_head(project: ProjectQueue, head: GroupHead) -> None:
    """Take a head out of its project's queue, wherever in the heap it stands."""
    if project.heads[0] is head:
        heapq.heappop(project.heads)
    else:
        project.heads.remove(head)
        heapq.heapify(project.heads)


def _merit_s(head: GroupHead) -> float:
    """A job's length for its merit, by a cautious guess: a job that may turn out long has to wait like a long one."""
    length_s = _UNKNOWN_S if head.cautious_s == inf else head.cautious_s
    return max(length_s * _left_to_others(head) ** _WIDE_MERIT, _BRIEF_S)


def _turn_s(head: GroupHead) -> float:
    """How long after it was queued a job's turn comes.

    Lengths are rounded to a power of two seconds: a guess is no better, and groups that are about equally long stay mixed.
    """
    if head.cautious_s == inf:  # nothing is known of it and nothing bounds it: it goes by its age
        return 0.0
    length_s = 2.0 ** round(log2(max(head.cautious_s, 1.0)))
    return min(TURN_LENGTHS * length_s, LONGEST_TURN_S) * _left_to_others(head) ** _WIDE_TURN


def _left_to_others(head: GroupHead) -> float:
    """The part of the fleet that a job does not need, beside that which a job on the edge of wide leaves."""
    return min(1.0, max(0.0, (1.0 - head.share) / (1.0 - _WIDE)))


class GroupHeads:
    """Finds the next jobs of each queue group, in the order that the policy sets."""

    def __init__(self, snapshot: Snapshot, now: float) -> None:
        self._queue, self._policy, self._predictor = snapshot.queue, snapshot.policy, snapshot.predictor
        self._now = now
        self._newest = self._policy.mode is Mode.LIFO
        self.by_turn: Ordering = TurnOrdering() if self._policy.weighing else ArrivalOrdering()
        if self._newest:
            self.by_turn = NewestOrdering()

    def head_of(self, group: QueueGroup, share: float) -> GroupHead:
        """Return the head of a group, at its first job; `share` is one job's dominant share of the fleet."""
        shape = group.shape
        expected = cautious = self._expected_s(shape)
        if self._policy.predict:
            cautious = self._predictor.cautious_s(
                shape.project_id, shape.job_type_id, shape.timeout_s, expected, shape.requires
            )
        head = GroupHead(group, len(group.ids) if self._newest else group.first, expected, cautious, share)
        self.move_to_first(head, self.by_turn)
        return head

    def ends(self, head: GroupHead) -> EndTimes:
        """Return when a job of the group that starts now will have ended; the same object for the whole plan."""
        if head.ends is None:
            shape, now = head.group.shape, self._now
            limit = longest = inf if shape.timeout_s is None else shape.timeout_s
            if self._policy.predict:
                kind = shape.project_id, shape.job_type_id, shape.timeout_s, shape.requires
                longest = min(limit, self._predictor.longest_s(*kind))
            head.ends = EndTimes(now, now + head.expected_s, now + head.cautious_s, now + longest, now + limit)
        return head.ends

    def ordering_of(self, head: GroupHead) -> Ordering:
        """Return the ordering that holds for a group: by merit once its project may have no more reservations."""
        return MeritOrdering() if head.by_merit and self._policy.weighing and not self._newest else self.by_turn

    def next_jobs(self, project: ProjectQueue, head: GroupHead, most: int) -> tuple[list[int], int]:
        """Return the next jobs of one step, at most `most`, and the cursor behind them. Moves nothing."""
        if head.group.avoiding or head.group.shape.count > 1:
            most = 1
        if self._newest:
            next_best = max((rival.queued_at for rival in project.heads[1:3]), default=-inf)
            return self._queue.list_newest(head.group, head.cursor, most, next_best)
        until = self.ordering_of(head).until(head, self._now)
        jobs, cursor = self._queue.list_oldest(head.group, head.cursor, most, until)
        return (jobs, cursor) if jobs else self._queue.list_oldest(head.group, head.cursor, 1)

    def move_past(self, head: GroupHead, placed: int) -> None:
        """Move the head behind so many jobs that were placed."""
        if not placed:
            return
        list_jobs = self._queue.list_newest if self._newest else self._queue.list_oldest
        _, head.cursor = list_jobs(head.group, head.cursor, placed)

    def move_to_first(self, head: GroupHead, order: Ordering) -> bool:
        """Set the head to the job at its cursor, and its step by `order`; return False when no job is left."""
        if not advance(self._queue, head, newest=self._newest):
            return False
        head.step = order.step(head, self._now)
        return True

    def _expected_s(self, shape: Shape) -> float:
        if not self._policy.predict:
            return inf if shape.timeout_s is None else shape.timeout_s
        return self._predictor.expected_s(shape.project_id, shape.job_type_id, shape.timeout_s, shape.requires)
