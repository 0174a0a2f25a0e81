"""What becomes of jobs that cannot start: room is kept or made for them, and no project or job starves."""

import random
from typing import Any

import pytest

from scheduler.identifiers import NodeId, ShapeId
from scheduler.replay.replay import replay
from scheduler.replay.trace import TraceJob
from scheduler.rules.cluster.policy import Packing, Policy
from scheduler.rules.cluster.prediction import Predictor
from scheduler.rules.cluster.resources import Resources
from scheduler.rules.cluster.shapes import Constraint, Preference
from tests.support.placement import NOW, World, a_node, where


def test_room_is_kept_where_the_job_can_start_first() -> None:
    world = World([a_node(1, cpus=4), a_node(2, cpus=4)])
    world.run(1, cpus=2, expected_s=900.0)
    world.run(2, cpus=2, expected_s=400.0)
    large = world.job(world.shape(cpus=4), waited=500)
    (kept,) = world.plan().reservations
    assert (kept.job_id, kept.node_ids, kept.start) == (large, (2,), NOW + 300)


def test_of_nodes_that_come_free_together_room_is_kept_on_the_fullest() -> None:
    world = World([a_node(number, cpus=4) for number in (1, 2, 3)])
    for node_id, cpus in ((1, 1), (2, 3), (3, 2)):
        world.run(node_id, cpus=cpus, expected_s=400.0)
    world.job(world.shape(cpus=4), waited=500)
    assert world.plan().reservations[0].node_ids == (2,)


def test_equal_jobs_are_mixed_in_the_proportions_in_which_they_wait() -> None:
    world = World([a_node(1, cpus=100, mem=0)])
    for number in (180, 20):
        shape = world.shape(cpus=1)
        for _ in range(number):
            world.job(shape)
    placed = [placement.shape_id for placement in world.plan().placements]
    assert (placed.count(ShapeId(1)), placed.count(ShapeId(2))) == (90, 10)


def test_others_start_on_kept_room_only_when_they_will_have_ended_by_then() -> None:
    world = World([a_node(1, cpus=4)])
    world.run(1, cpus=2, expected_s=400.0)
    world.job(world.shape(cpus=4, timeout_s=100.0), waited=500)
    short = world.job(world.shape(cpus=1, timeout_s=200.0), waited=9)
    world.job(world.shape(cpus=1, timeout_s=4000.0), waited=8)
    assert where(world.plan()) == {short: 1}


def test_a_long_job_may_use_what_the_kept_room_leaves() -> None:
    world = World([a_node(1, cpus=4)])
    world.run(1, cpus=3, expected_s=400.0)
    world.job(world.shape(cpus=3, timeout_s=100.0), waited=500)
    long = world.job(world.shape(cpus=1, timeout_s=9000.0), waited=9)
    assert where(world.plan()) == {long: 1}


def test_a_gang_gets_room_kept_on_several_nodes_at_once() -> None:
    world = World([a_node(number, cpus=2) for number in (1, 2, 3)])
    for node_id, seconds in ((1, 200.0), (2, 300.0), (3, 400.0)):
        world.run(node_id, cpus=2, expected_s=seconds)
    world.job(world.shape(cpus=2, count=2))
    (kept,) = world.plan().reservations
    assert (sorted(kept.node_ids), kept.start) == ([1, 2], NOW + 200)


def test_an_execution_that_outlives_its_prediction_is_believed_to_run_on() -> None:
    world = World([a_node(1, cpus=2)])
    world.run(1, cpus=2, started=NOW - 1000.0, expected_s=10.0, timeout_s=1200.0)
    world.job(world.shape(cpus=2))
    assert world.plan().reservations[0].start == NOW + 200


def test_a_more_urgent_job_takes_back_the_room_of_preemptible_ones() -> None:
    world = World([a_node(1, cpus=4), a_node(2, cpus=4)], Policy(preemption=True))
    world.run(1, cpus=4, priority=200)
    old = world.run(2, cpus=2, priority=200, preemptible=True, started=NOW - 900.0)
    young = world.run(2, cpus=2, priority=200, preemptible=True, started=NOW - 5.0)
    urgent = world.job(world.shape(cpus=2, priority=10))
    plan = world.plan()
    (taken,) = plan.preemptions
    assert (taken.job_id, taken.node_id, taken.execution_ids) == (urgent, 2, (young.execution_id,))
    assert old.execution_id not in taken.execution_ids
    assert plan.reservations[0].node_ids == (2,)


