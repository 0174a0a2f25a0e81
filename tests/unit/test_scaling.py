"""How many nodes a pool should have: examples first, then what holds for every pool and every queue."""

from __future__ import annotations

from math import ceil, inf
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import CheckConstraint

from scheduler.identifiers import NodeId
from scheduler.rules.autoscaling.decide import Pool, ScalingSettings, SizeDecision, decide, fits_new_node, nodes_to_stop
from scheduler.rules.autoscaling.demand import waves
from scheduler.rules.autoscaling.sizing import PoolSizing
from scheduler.rules.cluster.policy import Policy, Quota
from scheduler.rules.cluster.resources import Resources
from scheduler.rules.cluster.shapes import Constraint
from scheduler.store.schema import reference_tables
from tests.support.placement import NOW, World, a_node

TEMPLATE = Resources.of(cpus=2, mem=4000, disk=1000)


def auto(**facts: Any) -> Pool:
    return Pool(**{"name": "p", "sizing": PoolSizing.AUTO, "largest": 20, "template": TEMPLATE, **facts})


def decision(world: World, pool: Pool) -> SizeDecision:
    return decide(world.snapshot, [pool], NOW)[pool.name]


def waiting(jobs: int, *, run_s: float | None = None, world: World | None = None, **facts: Any) -> World:
    world = world or World()
    shape = world.shape(**{"mem": 100, "timeout_s": 3600.0, **facts})
    for _ in range(jobs):
        world.job(shape, waited=0.0)
    if run_s is not None:
        for _ in range(50):
            world.predictor.learn(shape.project_id, shape.job_type_id, shape.timeout_s, run_s)
    return world


def test_the_database_knows_the_same_ways_of_sizing() -> None:
    (check,) = (one for one in reference_tables.pools.constraints if one.name == "pool_sizing")
    assert isinstance(check, CheckConstraint)
    assert str(check.sqltext) == "sizing IN ('free', 'fixed', 'auto')"


def test_a_fixed_pool_has_the_size_it_was_told_whatever_waits() -> None:
    assert decision(waiting(100), Pool("p", PoolSizing.FIXED, size=3)).wanted == 3


def test_a_free_pool_is_left_alone() -> None:
    assert decide(waiting(100).snapshot, [Pool("p")], NOW) == {}


def test_long_jobs_get_a_slot_each() -> None:
    assert decision(waiting(7, run_s=1000.0), auto()).wanted == 4


def test_short_jobs_share_a_slot_one_after_the_other() -> None:
    # 10 s each, 30 s target, 5 s until a node is there: three in a row in each of two slots.
    assert decision(waiting(60, run_s=10.0), auto()).wanted == 10


def test_a_pool_grows_from_zero_for_a_single_job() -> None:
    assert decision(waiting(1, run_s=1.0), auto()).wanted == 1


def test_nodes_on_their_way_are_counted() -> None:
    found = decision(waiting(7, run_s=1000.0), auto(starting=4))
    assert (found.wanted, found.present) == (4, 4)
    assert "on the way: " in found.why


def test_work_that_ends_soon_makes_growth_unnecessary() -> None:
    busy = World([a_node(1, cpus=2, pool="p")])
    for _ in range(2):
        busy.run(1, started=NOW - 90.0, expected_s=100.0)
    assert decision(waiting(2, run_s=1000.0, world=busy), auto()).wanted == 1


def test_work_that_ends_late_does_not() -> None:
    busy = World([a_node(1, cpus=2, pool="p")])
    for _ in range(2):
        busy.run(1, started=NOW - 10.0, expected_s=1000.0)
    assert decision(waiting(2, run_s=1000.0, world=busy), auto()).wanted == 2


def test_scraps_of_room_that_fit_nothing_do_not_count_as_room() -> None:
    busy = World([a_node(number, cpus=2, pool="p") for number in range(1, 5)])
    for number in range(1, 5):
        busy.run(number, cpus=1.5, started=NOW, expected_s=5000.0)
    assert decision(waiting(1, run_s=1000.0, world=busy), auto()).wanted == 5


@pytest.mark.parametrize(
    "facts", [{"cpus": 3}, {"mem": 5000}, {"custom": {"gpu": 1}}, {"constraints": (Constraint("zone", value="b"),)}]
)
def test_what_fits_no_new_node_grows_nothing_and_is_named(facts: dict[str, Any]) -> None:
    found = decision(waiting(9, **facts), auto(labels={"zone": "a"}))
    assert found.wanted == 0
    assert found.hopeless == {1: 9}
    assert "could run on no node" in found.why


def test_jobs_of_another_pool_are_not_its_business() -> None:
    found = decision(waiting(9, pool="q"), auto())
    assert (found.wanted, found.hopeless) == (0, {})


def test_demand_that_two_pools_could_meet_is_met_once() -> None:
    pools = [auto(largest=3), auto(name="q")]
    found = decide(waiting(10, run_s=1000.0).snapshot, pools, NOW)
    assert [found["p"].wanted, found["q"].wanted] == [3, 2]


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        (Policy(max_scheduled={0: 2}), "job type limit"),
        (Policy(quotas={0: Quota(jobs=2)}), "project quota"),
        (Policy(paused_types=frozenset({0})), "job type paused"),
    ],
)
def test_jobs_that_limits_keep_back_ask_for_no_nodes(policy: Policy, reason: str) -> None:
    found = decision(waiting(100, run_s=1000.0, world=World(policy=policy)), auto())
    assert found.wanted <= 1
    if not found.wanted:
        assert reason in found.why


def test_a_paused_scheduler_changes_no_size() -> None:
    idle = waiting(5, world=World([a_node(1, pool="p")], Policy(scheduler_paused=True)))
    assert decision(idle, auto(idle_s={1: inf})).wanted == 1


