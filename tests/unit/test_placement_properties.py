"""Whatever the cluster, the queue and the policy: a plan keeps every rule, and agrees with the slow way."""

import random
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.cluster_state import chance_of
from scheduler.identifiers import JobId, JobTypeId, ShapeId
from scheduler.rules.cluster.nodes import Node
from scheduler.rules.cluster.plan import Plan
from scheduler.rules.cluster.policy import Mode, Packing, Policy, Quota
from scheduler.rules.cluster.reasons import Reason
from scheduler.rules.cluster.resources import NOTHING, Resources
from scheduler.rules.cluster.shapes import Constraint, Shape
from scheduler.rules.explain.explain import PREVIEW, TrialJob, explain, preview, previews
from scheduler.rules.placement.placement import place
from tests.support.placement import NOW, World, a_node

pytestmark = pytest.mark.slow

SEEDS = st.integers(0, 10**9)


@dataclass(slots=True)
class Jumble:
    """A random world, with what is needed to check its plans by hand."""

    world: World
    held: set[int]
    early: set[int]


def a_jumble(seed: int, **policy: Any) -> Jumble:
    """Up to six nodes, six shapes and forty jobs, some of everything that rules speak of."""
    chance = random.Random(seed)
    world = World([_node(chance, number) for number in range(1, chance.randint(2, 7))], _policy(chance, policy))
    jumble = Jumble(world, set(), set())
    for node in list(world.nodes):
        for _ in range(chance.randint(0, 2)):
            if node.capacity.cpus >= 3000 and node.capacity.mem >= 2_000_000:
                cpus, job_type = 1, chance.randint(1, 3)
                world.run(node.id, cpus=cpus, mem=1000, job_type_id=job_type, project_id=1, expected_s=300.0)
    shapes = [_shape(world, chance) for _ in range(chance.randint(1, 6))]
    for _ in range(chance.randint(1, 40)):
        held, early = chance.random() < 0.1, chance.random() < 0.1
        job = world.job(
            chance.choice(shapes),
            waited=chance.choice([1.0, 50.0, 51.0, 700.0, 9000.0]),
            held="why" if held else None,
            not_before=NOW + 10 if early else None,
            avoid=frozenset({1}) if chance.random() < 0.1 else frozenset(),
        )
        jumble.held |= {job} if held else set()
        jumble.early |= {job} if early else set()
    return jumble


def _node(chance: random.Random, number: int) -> Node:
    flags = {flag: chance.random() < 0.15 for flag in ("paused", "draining")}
    labels = {"zone": chance.choice("xyz")} if chance.random() < 0.8 else {}
    return a_node(
        number,
        cpus=chance.randint(1, 8),
        mem=chance.randint(1, 8) * 1000,
        custom={"gpu": 2} if chance.random() < 0.3 else {},
        pool=chance.choice(["a", "b", None]),
        labels=labels,
        **flags,
    )


def _policy(chance: random.Random, fixed: dict[str, Any]) -> Policy:
    policy = Policy(
        max_scheduled={1: chance.randint(0, 5)},
        quotas={2: Quota(cpus=chance.randint(0, 9) * 1000, jobs=chance.randint(0, 6))},
        paused_types=frozenset({3}) if chance.random() < 0.2 else frozenset(),
        paused_pools=frozenset({"b"}) if chance.random() < 0.2 else frozenset(),
        packing={"a": Packing.SPREAD} if chance.random() < 0.3 else {},
    )
    return replace(policy, **fixed)


def _shape(world: World, chance: random.Random) -> Shape:
    return world.shape(
        cpus=chance.choice([0.5, 1, 2, 3]),
        mem=chance.choice([0, 500, 1000, 3000]),
        custom={"gpu": 1} if chance.random() < 0.15 else {},
        constraints=(Constraint("zone", value="x"),) if chance.random() < 0.2 else (),
        pool=chance.choice(["a", None, None]),
        project_id=chance.randint(1, 2),
        job_type_id=chance.randint(1, 3),
        priority=chance.choice([1, 100, 100]),
        timeout_s=chance.choice([60.0, 5000.0]),
        count=chance.choice([1, 1, 1, 3]),
        apart=chance.choice([None, None, None, "node", "zone"]),
        spread=chance.choice([None, None, None, "zone"]),
    )


