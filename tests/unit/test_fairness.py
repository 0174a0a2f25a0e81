"""Shares between projects: by weight whatever the job sizes, level for who comes back, and owed only to those that wait."""

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.identifiers import ExecutionId, NodeId, ProjectId
from scheduler.replay.trace import TraceJob
from scheduler.rules.cluster.fairshare import HALF_LIFE_S, LEAST_WEIGHT, OWED, OWING, accrue
from scheduler.rules.cluster.plan import Plan
from scheduler.rules.cluster.policy import Policy, Quota
from scheduler.rules.cluster.resources import Resources
from scheduler.rules.cluster.running import ActiveExecution
from scheduler.rules.placement.contention import contests
from tests.support.endless import Kind, capacity, endless, held, watch
from tests.support.placement import NOW, World, a_node

pytestmark = pytest.mark.slow

HOUR = 3600.0
NODES = [a_node(number, cpus=16, mem=64_000) for number in range(1, 5)]
FLEET = capacity(NODES)


def _kind(cpus: float, mem: int = 0, count: int = 1, seconds: tuple[float, float] = (600.0, 1800.0)) -> Kind:
    return Kind(Resources.of(cpus=cpus, mem=mem), count, seconds)


# --- over hours, in virtual time ------------------------------------------------------------------------------


@pytest.mark.parametrize("weights", [(1.0, 1.0), (1.0, 3.0), (3.0, 1.0)], ids=str)
@pytest.mark.parametrize(
    "kinds",
    [
        (_kind(1, mem=4000), _kind(4, mem=1000)),
        (_kind(1), _kind(16)),
        (_kind(1), _kind(4, count=8)),
        (_kind(3), _kind(16, count=2)),
        (_kind(3), _kind(5, seconds=(200.0, 600.0))),
    ],
    ids=[
        "memory-and-cpus",
        "whole-nodes",
        "gangs-of-half-the-fleet",
        "gangs-of-whole-nodes",
        "sizes-that-fill-no-node",
    ],
)
def test_projects_hold_what_their_weights_say_whatever_their_job_sizes(
    kinds: tuple[Kind, Kind], weights: tuple[float, float]
) -> None:
    chance, until = random.Random(5), 12 * HOUR
    jobs = [job for project, kind in enumerate(kinds, 1) for job in endless(chance, kind, project, FLEET, until=until)]
    outcome = watch(jobs, NODES, Policy(weights=dict(enumerate(weights, 1))), until)
    one, two = (held(outcome, project, FLEET, since=HOUR, until=until) for project in (1, 2))
    assert one / (one + two) == pytest.approx(weights[0] / sum(weights), abs=0.02)


@pytest.mark.timeout(300)  # a day of ticks: 100 s on a slow machine that has more to do
@pytest.mark.parametrize("weights", [(1.0, 1.0), (1.0, 3.0), (3.0, 1.0)], ids=str)
def test_a_project_that_comes_back_after_a_day_starts_level(weights: tuple[float, float]) -> None:
    chance, day = random.Random(6), 24 * HOUR
    kind = _kind(4, seconds=(120.0, 360.0))
    jobs = [
        *endless(chance, kind, 1, FLEET, until=day + HOUR),
        *endless(chance, kind, 2, FLEET, since=day, until=day + HOUR),
    ]
    outcome = watch(jobs, NODES, Policy(weights=dict(enumerate(weights, 1))), day + HOUR)
    stayed, came = (held(outcome, project, FLEET, since=day, until=day + HOUR) for project in (1, 2))
    assert stayed / (stayed + came) == pytest.approx(weights[0] / sum(weights), abs=0.04)


def test_a_third_project_that_comes_shuts_out_neither_of_two_that_have_long_been_at_odds() -> None:
    chance, day = random.Random(6), 12 * HOUR
    jobs = [job for project in (1, 2) for job in endless(chance, _kind(project), project, FLEET, until=day + 3 * HOUR)]
    jobs += endless(chance, _kind(4), 3, FLEET, since=day, until=day + 3 * HOUR)
    outcome = watch(jobs, NODES, Policy(), day + 3 * HOUR)
    for since in (day + HOUR, day + 2 * HOUR):
        shares = [held(outcome, project, FLEET, since=since, until=since + HOUR) for project in (1, 2, 3)]
        assert shares == pytest.approx([sum(shares) / 3] * 3, abs=0.08)


