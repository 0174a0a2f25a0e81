"""What a replay comes to: waits, slowdown, utilisation, as figures, as text with a small plot, and as plain data."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise

from scheduler.simulation.replay import Outcome
from scheduler.simulation.trace import TraceJob

TAU_S = 10.0
"""Runs shorter than this count as this long in the bounded slowdown, as is usual."""

_BARS = "▁▂▃▄▅▆▇█"
_P95 = 0.95


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures of one replay. Seconds; utilisation is the mean share of the fleet in use, 0 to 1.

    `left` counts jobs that never started because nothing could hold them. `prediction_error` is the fading mean of
    |ln(expected / actual run time)|.
    """

    policy: str
    jobs: int
    left: int
    mean_wait_s: float
    p95_wait_s: float
    max_wait_s: float
    mean_bounded_slowdown: float
    utilisation: float
    makespan_s: float
    prediction_error: float


@dataclass(frozen=True, slots=True)
class Course:
    """Jobs waiting and share in use over time, averaged over equal stretches; `start` and `step_s` say when."""

    start: float
    step_s: float
    waiting: tuple[float, ...]
    in_use: tuple[float, ...]


def summarise(policy: str, outcome: Outcome) -> Summary:
    """The figures of a replay; all 0 when nothing started."""
    jobs = [job for job in outcome.jobs if job.id in outcome.started]
    waits = sorted(outcome.started[job.id] - job.submitted for job in jobs)
    slow = [bounded_slowdown(job, outcome.started[job.id]) for job in jobs]
    whole = course(outcome, 1)
    return Summary(
        policy,
        len(jobs),
        len(outcome.jobs) - len(jobs),
        _mean(waits),
        waits[min(len(waits) - 1, int(_P95 * len(waits)))] if waits else 0.0,
        waits[-1] if waits else 0.0,
        _mean(slow),
        whole.in_use[0] if whole.in_use else 0.0,
        whole.step_s,
        outcome.prediction_error,
    )


def bounded_slowdown(job: TraceJob, started: float) -> float:
    """How many times its own length a job took from submission to end, short runs taken for ten seconds; at least 1."""
    return max(1.0, (started - job.submitted + job.run_s) / max(job.run_s, TAU_S))


def course(outcome: Outcome, steps: int) -> Course:
    """The course of a replay in so many equal stretches; empty when there were no two moments."""
    moments = outcome.moments
    if len(moments) < 2 or moments[-1][0] <= moments[0][0]:  # noqa: PLR2004 - a stretch has two ends
        return Course(moments[0][0] if moments else 0.0, 0.0, (), ())
    start, step_s = moments[0][0], (moments[-1][0] - moments[0][0]) / steps
    waiting, in_use = [0.0] * steps, [0.0] * steps
    for (at, jobs, share), (until, _, _) in pairwise(moments):
        for step, seconds in _split(at - start, until - start, step_s, steps):
            waiting[step] += jobs * seconds / step_s
            in_use[step] += share * seconds / step_s
    return Course(start, step_s, tuple(waiting), tuple(in_use))


def as_data(summaries: Sequence[Summary]) -> list[dict[str, float | str | int]]:
    """The figures as plain data, for JSON."""
    return [asdict(summary) for summary in summaries]


def as_text(summaries: Sequence[Summary], courses: Sequence[Course]) -> str:
    """A table of the figures, and under it for each policy the queue and the fleet over time."""
    lines = [f"{'policy':<10}{'jobs':>8}{'mean wait':>12}{'p95 wait':>12}{'max wait':>12}{'slowdown':>11}{'in use':>8}"]
    lines += [
        f"{each.policy:<10}{each.jobs:>8}{time(each.mean_wait_s):>12}{time(each.p95_wait_s):>12}"
        f"{time(each.max_wait_s):>12}{each.mean_bounded_slowdown:>11.2f}{each.utilisation:>8.1%}"
        for each in summaries
    ]
    for summary, run in zip(summaries, courses, strict=True):
        most = max(run.waiting, default=0.0)
        lines += ["", f"{summary.policy}: waiting (up to {most:.0f}), in use"]
        lines += [f"  {_sparks(run.waiting, most)}", f"  {_sparks(run.in_use, 1.0)}"]
    left = {summary.left for summary in summaries}
    if left != {0}:
        lines += ["", f"{max(left)} jobs never started: nothing in this fleet could hold them."]
    return "\n".join(lines)


def time(seconds: float) -> str:
    """A duration for people: `1.5 h`."""
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def _split(start: float, end: float, step_s: float, steps: int) -> list[tuple[int, float]]:
    """How many seconds of a stretch fall into each step."""
    first, last = (min(steps - 1, int(edge / step_s)) for edge in (start, end))
    edges = [start, *((step + 1) * step_s for step in range(first, last)), end]
    return [(first + number, until - at) for number, (at, until) in enumerate(pairwise(edges))]


def _sparks(values: Sequence[float], most: float) -> str:
    top = len(_BARS) - 1
    return "".join(_BARS[min(top, round(value / most * top))] if most else _BARS[0] for value in values)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
