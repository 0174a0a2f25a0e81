"""Which job goes where: order, limits, pauses and choice of node on small clusters."""

from typing import Any

import pytest

from scheduler.rules.cluster.policy import Mode, Policy, Quota
from scheduler.rules.cluster.reasons import Reason
from scheduler.rules.cluster.shapes import Constraint, ConstraintOperator
from tests.support.placement import NOW, World, a_node, where


def test_a_job_goes_to_a_node_with_room_for_it() -> None:
    world = World([a_node(1, cpus=1), a_node(2, cpus=8)])
    job = world.job(world.shape(cpus=4))
    plan = world.plan()
    assert where(plan) == {job: 2}
    assert plan.placements[0].attempt == 0


def test_the_tightest_node_is_filled_first() -> None:
    world = World([a_node(1, cpus=16, mem=0), a_node(2, cpus=3, mem=0), a_node(3, cpus=2, mem=0)])
    job = world.job(world.shape(cpus=2))
    assert where(world.plan()) == {job: 3}


def test_a_plan_never_takes_more_than_is_free() -> None:
    world = World([a_node(1, cpus=2), a_node(2, cpus=3)])
    shape = world.shape(cpus=2)
    for _ in range(5):
        world.job(shape)
    plan = world.plan()
    assert sorted(where(plan).values()) == [1, 2]
    assert plan.refusals[shape.id].reason is Reason.NO_ROOM


def test_the_more_urgent_priority_goes_first() -> None:
    world = World([a_node(1, cpus=1)])
    world.job(world.shape(priority=100), waited=900)
    urgent = world.job(world.shape(priority=5), waited=1)
    assert where(world.plan()) == {urgent: 1}


def test_the_older_job_goes_first_and_the_newer_in_lifo_mode() -> None:
    for mode, expected in ((Mode.FIFO, 0), (Mode.LIFO, 1)):
        world = World([a_node(1, cpus=1)], Policy(mode=mode))
        shape = world.shape()
        jobs = [world.job(shape, waited=900), world.job(shape, waited=5)]
        assert where(world.plan()) == {jobs[expected]: 1}


def test_projects_take_turns_by_what_they_hold() -> None:
    world = World([a_node(1, cpus=8)])
    one, two = world.shape(project_id=1), world.shape(project_id=2)
    for _ in range(8):
        world.job(one, waited=500)
        world.job(two, waited=5)
    plan = world.plan()
    assert [sum(p.shape_id == shape.id for p in plan.placements) for shape in (one, two)] == [4, 4]


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        (Policy(scheduler_paused=True), Reason.SCHEDULER_PAUSED),
        (Policy(paused_projects=frozenset({7})), Reason.PROJECT_PAUSED),
        (Policy(paused_types=frozenset({3})), Reason.TYPE_PAUSED),
        (Policy(max_scheduled={3: 0}), Reason.TYPE_LIMIT),
        (Policy(quotas={7: Quota(cpus=999)}), Reason.PROJECT_QUOTA),
        (Policy(quotas={7: Quota(jobs=0)}), Reason.PROJECT_QUOTA),
    ],
)
def test_a_pause_or_limit_holds_the_shape_and_is_named(policy: Policy, reason: Reason) -> None:
    world = World([a_node(1)], policy)
    shape = world.shape(project_id=7, job_type_id=3)
    world.job(shape)
    plan = world.plan()
    assert not plan.placements
    assert plan.refusals[shape.id].reason is reason


def test_limits_count_what_runs_and_what_is_planned() -> None:
    world = World([a_node(1, cpus=9)], Policy(max_scheduled={3: 3}))
    shape = world.shape(job_type_id=3)
    world.run(1, job_type_id=3)
    for _ in range(5):
        world.job(shape)
    assert len(world.plan().placements) == 2


@pytest.mark.parametrize("flag", [{"paused": True}, {"draining": True}, {"ready": False}, {"launch_failures": 3}])
def test_a_node_that_takes_no_work_gets_none(flag: dict[str, Any]) -> None:
    world = World([a_node(1, **flag)])
    world.job(world.shape())
    assert not world.plan().placements


