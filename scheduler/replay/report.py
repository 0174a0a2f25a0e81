"""The report of a replay: waits, slowdown and utilisation as figures, as text with a small plot, and as plain data."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from math import ceil

from scheduler.replay import job_classes
from scheduler.replay.job_classes import NO_PROMISES, JobClass, ReservationStatistics
from scheduler.replay.replay import ReplayResult
from scheduler.replay.trace import SkippedJobs

_BARS = " ▁▂▃▄▅▆▇█"
_P95 = 0.95
_TICKS = 4
"""Parts of the time axis under a course of characters."""

_UNITS = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))


@dataclass(frozen=True, slots=True)
class ReplaySummary:
    """The figures of one replay, in seconds; utilisation is the mean share of the fleet in use, 0 to 1. None if nothing ran.

    `left` counts jobs that never started because no node could hold them. `prediction_error` is the decaying mean of
    |ln(expected / actual run time)|. `classes` are the jobs by width and length, in a fixed order; empty ones are left out.
    """

    policy: str
    jobs: int
    left: int
    mean_wait_s: float | None
    p95_wait_s: float | None
    max_wait_s: float | None
    mean_bounded_slowdown: float | None
    utilisation: float | None
    makespan_s: float | None
    prediction_error: float | None
    promises: ReservationStatistics = NO_PROMISES
    classes: tuple[JobClass, ...] = ()


@dataclass(frozen=True, slots=True)
class ReplayTimeline:
    """Jobs waiting and share in use over time, as means of equal steps; `start` and `step_s` give their times.

    `most` is the largest number that waited at any one moment; `classes` are the waits by class of job.
    """

    start: float
    step_s: float
    waiting: tuple[float, ...]
    in_use: tuple[float, ...]
    most: int = 0
    classes: tuple[JobClass, ...] = ()


def summarise(policy: str, outcome: ReplayResult) -> ReplaySummary:
    """Return the figures of a replay."""
    jobs = [job for job in outcome.jobs if job.id in outcome.started]
    if not jobs:
        return ReplaySummary(policy, 0, len(outcome.jobs), None, None, None, None, None, None, None)
    waits = sorted(outcome.started[job.id] - job.submitted for job in jobs)
    slow = [job_classes.bounded_slowdown(job, outcome.started[job.id]) for job in jobs]
    whole = course(outcome, 1)
    return ReplaySummary(
        policy,
        len(jobs),
        len(outcome.jobs) - len(jobs),
        sum(waits) / len(waits),
        waits[min(len(waits) - 1, int(_P95 * len(waits)))],
        waits[-1],
        sum(slow) / len(slow),
        whole.in_use[0] if whole.in_use else 0.0,
        whole.step_s,
        outcome.prediction_error,
        job_classes.promises(outcome),
        job_classes.classes(outcome),
    )


def course(outcome: ReplayResult, steps: int) -> ReplayTimeline:
    """Return the timeline of a replay in `steps` equal steps; empty if there are fewer than two moments."""
    moments = outcome.moments
    most = max((jobs for _, jobs, _ in moments), default=0)
    if len(moments) < 2 or moments[-1][0] <= moments[0][0]:  # noqa: PLR2004 - a stretch has two ends
        return ReplayTimeline(moments[0][0] if moments else 0.0, 0.0, (), (), most)
    start, step_s = moments[0][0], (moments[-1][0] - moments[0][0]) / steps
    waiting, in_use = [0.0] * steps, [0.0] * steps
    for (at, jobs, share), (until, _, _) in pairwise(moments):
        for step, seconds in _split(at - start, until - start, step_s, steps):
            waiting[step] += jobs * seconds / step_s
            in_use[step] += share * seconds / step_s
    return ReplayTimeline(start, step_s, tuple(waiting), tuple(in_use), most, job_classes.classes(outcome))


def as_data(summaries: Sequence[ReplaySummary], courses: Sequence[ReplayTimeline]) -> list[dict[str, object]]:
    """Return the figures as plain data for JSON, with a short timeline of each replay."""
    return [{**asdict(each), "course": _course_data(run)} for each, run in zip(summaries, courses, strict=True)]


def as_text(summaries: Sequence[ReplaySummary], courses: Sequence[ReplayTimeline]) -> str:
    """Return a table of the figures, and below it the queue and the fleet over time for each policy."""
    lines = [f"{'policy':<10}{'jobs':>8}{'mean wait':>12}{'p95 wait':>12}{'max wait':>12}{'slowdown':>11}{'in use':>8}"]
    lines += [
        f"{each.policy:<10}{each.jobs:>8}{time(each.mean_wait_s):>12}{time(each.p95_wait_s):>12}"
        f"{time(each.max_wait_s):>12}{_said(each.mean_bounded_slowdown, '.2f'):>11}{_said(each.utilisation, '.1%'):>8}"
        for each in summaries
    ]
    lines += _promises(summaries) + _classes(summaries)
    for summary, run in zip(summaries, courses, strict=True):
        if run.waiting:
            lines += ["", f"{summary.policy}: waiting (up to {run.most}), in use"]
            lines += [f"  {_sparks(run.waiting, run.most)}", f"  {_sparks(run.in_use, 1.0)}", f"  {_axis(run)}"]
    left = max(summary.left for summary in summaries)
    if left:
        lines += ["", f"{_jobs(left)} never started: nothing in this fleet could hold {'it' if left == 1 else 'them'}."]
    return "\n".join(lines)


def left_out(left: SkippedJobs, cpus: int) -> str | None:
    """Return a sentence about the jobs that a fleet of so many cpus does not replay; None if it replays all."""
    said = (
        (left.too_wide, f"wider than the {cpus} cpus that all nodes have together"),
        (left.never_ran, "without a run time, which never ran"),
        (left.no_processors, "without a number of cpus"),
    )
    parts = [f"{count} {what}" for count, what in said if count]
    total = left.too_wide + left.never_ran + left.no_processors
    return f"{_jobs(total)} of the trace left out: {', '.join(parts)}." if parts else None


def time(seconds: float | None) -> str:
    """Return a duration for people such as `1.5 h`; a dash for None."""
    if seconds is None:
        return "-"
    unit, size = unit_of(seconds)
    return f"{seconds / size:.1f} {unit}"


def unit_of(seconds: float) -> tuple[str, int]:
    """Return the largest unit that fits into a duration, and its seconds."""
    return next((unit for unit in _UNITS if seconds >= unit[1]), _UNITS[-1])


def _promises(summaries: Sequence[ReplaySummary]) -> list[str]:
    """Return a table of how promises were kept, empty if no job of any policy had a reservation."""
    if not any(summary.promises.jobs for summary in summaries):
        return []
    lines = ["", f"{'policy':<10}{'reserved':>9}{'started later than first promised':>36}{'mean':>10}{'worst':>10}"]
    for each in summaries:
        kept = each.promises
        share = f"{kept.late} ({kept.late_share:.1%})"
        late = [time(seconds) if kept.late else "-" for seconds in (kept.mean_late_s, kept.max_late_s)]
        lines.append(f"{each.policy:<10}{kept.jobs:>9}{share:>36}{late[0]:>10}{late[1]:>10}")
    return lines


def _classes(summaries: Sequence[ReplaySummary]) -> list[str]:
    """Return a table of waits by class of job, with mean, maximum and slowdown for each policy."""
    names = list(dict.fromkeys(each.name for summary in summaries for each in summary.classes))
    if not names:
        return []
    heads = "".join(f"{summary.policy + ': mean, max, slowdown':>34}" for summary in summaries)
    lines = ["", f"{'class of job':<14}{'jobs':>8}{heads}"]
    for name in names:
        found = [next((each for each in summary.classes if each.name == name), None) for summary in summaries]
        cells = "".join(
            f"{time(each.mean_wait_s):>14}{time(each.max_wait_s):>10}{each.mean_bounded_slowdown:>10.1f}"
            if each
            else f"{'-':>34}"
            for each in found
        )
        lines.append(f"{name:<14}{max(each.jobs for each in found if each):>8}{cells}")
    return lines


def _split(start: float, end: float, step_s: float, steps: int) -> list[tuple[int, float]]:
    """Return how many seconds of an interval fall into each step."""
    first, last = (min(steps - 1, int(edge / step_s)) for edge in (start, end))
    edges = [start, *((step + 1) * step_s for step in range(first, last)), end]
    return [(first + number, until - at) for number, (at, until) in enumerate(pairwise(edges))]


def _sparks(values: Sequence[float], most: float) -> str:
    """A character for each value; only 0 looks like nothing."""
    top = len(_BARS) - 1
    return "".join(_BARS[min(top, ceil(value / most * top))] if value > 0 else _BARS[0] for value in values)


def _axis(run: ReplayTimeline) -> str:
    """Return the time axis under the characters of a timeline, from the first submission on."""
    steps = len(run.waiting)
    unit, size = unit_of(run.step_s * steps)
    at = [round(part * steps / _TICKS) for part in range(_TICKS + 1)]
    marks = ["|0", *(f"|{step * run.step_s / size:.1f} {unit}" for step in at[1:])]
    return "".join(mark.ljust(end - start) for mark, (start, end) in zip(marks, pairwise(at), strict=False)) + marks[-1]


def _course_data(run: ReplayTimeline) -> dict[str, object]:
    return {
        "start": run.start,
        "step_s": round(run.step_s, 3),
        "most_waiting": run.most,
        "waiting": [round(value, 2) for value in run.waiting],
        "in_use": [round(value, 4) for value in run.in_use],
    }


def _said(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _jobs(count: int) -> str:
    return f"{count} job{'' if count == 1 else 's'}"
