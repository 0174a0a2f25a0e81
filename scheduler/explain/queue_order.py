"""The head of the queue, and how projects stand beside each other: who goes next, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from scheduler.explain.forecast import Forecaster
from scheduler.explain.words import NEVER, WouldWord
from scheduler.identifiers import JobId
from scheduler.identity import Caller
from scheduler.rules.explain.queue_position import ProjectStanding
from scheduler.rules.explain.wording import slug
from scheduler.runtime import Runtime
from scheduler.store.admin import projects
from scheduler.store.leader import balance_samples

MOST_POINTS = 200


@dataclass(frozen=True, slots=True)
class HeadJob:
    """A job at the head of the queue: its place, what the next tick would do with it, where or from when, or what keeps it."""

    place: int
    job_id: JobId
    would: WouldWord
    nodes: Sequence[tuple[int, str]] = ()
    start: datetime | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class ProjectBalance:
    """How a project stands, with its name, what it is owed in seconds of the whole fleet, and how many waiting projects go before it."""

    name: str
    owed_s: float
    ahead: int
    standing: ProjectStanding


@dataclass(frozen=True, slots=True)
class ProjectPoint:
    """How a project stood at one time: the share of the fleet that it used of late, and what it was owed in seconds of the whole fleet."""

    at: datetime
    share: float
    owed_s: float


@dataclass(frozen=True, slots=True)
class ProjectCourse:
    """How a project stood over time, oldest first."""

    name: str
    points: Sequence[ProjectPoint]


def head(forecaster: Forecaster, caller: Caller, most: int) -> list[HeadJob]:
    """Return the next jobs in the order in which the scheduler looks at them; of its own project for a caller of one."""
    found = forecaster.head(most, caller.project_id)
    placed: dict[int, list[int]] = {}
    for placement in found.plan.placements:
        placed.setdefault(placement.job_id, []).append(placement.node_id)
    kept = {one.job_id: one for one in found.plan.reservations}
    cleared = {one.job_id for one in found.plan.preemptions}
    jobs = []
    for entry in found.entries:
        refused = found.reasons.get(entry.shape.id)
        reservation = kept.get(JobId(entry.job_id))
        nodes = placed.get(entry.job_id) or ([] if reservation is None else list(reservation.node_ids))
        would: WouldWord = "start" if entry.job_id in placed else "make-room" if entry.job_id in cleared else "wait"
        reason = None if entry.job_id in placed or refused is None else slug(refused)
        if reason is not None and entry.shape.id in found.hopeless:
            reason = NEVER
        start = None if reservation is None else datetime.fromtimestamp(reservation.start, UTC)
        named = [(one, found.names.get(one, str(one))) for one in dict.fromkeys(nodes)]
        jobs.append(HeadJob(entry.place, JobId(entry.job_id), would, named, start, reason))
    return jobs


def balance(rt: Runtime, forecaster: Forecaster, caller: Caller) -> list[ProjectBalance]:
    """Return how the projects stand that the caller may see, whoever goes first first."""
    found = forecaster.standings()
    with rt.db.begin() as tx:
        facts = projects.names_and_debts(tx, [one.project_id for one in found])
    waiting = 0
    shown = []
    for one in found:
        if one.project_id in facts and caller.project_id in {None, one.project_id}:
            name, owed_s = facts[one.project_id]
            shown.append(ProjectBalance(name, owed_s, waiting, one))
        waiting += bool(one.waiting)
    return shown


def courses(rt: Runtime, caller: Caller, hours: float, most: int) -> list[ProjectCourse]:
    """Return how projects stood over the last hours, at most `MOST_POINTS` times each: those that the caller may see and that differed most.

    A time at which a project stood even and held nothing is a point, too, so that all have the same times.
    """
    until = rt.now()
    since = until - timedelta(hours=hours)
    every_s = max(rt.settings.sample_s, hours * 3600 / MOST_POINTS)
    with rt.db.begin() as tx:
        moments, samples = balance_samples.history(tx, since, until, every_s, most, caller.project_id)
    known: dict[str, dict[datetime, ProjectPoint]] = {}
    for one in samples:
        known.setdefault(one.name, {})[one.at] = ProjectPoint(one.at, one.share, one.owed_s)
    found = [
        ProjectCourse(name, [points.get(at) or ProjectPoint(at, 0.0, 0.0) for at in moments])
        for name, points in known.items()
    ]
    return sorted(found, key=lambda one: -max(abs(point.owed_s) for point in one.points))
