"""What an explanation says of the others that wait: who goes first, whose kept room is in the way, and when the job may start."""

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.identifiers import ExecutionId, NodeId
from scheduler.rules.cluster.plan import Plan
from scheduler.rules.cluster.policy import Mode, Policy, Quota
from scheduler.rules.cluster.reasons import Reason
from scheduler.rules.cluster.resources import Resources
from scheduler.rules.cluster.running import ActiveExecution
from scheduler.rules.explain.answer import Fix, FixKind
from scheduler.rules.explain.explain import explain
from tests.support.placement import NOW, World, a_node
from tests.unit.test_placement_properties import SEEDS, a_jumble

pytestmark = pytest.mark.slow

LIMITED = 7
"""The job type of the job that is asked about, and of no other."""


def test_room_kept_for_a_job_that_goes_later_is_not_in_the_way() -> None:
    world = World([a_node(1, cpus=4)], Policy(quotas={1: Quota(jobs=0)}))
    world.run(1, cpus=2, expected_s=500.0, project_id=2)
    urgent = world.job(world.shape(cpus=1, project_id=1, priority=1, timeout_s=1000.0))
    later = world.job(world.shape(cpus=4, project_id=2))
    assert [kept.job_id for kept in world.plan().reservations] == [later]
    told = explain(world.snapshot, urgent, NOW)
    assert told.fixes == (Fix(FixKind.RAISE_QUOTA, "jobs", 1),)
    assert told.nodes == {}


def test_room_kept_for_a_job_that_goes_first_is() -> None:
    world = World([a_node(1, cpus=4)], Policy(quotas={1: Quota(jobs=0)}))
    world.run(1, cpus=2, expected_s=500.0, project_id=2)
    world.job(world.shape(cpus=4, project_id=2, priority=1))
    job = world.job(world.shape(cpus=1, project_id=1, timeout_s=1000.0))
    told = explain(world.snapshot, job, NOW)
    assert [change.kind for change in told.fixes] == [FixKind.RAISE_QUOTA, FixKind.SHORTER_TIMEOUT]
    assert told.nodes == {Reason.RESERVED: 1}


@pytest.mark.parametrize("batch", range(4))
def test_for_a_limited_job_the_changes_suffice_among_the_others_too_and_none_is_idle(batch: int) -> None:
    said = set[tuple[bool, bool]]()
    for seed in range(batch * 200, batch * 200 + 200):
        limited, job = _crowd(seed, {LIMITED: 0})
        open_to_it, _ = _crowd(seed, {})
        more = [
            change
            for change in explain(limited.snapshot, job, NOW).fixes
            if change.kind is not FixKind.RAISE_TYPE_LIMIT
        ]
        starts = any(placement.job_id == job for placement in open_to_it.plan().placements)
        assert not (starts and more), f"{seed}: {more} would not be needed"
        if not starts and not more:
            assert explain(open_to_it.snapshot, job, NOW).main is Reason.BEHIND, f"{seed}: there is more in the way"
        said.add((starts, bool(more)))
    assert said == {(True, False), (False, True), (False, False)}


