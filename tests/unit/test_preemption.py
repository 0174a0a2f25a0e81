"""Whom a more urgent job displaces: as few and as cheap as will do, gangs whole, and nobody in vain."""

import time
from itertools import count

from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.identifiers import JobId
from scheduler.rules.cluster.nodes import Node
from scheduler.rules.cluster.plan import Plan
from scheduler.rules.cluster.policy import Policy
from scheduler.rules.cluster.running import ActiveExecution
from scheduler.rules.cluster.shapes import Shape
from scheduler.rules.placement import filters
from scheduler.rules.placement.plan_state import PlanState
from scheduler.rules.placement.preemption import Preemptor, Victims, assignment_of
from tests.support.placement import NOW, World, a_node

PREEMPTING = Policy(preemption=True)


def _stopped(plan: Plan) -> set[int]:
    return {execution_id for taken in plan.preemptions for execution_id in taken.execution_ids}


def test_nobody_is_stopped_for_a_gang_whose_other_zone_cannot_be_had() -> None:
    world = World([a_node(number, cpus=4, labels={"zone": "aab"[number - 1]}) for number in (1, 2, 3)], PREEMPTING)
    for node_id in (1, 2):
        world.run(node_id, cpus=4, priority=200, preemptible=True)
    world.run(3, cpus=4)
    world.job(world.shape(cpus=4, count=2, apart="zone", priority=1, job_type_id=6))
    assert not world.plan().preemptions


def test_members_kept_apart_get_one_node_for_each_value_of_the_label() -> None:
    world = World([a_node(number, cpus=4, labels={"zone": "aab"[number - 1]}) for number in (1, 2, 3)], PREEMPTING)
    _dear, cheap, only = (
        world.run(number, cpus=4, priority=200, preemptible=True, started=NOW - 500 + 100 * number)
        for number in (1, 2, 3)
    )
    world.job(world.shape(cpus=4, count=2, apart="zone", priority=1, job_type_id=6))
    plan = world.plan()
    assert _stopped(plan) == {cheap.execution_id, only.execution_id}
    assert sorted(plan.reservations[0].node_ids) == [2, 3]


def test_several_members_of_a_gang_may_sit_on_one_node() -> None:
    world = World([a_node(1, cpus=8)], PREEMPTING)
    for _ in range(2):
        world.run(1, cpus=4, priority=200, preemptible=True)
    world.job(world.shape(cpus=4, count=2, priority=1))
    plan = world.plan()
    assert _stopped(plan) == {1, 2}
    assert plan.reservations[0].node_ids == (1, 1)


def test_what_is_free_already_counts_for_a_gang() -> None:
    world = World([a_node(1, cpus=4), a_node(2, cpus=4)], PREEMPTING)
    run = world.run(1, cpus=4, priority=200, preemptible=True)
    world.job(world.shape(cpus=4, count=2, priority=1))
    plan = world.plan()
    assert [(taken.node_id, taken.execution_ids) for taken in plan.preemptions] == [(1, (run.execution_id,))]
    assert sorted(plan.reservations[0].node_ids) == [1, 2]


def test_a_gang_costs_what_all_its_members_lose() -> None:
    world = World([a_node(number, cpus=8) for number in (1, 2, 3)], PREEMPTING)
    for node_id in (1, 2):
        world.run(node_id, cpus=8, job_id=70, priority=200, preemptible=True, started=NOW - 600)
    alone = world.run(3, cpus=8, priority=200, preemptible=True, started=NOW - 1000)
    world.job(world.shape(cpus=8, priority=1))
    assert _stopped(world.plan()) == {alone.execution_id}


def test_the_room_of_all_members_of_a_stopped_gang_is_used() -> None:
    world = World([a_node(number, cpus=8) for number in (1, 2, 3)], PREEMPTING)
    for node_id in (1, 2):
        world.run(node_id, cpus=8, job_id=70, priority=200, preemptible=True, started=NOW - 600)
    world.run(3, cpus=8, priority=200, preemptible=True, started=NOW - 700)
    world.job(world.shape(cpus=8, count=2, priority=1))
    plan = world.plan()
    assert _stopped(plan) == {1, 2}
    assert sorted(plan.reservations[0].node_ids) == [1, 2]