def test_pool_and_constraints_choose_the_nodes() -> None:
    world = World(
        [
            a_node(1, pool="a", labels={"arch": "arm", "gen": "3"}),
            a_node(2, pool="b", labels={"arch": "x86", "gen": "7"}),
        ]
    )
    expected = {
        world.job(world.shape(pool="b")): 2,
        world.job(world.shape(constraints=(Constraint("arch", ConstraintOperator.EQUAL, "arm"),))): 1,
        world.job(world.shape(constraints=(Constraint("arch", ConstraintOperator.IN, ("x86", "riscv")),))): 2,
        world.job(world.shape(constraints=(Constraint("gen", ConstraintOperator.AT_MOST, "3"),))): 1,
        world.job(world.shape(constraints=(Constraint("node", ConstraintOperator.NOT_EQUAL, "n1"),))): 2,
    }
    world.job(world.shape(constraints=(Constraint("gpu", ConstraintOperator.EXISTS),)))
    assert where(world.plan()) == expected


def test_custom_resources_are_counted_like_the_others() -> None:
    world = World([a_node(1), a_node(2, custom={"gpu": 2})])
    shape = world.shape(custom={"gpu": 1})
    jobs = [world.job(shape) for _ in range(3)]
    assert where(world.plan()) == dict.fromkeys(jobs[:2], 2)


def test_held_and_early_jobs_wait_until_their_time() -> None:
    world = World([a_node(1)])
    shape = world.shape()
    world.job(shape, held="by hand")
    early = world.job(shape, not_before=NOW + 5)
    assert not world.plan().placements
    assert where(world.plan(now=NOW + 5)) == {early: 1}


def test_the_limit_bounds_the_jobs_of_one_plan() -> None:
    world = World([a_node(1, cpus=9)])
    shape = world.shape()
    jobs = [world.job(shape, waited=50 - number) for number in range(9)]
    plan = world.plan(limit=4)
    assert list(where(plan)) == jobs[:4]
    assert plan.refusals[shape.id].reason is Reason.BEHIND


def test_a_gang_is_placed_wholly_or_not_at_all() -> None:
    world = World([a_node(1, cpus=2), a_node(2, cpus=2)])
    gang = world.job(world.shape(count=3, priority=1))
    too_many = world.job(world.shape(count=2))
    plan = world.plan()
    assert [(p.job_id, p.member) for p in plan.placements] == [(gang, 0), (gang, 1), (gang, 2)]
    assert too_many not in where(plan)


def test_a_plan_changes_nothing_and_is_the_same_for_the_same_seed() -> None:
    world = World([a_node(number) for number in range(1, 20)])
    for cpus in (1, 2, 3):
        shape = world.shape(cpus=cpus)
        for _ in range(6):
            world.job(shape)
    assert world.plan(seed=4) == world.plan(seed=4)
    assert len(world.queue) == 18


def test_nodes_that_came_in_another_order_take_the_same_jobs() -> None:
    worlds = [World([a_node(number) for number in order]) for order in ((1, 2, 3, 4, 5), (4, 5, 2, 3, 1), (3, 1, 2))]
    for world in worlds:
        world.run(2, cpus=1)
    worlds[2].nodes.remove(1)
    for number in (5, 4, 1):
        worlds[2].nodes.upsert(a_node(number))
    plans = []
    for world in worlds:
        world.nodes.sort_rows()
        shape = world.shape(cpus=1)
        for _ in range(12):
            world.job(shape)
        assert [world.nodes.free_on(number).cpus for number in range(1, 6)] == [4000, 3000, 4000, 4000, 4000]
        plans.append([(one.job_id, one.node_id) for one in world.plan(seed=4).placements])
    assert plans[0] == plans[1] == plans[2]
    worlds[2].nodes.remove(5)
    worlds[2].nodes.upsert(a_node(6))
    worlds[2].nodes.sort_rows()
    assert worlds[2].nodes.free_on(2).cpus == 3000
    for number in (1, 2, 3, 4, 6):
        worlds[2].nodes.remove(number)
    worlds[2].nodes.upsert(a_node(1))
    worlds[2].nodes.remove(1)
    worlds[2].nodes.sort_rows()
    assert not len(worlds[2].nodes)
