"""Blockers: what about a job itself stops it (holds, times, pauses, limits), and the fix for each."""

from collections.abc import Iterator

from scheduler.rules.cluster.plan import Snapshot
from scheduler.rules.cluster.queue import WaitingJob
from scheduler.rules.cluster.reasons import Reason
from scheduler.rules.cluster.shapes import Shape
from scheduler.rules.explain.answer import Blocker, Fix, FixKind
from scheduler.rules.placement import filters

BlockerAndFix = tuple[Blocker, Fix]


def blockers(snapshot: Snapshot, job: WaitingJob, shape: Shape, now: float) -> list[BlockerAndFix]:
    """Return all of them with their fixes, in the order in which they are shown."""
    return [
        *_own(job, now),
        *_pauses(snapshot, shape),
        *_type_limit(snapshot, shape),
        *_quota(snapshot, shape),
        *_turn(snapshot, job, shape),
    ]


def _own(job: WaitingJob, now: float) -> Iterator[BlockerAndFix]:
    if job.held is not None:
        yield Blocker(Reason.HELD, job.held), Fix(FixKind.RELEASE_HOLD, job.held)
    if job.not_before is not None and job.not_before > now:
        yield Blocker(Reason.NOT_BEFORE, str(job.not_before)), Fix(FixKind.WAIT_UNTIL, "", job.not_before)


def _pauses(snapshot: Snapshot, shape: Shape) -> Iterator[BlockerAndFix]:
    policy = snapshot.policy
    if policy.scheduler_paused:
        yield Blocker(Reason.SCHEDULER_PAUSED), Fix(FixKind.RESUME_SCHEDULER)
    if shape.project_id in policy.paused_projects:
        project = str(shape.project_id)
        yield Blocker(Reason.PROJECT_PAUSED, project), Fix(FixKind.RESUME_PROJECT, project)
    if shape.job_type_id in policy.paused_types:
        job_type = str(shape.job_type_id)
        yield Blocker(Reason.TYPE_PAUSED, job_type), Fix(FixKind.RESUME_TYPE, job_type)


def _type_limit(snapshot: Snapshot, shape: Shape) -> Iterator[BlockerAndFix]:
    executions = snapshot.running.of_type(shape.job_type_id)
    if filters.type_allowance(shape, snapshot.policy, executions).jobs < 1:
        most = snapshot.policy.max_scheduled[shape.job_type_id]
        enough = executions + shape.count
        yield (
            Blocker(Reason.TYPE_LIMIT, f"{executions} of {most}"),
            Fix(FixKind.RAISE_TYPE_LIMIT, str(shape.job_type_id), enough),
        )


def _quota(snapshot: Snapshot, shape: Shape) -> Iterator[BlockerAndFix]:
    quota = snapshot.policy.quotas.get(shape.project_id)
    if quota is None:
        return
    held = snapshot.running.of_project(shape.project_id)
    for name, most, used, need in (
        ("cpus", quota.cpus, held.resources.cpus, shape.requires.cpus),
        ("mem", quota.mem, held.resources.mem, shape.requires.mem),
        ("jobs", quota.jobs, held.executions, 1),
    ):
        if most is not None and need and used + need * shape.count > most:
            enough = used + need * shape.count
            yield (
                Blocker(Reason.PROJECT_QUOTA, _of(name, used, most)),
                Fix(FixKind.RAISE_QUOTA, name, enough),
            )


def _turn(snapshot: Snapshot, job: WaitingJob, shape: Shape) -> Iterator[BlockerAndFix]:
    if shape.serial is None:
        return
    running = [run.job_id for run in snapshot.running.of_serial(shape.serial)]
    ahead = running[0] if running else snapshot.queue.next_of(shape.serial)
    if ahead is not None and ahead != job.job_id:
        yield Blocker(Reason.DATA_SET, str(ahead)), Fix(FixKind.WAIT_FOR_JOB, str(ahead))


def _of(name: str, used: int, most: int) -> str:
    """Return how much of a quota is used, in whole units."""
    return f"{name}: {used} of {most}" if name == "jobs" else f"{name}: {used / 1000:g} of {most / 1000:g}"
