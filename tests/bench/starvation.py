"""Starvation: how long a large job waits among an endless stream of small ones of 1, 2 and 3 projects, and what that costs.

The real `place` in virtual time. Small jobs keep the fleet all but full, so that none is left that is older; then comes one job
that needs a whole node, and from then on more small ones than the fleet can do. It should start once those that ran when it came
have ended, and a tick later at most. The same stream without it tells how much room idled for its sake. A job that needs several
nodes at the same time, or large parts of them, may wait twice as long: others run beside the room kept for it, and one wrong
guess of when they end may put it off, but only one.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import pairwise

from scheduler.replay.replay import ReplayCluster, ReplayResult
from scheduler.replay.trace import TraceJob
from scheduler.rules.cluster.nodes import Node
from scheduler.rules.cluster.policy import Policy
from scheduler.rules.cluster.resources import Resources
from tests.bench.figures import figure
from tests.support.placement import a_node

CPUS = 8
TICK_S = 1.0
"""The pause between two ticks in which nothing happened: the default of `tick_poll_s`."""

COMES, WINDOW_S = 300.5, 300.0
"""When it comes, and for how long it is watched: five times what it may wait."""

BEFORE, AFTER = 0.95, 1.2
"""Cpu seconds of small jobs that come, of those there are, before and after it."""

BAR_LOST = 0.05
SEEDS = (3, 4)
GANG_SEEDS = (3, 4, 5, 6, 7)
LARGE = 10**6

# Name: cpus of a member, members for each node.
GANGS = {"a gang of half the fleet": (4, 1.0), "a gang of three quarters of most nodes": (6, 0.75)}

# Name: number of nodes, shortest and longest run of small jobs, their limit (None: none).
STREAMS: dict[str, tuple[int, float, float, float | None]] = {
    "4 nodes, limits that are kept": (4, 20.0, 60.0, 60.0),
    "4 nodes, limits far too long": (4, 20.0, 60.0, 3600.0),
    "16 nodes, limits that are kept": (16, 20.0, 60.0, 60.0),
    "16 nodes, no limits": (16, 20.0, 60.0, None),
}


def _stream(name: str, projects: int, seed: int) -> list[TraceJob]:
    """Small jobs of one cpu, of the projects in turn, for as long as the large one is watched."""
    nodes, shortest, longest, limit = STREAMS[name]
    chance, jobs, at = random.Random(seed), list[TraceJob](), 0.0
    while at < COMES + WINDOW_S:
        every = (shortest + longest) / 2 / (nodes * CPUS) / (BEFORE if at < COMES else AFTER)
        at += every
        number = len(jobs)
        run_s = chance.uniform(shortest, longest)
        jobs.append(TraceJob(number, at, run_s, Resources.of(cpus=1), limit, (), number % projects))
    return jobs


def _watch(jobs: list[TraceJob], nodes: list[Node]) -> ReplayResult:
    """What happens until the end of the watch."""
    world = ReplayCluster(sorted(jobs, key=lambda job: job.submitted), nodes, Policy(), seed=1)
    while world.step() and world.outcome.moments[-1][0] < COMES + WINDOW_S:
        pass
    return world.outcome


def _in_use(outcome: ReplayResult, since: float, until: float) -> float:
    """The mean share of the fleet in use between two moments."""
    area = sum(
        share * max(0.0, min(until, end) - max(since, at)) for (at, _, share), (end, _, _) in pairwise(outcome.moments)
    )
    return area / (until - since)


def _longest_small(outcome: ReplayResult) -> float:
    """The longest run of the small jobs that ran when the large one came."""
    runs = {job.id: job.run_s for job in outcome.jobs}
    running = (runs[one] for one, at in outcome.started.items() if at <= COMES < at + runs[one])
    return max(running)


@dataclass(frozen=True, slots=True)
class _Found:
    """The large job's wait (None: not started while watched), the longest it may be, and the room lost meanwhile and in all."""

    wait: float | None
    allowed: float
    lost_waiting: float
    lost: float


def _measure(name: str, projects: int, seed: int) -> _Found:
    small, nodes = _stream(name, projects, seed), _nodes(name)
    large = TraceJob(LARGE, COMES, 30.0, Resources.of(cpus=CPUS), 60.0, (9,), 0)
    with_it, without = _watch([*small, large], nodes), _watch(small, nodes)
    at = with_it.started.get(LARGE)
    wait = None if at is None else at - COMES
    until = COMES + WINDOW_S
    lost, lost_waiting = (
        _in_use(without, COMES, end) - _in_use(with_it, COMES, end)
        for end in (until, until if at is None else max(at, COMES + TICK_S))
    )
    return _Found(wait, _longest_small(with_it) + TICK_S, lost_waiting, lost)


def _nodes(name: str) -> list[Node]:
    return [a_node(number, cpus=CPUS) for number in range(1, STREAMS[name][0] + 1)]


def _gang(name: str, projects: int, gang: str) -> None:
    waits, allowed = list[float](), list[float]()
    cpus, members = GANGS[gang]
    for seed in GANG_SEEDS:
        count = int(members * STREAMS[name][0])
        large = TraceJob(LARGE, COMES, 30.0, Resources.of(cpus=cpus), 60.0, (9,), 0, count=count)
        outcome = _watch([*_stream(name, projects, seed), large], _nodes(name))
        waits.append(outcome.started.get(LARGE, COMES + WINDOW_S) - COMES)
        allowed.append(2 * _longest_small(outcome) + TICK_S)
    figure("starvation", "gang", max(waits), "s", stream=name, projects=projects, job=gang,
           waits=[round(wait, 1) for wait in waits], bar="<= twice the longest running small job + a tick",
           held=all(wait <= most for wait, most in zip(waits, allowed, strict=True)))  # fmt: skip


def main() -> None:
    """Every stream, for one, two and three projects; the worst of some seeds."""
    for name in STREAMS:
        for projects in (1, 2):
            for gang in GANGS:
                _gang(name, projects, gang)
        for projects in (1, 2, 3):
            found = [_measure(name, projects, seed) for seed in SEEDS]
            facts = {"stream": name, "projects": projects}
            waits = [WINDOW_S if each.wait is None else each.wait for each in found]
            figure("starvation", "wait", max(waits), "s", **facts,
                   started=sum(each.wait is not None for each in found), of=len(found),
                   allowed_s=[round(each.allowed, 1) for each in found], bar="<= longest running small job + a tick",
                   held=all(each.wait is not None and each.wait <= each.allowed for each in found))  # fmt: skip
            lost = max(each.lost for each in found)
            figure("starvation", "lost", lost, "of the fleet, in the five minutes since it came", **facts,
                   while_it_waited=round(max(each.lost_waiting for each in found), 3), bar=f"< {BAR_LOST}",
                   held=lost < BAR_LOST)  # fmt: skip


if __name__ == "__main__":
    main()