def check(jumble: Jumble, plan: Plan) -> None:
    """Every rule that a plan must keep, judged by plain arithmetic."""
    world, policy = jumble.world, jumble.world.policy
    taken: dict[int, Resources] = {}
    for placement in plan.placements:
        shape = world.shapes[placement.shape_id]
        taken[placement.node_id] = taken.get(placement.node_id, NOTHING).add(shape.requires)
        node = world.nodes[placement.node_id]
        assert node.ready
        assert (node.paused, node.draining) == (False, False)
        assert node.pool not in policy.paused_pools
        assert shape.pool in {None, node.pool}
        assert all(each.holds({"node": node.name, **node.labels}) for each in shape.constraints)
        assert shape.job_type_id not in policy.paused_types
        assert placement.job_id not in jumble.held | jumble.early
    for node_id, resources in taken.items():
        assert resources.fits(world.nodes.free_on(node_id))
    _check_gangs(world, plan)
    _check_limits(world, plan)
    _check_apart(world, plan)
    _check_order(world, plan)


def _check_gangs(world: World, plan: Plan) -> None:
    members = Counter(placement.job_id for placement in plan.placements)
    shapes = {placement.job_id: world.shapes[placement.shape_id] for placement in plan.placements}
    assert all(members[job] == shape.count for job, shape in shapes.items())


def _check_limits(world: World, plan: Plan) -> None:
    types = Counter(world.shapes[placement.shape_id].job_type_id for placement in plan.placements)
    for job_type, most in world.policy.max_scheduled.items():
        assert not types[JobTypeId(job_type)] or types[JobTypeId(job_type)] + world.running.of_type(job_type) <= most
    for project, quota in world.policy.quotas.items():
        mine = [p for p in plan.placements if world.shapes[p.shape_id].project_id == project]
        held = world.running.of_project(project)
        cpus = held.resources.cpus + sum(world.shapes[p.shape_id].requires.cpus for p in mine)
        assert not mine or quota.cpus is None or cpus <= quota.cpus
        assert not mine or quota.jobs is None or held.executions + len(mine) <= quota.jobs


def _check_apart(world: World, plan: Plan) -> None:
    """In order of the placements, none goes where its kind already is."""
    kinds: dict[tuple[int, int], list[int]] = {}
    for run in world.running:
        kinds.setdefault((run.project_id, run.job_type_id), []).append(run.node_id)
    for placement in plan.placements:
        shape = world.shapes[placement.shape_id]
        there = kinds.setdefault((shape.project_id, shape.job_type_id), [])
        if shape.apart is not None:
            value = _label(world, placement.node_id, shape.apart)
            assert value is None or value not in {_label(world, node_id, shape.apart) for node_id in there}
        there.append(placement.node_id)


def _label(world: World, node_id: int, label: str) -> str | None:
    node = world.nodes[node_id]
    return {"node": node.name, **node.labels}.get(label)


def _check_order(world: World, plan: Plan) -> None:
    """Of one shape, the oldest are placed, and in order."""
    for shape in world.shapes.values():
        placed = list(dict.fromkeys(p.job_id for p in plan.placements if p.shape_id == shape.id))
        line = world.queue.groups[shape.id]
        newest = world.policy.mode is Mode.LIFO
        waiting = world.queue.list_oldest(line, line.first, 99)[0]
        assert placed == (waiting[::-1] if newest else waiting)[: len(placed)]


@settings(max_examples=150, deadline=None)
@given(SEEDS, st.sampled_from([Mode.FIFO, Mode.LIFO]), st.sampled_from([0, 1, 4]), st.booleans())
def test_a_plan_keeps_every_rule(seed: int, mode: Mode, reservations: int, weighing: bool) -> None:
    jumble = a_jumble(seed, mode=mode, reservations=reservations, weighing=weighing)
    plan = jumble.world.plan()
    check(jumble, plan)
    assert plan == jumble.world.plan()


@settings(max_examples=150, deadline=None)
@given(SEEDS)
def test_without_reservations_nothing_is_left_that_would_fit(seed: int) -> None:
    jumble = a_jumble(seed, reservations=0, max_scheduled={}, quotas={})
    world, plan = jumble.world, jumble.world.plan()
    placed = {placement.job_id for placement in plan.placements}
    for placement in plan.placements:
        world.nodes.allocate(placement.node_id, world.shapes[placement.shape_id].requires)
    for shape_id, line in world.queue.ready_groups.items():
        shape = world.shapes[ShapeId(shape_id)]
        left = set(world.queue.list_oldest(line, line.first, 99)[0]) - placed
        if left and shape.apart is None and shape.count == 1 and shape.job_type_id not in world.policy.paused_types:
            assert not any(_would_take(world, shape, node_id) for node_id in [node.id for node in world.nodes])


