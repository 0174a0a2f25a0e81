"""The earliest start of a job: when by the predicted ends, on which nodes, how many members on each."""

from dataclasses import dataclass, field
from math import inf

import numpy as np
import pytest

from scheduler.rules.placement.plan_state import PlanState
from scheduler.rules.placement.reservation import EndBasis, Timetable, earliest
from tests.support.placement import NOW, World, a_node


@dataclass(frozen=True)
class Case:
    """Nodes of 4 cpus each (`racks`: a label of each), runs as (node, cpus, seconds to go), and the job that waits."""

    runs: tuple[tuple[int, int, float], ...]
    cpus: int
    count: int = 1
    nodes: int = 2
    racks: tuple[str | None, ...] = ()
    most: tuple[int, ...] = ()
    after_s: float | None = None
    members: dict[int, int] = field(default_factory=dict)


CASES = {
    "the node whose run ends first": Case(((1, 4, 50), (2, 4, 20)), 4, after_s=20, members={2: 1}),
    "small ends on one node add up": Case(((1, 2, 10), (1, 2, 30), (2, 4, 40)), 4, after_s=30, members={1: 1}),
    "as many ends as are needed and no more": Case(((1, 2, 10), (1, 2, 30), (2, 4, 40)), 2, after_s=10, members={1: 1}),
    "of nodes that do at that moment the fullest": Case(((1, 3, 10), (2, 4, 10)), 4, after_s=10, members={2: 1}),
    "a gang needs its nodes at the same time": Case(
        ((1, 4, 10), (2, 4, 25)), 4, count=2, after_s=25, members={1: 1, 2: 1}
    ),
    "a gang may be on one node": Case(((1, 4, 10), (2, 4, 25)), 2, count=2, after_s=10, members={1: 2}),
    "free room counts for a gang": Case(((1, 4, 10),), 4, count=2, after_s=10, members={1: 1, 2: 1}),
    "at most so many on a node": Case(((1, 4, 10), (2, 4, 25)), 2, count=2, most=(1, 2), after_s=25, members={2: 2}),
    "members that are kept apart need two values": Case(
        ((1, 4, 10), (2, 4, 15), (3, 4, 25)),
        2,
        count=2,
        nodes=3,
        racks=("a", "a", "b"),
        after_s=25,
        members={1: 1, 3: 1},
    ),
    "a node without the label takes several members": Case(
        ((1, 4, 10), (2, 4, 15)), 2, count=3, racks=("a", None), after_s=15, members={1: 1, 2: 2}
    ),
    "never on nodes that are too small": Case(((1, 4, 10), (2, 4, 25)), 5),
    "never for more members than there is room": Case(((1, 4, 10), (2, 4, 25)), 4, count=3),
    "never where values are too few": Case(((1, 4, 10), (2, 4, 25)), 1, count=2, racks=("a", "a")),
    "never without an end to wait for": Case((), 5),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_the_earliest_start_follows_from_the_ends_of_what_runs(case: Case) -> None:
    labels = [{} if rack is None else {"rack": rack} for rack in case.racks] or [{}] * case.nodes
    world = World([a_node(number, labels=labels[number - 1]) for number in range(1, case.nodes + 1)])
    for node_id, cpus, seconds in case.runs:
        world.run(node_id, cpus=cpus, started=NOW, expected_s=seconds, timeout_s=seconds)
    need = world.nodes.vector(world.shape(cpus=case.cpus).requires)
    state = PlanState(world.snapshot)
    most = np.zeros(state.free.shape[1], dtype=np.int64)
    most[: case.nodes] = case.most or case.count
    values = world.nodes.label_codes("rack") if case.racks else None
    start = earliest(
        need, most, case.count, state, Timetable(state, world.running, NOW, EndBasis.EXPECTED).ends(most > 0), values
    )
    if case.after_s is None:
        assert start is None
    else:
        assert start is not None
        assert start.at == NOW + case.after_s
        ids = [world.nodes.at(row).id for row in start.rows.tolist()]
        assert dict(zip(ids, start.counts.tolist(), strict=True)) == case.members


@pytest.mark.parametrize(
    ("ran_s", "expected_s", "timeout_s", "to_go_s"),
    [
        (0, 50, None, 50),
        (20, 50, None, 30),
        (100, 50, None, 50),
        (100, 50, 120, 20),
        (100, 50, 100, 1),
        (0, inf, None, 600),
        (1000, inf, None, 1000),
        (0, inf, 40, 40),
    ],
)
def test_a_run_is_believed_to_end_when_predicted_or_half_as_long_again_but_within_its_limit(
    ran_s: float, expected_s: float, timeout_s: float | None, to_go_s: float
) -> None:
    world = World([a_node(1)])
    world.run(1, cpus=4, started=NOW - ran_s, expected_s=expected_s, timeout_s=timeout_s)
    state = PlanState(world.snapshot)
    need = world.nodes.vector(world.shape(cpus=4).requires)
    present = world.nodes.present()
    start = earliest(
        need, present.astype(np.int64), 1, state, Timetable(state, world.running, NOW, EndBasis.EXPECTED).ends(present)
    )
    assert start is not None
    assert start.at == NOW + to_go_s