def _crowd(seed: int, limits: dict[int, int]) -> tuple[World, int]:
    """A job, and a few others of its own and other projects, on nodes that are partly full."""
    chance = random.Random(seed)
    policy = Policy(credits={project: chance.uniform(-0.5, 0.5) for project in (1, 2, 3)}, max_scheduled=limits)
    nodes = [
        a_node(number, cpus=chance.choice([2, 4, 8]), paused=chance.random() < 0.1)
        for number in range(1, chance.randint(2, 5))
    ]
    world = World(nodes, policy)
    for node in nodes:
        used = chance.randint(0, node.capacity.cpus // 1000)
        if used:
            world.run(node.id, cpus=used, expected_s=chance.choice([200.0, 500.0]), project_id=chance.choice([1, 2]))
    asked = {"cpus": chance.randint(1, 3), "priority": chance.choice([1, 100]), "job_type_id": LIMITED}
    job = world.job(
        world.shape(**asked, project_id=1, timeout_s=chance.choice([50.0, 1000.0])),
        waited=chance.choice([1.0, 100.0, 500.0]),
    )
    for _ in range(chance.randint(1, 5)):
        shape = world.shape(
            cpus=chance.choice([1, 4, 8]), project_id=chance.choice([1, 2, 3]), timeout_s=chance.choice([50.0, 1000.0])
        )
        world.job(shape, waited=chance.choice([2.0, 100.0, 200.0]))
    return world, job


def test_where_the_newest_go_first_the_oldest_is_last() -> None:
    world = World([a_node(1, cpus=1)], Policy(mode=Mode.LIFO))
    world.run(1, cpus=1, expected_s=500.0)
    shape, other = world.shape(), world.shape(cpus=0.5)
    oldest, newest = world.job(shape, waited=100), world.job(shape, waited=1)
    world.job(other, waited=50)
    places = {
        job: (told.position, told.ahead) for job in (oldest, newest) if (told := explain(world.snapshot, job, NOW))
    }
    assert places == {oldest: (1, 2), newest: (0, 0)}


def test_of_jobs_that_came_at_once_those_with_smaller_ids_are_ahead() -> None:
    world = World([a_node(1, cpus=1)])
    world.run(1, cpus=1, expected_s=500.0)
    shape = world.shape()
    jobs = [world.job(shape) for _ in range(3)]
    assert [explain(world.snapshot, job, NOW).ahead for job in jobs] == [0, 1, 2]


@pytest.mark.parametrize(("held", "start"), [("by ann", None), (None, NOW + 50)])
def test_a_start_is_expected_only_of_a_job_that_nobody_has_to_do_anything_for(
    held: str | None, start: float | None
) -> None:
    world = World([a_node(1)])
    job = world.job(world.shape(), held=held, not_before=NOW + 50)
    told = explain(world.snapshot, job, NOW)
    assert (told.earliest, told.latest) == (start, start)


@settings(max_examples=150, deadline=None)
@given(SEEDS, st.sampled_from([Mode.FIFO, Mode.LIFO]), st.booleans())
def test_the_band_of_the_expected_start_is_one(seed: int, mode: Mode, preemption: bool) -> None:
    world = a_jumble(seed, mode=mode, preemption=preemption).world
    plan = world.plan()
    for job in range(1, 41):
        if job in world.queue:
            told = explain(world.snapshot, job, NOW, plan)
            assert told.latest is None or (told.earliest is not None and NOW <= told.earliest <= told.latest)
            assert told.earliest is None or told.main is not Reason.HELD


def test_members_kept_apart_are_expected_to_start_when_each_has_its_node() -> None:
    world = World([a_node(number, cpus=4) for number in (1, 2)], Policy(reservations=0))
    world.run(1, cpus=4, expected_s=300.0, job_type_id=5)
    world.run(2, cpus=4, expected_s=900.0, job_type_id=5)
    job = world.job(world.shape(cpus=1, count=2, apart="node"))
    assert explain(world.snapshot, job, NOW).earliest == NOW + 800


def test_a_job_knows_of_its_kept_room_however_many_are_placed_before_it() -> None:
    world = World([a_node(number, cpus=100) for number in range(1, 31)])
    for number in range(1, 31):
        world.run(number, cpus=1, expected_s=500.0)
    large = world.job(world.shape(cpus=100), waited=9999)
    small = world.shape(cpus=1, priority=50)
    for _ in range(2900):
        world.job(small)
    (kept,) = world.plan().reservations
    assert (kept.job_id, explain(world.snapshot, large, NOW).reserved) == (large, kept.node_ids)


def test_resources_that_no_node_has_or_that_have_just_come_are_no_trouble() -> None:
    world = World([a_node(1, cpus=4)])
    world.run(1, cpus=4, expected_s=500.0)
    gone = Resources.of(cpus=1, custom={"fpga": 1})
    world.running.add(
        ActiveExecution(ExecutionId(99), NodeId(77), gone, NOW - 10, 100.0)
    )  # its node has left, and holds what no other has
    job = world.job(world.shape(cpus=2))
    before = world.plan()
    assert [kept.job_id for kept in before.reservations] == [job]
    world.job(world.shape(cpus=1, custom={"tape": 1}), waited=500)
    assert explain(world.snapshot, job, NOW, before).main is Reason.NO_ROOM
    assert explain(world.snapshot, job, NOW, Plan()).main is Reason.NO_ROOM


@settings(max_examples=150, deadline=None)
@given(SEEDS, st.sampled_from([Mode.FIFO, Mode.LIFO]), st.booleans(), st.booleans())
def test_no_job_waits_for_nothing_in_particular(seed: int, mode: Mode, preemption: bool, paused: bool) -> None:
    """Of whatever it is said to wait for mainly, there is at least one: an obstacle, a node, or somebody before it."""
    world = a_jumble(seed, mode=mode, preemption=preemption, scheduler_paused=paused).world
    plan = world.plan()
    placed = {placement.job_id for placement in plan.placements}
    for job in [job for job in range(1, 41) if job in world.queue]:
        told = explain(world.snapshot, job, NOW, plan)
        if told.blockers:
            assert told.main is told.blockers[0].reason
        elif told.main in {Reason.NEXT, Reason.BEHIND}:
            assert (told.main is Reason.NEXT) == (job in placed)
            assert told.fitting == told.wanted or job in placed
        elif told.main is Reason.GANG:
            assert 0 < told.fitting < told.wanted
        else:
            assert told.nodes[told.main] > 0
    lines = world.queue.ready_groups.values()
    left = {line.shape.id for line in lines if {*world.queue.list_oldest(line, line.first, 99)[0]} - placed}
    assert left <= plan.refusals.keys(), "each shape that waits on is counted under a reason"
    assert all(plan.refusals[shape].reason in Reason for shape in left)


def test_without_any_node_a_job_waits_for_one() -> None:
    world = World()
    job = world.job(world.shape())
    told = explain(world.snapshot, job, NOW)
    assert (told.main, told.usable) == (Reason.NODE_NOT_READY, 0)
    assert [change.kind for change in told.fixes] == [FixKind.ADD_NODE]
    assert world.plan().refusals[1].reason is Reason.NO_ROOM
    assert (
        explain(replace(world.snapshot, policy=Policy(scheduler_paused=True)), job, NOW).main is Reason.SCHEDULER_PAUSED
    )