def test_less_urgent_work_goes_before_younger_work() -> None:
    world = World([a_node(1, cpus=4), a_node(2, cpus=4)], PREEMPTING)
    world.run(1, cpus=4, priority=150, preemptible=True, started=NOW - 1)
    old = world.run(2, cpus=4, priority=200, preemptible=True, started=NOW - 9000)
    world.job(world.shape(cpus=4, priority=1))
    assert _stopped(world.plan()) == {old.execution_id}


def test_room_that_is_coming_free_lessens_what_is_stopped() -> None:
    world = World([a_node(1, cpus=4)], PREEMPTING)
    world.run(1, cpus=2, priority=200, preemptible=True, stopping=True)
    unclaimed = world.run(1, cpus=1, priority=200, preemptible=True, started=NOW - 50)
    world.run(1, cpus=1, priority=200, preemptible=True, started=NOW - 90)
    world.job(world.shape(cpus=3, priority=1))
    assert _stopped(world.plan()) == {unclaimed.execution_id}


def test_room_that_is_being_made_is_kept_for_every_urgent_job_not_only_the_first() -> None:
    world = World([a_node(1, cpus=4), a_node(2, cpus=4)], PREEMPTING)
    for node_id in (1, 2):
        world.run(node_id, cpus=2, priority=200, preemptible=True, stopping=True)
    for _ in range(2):
        world.job(world.shape(cpus=4, priority=1))
    back = world.shape(cpus=2, priority=200, preemptible=True, timeout_s=3600.0)
    for _ in range(2):
        world.job(back, waited=9000)
    plan = world.plan()
    assert not plan.placements, "half of the room is free; who was stopped must not come back into it"
    assert sorted(kept.node_ids for kept in plan.reservations) == [(1,), (2,)]


def test_many_blocked_jobs_cost_little_more_with_preemption_than_without() -> None:
    with_it, without = (min(_plan_s(Policy(preemption=on)) for _ in range(3)) for on in (True, False))
    assert with_it < 3 * without + 0.01


def _plan_s(policy: Policy, nodes: int = 3000) -> float:
    """The time for a plan on a full fleet, of which a part may be stopped and that is never enough."""
    world = World([a_node(number, cpus=4) for number in range(1, nodes + 1)], policy)
    for number in range(1, nodes + 1):
        world.run(number, cpus=3, expected_s=500.0)
        world.run(number, cpus=1, expected_s=500.0, priority=200, preemptible=True)
    for kind in range(60):
        world.job(world.shape(cpus=3 + kind / 100, job_type_id=kind))
    began = time.process_time()
    assert not world.plan().preemptions
    return time.process_time() - began


@st.composite
def _worlds(draw: st.DrawFn) -> tuple[World, Shape]:
    """A few small nodes, full of jobs of which some are gangs, and an urgent job that may be a gang."""
    small = st.integers(1, 4)
    nodes = [_node(draw, number) for number in range(1, draw(st.integers(1, 4)) + 1)]
    world = World(nodes, PREEMPTING)
    for job_id in range(1, draw(st.integers(0, 6)) + 1):
        facts = {
            "job_id": job_id,
            "priority": draw(st.sampled_from([5, 10, 100, 200])),
            "preemptible": draw(st.sampled_from([True, True, True, False])),
            "stopping": draw(st.sampled_from([False, False, False, True])),
        }
        cpus = draw(small)
        for _ in range(draw(st.sampled_from([1, 1, 2, 3]))):
            node = draw(st.sampled_from(nodes))
            if world.nodes.free_on(node.id).cpus >= 1000 * cpus:
                world.run(node.id, cpus=cpus, started=NOW - draw(st.integers(0, 50)), **facts)
    apart = draw(st.sampled_from([None, None, "zone", "node"]))
    return world, world.shape(cpus=draw(small), count=draw(st.integers(1, 4)), apart=apart, priority=10)