def _would_take(world: World, shape: Shape, node_id: int) -> bool:
    node, labels = world.nodes[node_id], {"node": world.nodes[node_id].name, **world.nodes[node_id].labels}
    closed = node.paused or node.draining or node.pool in world.policy.paused_pools
    suits = shape.pool in {None, node.pool} and all(each.holds(labels) for each in shape.constraints)
    return not closed and suits and shape.requires.fits(world.nodes.free_on(node_id))


Seats = list[tuple[int, int, int]]
"""Job, node and member of each placement; jobs that are only tried have the ids that they have in the dry run."""


@pytest.mark.parametrize("batch", range(4))
def test_a_dry_run_foresees_the_next_tick(batch: int) -> None:
    for seed in range(batch * 250, batch * 250 + 250):
        foreseen, real = one_tried(seed)
        assert foreseen == real, seed


@pytest.mark.parametrize("batch", range(4))
def test_a_dry_run_of_an_array_foresees_the_next_tick(batch: int) -> None:
    for seed in range(batch * 250, batch * 250 + 250):
        foreseen, real = array_tried(seed)
        assert foreseen == real, seed


def one_tried(seed: int) -> tuple[Seats, Seats]:
    """What a dry run of one more job says of the next tick in a random world, and what the tick does."""
    world = a_jumble(seed).world
    shape = replace(random.Random(seed).choice(list(world.shapes.values())), id=ShapeId(99))
    before = len(world.queue)
    foreseen, _ = preview(world.snapshot, shape, NOW, chance_of(world.running))
    assert len(world.queue) == before
    same = [each for each in world.shapes.values() if replace(each, id=ShapeId(99)) == shape]
    if not any(world.queue.count(each.id) for each in same):
        world.queue.add_shape(shape)
        world.shapes[ShapeId(99)] = shape
    known = next((each for each in same if world.queue.count(each.id)), shape)
    world.queue.add(PREVIEW, known.id, NOW)
    return _seats(foreseen), _seats(place(world.snapshot, NOW, chance_of(world.running)))


def array_tried(seed: int) -> tuple[Seats, Seats]:
    """The same of several jobs, alike and unlike."""
    world, chance = a_jumble(seed).world, random.Random(seed)
    wishes = _an_array(world, chance)
    foreseen, _ = previews(world.snapshot, wishes, NOW, chance_of(world.running))
    for number, wish in enumerate(wishes):
        known = world.queue.matching_shape_id(wish.shape)
        shape_id = 100 + number if known is None else known
        world.queue.add_shape(replace(wish.shape, id=ShapeId(shape_id)))
        world.queue.add(PREVIEW + number, shape_id, NOW, held=wish.held, not_before=wish.not_before)
    return _seats(foreseen), _seats(place(world.snapshot, NOW, chance_of(world.running)))


@settings(max_examples=150, deadline=None)
@given(SEEDS, st.sampled_from([Mode.FIFO, Mode.LIFO]), st.sampled_from([1, 3, None]), st.booleans())
def test_every_job_that_waits_after_a_tick_has_a_reason(
    seed: int, mode: Mode, limit: int | None, backfill: bool
) -> None:
    world = a_jumble(seed, mode=mode, backfill=backfill).world
    plan = world.plan(limit=limit)
    placed = {placement.job_id for placement in plan.placements}
    for placement in plan.placements:
        world.nodes.allocate(placement.node_id, world.shapes[placement.shape_id].requires)
    for job_id in placed:
        world.queue.discard(job_id)
    assert set(plan.refusals) >= set(world.queue.ready_groups), "each shape that still waits was refused for something"
    later = world.plan(now=NOW + 1, limit=limit)
    for job_id in [JobId(job) for job in range(1, 41) if job in world.queue]:
        told = explain(world.snapshot, job_id, NOW + 1, later)
        known = told.blockers or told.nodes or told.main in {Reason.BEHIND, Reason.NEXT, Reason.GANG}
        assert known, "something about the job, a node or the others holds it"


def _an_array(world: World, chance: random.Random) -> list[TrialJob]:
    """Jobs alike and unlike, of shapes that wait already and of new ones; some held, some not due."""
    shapes = [*world.shapes.values(), *(replace(each, requires=Resources.of(cpus=2)) for each in world.shapes.values())]
    some = [replace(chance.choice(shapes), id=ShapeId(0)) for _ in range(chance.randint(1, 3))]
    return [
        TrialJob(shape, "why" if chance.random() < 0.1 else None, NOW + 10 if chance.random() < 0.1 else None)
        for shape in some
        for _ in range(chance.randint(1, 3))
    ]


def _seats(plan: Plan) -> Seats:
    return [(placement.job_id, placement.node_id, placement.member) for placement in plan.placements]
