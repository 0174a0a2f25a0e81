"""Which waiting job goes first, among jobs of equal priority of one project.

First the one that has waited longest: nothing may keep it from starting as soon as it can. What starts beside it, without
delaying it, is ordered by *merit*: by how large the wait has become beside the job's own length, (wait + run) / run. A short
job overtakes; a long one gains with every minute. Why this order and no other: docs/decisions/030-order-of-waiting-jobs.md.

Age and merit are compared in steps, so that equal jobs are placed many at a time, and shapes of one step in the proportions in
which they wait.
"""

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import floor, inf, log2

from scheduler.rules.cluster.queue import Queue, QueueGroup

_STEPS = 16
"""Steps for every doubling of age or merit: what differs by less than 4 % counts as equal."""

_BRIEF_S = 10.0
"""Jobs shorter than this are equally short: nobody cares to wait less than that (the tau of bounded slowdown)."""

_UNKNOWN_S = 86400.0
"""The length of a job of which nothing is known and that nothing bounds: a day."""


@dataclass(slots=True, eq=False)
class GroupHead:
    """The foremost jobs of one line while a plan is made.

    `share` is one job's dominant share of the fleet; `step` orders fronts, smallest first. All entries of the line from `cursor` on
    still wait (those before it, in LIFO order); `foremost` is the first of them, queued at `oldest`. Of equal steps
    the one goes first of whose line the smaller part has been `served`, then the smaller job id. `by_merit` once the project's
    oldest job has had its chance where these could run.
    """

    group: QueueGroup
    cursor: int
    expected_s: float
    share: float = 0.0
    job_id: int = 0
    queued_at: float = 0.0
    step: float = 0.0
    served: float = 0.0
    by_merit: bool = False

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


class ByAge:
    """The job that waits longest first."""

    def step(self, head: GroupHead, now: float) -> float:
        """The step of the foremost job."""
        return -floor(_STEPS * log2(1.0 + max(0.0, now - head.queued_at)))

    def until(self, head: GroupHead, now: float) -> float | None:
        """The latest time at which a job of the same step was queued."""
        wait: float = 2.0 ** (-head.step / _STEPS) - 1.0
        return now - wait


class ByMerit:
    """The job first whose wait is largest beside its length."""

    def step(self, head: GroupHead, now: float) -> float:
        """The step of the foremost job."""
        run = _run_time_s(head)
        wait = max(0.0, now - head.queued_at)
        return -floor(_STEPS * log2((wait + run) / run))

    def until(self, head: GroupHead, now: float) -> float | None:
        """The latest time at which a job of the same step was queued."""
        run = _run_time_s(head)
        merit: float = 2.0 ** (-head.step / _STEPS)
        return now - (merit * run - run)


class ByArrival:
    """The job that came first first, to the moment: for the classic policies, a job at a time."""

    def step(self, head: GroupHead, now: float) -> float:  # noqa: ARG002 - the same for every moment
        """The step of the foremost job."""
        return head.queued_at

    def until(self, head: GroupHead, now: float) -> float | None:  # noqa: ARG002 - likewise
        """Only those that came at the same moment."""
        return head.queued_at


class ByNewest:
    """The job that came last first; of one shape, without end."""

    def step(self, head: GroupHead, now: float) -> float:  # noqa: ARG002 - the same for every moment
        """The step of the foremost job."""
        return -head.queued_at

    def until(self, head: GroupHead, now: float) -> float | None:  # noqa: ARG002 - steps hold one job each
        """No bound: jobs are taken one by one."""
        return None


Ordering = ByAge | ByArrival | ByMerit | ByNewest


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


def _run_time_s(head: GroupHead) -> float:
    run = _UNKNOWN_S if head.expected_s == inf else head.expected_s
    return max(run, _BRIEF_S)