def test_shares_of_jobs_that_take_hours_settle_within_a_few_of_their_lengths() -> None:
    chance, day, until = random.Random(7), 48 * HOUR, 96 * HOUR
    kind = _kind(4, seconds=(5 * HOUR, 15 * HOUR))
    jobs = [
        job
        for project, since in ((1, 0.0), (2, day))
        for job in endless(chance, kind, project, FLEET, since=since, until=until)
    ]
    outcome = watch(jobs, NODES, Policy(), until)
    for since in range(16, 48, 4):
        begin = day + since * HOUR
        one, two = (held(outcome, project, FLEET, since=begin, until=begin + 4 * HOUR) for project in (1, 2))
        assert one / (one + two) == pytest.approx(0.5, abs=0.07)


# --- who else there is ----------------------------------------------------------------------------------------


def test_shares_are_right_beside_services_that_hold_most_of_the_fleet_and_weigh_next_to_nothing() -> None:
    chance, until = random.Random(5), 8 * HOUR
    jobs = [TraceJob(9 * 10**6 + number, 0.0, 99 * HOUR, Resources.of(cpus=8), None, (9,), 9) for number in range(4)]
    for project, kind in ((1, _kind(1)), (2, _kind(8, count=2))):
        jobs += endless(chance, kind, project, FLEET, since=1.0, until=until)
    outcome = watch(jobs, NODES, Policy(weights={1: 3.0, 9: 0.01}), until)
    one, two = (held(outcome, project, FLEET, since=2 * HOUR, until=until) for project in (1, 2))
    assert one / (one + two) == pytest.approx(0.75, abs=0.03)


def test_what_happens_in_a_pool_of_its_own_does_not_touch_the_shares_of_others() -> None:
    chance, until = random.Random(5), 8 * HOUR
    nodes = [replace(node, pool="y") for node in NODES]
    nodes += [a_node(number, cpus=16, mem=64_000, pool="x") for number in range(5, 13)]
    kinds = {1: (_kind(1), "y"), 2: (_kind(4, count=8), "y"), 3: (_kind(4), "x")}
    jobs = [
        replace(job, pool=pool)
        for project, (kind, pool) in kinds.items()
        for job in endless(chance, kind, project, FLEET.times(2 if pool == "x" else 1), until=until)
    ]
    outcome = watch(jobs, nodes, Policy(weights={1: 3.0}), until)
    one, two = (held(outcome, project, FLEET, since=2 * HOUR, until=until) for project in (1, 2))
    assert one / (one + two) == pytest.approx(0.75, abs=0.03)


def test_who_comes_where_services_hold_most_of_the_fleet_is_served_at_once() -> None:
    chance, day = random.Random(6), 12 * HOUR
    jobs = [TraceJob(9 * 10**6 + number, 0.0, 99 * HOUR, Resources.of(cpus=16), None, (9,), 9) for number in range(3)]
    for project in (1, 2, 3):
        since = day if project == 3 else 1.0
        jobs += endless(chance, _kind(1, seconds=(200.0, 400.0)), project, FLEET, since=since, until=day + HOUR)
    outcome = watch(jobs, NODES, Policy(), day + HOUR)
    shares = [held(outcome, project, FLEET, since=day + HOUR / 2, until=day + HOUR) for project in (1, 2, 3)]
    assert shares == pytest.approx([sum(shares) / 3] * 3, abs=0.03)


def test_when_long_jobs_end_nobody_pays_for_hours_for_what_could_not_be_given_back() -> None:
    chance, end = random.Random(6), 20 * HOUR
    nodes, fleet = NODES[:2], capacity(NODES[:2])
    jobs = [TraceJob(9 * 10**6 + number, 0.0, end, Resources.of(cpus=4), None, (9,), 1) for number in range(8)]
    for project, since in ((1, HOUR), (2, HOUR), (3, end - HOUR)):
        kind = _kind(4, seconds=(200.0, 300.0))
        jobs += endless(chance, kind, project, fleet, since=since, until=end + 3 * HOUR)
    outcome = watch(jobs, nodes, Policy(), end + 3 * HOUR)
    first, later = (
        [held(outcome, project, fleet, since=end + since * HOUR, until=end + until * HOUR) for project in (1, 2, 3)]
        for since, until in ((0, 1), (2, 3))
    )
    assert min(first[1:]) > 0.2, "who owed nothing is not shut out"
    assert later == pytest.approx([1 / 3] * 3, abs=0.15)


