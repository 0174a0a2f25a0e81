"""What could never be placed is known at once, and nothing else is called so: nodes, and pools as large as they may become."""

import random
from itertools import chain, combinations, product
from typing import Any

import pytest

from scheduler.identifiers import NodeId, ShapeId
from scheduler.rules.autoscaling.decide import Pool, decide
from scheduler.rules.autoscaling.sizing import PoolSizing
from scheduler.rules.cluster.nodes import Node, Nodes, labels_of
from scheduler.rules.cluster.reasons import Reason
from scheduler.rules.cluster.resources import Resources
from scheduler.rules.cluster.shapes import NODE_LABEL, Constraint, Shape
from scheduler.rules.explain.explain import could_ever_fit
from scheduler.rules.placement.capacity import PoolGrowth, most_members
from tests.support.placement import NOW, World, a_node

ONE = Resources.of(cpus=1)
TEMPLATE = a_node(7, cpus=4, pool="p", labels={"zone": "a"})


def test_what_no_node_and_no_pool_could_hold_is_known_at_once() -> None:
    nodes = Nodes([a_node(1, cpus=4, paused=True), a_node(2, cpus=8, pool="big")])
    cloud = PoolGrowth(a_node(0, cpus=64, pool="cloud"))
    assert could_ever_fit(Shape(ShapeId(1), Resources.of(cpus=4)), nodes) is None
    assert could_ever_fit(Shape(ShapeId(1), Resources.of(cpus=32)), nodes, [cloud]) is None
    assert could_ever_fit(Shape(ShapeId(1), Resources.of(cpus=4), count=3), nodes) is None
    never = could_ever_fit(Shape(ShapeId(1), Resources.of(cpus=32)), nodes)
    assert never is not None
    assert never.nodes == {Reason.TOO_SMALL: 2}
    assert never.nearest is not None
    assert (never.nearest.name, never.nearest.missing) == ("n2", {"cpus": 24_000})
    assert could_ever_fit(Shape(ShapeId(1), Resources.of(cpus=1, custom={"gpu": 1})), nodes) is not None


@pytest.mark.parametrize(
    ("asked", "seats"),
    [
        ({"count": 12}, None),
        ({"count": 13}, 12),
        ({"count": 4, "apart": NODE_LABEL}, 3),
        ({"count": 2, "apart": "zone"}, 1),
    ],
)
def test_a_gang_must_find_room_in_a_pool_as_large_as_it_may_become(asked: dict[str, Any], seats: int | None) -> None:
    shape = Shape(ShapeId(1), ONE, pool="p", **asked)
    never = could_ever_fit(shape, Nodes([a_node(1, cpus=4, pool="p", labels={"zone": "a"})]), [PoolGrowth(TEMPLATE, 3)])
    assert (None if never is None else never.fitting) == seats
    assert never is None or never.growing == (asked.get("apart") != "zone")
    assert could_ever_fit(Shape(ShapeId(1), ONE, count=999, pool="p"), Nodes(), [PoolGrowth(TEMPLATE)]) is None


def test_nodes_that_are_smaller_than_new_ones_may_give_way_to_them() -> None:
    full = Nodes([a_node(1, cpus=1, pool="p"), a_node(2, cpus=1, pool="p")])
    assert could_ever_fit(Shape(ShapeId(1), Resources.of(cpus=4)), full, [PoolGrowth(TEMPLATE, 2)]) is None
    assert could_ever_fit(Shape(ShapeId(1), ONE, count=8), full, [PoolGrowth(TEMPLATE, 2)]) is None
    assert could_ever_fit(Shape(ShapeId(1), ONE, count=9), full, [PoolGrowth(TEMPLATE, 2)]) is not None


@pytest.mark.parametrize("batch", range(4))
def test_the_seats_there_could_ever_be_are_those_of_the_best_fleet_that_pools_can_become(batch: int) -> None:
    for seed in range(batch * 150, batch * 150 + 150):
        _compare(random.Random(seed))


