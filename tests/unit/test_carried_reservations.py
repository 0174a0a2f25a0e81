"""Room kept from one plan to the next: large jobs start whoever else has work, and no project gets more than its share by it."""

import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.identifiers import ExecutionId, NodeId, ShapeId
from scheduler.replay import replay
from scheduler.replay.replay import ReplayResult
from scheduler.replay.trace import TraceJob
from scheduler.rules.cluster.plan import CarriedReservation, Plan
from scheduler.rules.cluster.policy import Mode, Policy
from scheduler.rules.cluster.resources import Resources
from scheduler.rules.cluster.running import ActiveExecution
from tests.support.placement import NOW, World, a_node, where
from tests.unit.test_placement_properties import SEEDS, Jumble, a_jumble, check

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("projects", [1, 2, 3])
@pytest.mark.parametrize("seed", [3, 5])
def test_a_whole_node_job_starts_within_the_longest_small_job_whoever_has_small_ones(projects: int, seed: int) -> None:
    chance = random.Random(seed)
    small = [_a_small_job(chance, number, number * 1.25, number % projects) for number in range(1, 1500)]
    large = TraceJob(10_000, 600.5, 30.0, Resources.of(cpus=8), 60.0, (9,), 0)
    jobs = sorted([*small, large], key=lambda job: job.submitted)
    outcome = replay.replay(jobs, [a_node(number, cpus=8) for number in (1, 2, 3, 4)], Policy())
    assert outcome.started[large.id] - large.submitted <= 61.0
    busy = [share for at, _, share in outcome.moments if 300 < at < 1500]
    assert sum(busy) / len(busy) > 0.95


@pytest.mark.parametrize(("weights", "expected"), [({}, 0.5), ({1: 1.0, 2: 3.0}, 0.25)])
@pytest.mark.parametrize("whole", [1.0, 0.1], ids=["whole-nodes", "a-tenth-whole-nodes"])
def test_projects_hold_their_shares_when_room_is_kept_for_one(
    weights: dict[int, float], expected: float, whole: float
) -> None:
    chance = random.Random(6)
    jobs = [_a_small_job(chance, number, 0.0, 1) for number in range(1, 12_000)]
    late = [_a_small_job(chance, number, 600.0, 2) for number in range(20_000, 32_000)]
    jobs += [replace(job, requires=Resources.of(cpus=8)) if chance.random() < whole else job for job in late]
    outcome = _course(jobs, Policy(weights=weights), until=6000.0)
    started = [job for job in jobs if job.requires.cpus == 8000 and outcome.started.get(job.id, 0.0) > 1500]
    assert len(started) > 10, "the large ones of the project that came late start again and again"
    one, two = (_use(outcome, project, 1500.0, 6000.0) for project in (1, 2))
    assert one / (one + two) == pytest.approx(expected, abs=0.02)
    assert one + two > 0.9


def test_claimed_room_is_kept_before_any_project_has_its_turn() -> None:
    world, large = _two_projects()
    first = world.plan()
    assert [(claim.job_id, claim.node_ids) for claim in first.carried] == [(large, (1,))]
    _start(world, first)
    world.carried = first.carried
    _end_one(world, node_id=1)
    small = world.shape(project_id=2, timeout_s=9000.0)
    world.job(small, waited=900)
    second = world.plan(now=NOW + 1)
    assert (where(second), second.carried) == ({}, first.carried), "the other project holds nothing and has to wait"
    world.carried = ()
    assert where(world.plan(now=NOW + 1)), "without the claim it would have gone first"


def test_a_claimed_job_starts_before_others_once_it_fits() -> None:
    world, large = _two_projects()
    world.carried = world.plan().carried
    for _ in range(2):
        _end_one(world, node_id=1)
    world.job(world.shape(project_id=2), waited=9000)
    plan = world.plan(now=NOW + 1)
    assert where(plan) == {large: 1}
    assert large not in {claim.job_id for claim in plan.carried}


def test_what_room_is_kept_for_counts_by_half_as_held() -> None:
    world, _ = _two_projects()
    ours, theirs = world.shape(project_id=1), world.shape(project_id=2)
    for number in (3, 4):
        world.nodes.upsert(a_node(number, cpus=1))
        world.job(ours)
        world.job(theirs)
    placed = [placement.shape_id for placement in world.plan().placements]
    assert placed == [theirs.id, ours.id], "else the first project would have gone first"


@pytest.mark.parametrize("how", ["gone", "held", "put off", "changed"])
def test_a_claim_ends_with_what_it_was_for(how: str) -> None:
    world, large = _two_projects()
    world.carried = world.plan().carried
    urgent = world.shape(cpus=2, priority=50, project_id=1, timeout_s=50.0)
    world.queue.discard(large)
    if how != "gone":
        changes: dict[str, dict[str, Any]] = {"held": {"held": "why"}, "put off": {"not_before": NOW + 99}}
        more = changes.get(how, {})
        world.queue.add(large, urgent.id if how == "changed" else 1, NOW - 500, **more)
    plan = world.plan(now=NOW + 1)
    assert not [claim for claim in plan.carried if claim.shape_id == 1]
    assert len(plan.reservations) == (how == "changed")


def test_a_claim_ends_with_a_pause_and_where_it_could_never_be_met() -> None:
    world, _ = _two_projects()
    world.carried = world.plan().carried
    world.policy = Policy(paused_projects=frozenset({1}))
    assert not world.plan(now=NOW + 1).carried
    world.policy = Policy()
    for number in (1, 2):
        world.nodes.upsert(a_node(number, cpus=1))
    assert not world.plan(now=NOW + 1).carried


