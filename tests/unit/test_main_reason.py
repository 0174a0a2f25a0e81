"""Waiting jobs are counted under the reason that their explanation names first."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings

from scheduler.identifiers import ShapeId
from scheduler.rules.cluster.nodes import Node
from scheduler.rules.cluster.policy import Policy
from scheduler.rules.cluster.reasons import Reason
from scheduler.rules.cluster.shapes import Constraint
from scheduler.rules.explain.explain import explain
from scheduler.rules.explain.main_reason import MainReasons
from tests.support.placement import NOW, World, a_node
from tests.unit.test_explain import Case, cases


def main(world: World) -> Reason:
    plan = world.plan()
    (refusal,) = plan.refusals.values()
    return MainReasons(world.snapshot).of(world.queue.groups[refusal.shape_id].shape, refusal)


@pytest.mark.parametrize(
    ("nodes", "asks", "policy", "reason"),
    [
        ([{}, {}], {"cpus": 9999}, Policy(), Reason.TOO_SMALL),
        ([{}, {"paused": True}, {"paused": True}], {"cpus": 9999}, Policy(), Reason.TOO_SMALL),
        ([{}, {}], {"constraints": (Constraint("zone", value="a"),)}, Policy(), Reason.CONSTRAINT),
        ([{}, {}], {"custom": {"gpu": 1}}, Policy(), Reason.TOO_SMALL),
        ([{}, {}], {"pool": "nowhere"}, Policy(), Reason.OTHER_POOL),
        ([{"projects": frozenset({7})}], {"project_id": 8}, Policy(), Reason.OTHER_PROJECT),
        ([{"pool": "p"}], {}, Policy(paused_pools=frozenset({"p"})), Reason.POOL_PAUSED),
        ([{"draining": True}, {"draining": True}], {}, Policy(), Reason.NODE_DRAINING),
        ([{"launch_failures": 3}], {}, Policy(), Reason.NODE_FAILING),
        ([{"paused": True}, {"ready": False}, {"ready": False}], {}, Policy(), Reason.NODE_NOT_READY),
        ([], {}, Policy(), Reason.NODE_NOT_READY),
        ([{"cpus": 2}, {"paused": True}], {"cpus": 2, "count": 2}, Policy(), Reason.GANG),
        ([{}], {}, Policy(scheduler_paused=True), Reason.SCHEDULER_PAUSED),
        ([{}], {"job_type_id": 1}, Policy(max_scheduled={1: 0}), Reason.TYPE_LIMIT),
    ],
)
def test_the_main_reason_is_what_would_help_to_know(
    nodes: list[dict[str, Any]], asks: dict[str, Any], policy: Policy, reason: Reason
) -> None:
    world = World([a_node(number, **facts) for number, facts in enumerate(nodes, 1)], policy)
    world.job(world.shape(**asks))
    assert main(world) is reason


def test_a_full_node_that_would_do_is_room_even_where_more_nodes_would_never_do() -> None:
    world = World([a_node(1, cpus=4), *(a_node(number, cpus=1) for number in (2, 3, 4))])
    world.run(1, cpus=4)
    world.job(world.shape(cpus=4))
    assert main(world) is Reason.NO_ROOM


@settings(max_examples=200, deadline=None)
@given(cases())
def test_it_agrees_with_what_an_explanation_names_first(case: Case) -> None:
    world = replace(case, held=None, not_before=None).world()
    plan = world.plan()
    if not plan.refusals:
        return
    told = explain(world.snapshot, 1, NOW, plan)
    too_small = told.nodes.get(Reason.TOO_SMALL) == len(case.nodes) and not told.blockers
    expected = Reason.TOO_SMALL if too_small else told.main
    counted = MainReasons(world.snapshot).of(case.shape, plan.refusals[case.shape.id])
    assert counted is expected


def test_the_others_of_a_fleet_do_not_matter() -> None:
    fleet: list[Node] = [a_node(number, cpus=2) for number in range(1, 40)]
    world = World(fleet)
    large, small = world.shape(cpus=64), world.shape(cpus=2)
    world.job(large)
    for _ in range(50):
        world.job(small)
    plan = world.plan()
    for placement in plan.placements:
        world.nodes.allocate(placement.node_id, small.requires)
        world.queue.discard(placement.job_id)
    counted = {
        shape_id: MainReasons(world.snapshot).of(world.shapes[ShapeId(shape_id)], refusal)
        for shape_id, refusal in plan.refusals.items()
    }
    assert counted == {large.id: Reason.TOO_SMALL, small.id: Reason.NO_ROOM}
