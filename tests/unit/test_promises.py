"""Promises: room is kept by time limits, predictions say who fills it, and no job waits behind all that come later."""

import random

import pytest

from scheduler.identifiers import JobId, NodeId, ShapeId
from scheduler.replay.replay import replay
from scheduler.replay.report import summarise
from scheduler.rules.cluster.plan import CarriedReservation
from scheduler.rules.cluster.policy import Policy
from scheduler.rules.cluster.prediction import Predictor
from scheduler.rules.cluster.resources import Resources
from scheduler.rules.placement.ordering import LONGEST_TURN_S, TURN_LENGTHS
from scheduler.rules.placement.plan_state import EndTimes
from tests.support.placement import NOW, World, a_node, where
from tests.support.workloads import FAMILIES, FLEETS, Family, workload

STEP = 2 ** (1 / 16)
"""What differs by less than this factor counts as equal."""


@pytest.mark.parametrize("seed", range(40))
def test_no_job_that_is_queued_after_the_turn_of_another_gets_a_reservation_before_it(seed: int) -> None:
    chance = random.Random(seed)
    world = World([a_node(1, cpus=8)])
    world.run(1, cpus=8, started=NOW - 10, expected_s=50.0, timeout_s=5000.0)
    jobs: dict[int, tuple[float, float]] = {}
    for _ in range(chance.randint(2, 12)):
        limit, waited = chance.choice([60.0, 600.0, 3600.0, 86_400.0, 864_000.0]), chance.uniform(0.0, 300_000.0)
        job = world.job(world.shape(cpus=chance.randint(1, 8), timeout_s=limit), waited=waited)
        jobs[job] = (NOW - waited, limit)
    (reservation,) = world.plan().reservations
    queued = jobs[reservation.job_id][0]
    for other, (other_queued, limit) in jobs.items():
        turn = other_queued + min(2**0.5 * TURN_LENGTHS * limit, LONGEST_TURN_S)
        assert queued <= turn + abs(NOW - turn) * (STEP - 1) + 1, other


def test_a_reservation_is_promised_by_limits_however_short_runs_are_expected_to_be() -> None:
    world = World([a_node(1, cpus=4)])
    world.run(1, cpus=4, started=NOW - 100, expected_s=160.0, timeout_s=5000.0)
    world.job(world.shape(cpus=4, timeout_s=600.0), waited=500)
    plan = world.plan()
    assert plan.carried[0].promised == plan.reservations[0].start == NOW + 4900


def test_where_there_is_no_limit_the_predicted_end_stands_for_it() -> None:
    world = World([a_node(1, cpus=4)])
    world.run(1, cpus=4, started=NOW - 100, expected_s=160.0)
    world.job(world.shape(cpus=4, timeout_s=600.0), waited=500)
    assert world.plan().reservations[0].start == NOW + 60


def test_what_many_runs_have_proved_brings_room_forward_and_leaves_the_promise() -> None:
    world = World([a_node(1, cpus=4)])
    world.run(1, cpus=4, started=NOW - 100, expected_s=160.0, longest_s=200.0, timeout_s=5000.0)
    world.job(world.shape(cpus=4, timeout_s=600.0), waited=500)
    plan = world.plan()
    assert (plan.reservations[0].start, plan.carried[0].promised) == (NOW + 100, NOW + 4900)


@pytest.mark.parametrize(("promised", "starts"), [(NOW + 2000, True), (NOW - 5, False)], ids=["in-time", "late"])
def test_beside_the_room_of_a_late_job_only_what_its_own_limit_ends_in_time_starts(
    promised: float, starts: bool
) -> None:
    world = World([a_node(1, cpus=4)])
    world.run(1, cpus=3, started=NOW, expected_s=900.0, timeout_s=1000.0)
    large = world.job(world.shape(cpus=4, timeout_s=600.0), waited=500)
    world.carried = (CarriedReservation(JobId(large), ShapeId(1), (NodeId(1),), promised, promised),)
    for _ in range(30):
        world.predictor.learn(1, 7, 2000.0, 20.0)
    short = world.job(world.shape(cpus=1, timeout_s=2000.0, project_id=1, job_type_id=7), waited=10)
    kept = world.job(world.shape(cpus=1, timeout_s=900.0), waited=5)
    plan = world.plan()
    assert (plan.reservations[0].strictness < 1) is starts
    assert (short in where(plan)) is starts
    assert (kept in where(plan)) is not starts