def test_a_more_urgent_priority_takes_claimed_room() -> None:
    world, _ = _two_projects()
    world.carried = world.plan().carried
    _end_one(world, node_id=1)
    urgent = world.job(world.shape(priority=1, project_id=2, timeout_s=9000.0))
    assert where(world.plan(now=NOW + 1)) == {urgent: 1}


def test_the_newest_first_keeps_no_claims() -> None:
    world, _ = _two_projects(Policy(mode=Mode.LIFO))
    plan = world.plan()
    assert (len(plan.reservations), plan.carried) == (1, ())


def test_a_claim_that_was_not_reached_lives_on() -> None:
    world, _ = _two_projects()
    world.carried = world.plan().carried
    world.nodes.upsert(a_node(3, cpus=2))
    world.job(world.shape(priority=1, project_id=2))
    assert world.plan(now=NOW + 1, limit=1).carried == world.carried


@pytest.mark.parametrize(("elsewhere_s", "node_id"), [(60.0, 1), (40.0, 2)])
def test_kept_room_moves_only_where_the_job_could_start_in_half_the_time(elsewhere_s: float, node_id: int) -> None:
    world = World([a_node(1, cpus=2), a_node(2, cpus=2)])
    large = world.job(world.shape(cpus=2), waited=500)
    world.run(1, started=NOW, expected_s=100.0)
    world.run(2, started=NOW, expected_s=elsewhere_s)
    world.carried = (CarriedReservation(large, ShapeId(1), (NodeId(1),), NOW, NOW),)
    assert world.plan().reservations[0].node_ids == (node_id,)


def test_who_has_more_than_the_others_claims_no_room_that_they_could_use() -> None:
    world, _ = _two_projects()
    world.nodes.upsert(a_node(3, pool="theirs"))
    world.run(3, cpus=4, project_id=2, expected_s=900.0)
    world.job(world.shape(project_id=2), waited=1)
    assert world.plan().carried, "half of what it waits for is not above what the other holds"
    world.run(1, cpus=0, mem=28_000, project_id=1, expected_s=900.0)
    plan = world.plan()
    assert (len(plan.reservations), plan.carried) == (1, ())
    world.queue.discard(2)
    world.job(world.shape(project_id=2, pool="theirs"), waited=1)
    assert world.plan().carried, "the other waits for other nodes"


@settings(max_examples=100, deadline=None)
@given(SEEDS, st.sampled_from([1, 4]), st.booleans())
def test_plans_that_go_on_keeping_room_keep_every_rule(seed: int, reservations: int, weighing: bool) -> None:
    jumble = a_jumble(seed, reservations=reservations, weighing=weighing)
    world, chance, numbers = jumble.world, random.Random(seed), count(1000)
    for tick in range(6):
        plan = world.plan(now=NOW + tick)
        check(Jumble(world, jumble.held, jumble.early), plan)
        kept = {(kept.job_id, kept.node_ids) for kept in plan.reservations}
        assert {(claim.job_id, claim.node_ids) for claim in plan.carried} <= kept
        assert not {claim.job_id for claim in plan.carried} & where(plan).keys()
        _start(world, plan, numbers)
        world.carried = plan.carried
        for run in chance.sample(list(world.running), len(world.running) // 3):
            _let_go(world, run)


def _two_projects(policy: Policy | None = None) -> tuple[World, int]:
    """Two nodes full with two projects' work, and a job of project 1 that wants a whole one: node 1 first."""
    world = World([a_node(1, cpus=2), a_node(2, cpus=2)], policy)
    for node_id, seconds in ((1, 300.0), (2, 900.0)):
        for project in (1, 2):
            world.run(node_id, project_id=project, expected_s=seconds)
    return world, world.job(world.shape(cpus=2, project_id=1, timeout_s=50.0), waited=500)


def _a_small_job(chance: random.Random, number: int, at: float, project: int) -> TraceJob:
    return TraceJob(number, at, chance.uniform(20, 60), Resources.of(cpus=1), 60.0, (project,), project)


def _start(world: World, plan: Plan, numbers: Iterator[int] | None = None) -> None:
    for placement, number in zip(plan.placements, numbers or count(500), strict=False):
        shape = world.shapes[placement.shape_id]
        world.queue.discard(placement.job_id)
        world.nodes.allocate(placement.node_id, shape.requires)
        world.running.add(
            ActiveExecution(
                ExecutionId(number), placement.node_id, shape.requires, NOW, placement.expected_s, shape.timeout_s,
                placement.job_id, shape.job_type_id, shape.project_id,
            )
        )  # fmt: skip


def _end_one(world: World, node_id: int) -> None:
    _let_go(world, world.running.on_node(node_id)[-1])


def _let_go(world: World, run: ActiveExecution) -> None:
    world.running.discard(run.execution_id)
    world.nodes.release(run.node_id, run.resources)


def _course(jobs: list[TraceJob], policy: Policy, until: float) -> ReplayResult:
    """A replay on four nodes of 8 cpus, left before the trace's end."""
    world = replay.ReplayCluster(jobs, [a_node(number, cpus=8) for number in (1, 2, 3, 4)], policy, 1)
    while world.step() and world.outcome.moments[-1][0] < until:
        pass
    return world.outcome


def _use(outcome: ReplayResult, project: int, since: float, until: float) -> float:
    """The part of the fleet that a project held on average. What is kept idle for another is that one's."""
    seconds = sum(
        job.requires.cpus * max(0.0, min(until, at + job.run_s) - max(at, since))
        for job in outcome.jobs
        if job.project_id == project and (at := outcome.started.get(job.id, until)) < until
    )
    return seconds / 32_000 / (until - since)