def _node(draw: st.DrawFn, number: int) -> Node:
    zone = draw(st.sampled_from(["a", "b", None]))
    return a_node(number, cpus=draw(st.integers(1, 6)), labels={} if zone is None else {"zone": zone})


@settings(max_examples=400, deadline=None)
@given(_worlds())
def test_who_is_stopped_may_be_and_must_be(made: tuple[World, Shape]) -> None:
    world, shape = made
    found, jobs = _ask(world, shape)
    stoppable = {
        run.job_id
        for run in world.running
        if run.preemptible
        and run.priority > shape.priority
        and not any(mate.stopping for mate in world.running if mate.job_id == run.job_id)
    }
    if not found:
        assert _seats(world, shape, set()) >= shape.count or _seats(world, shape, stoppable) < shape.count
        return
    assert jobs <= stoppable
    assert {run.execution_id for run in world.running if run.job_id in jobs} == {
        execution_id for victim in found for execution_id in victim.executions
    }
    assert _sit(world, shape, jobs, found)
    for job_id in jobs:
        assert _seats(world, shape, jobs - {job_id}) < shape.count, "somebody is stopped in vain"
    if shape.count == 1:
        worst = min(_priority(world, job_id) for job_id in jobs)
        milder = {job_id for job_id in stoppable if _priority(world, job_id) > worst}
        assert _seats(world, shape, milder) < 1, "more urgent work is stopped than need be"


def _ask(world: World, shape: Shape) -> tuple[list[Victims], set[JobId]]:
    ledger = PlanState(world.snapshot)
    where = filters.eligible(shape, world.nodes, world.policy)
    found = Preemptor(ledger, world.running, NOW).victims(shape, where)
    return found, {world.running[number].job_id for victim in found for number in victim.executions}


def _priority(world: World, job_id: int) -> int:
    return next(run.priority for run in world.running if run.job_id == job_id)


def _free(world: World, shape: Shape, stopped: set[JobId]) -> dict[int, int]:
    """How many members each node has room for once the stopped jobs and all that was told to stop are gone."""
    free = {node.id: node.capacity.cpus for node in world.nodes}
    for run in _left(world, stopped):
        free[run.node_id] -= run.resources.cpus
    return {node_id: cpus // shape.requires.cpus for node_id, cpus in free.items()}


def _left(world: World, stopped: set[JobId]) -> list[ActiveExecution]:
    return [run for run in world.running if not run.stopping and run.job_id not in stopped]


def _value(world: World, shape: Shape, node_id: int, without: "count[int]") -> object:
    if shape.apart == "node":
        return node_id
    return world.nodes[node_id].labels.get(shape.apart or "", next(without))


def _seats(world: World, shape: Shape, stopped: set[JobId]) -> int:
    """How many members could sit, node by node and value by value."""
    free = _free(world, shape, stopped)
    if shape.apart is None:
        return sum(free.values())
    labelled = {node_id for node_id in free if shape.apart in {"node", *world.nodes[node_id].labels}}
    values = {_value(world, shape, node_id, count()) for node_id in labelled if free[node_id]}
    return len(values) + sum(slots for node_id, slots in free.items() if node_id not in labelled)


def _sit(world: World, shape: Shape, stopped: set[JobId], found: list[Victims]) -> bool:
    """Whether all members have seats where there will be room, and share no value of the label they are kept apart by."""
    free, seats = _free(world, shape, stopped), assignment_of(found)
    on = {world.nodes.at(row).id: n for row, n in zip(seats.rows.tolist(), seats.counts.tolist(), strict=True)}
    unlabelled = count(-1, -1)
    values = [
        _value(world, shape, node_id, unlabelled)
        for node_id, n in on.items()
        if shape.apart in {"node", *world.nodes[node_id].labels}
        for _ in range(n)
    ]
    return (
        sum(on.values()) == shape.count
        and all(free[node_id] >= n for node_id, n in on.items())
        and (shape.apart is None or len(values) == len(set(values)))
    )