@pytest.mark.parametrize(("waited", "starts"), [(100.0, True), (5000.0, False)], ids=["just-queued", "waited-long"])
def test_the_nearer_a_promise_the_less_is_risked_beside_it(waited: float, starts: bool) -> None:
    world = World([a_node(1, cpus=4)])
    world.run(1, cpus=3, started=NOW, expected_s=900.0, timeout_s=1000.0)
    large = world.job(world.shape(cpus=4, timeout_s=600.0), waited=waited)
    world.carried = (CarriedReservation(JobId(large), ShapeId(1), (NodeId(1),), NOW + 1000, NOW + 1000),)
    for _ in range(30):
        world.predictor.learn(1, 7, 20_000.0, 20.0)
    short = world.job(world.shape(cpus=1, timeout_s=20_000.0, project_id=1, job_type_id=7), waited=10)
    plan = world.plan()
    assert plan.reservations[0].strictness == pytest.approx((waited / (waited + 1000)) ** 2)
    assert (short in where(plan)) is starts


@pytest.mark.parametrize("limit", [3600.0, float("inf")], ids=["limit", "no-limit"])
def test_strictness_moves_the_guess_of_an_end_from_the_cautious_one_to_the_limit(limit: float) -> None:
    ends = EndTimes(NOW, NOW + 50, NOW + 100, NOW + limit, NOW + limit)
    guesses = [ends.guarded(step / 8) for step in range(9)]
    assert (guesses[0], guesses[-1]) == (NOW + 100, NOW + limit)
    assert guesses == sorted(guesses)
    assert guesses[4] == pytest.approx(NOW + (600 if limit == 3600 else 100))


def test_caution_is_learned_until_one_run_in_four_outlives_the_guess() -> None:
    chance, predictor, outlived = random.Random(5), Predictor(), []
    for _ in range(3000):
        run_s = min(86_400.0, chance.lognormvariate(6.0, 1.5))
        expected = predictor.expected_s(1, 1, 86_400.0)
        outlived.append(run_s > predictor.cautious_s(1, 1, 86_400.0, expected))
        predictor.learn(1, 1, 86_400.0, run_s)
    assert 0.2 < sum(outlived[500:]) / 2500 < 0.3


def test_the_longest_run_is_believed_after_fifty_of_the_very_same_shape() -> None:
    predictor, need = Predictor(), Resources.of(cpus=1)
    for number in range(50):
        assert predictor.longest_s(1, 1, 900.0, need) == float("inf")
        predictor.learn(1, 1, 900.0, 20.0 + number % 10, need)
    assert predictor.longest_s(1, 1, 900.0, need) == pytest.approx(29.0, rel=0.05)
    assert predictor.longest_s(1, 1, 901.0, need) == float("inf")


def test_where_the_guess_is_the_limit_strictness_changes_nothing_to_the_last_digit() -> None:
    for seconds in range(1, 2000):
        ends = EndTimes(0.0, *[7.0 * seconds] * 4)
        assert {ends.guarded(step / 10) for step in range(11)} == {ends.limit}


@pytest.mark.parametrize("family", FAMILIES + FLEETS, ids=lambda family: family.name)
def test_the_same_seed_makes_the_same_workload_and_the_load_is_as_asked(family: Family) -> None:
    made, again, other = workload(family, 1, 400), workload(family, 1, 400), workload(family, 2, 400)
    assert made == again != other
    assert [job.id for job in made.jobs] == list(range(1, 401))
    assert all(a.submitted <= b.submitted for a, b in zip(made.jobs, made.jobs[1:], strict=False))
    assert all(job.timeout_s is not None and 1 <= job.run_s <= job.timeout_s for job in made.jobs)


@pytest.mark.parametrize("family", [FAMILIES[1], FLEETS[1]], ids=lambda family: family.name)
def test_a_replay_of_a_generated_workload_starts_every_job_and_counts_it_in_one_class(family: Family) -> None:
    made = workload(family, 3, 250)
    summary = summarise("ganger", replay(made.jobs, made.nodes, Policy()))
    assert (summary.jobs, summary.left) == (250, 0)
    assert sum(each.jobs for each in summary.classes) == 250
    assert summary.promises.late <= summary.promises.jobs
