"""Whose room is kept, how much of it and where: a job that cannot be seated is in nobody's way, and members kept apart are kept apart."""

from typing import Any

import pytest

from scheduler.replay.replay import replay
from scheduler.replay.trace import TraceJob
from scheduler.rules.cluster.plan import Reservation
from scheduler.rules.cluster.policy import Policy, Quota
from scheduler.rules.cluster.resources import Resources
from tests.support.placement import NOW, World, a_node, where

# --- who is in whose way --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "first",
    [{"count": 400}, {"apart": "node"}, {"cpus": 4, "pool": "other"}, {"cpus": 3, "custom": {"gpu": 1}}],
    ids=["larger-than-the-fleet", "kept-apart", "of-another-pool", "of-the-only-node-of-its-kind"],
)
@pytest.mark.parametrize("nodes", [4, 60])
def test_a_job_that_waits_in_vain_leaves_others_their_kept_room(nodes: int, first: dict[str, Any]) -> None:
    world = World([a_node(number) for number in range(1, nodes + 1)])
    world.nodes.upsert(a_node(nodes + 1, pool="other", custom={"gpu": 1}))
    for node in list(world.nodes):
        for seconds in (200.0, 210.0) if node.pool is None else (9e5, 9e5):
            world.run(node.id, cpus=2, expected_s=seconds, job_type_id=5)
    world.job(world.shape(**{"cpus": 1, "job_type_id": 5, "count": 1, **first}), waited=9000)
    large = world.job(world.shape(cpus=4), waited=500)
    assert large in {kept.job_id for kept in world.plan().reservations}


def test_one_place_is_kept_for_jobs_that_could_use_the_same_nodes() -> None:
    world = World([a_node(number, cpus=2) for number in (1, 2, 3)])
    for number in (1, 2, 3):
        world.run(number, expected_s=200.0)
    old, _ = (world.job(world.shape(cpus=2, mem=mem), waited=500 - mem) for mem in (0, 1))
    assert [kept.job_id for kept in world.plan().reservations] == [old]


# --- preemption -----------------------------------------------------------------------------------------------


def test_room_that_is_being_cleared_stays_kept_while_the_stopped_ones_end() -> None:
    world = World([a_node(number) for number in (1, 2)], Policy(preemption=True))
    for number in (1, 2):
        world.run(number, cpus=2, expected_s=5000.0, priority=200, preemptible=True, stopping=True)
    urgent = [world.job(world.shape(cpus=4, priority=1, timeout_s=100.0 + more)) for more in (0, 1)]
    world.job(world.shape(cpus=2, timeout_s=9e4))
    plan = world.plan()
    assert not plan.placements
    assert {kept.job_id for kept in plan.reservations} == set(urgent)


def test_with_preemption_no_more_room_is_kept_than_without_where_nothing_can_be_stopped() -> None:
    world = World([a_node(number) for number in range(1, 9)], Policy(preemption=True))
    for number in range(1, 9):
        world.run(number, cpus=3, expected_s=5000.0, priority=1)
        world.job(world.shape(cpus=4, priority=50, timeout_s=100.0 + number))
    assert len(world.plan().reservations) == 1


@pytest.mark.parametrize(("left_s", "stopped"), [(2.0, 0), (500.0, 1)])
def test_nothing_is_stopped_for_a_job_that_could_start_in_a_moment(left_s: float, stopped: int) -> None:
    world = World([a_node(1), a_node(2)], Policy(preemption=True))
    world.run(1, cpus=4, started=NOW - 58.0, expected_s=58.0 + left_s, timeout_s=58.0 + left_s)
    world.run(2, cpus=4, started=NOW - 86_000.0, expected_s=90_000.0, preemptible=True, priority=200)
    world.job(world.shape(cpus=4, priority=1))
    plan = world.plan()
    assert len(plan.preemptions) == stopped
    assert plan.reservations[0].node_ids == ((2,) if stopped else (1,))


# --- members kept apart ---------------------------------------------------------------------------------------


def test_members_kept_apart_get_room_on_as_many_nodes_at_the_time_when_the_last_one_has_it() -> None:
    kept = _kept_apart("node", (100.0, 300.0, 200.0, 400.0), 3)
    assert (sorted(kept.node_ids), kept.start) == ([1, 2, 3], NOW + 300)


def test_members_kept_apart_by_a_label_get_one_node_of_each_value() -> None:
    kept = _kept_apart("zone", (100.0, 150.0, 300.0, 400.0), 2)
    assert (kept.start, len(kept.node_ids)) == (NOW + 300, 2)
    assert {"xxyz"[node_id - 1] for node_id in kept.node_ids} == {"x", "y"}