def test_nothing_more_is_stopped_while_room_is_already_coming_free() -> None:
    world = World([a_node(1, cpus=2), a_node(2, cpus=2)], Policy(preemption=True))
    world.run(1, cpus=2, priority=200, preemptible=True, stopping=True)
    world.run(2, cpus=2, priority=200, preemptible=True)
    world.job(world.shape(cpus=2, priority=10))
    plan = world.plan()
    assert not plan.preemptions
    assert plan.reservations[0].node_ids == (1,)


@pytest.mark.parametrize("off", [{"preemptible": False}, {"priority": 10}])
def test_who_is_not_preemptible_or_no_less_urgent_stays(off: dict[str, Any]) -> None:
    world = World([a_node(1, cpus=2)], Policy(preemption=True))
    world.run(1, cpus=2, **({"priority": 200, "preemptible": True} | off))
    world.job(world.shape(cpus=2, priority=10))
    assert not world.plan().preemptions


def test_jobs_kept_apart_never_share_a_value_of_the_label() -> None:
    world = World([a_node(number, labels={"zone": "xxy"[number - 1]}) for number in (1, 2, 3)])
    shape = world.shape(apart="zone")
    for _ in range(3):
        world.job(shape)
    nodes = sorted(where(world.plan()).values())
    assert len(nodes) == 2
    assert nodes[1] == 3


def test_a_label_to_spread_over_evens_out_its_values() -> None:
    world = World([a_node(number, cpus=9, labels={"zone": "xxy"[number - 1]}) for number in (1, 2, 3)])
    shape = world.shape(spread="zone")
    for _ in range(6):
        world.job(shape)
    assert sorted(where(world.plan()).values()).count(NodeId(3)) == 3


def test_a_spread_pool_fills_evenly() -> None:
    world = World([a_node(number, cpus=8, pool="p") for number in (1, 2, 3)], Policy(packing={"p": Packing.SPREAD}))
    shape = world.shape(pool="p")
    for _ in range(6):
        world.job(shape)
    counts = list(where(world.plan()).values())
    assert sorted(counts.count(NodeId(number)) for number in (1, 2, 3)) == [2, 2, 2]


def test_a_preference_outweighs_fit_and_a_failure_outweighs_both() -> None:
    world = World([a_node(1, cpus=2, mem=0), a_node(2, cpus=64, mem=0, labels={"ssd": "yes"})])
    liked = (Preference(Constraint("ssd", value="yes")),)
    fond = world.job(world.shape(preferences=liked))
    assert where(world.plan()) == {fond: 2}
    world.queue.discard(fond)
    burnt = world.job(world.shape(preferences=liked), avoid=frozenset({2}))
    assert where(world.plan()) == {burnt: 1}


def test_honest_limits_are_believed_and_dishonest_ones_are_not() -> None:
    honest, usual = Predictor(), Predictor()
    for number in range(1, 30):
        honest.learn(1, 1, 100.0 * number, 98.0 * number)
        usual.learn(1, 1, 86_400.0, 300.0 + number)
    assert honest.expected_s(1, 1, 5000.0) == pytest.approx(4900, rel=0.05)
    assert usual.expected_s(1, 1, 86_400.0) == pytest.approx(320, rel=0.1)
    assert usual.expected_s(1, 1, 60.0) <= 60.0
    assert usual.error < 0.4
    assert Predictor().expected_s(1, 1, None) == float("inf")


def test_a_whole_node_job_starts_within_the_longest_small_job_and_a_tick() -> None:
    chance = random.Random(3)
    small = [
        TraceJob(number, number * 1.25, chance.uniform(20, 60), Resources.of(cpus=1), 60.0) for number in range(1, 3000)
    ]
    large = TraceJob(10_000, 1000.5, 30.0, Resources.of(cpus=8), 60.0)
    jobs = sorted([*small, large], key=lambda job: job.submitted)
    outcome = replay(jobs, [a_node(number, cpus=8) for number in (1, 2, 3, 4)], Policy())
    assert outcome.started[large.id] - large.submitted <= 61.0
    busy = [share for at, _, share in outcome.moments if 500 < at < 3000]
    assert sum(busy) / len(busy) > 0.95
