"""What a job type costs and wastes: figures of its latest tries against what is asked for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from scheduler.identifiers import JobTypeId
from scheduler.identity import Caller
from scheduler.runtime import Runtime
from scheduler.store.lookup import statistics
from scheduler.store.lookup.statistics import TypeRun

MOST = 5_000
LONGEST = timedelta(days=30)
POINTS = (0.5, 0.9, 0.95, 0.99)
BUCKETS = 24
SPARE = 1.2
"""Memory is suggested with a fifth to spare over what nearly all runs needed."""

LEAST_RUNS = 20
"""With fewer runs nothing is suggested."""


@dataclass(frozen=True, slots=True)
class TypeStatistics:
    """Figures of the tries since `since`, at most the latest 5,000. Quantiles are by their point; amounts in cpus and MiB, times in seconds.

    `cpu_hours` splits the reserved cpu time: `useful` was used by tries that completed, `idle` was reserved by them and not used,
    `failed` was reserved by tries that failed, `stopped` by those that were stopped, withdrawn or lost.
    """

    since: datetime
    runs: int
    by_status: Mapping[str, int]
    by_error: Mapping[str, int]
    wait_s: Mapping[float, float]
    run_s: Mapping[float, float]
    mem_mib: Mapping[float, float]
    mem_asked_mib: float | None
    mem_suggested_mib: float | None
    mem_histogram: Sequence[tuple[float, int]]
    cpus_used: Mapping[float, float]
    cpus_asked: float | None
    cpu_hours: Mapping[str, float]
    latest: Sequence[TypeRun]


def of_type(rt: Runtime, caller: Caller, type_id: JobTypeId, *, since: datetime | None = None) -> TypeStatistics:
    """Return the figures of a type's tries, of the caller's projects, by default of the last 30 days."""
    begin = max(since or rt.now() - LONGEST, rt.now() - LONGEST)
    with rt.db.begin() as tx:
        runs = statistics.runs(tx, type_id, bound=caller.project_id, since=begin, most=MOST)
    done = [run for run in runs if run.status == "COMPLETED"]
    peaks = sorted(run.peak_mem_mib for run in done if run.peak_mem_mib is not None)
    rates = sorted(run.cpu_s / run.run_s for run in done if run.cpu_s is not None and run.run_s)
    asked = max((run.mem for run in runs[:LEAST_RUNS]), default=None)
    cpus = max((run.cpus for run in runs[:LEAST_RUNS]), default=None)
    return TypeStatistics(
        since=begin,
        runs=len(runs),
        by_status=dict(Counter(run.status for run in runs).most_common()),
        by_error=dict(Counter(run.error for run in runs if run.error).most_common(10)),
        wait_s=_quantiles(sorted(run.waited_s for run in runs if run.waited_s is not None)),
        run_s=_quantiles(sorted(run.run_s for run in done if run.run_s is not None)),
        mem_mib=_quantiles(peaks),
        mem_asked_mib=None if asked is None else asked / 1000,
        mem_suggested_mib=_suggested(peaks, asked),
        mem_histogram=_histogram(peaks),
        cpus_used=_quantiles(rates),
        cpus_asked=None if cpus is None else cpus / 1000,
        cpu_hours=_cpu_hours(runs),
        latest=runs[:60],
    )


def _quantiles(ordered: Sequence[float]) -> dict[float, float]:
    return {point: ordered[min(len(ordered) - 1, int(point * len(ordered)))] for point in POINTS} if ordered else {}


def _suggested(peaks: Sequence[float], asked: int | None) -> float | None:
    """Return how much memory would do, where that is less than four fifths of what is asked for; None where it is not."""
    if len(peaks) < LEAST_RUNS or not asked:
        return None
    enough = max(16.0, -(-peaks[min(len(peaks) - 1, int(0.99 * len(peaks)))] * SPARE // 16) * 16)
    return enough if enough < 0.8 * asked / 1000 else None


def _histogram(peaks: Sequence[float]) -> list[tuple[float, int]]:
    if not peaks:
        return []
    width = max(peaks[-1], 1.0) / BUCKETS
    counted = Counter(min(BUCKETS - 1, int(peak / width)) for peak in peaks)
    return [((number + 1) * width, counted.get(number, 0)) for number in range(BUCKETS)]


def _cpu_hours(runs: Sequence[TypeRun]) -> dict[str, float]:
    spent = {"useful": 0.0, "idle": 0.0, "failed": 0.0, "stopped": 0.0}
    for run in runs:
        held = run.cpus / 1000 * (run.run_s or 0.0) / 3600
        if run.status == "COMPLETED":
            used = min(held, (run.cpu_s or 0.0) / 3600)
            spent["useful"] += used
            spent["idle"] += held - used
        else:
            spent["stopped" if run.forgiven else "failed"] += held
    return spent
