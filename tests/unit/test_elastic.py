"""What following demand buys on a bursty trace: node-hours and waits, held against fixed sizes. Everything is replayed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scheduler.identifiers import NodeId
from scheduler.replay import elastic
from scheduler.replay.replay import replay
from scheduler.replay.trace import TraceJob
from scheduler.rules.autoscaling.decide import Pool, ScalingSettings
from scheduler.rules.autoscaling.sizing import PoolSizing
from scheduler.rules.cluster.nodes import Node
from scheduler.rules.cluster.policy import Policy
from scheduler.rules.cluster.resources import Resources

pytestmark = pytest.mark.slow

TEMPLATE = Resources.of(cpus=4, mem=16000)
POOL = Pool(
    "burst",
    PoolSizing.AUTO,
    largest=20,
    template=TEMPLATE,
    pace=ScalingSettings(target_wait_s=60, start_s=30, idle_s=120),
)
HOUR_S = 3600.0


def bursts(count: int = 8, jobs: int = 60, every_s: float = HOUR_S, run_s: float = 120.0) -> list[TraceJob]:
    """So many jobs at once, every hour, each for two minutes on one cpu."""
    found: list[TraceJob] = []
    for burst in range(count):
        for number in range(jobs):
            at = burst * every_s + number * 0.1
            found.append(a_job(len(found) + 1, at, run_s))
    return found


def a_job(job_id: int, at: float, run_s: float) -> TraceJob:
    return TraceJob(job_id, at, run_s, Resources.of(cpus=1, mem=1000), timeout_s=HOUR_S)


def waits(jobs: list[TraceJob], started: dict[int, float]) -> list[float]:
    assert len(started) == len(jobs)
    return sorted(started[job.id] - job.submitted for job in jobs)


def fixed(jobs: list[TraceJob], size: int) -> tuple[list[float], float]:
    nodes = [Node(NodeId(number), TEMPLATE, name=f"n{number}", pool="burst") for number in range(1, size + 1)]
    outcome = replay(jobs, nodes, Policy())
    end = max(start + 120.0 for start in outcome.started.values())
    return waits(jobs, outcome.started), size * (end - jobs[0].submitted)


def test_following_demand_costs_a_fraction_of_a_fleet_that_waits_as_little() -> None:
    jobs = bursts()
    seen = elastic.replay(jobs, POOL)
    elastic_waits = waits(jobs, seen.outcome.started)
    large_waits, large_cost = fixed(jobs, 15)
    small_waits, small_cost = fixed(jobs, 2)
    assert seen.node_s < large_cost / 5
    assert seen.node_s < small_cost
    assert elastic_waits[-1] <= POOL.pace.target_wait_s + 120
    assert sum(elastic_waits) < sum(small_waits) / 5
    assert sum(large_waits) <= sum(elastic_waits)


def test_it_returns_to_its_smallest_size_and_says_why_at_each_change() -> None:
    seen = elastic.replay(bursts(2), POOL)
    assert (seen.sizes[0][1], seen.sizes[-1][1]) == (0, 0)
    assert max(size for _, size, _ in seen.sizes) <= 20
    assert all(why for _, _, why in seen.sizes)
    assert any("would wait longer" in why for _, _, why in seen.sizes)


def test_learned_run_times_make_it_ask_for_less() -> None:
    patient = replace(POOL, pace=replace(POOL.pace, target_wait_s=300))
    short = [a_job(number, number * 0.1, 20.0) for number in range(1, 201)]
    later = [a_job(200 + number, HOUR_S + number * 0.1, 20.0) for number in range(1, 201)]
    sizes = elastic.replay(short + later, patient).sizes
    first = max(size for at, size, _ in sizes if at < HOUR_S / 2)
    second = max(size for at, size, _ in sizes if at > HOUR_S / 2)
    assert second < first / 2
