"""Queue position: who goes before a waiting job, by the order of the queue and by reservations, and who is at its head."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

from scheduler.rules.cluster.plan import Plan, Reservation, Snapshot
from scheduler.rules.cluster.policy import Mode, Policy
from scheduler.rules.cluster.queue import Queue, WaitingJob
from scheduler.rules.cluster.shapes import Shape
from scheduler.rules.placement import filters, ordering
from scheduler.rules.placement.ordering import GroupHeads
from scheduler.rules.placement.placement import place
from scheduler.rules.placement.plan_state import PlanState

_MOST_RIVALS = 500
"""Jobs of a plan that are placed once more to see how a job that is held would fare among them."""


_MOST_PASSED = 10_000
"""Jobs that are looked at to find the head of the queue: some 20 ms."""


def position(snapshot: Snapshot, job: WaitingJob) -> int | None:
    """Return how many jobs of its own shape go before it; None for a job that is held or not yet due."""
    return snapshot.queue.position(job.job_id, newest=snapshot.policy.mode is Mode.LIFO)


def ahead(snapshot: Snapshot, job: WaitingJob, shape: Shape) -> list[tuple[Shape, int]]:
    """Return how many jobs of each shape go first by priority and age; a few that have left may be counted."""
    newest = snapshot.policy.mode is Mode.LIFO
    found = []
    for group in snapshot.queue.ready_groups.values():
        if group.shape.priority < shape.priority:
            found.append((group.shape, group.live))
        elif group.shape.priority == shape.priority:
            own = position(snapshot, job) if group.shape.id == shape.id else None
            count = snapshot.queue.count_before(group, job.job_id, newest=newest) if own is None else own
            found.append((group.shape, count))
    return [(each, count) for each, count in found if count]


def rank(snapshot: Snapshot, state: PlanState, project_id: int) -> int:
    """Return how many projects with waiting jobs come before this one."""
    own = state.standing(project_id)
    others = {group.shape.project_id for group in snapshot.queue.ready_groups.values()} - {project_id}
    return sum(state.standing(other) < own for other in others)


def reserved_before(
    snapshot: Snapshot, job: WaitingJob, shape: Shape, now: float, plan: Plan, *, held_up: bool
) -> list[Reservation]:
    """Return the reservations of others that stay in the job's way once nothing about the job itself stops it.

    Reservations for jobs that go later do not count: they were only made because this job could not start. `held_up`:
    something about the job stops it, so that the plan does not know of it.
    """
    others = [reserved for reserved in plan.reservations if reserved.job_id != job.job_id]
    if not others:
        return []
    if held_up:
        plan = _contest(snapshot, job, shape, plan, now)
    if any(placement.job_id == job.job_id for placement in plan.placements):
        return []
    later = _after_own(plan.reservations, job.job_id)
    return [reserved for reserved in others if reserved.job_id not in later]


def _after_own(reservations: Sequence[Reservation], job_id: int) -> set[int]:
    """Return the jobs that got a reservation after this one did; none if this one has no reservation."""
    ids: list[int] = [reserved.job_id for reserved in reservations]
    return set(ids[ids.index(job_id) + 1 :]) if job_id in ids else set()


def _contest(snapshot: Snapshot, job: WaitingJob, shape: Shape, plan: Plan, now: float) -> Plan:
    """Make the plan again for the jobs that it gives something to, with this job among them and free to go."""
    placed = dict.fromkeys(placement.job_id for placement in plan.placements)
    ids = [*(reserved.job_id for reserved in plan.reservations), *islice(placed, _MOST_RIVALS)]
    queue = Queue()
    for one in [job, *(snapshot.queue[rival] for rival in ids if rival in snapshot.queue)]:
        queue.add_shape(snapshot.queue.groups[one.shape_id].shape)
        queue.add(one.job_id, one.shape_id, one.queued_at, one.attempt, avoid=one.avoid)
    return place(replace(snapshot, queue=queue, policy=_lifted(snapshot.policy, shape)), now, lambda: 0.0)


def _lifted(policy: Policy, shape: Shape) -> Policy:
    """Return the policy without the pauses and limits that stop jobs of this project and type."""
    return replace(
        policy,
        scheduler_paused=False,
        paused_projects=policy.paused_projects - {shape.project_id},
        paused_types=policy.paused_types - {shape.job_type_id},
        max_scheduled={each: most for each, most in policy.max_scheduled.items() if each != shape.job_type_id},
        quotas={each: quota for each, quota in policy.quotas.items() if each != shape.project_id},
    )


@dataclass(frozen=True, slots=True)
class QueueEntry:
    """A waiting job and its place, from 1 on, in the order in which the scheduler looks at jobs."""

    place: int
    job_id: int
    shape: Shape


@dataclass(frozen=True, slots=True)
class ProjectStanding:
    """How a project stands beside the others: `share` of the fleet that it holds, `credit` the share by which it is lifted for what it is owed.

    The smallest `standing` goes first. `waiting` counts the jobs that may be placed, `executions` what runs.
    """

    project_id: int
    weight: float
    share: float
    credit: float
    standing: float
    waiting: int
    executions: int


def head(snapshot: Snapshot, now: float, most: int, project_id: int | None = None) -> list[QueueEntry]:
    """Return the first jobs in the order in which they are looked at, as if each one before had started; of one project if told.

    Which of them start is another matter: one that does not fit now is passed by others. Of another project's jobs at most
    `_MOST_PASSED` are passed to find those of one. Changes nothing.
    """
    snapshot.queue.release_due(now)
    state, heads = PlanState(snapshot), GroupHeads(snapshot, now)
    groups = [one for one in snapshot.queue.ready_groups.values() if filters.paused(one.shape, snapshot.policy) is None]
    shares = state.shares([group.shape for group in groups]).tolist()
    opened = [heads.head_of(group, share) for group, share in zip(groups, shares, strict=True)]
    found: list[QueueEntry] = []
    passed = 0
    for contest in ordering.contests(opened, state.standing):
        while contest and len(found) < most and passed < _MOST_PASSED:
            project = contest[0]
            first = project.heads[0]
            shape = first.group.shape
            passed += 1
            if project_id is None or shape.project_id == project_id:
                found.append(QueueEntry(passed, first.job_id, shape))
            state.charge_more(shape.project_id, shape.requires.times(shape.count))
            _, cursor = heads.next_jobs(project, first, 1)
            first.cursor = cursor
            first.served += 1 / first.group.live
            if heads.move_to_first(first, heads.by_turn):
                heapq.heapreplace(project.heads, first)
            else:
                ordering.drop_head(project, first)
            if project.heads:
                project.standing = state.standing(project.project_id)
                heapq.heapreplace(contest, project)
            else:
                heapq.heappop(contest)
    return found


def standings(snapshot: Snapshot) -> list[ProjectStanding]:
    """Return how the projects stand that wait for something or hold something, whoever goes first first."""
    state, policy = PlanState(snapshot), snapshot.policy
    waiting: dict[int, int] = {}
    for group in snapshot.queue.ready_groups.values():
        waiting[group.shape.project_id] = waiting.get(group.shape.project_id, 0) + group.live
    known = {*waiting, *policy.weights, *policy.credits}
    found = []
    for project_id in known:
        usage = state.usage(project_id)
        credit, weight = policy.credits.get(project_id, 0.0), policy.weights.get(project_id, 1.0)
        if waiting.get(project_id) or usage.executions or credit:
            found.append(
                ProjectStanding(project_id, weight, usage.share, credit, state.standing(project_id), waiting.get(project_id, 0),
                                usage.executions)
            )  # fmt: skip
    return sorted(found, key=lambda one: (one.standing, one.project_id))