def test_no_room_is_kept_for_more_members_apart_than_there_are_values() -> None:
    world = _apart_world("zone", (100.0,) * 4, 4)
    assert not world.plan().reservations


def _apart_world(label: str, left_s: tuple[float, ...], members: int) -> World:
    """Full nodes of 4 cpus that come free at these times, in zones x, x, y and z, and a gang kept apart by the label."""
    world = World([a_node(number, labels={"zone": "xxyz"[number - 1]}) for number in (1, 2, 3, 4)])
    for number, seconds in enumerate(left_s, 1):
        world.run(number, cpus=4, started=NOW, expected_s=seconds)
    world.job(world.shape(cpus=1, count=members, apart=label, job_type_id=7))
    return world


def _kept_apart(label: str, left_s: tuple[float, ...], members: int) -> Reservation:
    (kept,) = _apart_world(label, left_s, members).plan().reservations
    return kept


# --- limits ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", ["quota", "type"])
def test_what_the_oldest_job_needs_under_a_limit_is_held_back_from_later_ones(limit: str) -> None:
    world = _limited(limit)
    large = world.job(world.shape(cpus=1, count=5, project_id=1, job_type_id=1), waited=500)
    brief = world.job(world.shape(project_id=1, job_type_id=1, timeout_s=90.0), waited=9)
    world.job(world.shape(project_id=1, job_type_id=1, timeout_s=900.0), waited=8)
    other = world.job(world.shape(project_id=2, job_type_id=2, timeout_s=900.0), waited=1)
    assert where(world.plan()).keys() == {brief, other}, "who has ended by then may start"
    world.queue.discard(large)
    assert len(where(world.plan())) == 3, "nobody is held back for"


def test_a_job_that_its_limits_could_never_let_start_holds_nothing_back() -> None:
    world = _limited("quota")
    world.job(world.shape(cpus=1, count=6, project_id=1, job_type_id=1), waited=500)
    small = world.job(world.shape(project_id=1, job_type_id=1, timeout_s=900.0), waited=8)
    assert small in where(world.plan())


def test_later_jobs_get_what_the_oldest_does_not_need() -> None:
    world = _limited("quota")
    world.job(world.shape(cpus=1, count=3, project_id=1, job_type_id=1), waited=500)
    world.run(1, project_id=1, job_type_id=1, started=NOW, expected_s=100.0)
    world.run(2, project_id=1, job_type_id=1, started=NOW, expected_s=9e5)
    world.policy = Policy(quotas={1: Quota(cpus=6000)})
    shape = world.shape(project_id=1, job_type_id=1, timeout_s=900.0)
    for _ in range(4):
        world.job(shape, waited=8)
    assert len(where(world.plan())) == 1


@pytest.mark.parametrize(
    ("policy", "large"),
    [
        (Policy(quotas={1: Quota(cpus=8000)}), {"requires": Resources.of(cpus=8)}),
        (Policy(quotas={1: Quota(jobs=8)}), {"count": 8}),
        (Policy(max_scheduled={1: 4}), {"count": 4}),
    ],
    ids=["cpus", "jobs", "type"],
)
def test_small_jobs_under_a_limit_do_not_pass_a_large_one_for_ever(policy: Policy, large: dict[str, Any]) -> None:
    small = [
        TraceJob(number, number * 5.0, 20.0 + number * 7 % 40, Resources.of(cpus=1), 60.0, (), 1)
        for number in range(300)
    ]
    wanted: dict[str, Any] = {"requires": Resources.of(cpus=1), **large}
    job = TraceJob(999, 200.5, 30.0, timeout_s=60.0, project_id=1, **wanted)
    jobs = sorted([*small, job], key=lambda each: each.submitted)
    outcome = replay(jobs, [a_node(1, cpus=16), a_node(2, cpus=16)], policy)
    last = max(outcome.started[each.id] for each in small if each.submitted < job.submitted)
    assert outcome.started[job.id] - max(last, job.submitted) <= 121.0


def _limited(limit: str) -> World:
    """Two empty nodes but for three small jobs of project 1 that run for 100 s more, of five that a limit allows."""
    policy = Policy(quotas={1: Quota(cpus=5000)}) if limit == "quota" else Policy(max_scheduled={1: 5})
    world = World([a_node(1, cpus=16), a_node(2, cpus=16)], policy)
    for number in (1, 2, 2):
        world.run(number, project_id=1, job_type_id=1, started=NOW, expected_s=100.0)
    return world