# --- what is owed ---------------------------------------------------------------------------------------------


def test_who_waits_is_owed_what_others_had_beyond_their_weight() -> None:
    assert _owed({}, {1: 0.75, 2: 0.25}, {}, [{1, 2}], 600.0) == pytest.approx({1: -150.0, 2: 150.0})
    weighed = _owed({}, {1: 0.75, 2: 0.25}, {1: 3.0}, [{1, 2}], 600.0)
    assert weighed == pytest.approx({1: 0.0, 2: 0.0}), "three quarters are its due"


def test_who_does_not_wait_is_owed_nothing_and_owes_nothing_for_what_nobody_wanted() -> None:
    assert _owed({}, {1: 0.75, 2: 0.25}, {}, [{1}], 600.0) == {1: 0.0}
    assert _owed({2: 0.0}, {1: 0.75, 2: 0.25}, {}, [], 600.0) == {2: 0.0}


def test_what_is_owed_is_forgiven_once_its_project_waits_no_more_and_a_debt_is_not() -> None:
    assert _owed({1: -600.0, 2: 600.0}, {1: 0.5, 2: 0.5}, {}, [], 0.0) == {1: -600.0, 2: 0.0}


def test_projects_that_wait_for_different_nodes_owe_one_another_nothing() -> None:
    told = _owed({}, {1: 0.1, 2: 0.1, 3: 0.8}, {}, [{1, 2}, {3}], 600.0)
    assert told == pytest.approx({1: 0.0, 2: 0.0, 3: 0.0})


def test_there_is_a_bound_to_what_is_owed_and_beyond_it_the_others_are_compared_among_themselves() -> None:
    told: dict[int, float] = {}
    for _ in range(1000):
        told = _owed(told, {1: 1.0}, {2: 3.0}, [{1, 2, 3}], 600.0)
    assert told[1] == pytest.approx(-1800.0)
    assert (told[2], told[3]) == pytest.approx((0.0, 0.0)), "they have had as little for their weights"
    told = _owed(told, {1: 0.5, 2: 0.5}, {2: 3.0}, [{1, 2, 3}], 600.0)
    assert told[3] == pytest.approx(600 * 0.5 / 4), "a quarter of what the two hold together"


def test_a_bound_that_shrinks_with_the_length_of_jobs_cuts_both_sides() -> None:
    told = _owed({1: -36_000.0, 2: 36_000.0, 3: 0.0}, {}, {}, [{1, 2, 3}], 0.0)
    assert told == pytest.approx({1: -1800.0, 2: 1200.0, 3: 0.0})


def test_half_of_what_is_owed_is_forgotten_in_a_day() -> None:
    told = _owed({1: -600.0, 2: 600.0}, {}, {}, [{1, 2}], HALF_LIFE_S)
    assert told == pytest.approx({1: -300.0, 2: 300.0})


def test_a_project_of_next_to_no_weight_neither_owes_nor_is_owed() -> None:
    assert _owed({}, {1: 0.5, 2: 0.5}, {1: 0.0}, [{1, 2}], 600.0) == {2: 0.0}


@given(
    st.dictionaries(st.integers(1, 5), st.floats(-1e5, 1e5)),
    st.dictionaries(st.integers(1, 5), st.floats(0.0, 1.0)),
    st.dictionaries(st.integers(1, 5), st.floats(0.0, 100.0)),
    st.sets(st.integers(1, 5)),
    st.floats(0.0, 1e6),
)
def test_nobody_is_ever_owed_or_owes_more_than_may_be(
    before: dict[int, float], shares: dict[int, float], weights: dict[int, float], waiting: set[int], elapsed_s: float
) -> None:
    told = _owed(before, shares, weights, [waiting] if waiting else [], elapsed_s)
    bound = 1800.0 * (OWED + 5 * OWING) * 1.001
    rivals = {project for project in waiting if weights.get(project, 1.0) >= LEAST_WEIGHT}
    assert all(-bound <= told[project] <= bound for project in rivals)
    assert all(lag <= 0 for project, lag in told.items() if project not in waiting)


