"""Usage: a line of a running execution's cpus, memory and disk, of a bounded number of points however long it runs.

Time since its start is cut into slots of `EVERY_S` seconds with one point each. Before there are more than `MOST_POINTS`
slots, each two become one: the level says how often that has happened. A point keeps the latest sums and the largest
amounts of its slot, so no peak is lost, and the cpus between two points are right however many were merged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from scheduler.rules.lifecycle.moves import ExecutionStatus

EVERY_S: Final = 10
"""Seconds of a slot of level 0, and the time between two samples of a node."""

MOST_POINTS: Final = 500

EDGES: Final = tuple(EVERY_S * MOST_POINTS * 2**level for level in range(24))
"""Seconds since the start from which on the next level holds; at the last one it has run for a thousand years."""

PEAKS: Final = {"mem_mib": "peak_mem_mib", "disk_mib": "peak_disk_mib"}


class StoredSample(NamedTuple):
    """What was used until `age_s` seconds after the start: sums of seconds run and of cpus; what was held at most."""

    level: int
    age_s: float
    ran_s: float
    cpu_s: float | None
    mem_mib: float | None
    disk_mib: float | None


class UsagePoint(NamedTuple):
    """One point of the line: the cpus used on average since the point before, and what was held."""

    time: datetime
    seconds: float
    cpus: float | None
    mem_mib: float | None
    disk_mib: float | None


class UsagePeaks(NamedTuple):
    """The most that was used, as far as it is known; cpus are those of the busiest point."""

    cpus: float | None
    mem_mib: float | None
    disk_mib: float | None


def points(started: datetime, samples: Sequence[StoredSample]) -> list[UsagePoint]:
    """Return the line through samples in the order of their ages."""
    line = []
    ran_s = cpu_s = 0.0
    for one in samples:
        line.append(
            UsagePoint(
                started + timedelta(seconds=one.age_s),
                one.age_s,
                _cpus(one, ran_s, cpu_s),
                one.mem_mib,
                one.disk_mib,
            )
        )
        if one.cpu_s is not None:
            ran_s, cpu_s = one.ran_s, one.cpu_s
    return line


def _cpus(one: StoredSample, ran_s: float, cpu_s: float) -> float | None:
    """Return the cpus since the sample before; None where they are not known, or its node has begun to count anew."""
    if one.cpu_s is None or one.ran_s <= ran_s or one.cpu_s < cpu_s:
        return None
    return (one.cpu_s - cpu_s) / (one.ran_s - ran_s)


def peaks(line: Sequence[UsagePoint], usage: Mapping[str, Mapping[str, float]]) -> UsagePeaks:
    """Return the most that was used, by the line and by what was measured at the end of each phase, `usage`."""
    mem, disk = (
        _most(
            [getattr(one, name) for one in line] + [phase.get(measured) for phase in usage.values()],
        )
        for name, measured in PEAKS.items()
    )
    return UsagePeaks(_most([one.cpus for one in line]), mem, disk)


def _most(amounts: Sequence[float | None]) -> float | None:
    return max((amount for amount in amounts if amount is not None), default=None)


def why_none(
    status: str,
    started: datetime | None,
    ended: datetime | None,
    now: datetime,
    usage: Mapping[str, Mapping[str, float]],
) -> str:
    """Return why an execution has no samples, as a sentence."""
    if started is None:
        return "It has not started." if ended is None else "It never started."
    if status == ExecutionStatus.RUNNING:
        if (now - started).total_seconds() < 3 * EVERY_S:
            return f"The first sample comes {EVERY_S} seconds after a command has started."
        return "There are no samples: no command runs yet, or its node cannot measure while it runs."
    ran_s = sum(phase.get("seconds", 0.0) for phase in usage.values())
    if not usage:
        return "There are no samples, and nothing was measured at its end."
    if ran_s < EVERY_S:
        return f"It ran for less than {EVERY_S} seconds, so there are no samples; its peaks were measured at its end."
    return "There are no samples, as its node took none; its peaks were measured at its end."
