"""Every explanation is true: reasons agree with a count node by node, and the changes named are exactly what is needed."""

from dataclasses import dataclass, replace
from math import log
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scheduler.identifiers import JobTypeId, NodeId, ProjectId, ShapeId
from scheduler.rules.cluster.nodes import Node, Nodes
from scheduler.rules.cluster.policy import Packing, Policy, Quota
from scheduler.rules.cluster.reasons import Reason
from scheduler.rules.cluster.resources import Resources
from scheduler.rules.cluster.shapes import Constraint, ConstraintOperator, Shape
from scheduler.rules.explain import new_node, trial
from scheduler.rules.explain.answer import Explanation, Fix, FixKind
from scheduler.rules.explain.explain import explain, preview
from tests.support.placement import NOW, World, a_node

CONSTRAINTS = (
    Constraint("arch", ConstraintOperator.EQUAL, "arm"),
    Constraint("gen", ConstraintOperator.AT_LEAST, "2"),
    Constraint("gpu", ConstraintOperator.EXISTS),
    Constraint("arch", ConstraintOperator.NOT_EQUAL, "arm"),
)


@dataclass(frozen=True)
class Case:
    """One job, alone, on a small cluster in some state."""

    nodes: tuple[Node, ...]
    used: tuple[int, ...]
    shape: Shape
    policy: Policy
    held: str | None = None
    not_before: float | None = None

    def world(self) -> World:
        world = World(self.nodes, self.policy)
        for node, cpus in zip(self.nodes, self.used, strict=True):
            if cpus:
                world.run(node.id, cpus=cpus, mem=cpus * 1000, job_type_id=1, project_id=1, expected_s=500.0)
        world.queue.add_shape(self.shape)
        world.queue.add(1, self.shape.id, NOW - 60, held=self.held, not_before=self.not_before)
        return world

    def explained(self) -> Explanation:
        return explain(self.world().snapshot, 1, NOW)

    def placed(self, now: float = NOW) -> bool:
        return bool(self.world().plan(now=now).placements)


NODES = st.builds(
    lambda cpus, mem, pool, labels, flags, failures: a_node(
        1, cpus=cpus, mem=mem, pool=pool, labels=labels, launch_failures=failures, **flags
    ),
    st.integers(1, 6),
    st.integers(1, 8).map(lambda mem: mem * 1000),
    st.sampled_from(["a", "b", None]),
    st.fixed_dictionaries({}, optional={"arch": st.sampled_from(["arm", "x86"]), "gen": st.sampled_from("123")}),
    st.fixed_dictionaries({}, optional={flag: st.booleans() for flag in ("ready", "paused", "draining")}),
    st.sampled_from([0, 0, 3]),
)

SHAPES = st.builds(
    lambda cpus, mem, pool, constraints, apart, spread, count: Shape(
        ShapeId(1),
        Resources.of(cpus=cpus, mem=mem),
        tuple(constraints),
        pool,
        project_id=ProjectId(1),
        job_type_id=JobTypeId(1),
        apart=apart,
        spread=spread,
        count=count,
        timeout_s=100.0,
    ),
    st.integers(0, 7),
    st.integers(0, 9).map(lambda mem: mem * 1000),
    st.sampled_from(["a", "b", None]),
    st.lists(st.sampled_from(CONSTRAINTS), max_size=2, unique=True),
    st.sampled_from([None, None, "node", "arch"]),
    st.sampled_from([None, None, "arch"]),
    st.sampled_from([1, 1, 2, 3, 4]),
)

