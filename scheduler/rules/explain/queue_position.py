"""Queue position: who goes before a waiting job, by the order of the queue and by reservations."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from scheduler.rules.cluster.plan import Plan, Reservation, Snapshot
from scheduler.rules.cluster.policy import Mode, Policy
from scheduler.rules.cluster.queue import Queue, WaitingJob
from scheduler.rules.cluster.shapes import Shape
from scheduler.rules.placement.placement import place
from scheduler.rules.placement.plan_state import PlanState

_MOST_RIVALS = 500
"""Jobs of a plan that are placed once more to see how a job that is held would fare among them."""


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
