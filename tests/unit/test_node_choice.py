"""Which of the nodes that fit takes a job: what waits, preferences, failures, spread pools."""

from typing import Any

import pytest

from scheduler.rules.cluster.policy import Mode, Packing, Policy
from scheduler.rules.cluster.resources import Resources
from scheduler.rules.cluster.shapes import Constraint, ConstraintOperator, Preference
from tests.support.placement import World, a_node, where

SSD = Constraint("ssd", ConstraintOperator.EXISTS)


def test_equal_small_jobs_fill_one_node_before_the_next() -> None:
    world = World([a_node(1, cpus=4), a_node(2, cpus=4)])
    shape = world.shape(cpus=0.5)
    jobs = []
    for _ in range(8):
        jobs.append(world.job(shape))
        assert len(world.plan().placements) == 1
        node = where(world.plan())[jobs[-1]]
        world.queue.discard(jobs[-1])
        world.run(node, cpus=0.5)
    assert {int(run.node_id) for run in world.running} == {1} or {int(run.node_id) for run in world.running} == {2}


def test_a_job_takes_the_place_that_is_of_the_least_use_to_what_waits() -> None:
    world = World([a_node(1, cpus=8, mem=4000), a_node(2, cpus=8, mem=64_000)])
    hungry = world.shape(cpus=8, mem=60_000)
    small = world.job(world.shape(cpus=4, mem=1000), waited=20)
    waiting = world.job(hungry, waited=10)
    assert where(world.plan()) == {small: 1, waiting: 2}


def test_half_a_whole_node_is_left_whole_for_those_who_need_one() -> None:
    world = World([a_node(1, cpus=8, mem=0), a_node(2, cpus=8, mem=0)])
    world.run(2, cpus=3)
    world.job(world.shape(cpus=8), waited=5)
    small = world.job(world.shape(cpus=1), waited=50)
    assert where(world.plan())[small] == 2


def test_a_job_that_no_node_could_hold_does_not_change_where_the_others_go() -> None:
    def placed(*, giant: bool) -> dict[int, int]:
        world = World([a_node(number, cpus=8 * number, mem=16_000 // number) for number in (1, 2, 3)])
        jobs = [world.job(world.shape(cpus=1, mem=1000 * (1 + number)), waited=90 - number) for number in range(6)]
        if giant:
            world.job(world.shape(cpus=999), waited=1)
        return {job: node for job, node in where(world.plan()).items() if job in jobs}

    assert placed(giant=True) == placed(giant=False)


def test_a_node_where_the_job_failed_comes_last_whatever_else_speaks_for_it() -> None:
    world = World([a_node(1, labels={"ssd": "y"}), a_node(2)])
    much = (Preference(SSD, 1000.0), Preference(SSD, 1000.0))
    job = world.job(world.shape(preferences=much), avoid=frozenset({1}))
    assert where(world.plan()) == {job: 2}


@pytest.mark.parametrize("packing", [Packing.PACK, Packing.SPREAD])
def test_liked_nodes_go_first_in_packed_and_in_spread_pools(packing: Packing) -> None:
    nodes = [a_node(number, cpus=2, pool="p", labels={"ssd": "y"} if number == 2 else {}) for number in (1, 2, 3)]
    world = World(nodes, Policy(packing={"p": packing}))
    shape = world.shape(preferences=(Preference(SSD),))
    jobs = [world.job(shape, waited=50 - number) for number in range(3)]
    placed = where(world.plan())
    assert [placed[job] for job in jobs[:2]] == [2, 2]
    assert placed[jobs[2]] in {1, 3}


@pytest.mark.parametrize("more", [{}, {"spread": "zone"}, {"apart": "node"}])
def test_a_spread_pool_uses_a_node_that_is_short_of_what_the_job_does_not_ask_for(more: dict[str, Any]) -> None:
    node = a_node(1, cpus=4, custom={"gpu": 1}, pool="p", labels={"zone": "a"})
    world = World([node], Policy(packing={"p": Packing.SPREAD}))
    world.nodes.allocate(1, Resources.of(cpus=1, custom={"gpu": 3}))
    job = world.job(world.shape(cpus=1, **more))
    assert where(world.plan()) == {job: 1}


def test_the_newest_goes_first_in_lifo_mode_whatever_its_shape() -> None:
    world = World([a_node(number, cpus=64) for number in range(1, 101)], Policy(mode=Mode.LIFO))
    shapes = [world.shape(job_type_id=1), world.shape(job_type_id=2)]
    jobs = [world.job(shapes[number % 2], waited=100 - number) for number in range(40)]
    assert [placement.job_id for placement in world.plan(limit=12).placements] == jobs[:-13:-1]