POLICIES = st.builds(
    Policy,
    scheduler_paused=st.booleans(),
    paused_projects=st.sampled_from([frozenset(), frozenset({1})]),
    paused_types=st.sampled_from([frozenset(), frozenset({1})]),
    paused_pools=st.sampled_from([frozenset(), frozenset({"a"})]),
    max_scheduled=st.sampled_from([{}, {1: 1}, {1: 9}]),
    quotas=st.sampled_from([{}, {1: Quota(cpus=4000)}, {1: Quota(mem=3_000_000, jobs=2)}]),
    packing=st.sampled_from([{}, {"b": Packing.SPREAD}, {None: Packing.SPREAD}]),
)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    drawn = draw(st.lists(NODES, min_size=1, max_size=5))
    nodes = tuple(replace(node, id=NodeId(number), name=f"n{number}") for number, node in enumerate(drawn, 1))
    used = tuple(draw(st.integers(0, min(node.capacity.cpus, node.capacity.mem // 1000) // 1000)) for node in nodes)
    held = draw(st.sampled_from([None, None, "by ann"]))
    not_before = draw(st.sampled_from([None, None, NOW + 50]))
    return Case(nodes, used, draw(SHAPES), draw(POLICIES), held, not_before)


APART_BY_NODE = Case(
    (a_node(1, cpus=1, mem=1000, pool="a"),),
    (1,),
    Shape(
        ShapeId(1), Resources.of(mem=1000), pool="a", project_id=ProjectId(1), count=2, apart="node", timeout_s=100.0
    ),
    Policy(),
    None,
    None,
)
"""Two new nodes help, if they are two."""
AGAINST_ITSELF = replace(
    APART_BY_NODE,
    shape=replace(
        APART_BY_NODE.shape,
        apart="arch",
        constraints=(
            Constraint("arch", ConstraintOperator.EQUAL, "arm"),
            Constraint("arch", ConstraintOperator.NOT_EQUAL, "arm"),
        ),
    ),
)
"""The nodes are those that were suggested for the shape as it is, which no label satisfies."""


@settings(max_examples=80, deadline=None)
@given(cases())
def test_reasons_are_counted_as_a_walk_over_the_nodes_counts_them(case: Case) -> None:
    explained = case.explained()
    expected: dict[Reason, int] = {}
    for node, cpus in zip(case.nodes, case.used, strict=True):
        for reason in _wrong_with(case, node, cpus):
            expected[reason] = expected.get(reason, 0) + 1
    assert dict(explained.nodes) == expected
    usable = sum(not _wrong_with(case, node, cpus) for node, cpus in zip(case.nodes, case.used, strict=True))
    assert explained.usable == usable


@settings(max_examples=300, deadline=None)
@given(cases())
def test_the_changes_together_let_the_job_start_and_none_can_be_left_out(case: Case) -> None:
    changes = case.explained().fixes
    assert case.placed() == (not changes)
    assert _changed(case, changes).placed(_moment(changes))
    for left_out in range(len(changes)):
        others = changes[:left_out] + changes[left_out + 1 :]
        assert not _changed(case, others).placed(_moment(others)), changes[left_out]


@settings(max_examples=150, deadline=None)
@given(cases())
@example(APART_BY_NODE)
@example(AGAINST_ITSELF)
def test_a_trial_of_the_changes_says_that_the_job_starts_and_leaves_no_trace(case: Case) -> None:
    world = case.world()
    changes = explain(world.snapshot, 1, NOW).fixes
    plan, _, _ = trial.after(world.snapshot, 1, _moment(changes), changes, lambda: 0.0)
    assert {one.job_id for one in plan.placements} == {1}
    assert explain(world.snapshot, 1, NOW).fixes == changes


def test_a_job_that_will_go_next_says_so() -> None:
    world = World([a_node(1)])
    job = world.job(world.shape())
    explained = explain(world.snapshot, job, NOW)
    assert explained.main is Reason.NEXT
    assert (explained.earliest, explained.latest) == (NOW, NOW)


def test_a_job_behind_others_knows_its_place_and_when_room_will_come() -> None:
    world = World([a_node(1, cpus=2)])
    world.run(1, cpus=2, expected_s=400.0, timeout_s=900.0)
    shape = world.shape(cpus=2, timeout_s=100.0)
    world.job(shape, waited=50)
    job = world.job(shape, waited=20)
    explained = explain(world.snapshot, job, NOW)
    assert explained.main is Reason.NO_ROOM
    assert (explained.position, explained.ahead) == (1, 1)
    assert explained.nodes == {Reason.NO_ROOM: 1}
    assert explained.short_of == {"cpus": 1}
    assert explained.earliest == NOW + 300
    assert explained.latest == NOW + 300 + 100


def test_the_job_that_room_is_kept_for_knows_it_and_the_others_too() -> None:
    world = World([a_node(1, cpus=4)])
    world.run(1, cpus=3, expected_s=400.0)
    large = world.job(world.shape(cpus=4, timeout_s=100.0), waited=500)
    small = world.job(world.shape(cpus=1, timeout_s=5000.0), waited=5)
    explained = explain(world.snapshot, large, NOW)
    assert explained.reserved == (1,)
    assert explained.earliest == NOW + 300
    assert explain(world.snapshot, small, NOW).main is Reason.RESERVED


def test_a_gang_is_told_how_many_members_could_start() -> None:
    world = World([a_node(1, cpus=2), a_node(2, cpus=1)])
    job = world.job(world.shape(cpus=1, count=5))
    explained = explain(world.snapshot, job, NOW)
    assert explained.main is Reason.GANG
    assert explained.fixes == (Fix(FixKind.ASK_FEWER, "", 3),)


def test_a_gang_is_not_asked_to_be_smaller_where_something_else_makes_room_for_all() -> None:
    world = World([a_node(1, cpus=3, paused=True)])
    shapes = [world.shape(cpus=1, count=count) for count in (2, 4)]
    resume = Fix(FixKind.RESUME_NODE, "n1")
    told = [explain(world.snapshot, world.job(shape), NOW).fixes for shape in shapes]
    assert told == [(resume,), (resume, Fix(FixKind.ASK_FEWER, "", 3))]


def test_a_preview_leaves_nothing_behind() -> None:
    world = World([a_node(1)])
    shape = Shape(ShapeId(77), Resources.of(cpus=99))
    plan, explained = preview(world.snapshot, shape, NOW, lambda: 0.0)
    assert not plan.placements
    assert explained.main is Reason.TOO_SMALL
    assert len(world.queue) == 0
    assert not world.queue.groups


def _wrong_with(case: Case, node: Node, cpus: int) -> list[Reason]:
    """All reasons why a node will not do, found the slow way."""
    shape, policy, labels = case.shape, case.policy, {"node": node.name, **node.labels}
    free = node.capacity.subtract(Resources.of(cpus=cpus, mem=cpus * 1000))
    wrong = {
        Reason.NODE_NOT_READY: not node.ready,
        Reason.NODE_PAUSED: node.paused,
        Reason.NODE_DRAINING: node.draining,
        Reason.NODE_FAILING: node.launch_failures >= 3,
        Reason.POOL_PAUSED: node.pool in policy.paused_pools,
        Reason.OTHER_POOL: shape.pool not in {None, node.pool},
        Reason.CONSTRAINT: not all(constraint.holds(labels) for constraint in shape.constraints),
        Reason.TOO_SMALL: not shape.requires.fits(node.capacity),
        Reason.NO_ROOM: shape.requires.fits(node.capacity) and not shape.requires.fits(free),
        Reason.APART: _shares_value(case, labels),
    }
    return [reason for reason, is_so in wrong.items() if is_so]


def _shares_value(case: Case, labels: dict[str, str]) -> bool:
    apart = case.shape.apart
    busy = [node for node, cpus in zip(case.nodes, case.used, strict=True) if cpus]
    taken = {{"node": node.name, **node.labels}.get(apart or "") for node in busy}
    return apart is not None and labels.get(apart) is not None and labels.get(apart) in taken


def _moment(changes: tuple[Fix, ...]) -> float:
    return max([NOW, *(change.to or 0.0 for change in changes if change.kind is FixKind.WAIT_UNTIL)])


def _changed(case: Case, changes: tuple[Fix, ...]) -> Case:
    for change in changes:
        case = _apply(case, change)
    return case


def _apply(case: Case, change: Fix) -> Case:
    policy, shape, to = case.policy, case.shape, int(change.to or 0)
    on_policy = {
        FixKind.RESUME_SCHEDULER: lambda: replace(policy, scheduler_paused=False),
        FixKind.RESUME_PROJECT: lambda: replace(policy, paused_projects=frozenset()),
        FixKind.RESUME_TYPE: lambda: replace(policy, paused_types=frozenset()),
        FixKind.RESUME_POOL: lambda: replace(policy, paused_pools=frozenset()),
        FixKind.RAISE_TYPE_LIMIT: lambda: replace(policy, max_scheduled={1: to}),
        FixKind.RAISE_QUOTA: lambda: replace(policy, quotas={1: replace(policy.quotas[1], **{change.subject: to})}),
    }
    on_shape = {
        FixKind.LEAVE_POOL: lambda: replace(shape, pool=None),
        FixKind.DROP_APART: lambda: replace(shape, apart=None),
        FixKind.ASK_FEWER: lambda: replace(shape, count=to),
        FixKind.SHORTER_TIMEOUT: lambda: replace(shape, timeout_s=to),
        FixKind.DROP_CONSTRAINT: lambda: replace(
            shape, constraints=tuple(each for each in shape.constraints if str(each) != change.subject)
        ),
        FixKind.ASK_LESS: lambda: replace(
            shape, requires=Resources.from_amounts(shape.requires.amounts() | {change.subject: to})
        ),
    }
    on_node: dict[FixKind, dict[str, Any]] = {
        FixKind.RESUME_NODE: {"paused": False},
        FixKind.STOP_DRAINING: {"draining": False},
        FixKind.BRING_BACK_NODE: {"ready": True},
        FixKind.CLEAR_FAILURES: {"launch_failures": 0},
    }
    if change.kind in on_policy:
        return replace(case, policy=on_policy[change.kind]())
    if change.kind in on_shape:
        return replace(case, shape=on_shape[change.kind]())
    if change.kind in on_node:
        fixed = on_node[change.kind]
        nodes = (replace(node, **fixed) if node.name == change.subject else node for node in case.nodes)
        return replace(case, nodes=tuple(nodes))
    if change.kind is FixKind.ADD_NODE:
        new = new_node.like(shape, Nodes(case.nodes))
        more = tuple(
            replace(new, id=NodeId(90 + number), name=f"{new.name} {number}" if number else new.name)
            for number in range(to)
        )
        return replace(case, nodes=case.nodes + more, used=case.used + (0,) * to)
    return replace(case, held=None) if change.kind is FixKind.RELEASE_HOLD else case


def test_on_a_full_fleet_one_more_node_is_named_and_nobody_is_told_to_ask_for_nothing() -> None:
    world = World([a_node(1, cpus=4), a_node(2, cpus=4)])
    for node in (1, 2):
        world.run(node, cpus=4)
    job, gang = world.job(world.shape(cpus=1)), world.job(world.shape(cpus=2, count=3))
    assert explain(world.snapshot, job, NOW).fixes == (Fix(FixKind.ADD_NODE, "cpus=1", 1),)
    assert explain(world.snapshot, gang, NOW).fixes == (Fix(FixKind.ADD_NODE, "cpus=2", 3),)
    fussy = world.shape(
        cpus=2, mem=64, pool="night", constraints=(Constraint("zone", ConstraintOperator.IN, ("a", "b")),)
    )
    wanted = (Fix(FixKind.ADD_NODE, "cpus=2,mem=64mib,pool=night,zone:a", 1),)
    assert explain(world.snapshot, world.job(fussy), NOW).fixes == wanted


def test_a_job_beside_kept_room_is_told_how_short_it_would_have_to_be() -> None:
    world = World([a_node(1, cpus=4)])
    world.run(1, cpus=3, expected_s=400.0)
    world.job(world.shape(cpus=4, timeout_s=100.0), waited=500)
    small = world.shape(cpus=1, timeout_s=5000.0)
    job = world.job(small, waited=5)
    assert explain(world.snapshot, job, NOW).fixes == (Fix(FixKind.SHORTER_TIMEOUT, "", 300),)
    short = world.job(world.shape(cpus=1, timeout_s=300.0), waited=5)
    assert short in {placement.job_id for placement in world.plan().placements}


def test_a_job_may_do_without_what_a_node_has_none_of_but_not_without_what_others_use() -> None:
    world = World([a_node(1)])
    job = world.job(world.shape(custom={"gpu": 1}))
    assert explain(world.snapshot, job, NOW).fixes == (Fix(FixKind.ASK_LESS, "gpu", 0),)
    world = World([a_node(1, custom={"gpu": 1})])
    world.nodes.allocate(1, Resources.of(custom={"gpu": 1}))
    job = world.job(world.shape(custom={"gpu": 1}))
    assert explain(world.snapshot, job, NOW).fixes == (Fix(FixKind.ADD_NODE, "cpus=1,gpu=1", 1),)


def test_the_band_is_as_wide_as_predictions_were_off_and_counts_nobody_who_can_never_run() -> None:
    world = World([a_node(1, cpus=2)])
    world.run(1, cpus=2, started=NOW, expected_s=300.0, timeout_s=900.0)
    world.job(world.shape(cpus=999, timeout_s=9000.0), waited=50)
    job = world.job(world.shape(cpus=2, timeout_s=100.0), waited=20)
    explained = explain(world.snapshot, job, NOW)
    assert (explained.earliest, explained.latest) == (NOW + 300, NOW + 300)
    world.predictor.error = log(2)
    explained = explain(world.snapshot, job, NOW)
    assert explained.earliest == pytest.approx(NOW + 150)
    assert explained.latest == pytest.approx(NOW + 600)


def test_each_constraint_is_counted_by_itself() -> None:
    world = World([a_node(1, labels={"zone": "a"}), a_node(2, labels={"zone": "b", "ssd": "y"}), a_node(3)])
    wants = (Constraint("zone", ConstraintOperator.EQUAL, "a"), Constraint("ssd", ConstraintOperator.EXISTS))
    job = world.job(world.shape(constraints=wants))
    assert explain(world.snapshot, job, NOW).unmet == {"ssd exists": 2, "zone = a": 2}