def _owed(
    before: dict[int, float],
    shares: dict[int, float],
    weights: dict[int, float],
    contests: list[set[int]],
    for_s: float,
) -> dict[int, float]:
    told = accrue(before, shares, weights, contests, lambda _: 300.0, for_s)
    return {project: lag.seconds for project, lag in told.items()}


@pytest.mark.parametrize(
    ("policy", "asked", "waits"),
    [
        (Policy(), {}, True),
        (Policy(paused_projects=frozenset({2})), {}, False),
        (Policy(quotas={2: Quota(jobs=0)}), {}, False),
        (Policy(max_scheduled={7: 0}), {"job_type_id": 7}, False),
        (Policy(), {"cpus": 5}, False),
        (Policy(), {"pool": "none"}, False),
        (Policy(), {"count": 9}, False),
        (Policy(), {"count": 3}, True),
    ],
    ids=["full", "paused", "quota", "type-limit", "larger-than-any-node", "no-such-pool", "gang-too-large", "gang"],
)
def test_only_who_would_start_were_there_room_is_owed_its_share(
    policy: Policy, asked: dict[str, Any], *, waits: bool
) -> None:
    world = World([a_node(1), a_node(2)], policy)
    for number in (1, 2):
        world.run(number, cpus=4, project_id=1)
    world.job(world.shape(**{"project_id": 2, **asked}))
    assert contests(world.snapshot, world.plan()) == ([{2}] if waits else [])


def test_those_contend_that_wait_for_the_same_nodes_or_for_nodes_that_others_in_between_wait_for() -> None:
    world = World([a_node(number, pool=pool) for number, pool in enumerate("xyz", 1)])
    for number in (1, 2, 3):
        world.run(number, cpus=4, project_id=9)
    for project, pool in ((1, "x"), (2, "y"), (3, "z"), (4, "x")):
        world.job(world.shape(project_id=project, pool=pool))
    found = contests(world.snapshot, world.plan())
    assert sorted(map(sorted, found)) == [[1, 4], [2], [3]]
    world.job(world.shape(project_id=2, pool="x"))
    found = contests(world.snapshot, world.plan())
    assert sorted(map(sorted, found)) == [[1, 2, 4], [3]]


def test_room_comes_free_after_the_harmonic_mean_of_what_is_expected() -> None:
    world = World([a_node(1, cpus=8)])
    fleet = capacity(world.nodes)
    assert world.running.length_s(fleet, [1]) == 0
    world.run(1, cpus=4, expected_s=36_000.0, project_id=1)
    assert world.running.length_s(fleet, [1]) == pytest.approx(36_000, rel=0.01)
    run = world.run(1, cpus=4, expected_s=60.0, project_id=2)
    assert world.running.length_s(fleet, [1, 2]) == pytest.approx(120, rel=0.01)
    world.running.discard(run.execution_id)
    assert world.running.length_s(fleet, [1, 2]) == pytest.approx(36_000, rel=0.01)


# --- in one plan ----------------------------------------------------------------------------------------------


def test_who_is_owed_goes_first_until_the_others_hold_more_by_as_much() -> None:
    world = World([a_node(1, cpus=100)], Policy(credits={1: -0.25, 2: 0.25}))
    for project in (1, 2):
        shape = world.shape(project_id=project)
        for _ in range(150):
            world.job(shape)
    assert _of_project(world, world.plan(), 1) == pytest.approx(25, abs=2)


def test_a_project_that_runs_on_the_only_gpu_node_is_not_last_because_that_fell_silent() -> None:
    world = World([a_node(1, custom={"gpu": 2}, ready=False), *(a_node(number, cpus=8) for number in (2, 3, 4))])
    need = Resources.of(cpus=1, custom={"gpu": 1})
    world.running.add(ActiveExecution(ExecutionId(9999), NodeId(1), need, NOW - 5, project_id=ProjectId(1)))
    world.nodes.allocate(1, need)
    for number in (2, 3, 4):
        world.run(number, cpus=6, project_id=2)
    for project in (1, 2):
        shape = world.shape(project_id=project)
        for _ in range(10):
            world.job(shape)
    assert _of_project(world, world.plan(), 1) == 6


def _of_project(world: World, plan: Plan, project: int) -> int:
    return sum(world.shapes[placement.shape_id].project_id == project for placement in plan.placements)
