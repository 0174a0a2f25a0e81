"""Compares a pool that follows demand with fixed sizes on one trace: the cost of nodes, and the waiting times of jobs."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import ceil

from scheduler.identifiers import NodeId
from scheduler.replay import elastic, report
from scheduler.replay.replay import ReplayResult, replay
from scheduler.replay.trace import TraceJob
from scheduler.rules.autoscaling.decide import Pool
from scheduler.rules.cluster.nodes import Node
from scheduler.rules.cluster.policy import Policy

HOUR_S = 3600.0
STEP_S = 5.0
MOST_DECISIONS = 20_000
"""Most decisions of one replay: in a trace of months there are fewer than one every five seconds."""


@dataclass(frozen=True, slots=True)
class PoolCost:
    """The cost of one way to size the pool: `size` names it, `most` is the largest number of nodes. Waits are seconds.

    Waits are None if nothing ran. `used` is the part of the paid cpus that jobs used, 0 to 1. `left` counts jobs that no
    node could hold.
    """

    size: str
    most: int
    node_hours: float
    used: float
    jobs: int
    left: int
    mean_wait_s: float | None
    p95_wait_s: float | None
    max_wait_s: float | None


def compare(jobs: Sequence[TraceJob], pool: Pool, fixed: Sequence[int] = (), *, seed: int = 1) -> list[PoolCost]:
    """Replay a trace (sorted by submission time) on the pool that follows demand, which comes first, and at fixed sizes.

    Without `fixed` the sizes are the mean size of the first pool (the same cost) and its largest. Raises ValueError as
    the replay does.
    """
    span = jobs[-1].submitted - jobs[0].submitted
    seen = elastic.replay(jobs, pool, step_s=max(STEP_S, span / MOST_DECISIONS), seed=seed)
    most = max(size for _, size, _ in seen.sizes)
    lasted = _end(jobs, seen.outcome) - jobs[0].submitted
    chosen = fixed or sorted({max(1, ceil(seen.node_s / lasted)) if lasted else 1, max(1, most)})
    name = f"{pool.smallest} to {pool.largest}"
    return [_cost(name, most, seen.node_s, pool, seen.outcome), *(_at(size, jobs, pool, seed) for size in chosen)]


def as_data(costs: Sequence[PoolCost]) -> list[dict[str, object]]:
    """Return the figures as plain data, for JSON."""
    return [asdict(cost) for cost in costs]


def as_text(costs: Sequence[PoolCost]) -> str:
    """Return a table of the figures."""
    heads = ("nodes", "most", "node-hours", "used", "jobs", "mean wait", "p95 wait", "max wait")
    lines = ["".join(f"{head:>12}" for head in heads)]
    for cost in costs:
        waits = (report.time(wait) for wait in (cost.mean_wait_s, cost.p95_wait_s, cost.max_wait_s))
        cells = (cost.size, cost.most, f"{cost.node_hours:.1f}", f"{cost.used:.0%}", cost.jobs, *waits)
        lines.append("".join(f"{cell:>12}" for cell in cells))
    if left := max(cost.left for cost in costs):
        jobs, them = ("job", "it") if left == 1 else ("jobs", "them")
        lines += ["", f"{left} {jobs} never started: no node of this template could hold {them}."]
    return "\n".join(lines)


def _at(size: int, jobs: Sequence[TraceJob], pool: Pool, seed: int) -> PoolCost:
    assert pool.template is not None  # noqa: S101 - the replay of the pool itself has refused it
    nodes = [
        Node(NodeId(number), pool.template, name=f"{pool.name}-{number}", pool=pool.name)
        for number in range(1, size + 1)
    ]
    outcome = replay(jobs, nodes, Policy(), seed=seed)
    return _cost(str(size), size, size * (_end(jobs, outcome) - jobs[0].submitted), pool, outcome)


def _cost(name: str, most: int, node_s: float, pool: Pool, outcome: ReplayResult) -> PoolCost:
    summary = report.summarise(name, outcome)
    assert pool.template is not None  # noqa: S101 - likewise
    worked = sum(job.run_s * job.requires.cpus * job.count for job in outcome.jobs if job.id in outcome.started)
    paid = node_s * pool.template.cpus
    return PoolCost(
        size=name,
        most=most,
        node_hours=node_s / HOUR_S,
        used=worked / paid if paid else 0.0,
        jobs=summary.jobs,
        left=summary.left,
        mean_wait_s=summary.mean_wait_s,
        p95_wait_s=summary.p95_wait_s,
        max_wait_s=summary.max_wait_s,
    )


def _end(jobs: Sequence[TraceJob], outcome: ReplayResult) -> float:
    """Return when the last job ended; if none started, when the first one was submitted."""
    ends = (outcome.started[job.id] + job.run_s for job in jobs if job.id in outcome.started)
    return max(ends, default=jobs[0].submitted)
