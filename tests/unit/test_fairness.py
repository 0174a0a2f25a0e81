"""Shares between projects: by weight whatever the job sizes, level for who comes back, and owed only to those that wait."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.rules.contention import contending
from scheduler.rules.fairshare import HALF_LIFE_S, horizon_s, lags
from scheduler.rules.plan import Plan
from scheduler.rules.policy import Policy, Quota
from scheduler.rules.resources import Resources
from scheduler.rules.running import Run
from tests.support.endless import Kind, capacity, endless, held, watch
from tests.support.placement import NOW, World, a_node

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


# --- what is owed ---------------------------------------------------------------------------------------------


def test_who_waits_is_owed_what_others_had_beyond_their_weight() -> None:
    told = lags({}, {1: 0.75, 2: 0.25}, {}, {1, 2}, 600.0, 1800.0)
    assert told[2] - told[1] == pytest.approx(0.5 * 600)
    weighed = lags({}, {1: 0.75, 2: 0.25}, {1: 3.0}, {1, 2}, 600.0, 1800.0)
    assert weighed == pytest.approx({1: 0.0, 2: 0.0}), "three quarters are its due"


def test_who_does_not_wait_comes_to_be_owed_nothing_and_nobody_owes_for_what_nobody_wanted() -> None:
    assert lags({}, {1: 0.75, 2: 0.25}, {}, {1}, 600.0, 1800.0)[2] <= 0
    alone: dict[int, float] = {2: 0.0}
    for _ in range(100):
        alone = lags(alone, {1: 1.0}, {}, {1}, 600.0, 1800.0)
    assert alone == pytest.approx({1: 0.0, 2: 0.0})


def test_what_is_owed_is_forgiven_once_its_project_waits_no_more_and_a_debt_is_not() -> None:
    owed = lags({1: -600.0, 2: 600.0}, {1: 0.5, 2: 0.5}, {}, {1}, 1.0, 1800.0)
    assert owed[2] <= 0
    owing = lags({1: -600.0, 2: 600.0}, {2: 1.0}, {}, {2}, 1.0, 1800.0)
    assert owing[1] == pytest.approx(-1200.0, abs=2.0), "as far behind the one being served as it was before"


def test_projects_that_wait_are_together_owed_one_horizon_of_the_fleet_at_most() -> None:
    told: dict[int, float] = {}
    for _ in range(1000):
        told = lags(told, {1: 1.0}, {2: 3.0}, {1, 2, 3}, 600.0, 1800.0)
    assert (told[2], told[3]) == pytest.approx((1800 * 3 / 5, 1800 / 5))


def test_half_of_what_is_owed_is_forgotten_in_a_day() -> None:
    assert lags({1: -600.0, 2: 600.0}, {}, {}, {1, 2}, HALF_LIFE_S, 1800.0) == pytest.approx({1: -300.0, 2: 300.0})


def test_a_project_of_weight_0_neither_owes_nor_is_owed() -> None:
    assert lags({}, {1: 0.5, 2: 0.5}, {1: 0.0}, {1, 2}, 600.0, 1800.0) == {2: 0.0}


@pytest.mark.parametrize(("length_s", "expected"), [(60.0, 1800.0), (9000.0, 9000.0), (1e6, 43_200.0)])
def test_what_is_held_counts_for_about_as_long_as_jobs_take(length_s: float, expected: float) -> None:
    world = World([a_node(1, cpus=8)])
    world.run(1, cpus=2, expected_s=length_s)
    world.run(1, cpus=4, expected_s=length_s)
    assert horizon_s(world.running.length_s(capacity(world.nodes))) == pytest.approx(expected)


@given(
    st.dictionaries(st.integers(1, 5), st.floats(-1e5, 1e5)),
    st.dictionaries(st.integers(1, 5), st.floats(0.0, 1.0)),
    st.dictionaries(st.integers(1, 5), st.floats(0.0, 100.0)),
    st.sets(st.integers(1, 5)),
    st.floats(0.0, 1e6),
)
def test_nobody_is_ever_owed_more_than_may_be(
    before: dict[int, float], shares: dict[int, float], weights: dict[int, float], waiting: set[int], elapsed_s: float
) -> None:
    told = lags(before, shares, weights, waiting, elapsed_s, 3600.0)
    assert sum(max(0.0, lag) for lag in told.values()) <= 3600.1
    assert all(lag <= 0 for project, lag in told.items() if project not in waiting)


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
    policy: Policy, asked: dict[str, object], *, waits: bool
) -> None:
    world = World([a_node(1), a_node(2)], policy)
    for number in (1, 2):
        world.run(number, cpus=4, project_id=1)
    world.job(world.shape(**{"project_id": 2, **asked}))  # type: ignore[arg-type]
    assert contending(world.snapshot, world.plan()) == ({2} if waits else set())


# --- in one plan ----------------------------------------------------------------------------------------------


def test_who_is_owed_goes_first_until_the_others_hold_more_by_as_much() -> None:
    world = World([a_node(1, cpus=100)], Policy(lags={1: -450.0, 2: 450.0}))
    for project in (1, 2):
        shape = world.shape(project_id=project)
        for _ in range(150):
            world.job(shape)
    assert _of_project(world, world.plan(), 1) == pytest.approx(25, abs=2)


def test_a_project_that_runs_on_the_only_gpu_node_is_not_last_because_that_fell_silent() -> None:
    world = World([a_node(1, custom={"gpu": 2}, ready=False), *(a_node(number, cpus=8) for number in (2, 3, 4))])
    need = Resources.of(cpus=1, custom={"gpu": 1})
    world.running.add(Run(9999, 1, need, NOW - 5, project_id=1))
    world.nodes.reserve(1, need)
    for number in (2, 3, 4):
        world.run(number, cpus=6, project_id=2)
    for project in (1, 2):
        shape = world.shape(project_id=project)
        for _ in range(10):
            world.job(shape)
    assert _of_project(world, world.plan(), 1) == 6


def _of_project(world: World, plan: Plan, project: int) -> int:
    return sum(world.shapes[placement.shape_id].project_id == project for placement in plan.placements)