def test_idle_nodes_go_after_a_while_and_not_below_the_smallest_size() -> None:
    idle = World([a_node(number, pool="p") for number in range(1, 5)])
    long, short = dict.fromkeys(range(1, 5), 61.0), dict.fromkeys(range(1, 5), 10.0)
    assert decision(idle, auto(idle_s=short)).wanted == 4
    assert decision(idle, auto(idle_s=long)).wanted == 0
    assert decision(idle, auto(idle_s=long, smallest=3)).wanted == 3
    assert decision(idle, auto(idle_s=long, pace=ScalingSettings(shrink_step=1))).wanted == 3
    assert decision(idle, auto(idle_s=long, since_grown_s=5.0)).wanted == 4


def test_growth_keeps_to_its_step_and_its_pause() -> None:
    many = waiting(100, run_s=1000.0)
    assert decision(many, auto(pace=ScalingSettings(grow_step=3))).wanted == 3
    assert decision(many, auto(pace=ScalingSettings(grow_pause_s=60.0), since_grown_s=1.0)).wanted == 0


def test_idle_nodes_leave_first_then_those_that_end_soonest() -> None:
    world = World([a_node(number, pool="p") for number in range(1, 5)])
    world.run(1, started=NOW, expected_s=500.0)
    world.run(2, started=NOW, expected_s=100.0)
    world.run(3, started=NOW, expected_s=300.0)
    assert nodes_to_stop(world.snapshot, [NodeId(1), NodeId(2), NodeId(3), NodeId(4)], 3, NOW) == [4, 2, 3]


def test_of_idle_nodes_the_newest_leaves_first_and_the_protected_last() -> None:
    world = World([a_node(number, pool="p") for number in range(1, 4)])
    assert nodes_to_stop(world.snapshot, [NodeId(1), NodeId(2), NodeId(3)], 3, NOW, last=[NodeId(3)]) == [2, 1, 3]


def test_waves_count_starts_within_a_time() -> None:
    assert [waves(10.0, within) for within in (-1.0, 0.0, 9.0, 10.0, 30.0)] == [1, 1, 1, 2, 4]
    assert waves(inf, 1000.0) == 1


jobs_of_shapes = st.lists(
    st.tuples(st.integers(1, 40), st.sampled_from([0.25, 0.5, 1, 2, 4]), st.sampled_from([None, 1.0, 20.0, 400.0])),
    max_size=6,
)
nodes_busy = st.lists(st.integers(0, 2), max_size=6)


def build(queue: list[tuple[int, float, float | None]], busy: list[int], part: int | None = None) -> World:
    """Jobs of the first `part` kinds wait; the run times of all of them are known."""
    world = World([a_node(number, cpus=2, pool="p") for number in range(1, len(busy) + 1)])
    for number, runs in enumerate(busy, start=1):
        for _ in range(runs):
            world.run(number, started=NOW - 5.0, expected_s=1000.0)
    for kind, (count, cpus, run_s) in enumerate(queue, start=1):
        waiting(count if part is None or kind <= part else 0, run_s=run_s, world=world, cpus=cpus, job_type_id=kind)
    return world


@settings(max_examples=200, deadline=None)
@given(jobs_of_shapes, nodes_busy, st.integers(0, 5), st.integers(0, 15), st.integers(0, 4))
def test_the_wanted_size_lies_within_the_bounds_and_never_exceeds_a_node_per_job(
    queue: list[tuple[int, float, float | None]], busy: list[int], smallest: int, span: int, starting: int
) -> None:
    pool = auto(smallest=smallest, largest=smallest + span, starting=starting)
    found = decision(build(queue, busy), pool)
    assert smallest <= found.wanted <= smallest + span
    jobs = sum(count for count, cpus, _ in queue if cpus <= 2)
    assert found.wanted <= max(smallest, found.present + jobs)
    assert found.why


@settings(max_examples=200, deadline=None)
@given(jobs_of_shapes, nodes_busy)
def test_more_waiting_work_never_makes_a_smaller_pool(
    queue: list[tuple[int, float, float | None]], busy: list[int]
) -> None:
    pool = auto(largest=1000)
    sizes = [decision(build(queue, busy, part), pool).wanted for part in range(len(queue) + 1)]
    assert sizes == sorted(sizes)


@settings(max_examples=200, deadline=None)
@given(jobs_of_shapes, nodes_busy)
def test_the_nodes_that_are_added_are_enough_and_one_fewer_is_not_twice_over(
    queue: list[tuple[int, float, float | None]], busy: list[int]
) -> None:
    """What the added nodes could start within the target wait is at least what nothing else could."""
    pool = auto(largest=1000)
    world = build(queue, busy)
    found = decision(world, pool)
    added = found.wanted - found.present
    assert (added == 0) == (not found.unmet)
    shapes = [world.shapes[shape_id] for shape_id in found.unmet]
    slots = {s.id: TEMPLATE.cpus // s.requires.cpus for s in shapes}
    assert added <= sum(ceil(count / slots[shape_id]) for shape_id, count in found.unmet.items())
    again = decision(world, auto(largest=1000, starting=added))
    assert again.wanted == again.present


@settings(max_examples=100, deadline=None)
@given(jobs_of_shapes, nodes_busy)
def test_a_job_that_suits_the_template_never_waits_for_ever(
    queue: list[tuple[int, float, float | None]], busy: list[int]
) -> None:
    """With no node, anything that could run on a new one asks for at least one."""
    world = build(queue, [])
    pool = auto()
    could = [shape for shape in world.shapes.values() if fits_new_node(shape, pool)]
    assert (decision(world, pool).wanted > 0) == bool(could)