def _compare(chance: random.Random) -> None:
    nodes = [_a_node(chance, number, chance.choice(["p", "q", None])) for number in range(1, chance.randint(1, 5))]
    growth = [PoolGrowth(_a_node(chance, 50 + number, pool), chance.randint(0, 3)) for number, pool in enumerate("pq")]
    shape = Shape(
        ShapeId(1),
        Resources.of(cpus=chance.randint(1, 3)),
        (Constraint("zone", value="a"),) if chance.random() < 0.2 else (),
        chance.choice(["p", None]),
        count=chance.randint(1, 9),
        apart=chance.choice([None, NODE_LABEL, "zone"]),
    )
    best = max(_seats(shape, fleet) for fleet in _fleets(nodes, growth))
    found = min(shape.count, most_members(shape, Nodes(nodes), growth))
    assert found >= min(shape.count, best), "nothing that could be placed is refused"
    if shape.apart != "zone":
        assert found == min(shape.count, best)


@pytest.mark.parametrize("more", [{"count": 13}, {"count": 4, "apart": NODE_LABEL}, {"count": 2, "apart": "zone"}])
def test_a_pool_does_not_grow_for_a_gang_that_could_never_be_whole(more: dict[str, Any]) -> None:
    world = World([a_node(1, cpus=4, pool="p", labels={"zone": "a"})])
    shape = world.shape(cpus=1, **more)
    world.job(shape)
    found = decide(world.snapshot, [_pool(3)], NOW)["p"]
    assert (found.wanted, found.hopeless) == (1, {shape.id: shape.count})
    world.job(world.shape(cpus=4, timeout_s=9000.0))
    assert decide(world.snapshot, [_pool(3)], NOW)["p"].wanted == 1, "nor does the gang take the room of others"


def test_a_pool_grows_by_a_node_for_each_member_that_is_to_have_one_of_its_own() -> None:
    world = World([a_node(1, cpus=4, pool="p")])
    world.job(world.shape(cpus=1, count=3, apart=NODE_LABEL))
    assert decide(world.snapshot, [_pool(3)], NOW)["p"].wanted == 3


def _pool(largest: int) -> Pool:
    return Pool("p", PoolSizing.AUTO, largest=largest, template=TEMPLATE.capacity, labels=TEMPLATE.labels)


def _a_node(chance: random.Random, number: int, pool: str | None) -> Node:
    labels = {"zone": chance.choice("ab")} if chance.random() < 0.6 else {}
    return a_node(number, cpus=chance.randint(1, 6), pool=pool, labels=labels)


def _fleets(nodes: list[Node], growth: list[PoolGrowth]) -> list[list[Node]]:
    """All that could be there at a time: pools as they are, or with nodes given up and new ones up to their limit."""
    rest = [node for node in nodes if node.pool is None]
    pools = []
    for one in growth:
        there = [node for node in nodes if node.pool == one.like.pool]
        kept = chain.from_iterable(combinations(there, number) for number in range(len(there) + 1))
        room = [(some, max(0, (one.most or 0) - len(some))) for some in kept]
        fleets = [[*some, *(_new(one, number) for number in range(new))] for some, new in room if new]
        pools.append([there, *fleets])
    return [[*rest, *chain.from_iterable(parts)] for parts in product(*pools)]


def _new(one: PoolGrowth, number: int) -> Node:
    return Node(
        NodeId(1000 * one.like.id + number),
        one.like.capacity,
        f"new {one.like.pool} {number}",
        one.like.pool,
        one.like.labels,
    )


def _seats(shape: Shape, fleet: list[Node]) -> int:
    """Members seated one after the other wherever one fits."""
    seats, taken = 0, set[str]()
    for node in fleet:
        labels, left = labels_of(node), node.capacity
        if shape.pool not in {None, node.pool} or not all(one.holds(labels) for one in shape.constraints):
            continue
        while shape.requires.fits(left):
            value = None if shape.apart is None or shape.count == 1 else labels.get(shape.apart)
            if value in taken:
                break
            taken |= {value} if value is not None else set()
            left, seats = left.subtract(shape.requires), seats + 1
    return seats
