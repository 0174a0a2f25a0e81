"""Who waits: the jobs of a replay by width and length, and the promises that were kept to those with reservations.

A mean over all jobs hides who pays for it: a rule that lets many narrow short jobs pass can have the best mean while wide
long ones starve.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from scheduler.replay.replay import ReplayResult
from scheduler.replay.trace import TraceJob

TAU_S = 10.0
"""Runs that are shorter count as this long in the bounded slowdown, as is usual."""

WIDE, NARROW = 1 / 4, 1 / 16
"""A job is wide if it asks for this part of the fleet or more, and narrow below the second number; else it is middle."""

LONG_S = 7200.0
"""A job is long if it runs for more than this."""

_PUNCTUAL_S = 1.0
"""A start this much after the promised one is still punctual."""


@dataclass(frozen=True, slots=True)
class JobClass:
    """The jobs of one class that started: how many, their waits in seconds, and their bounded slowdown."""

    name: str
    jobs: int
    mean_wait_s: float
    max_wait_s: float
    mean_bounded_slowdown: float


@dataclass(frozen=True, slots=True)
class ReservationStatistics:
    """How many jobs had a reservation, and how late after their first promised start those were that missed it."""

    jobs: int = 0
    late: int = 0
    late_share: float = 0.0
    mean_late_s: float = 0.0
    max_late_s: float = 0.0


NO_PROMISES = ReservationStatistics()


def bounded_slowdown(job: TraceJob, started: float) -> float:
    """Return the time from submission to end divided by the run time, where short runs count as ten seconds; at least 1."""
    return max(1.0, (started - job.submitted + job.run_s) / max(job.run_s, TAU_S))


def classes(outcome: ReplayResult) -> tuple[JobClass, ...]:
    """Return the classes that have jobs, from narrow to wide, short before long; the width counts against the fleet."""
    members: dict[str, list[TraceJob]] = {}
    for width in ("narrow", "middle", "wide"):
        for length in ("short", "long"):
            members[f"{width} {length}"] = []
    for job in outcome.jobs:
        if job.id in outcome.started:
            members[_class_of(job, outcome)].append(job)
    return tuple(_figures(name, jobs, outcome) for name, jobs in members.items() if jobs)


def promises(outcome: ReplayResult) -> ReservationStatistics:
    """Return how the first promises of a replay were kept."""
    told = [(promised, outcome.started[job]) for job, promised in outcome.promised.items() if job in outcome.started]
    late = [started - promised for promised, started in told if started > promised + _PUNCTUAL_S]
    if not late:
        return ReservationStatistics(len(told))
    return ReservationStatistics(len(told), len(late), len(late) / len(told), sum(late) / len(late), max(late))


def _class_of(job: TraceJob, outcome: ReplayResult) -> str:
    share = job.requires.times(job.count).dominant_share(outcome.fleet)
    width = "wide" if share >= WIDE else "middle" if share >= NARROW else "narrow"
    return f"{width} {'long' if job.run_s > LONG_S else 'short'}"


def _figures(name: str, jobs: Sequence[TraceJob], outcome: ReplayResult) -> JobClass:
    waits = [outcome.started[job.id] - job.submitted for job in jobs]
    slow = sum(bounded_slowdown(job, outcome.started[job.id]) for job in jobs)
    return JobClass(name, len(jobs), sum(waits) / len(jobs), max(waits), slow / len(jobs))
