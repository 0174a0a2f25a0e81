"""Room that is gathered for the members of a gang, or from small pieces: it is not given back before it is complete."""

import random

import pytest

from scheduler.identifiers import JobId, NodeId, ShapeId
from scheduler.replay import replay
from scheduler.replay.trace import TraceJob
from scheduler.rules.cluster.plan import CarriedReservation, ReservationBasis
from scheduler.rules.cluster.policy import Policy, Quota
from scheduler.rules.cluster.resources import Resources
from tests.support.placement import NOW, World, a_node, where

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("limit_s", [60.0, 3600.0, None], ids=["limits-kept", "limits-too-long", "no-limits"])
@pytest.mark.parametrize("projects", [1, 2])
@pytest.mark.parametrize(("cpus", "nodes"), [(4, 4), (4, 16), (6, 16)])
def test_a_gang_starts_within_twice_the_longest_small_job_however_many_of_these_come(
    cpus: int, nodes: int, projects: int, limit_s: float | None
) -> None:
    chance, jobs = random.Random(7), list[TraceJob]()
    while len(jobs) < 9 * nodes * 8:
        at = len(jobs) * 40.0 / (nodes * 8) * (1 / 0.95 if len(jobs) < 7 * nodes * 8 else 1 / 1.2)
        number = len(jobs)
        jobs.append(
            TraceJob(number, at, chance.uniform(20.0, 60.0), Resources.of(cpus=1), limit_s, (), number % projects)
        )
    gang = TraceJob(10**6, 200.5, 30.0, Resources.of(cpus=cpus), 60.0, (9,), 0, count=nodes * 3 // 4)
    outcome = replay.replay(
        sorted([*jobs, gang], key=lambda job: job.submitted),
        [a_node(number, cpus=8) for number in range(1, nodes + 1)],
        Policy(),
    )
    last = max(outcome.started[job.id] for job in jobs if outcome.started[job.id] < outcome.started[gang.id])
    assert last > gang.submitted, "small ones come and start all the time"
    assert outcome.started[gang.id] - gang.submitted <= 121.0


def test_a_gang_keeps_its_seats_where_they_were_although_other_nodes_would_have_them_somewhat_sooner() -> None:
    world, gang = _three_nodes_in_use(left_s=(100.0, 100.0, 60.0))
    world.carried = (
        CarriedReservation(JobId(gang), ShapeId(1), (NodeId(1), NodeId(2), NodeId(2)), NOW + 100, NOW + 100),
    )
    plan = world.plan()
    assert sorted(plan.carried[0].node_ids) == [1, 2, 2]
    assert plan.carried[0].promised == NOW + 100, "the first promise is what it goes by"


@pytest.mark.parametrize(
    ("promised", "limit_s", "basis", "started"),
    [
        (NOW + 50, 9e5, ReservationBasis.ENDS, {"short", "long"}),
        (NOW - 50, None, ReservationBasis.NOTHING, {"short"}),
        (NOW - 50, 9e5, ReservationBasis.CLOSED, set[str]()),
    ],
    ids=["as-promised", "overdue-beside-an-endless-run", "overdue"],
)
def test_the_room_of_a_gang_that_waits_for_longer_than_promised_is_closed_unless_something_there_may_run_for_ever(
    promised: float, limit_s: float | None, basis: ReservationBasis, started: set[str]
) -> None:
    world, gang = _three_nodes_in_use(left_s=(100.0, 100.0, 9e5), limit_s=limit_s)
    world.run(1, cpus=1, started=NOW, expected_s=90.0, timeout_s=9e5)
    world.carried = (
        CarriedReservation(JobId(gang), ShapeId(1), (NodeId(1), NodeId(2), NodeId(2)), promised, promised),
    )
    for name, runs_s in (("short", 80.0), ("long", 9e5)):
        job = world.job(world.shape(cpus=1, timeout_s=runs_s))
        plan = world.plan()
        assert plan.reservations[0].basis is basis
        assert (job in where(plan)) == (name in started), name
        world.queue.discard(job)


def test_a_gang_for_which_nothing_idles_costs_its_project_nothing() -> None:
    standings = []
    for limit_s in (9e5, None):
        world, gang = _three_nodes_in_use(left_s=(100.0, 100.0, 9e5), limit_s=limit_s)
        world.nodes.upsert(a_node(4, cpus=1))
        world.carried = (
            CarriedReservation(JobId(gang), ShapeId(1), (NodeId(1), NodeId(2), NodeId(2)), NOW - 50, NOW - 50),
        )
        ours, theirs = (world.job(world.shape(project_id=project, timeout_s=9e5)) for project in (0, 2))
        standings.append(where(world.plan()) == {ours: 4})
        assert ours < theirs
    assert standings == [False, True]


def test_the_room_of_a_gang_that_its_own_limit_holds_is_not_closed() -> None:
    world, gang = _three_nodes_in_use(left_s=(100.0, 100.0, 9e5), limit_s=9e5)
    world.nodes.upsert(a_node(4, pool="other"))
    world.run(4, started=NOW, expected_s=200.0, timeout_s=9e5, project_id=8)
    world.carried = (
        CarriedReservation(JobId(gang), ShapeId(1), (NodeId(1), NodeId(2), NodeId(2)), NOW - 50, NOW - 50),
    )
    assert world.plan().reservations[0].basis is ReservationBasis.CLOSED
    world.policy = Policy(quotas={0: Quota(jobs=3)})
    world.run(4, started=NOW, expected_s=200.0, timeout_s=9e5, project_id=0)
    kept = world.plan().reservations[0]
    assert (kept.basis, kept.start) == (ReservationBasis.ENDS, NOW + 9e5)


def test_room_goes_on_being_gathered_from_small_pieces_although_a_large_one_comes_free_sooner() -> None:
    world = World([a_node(1, cpus=16)])
    for cpus, project, seconds in ((5, 2, 50.0), (5, 2, 80.0), (3, 1, 100.0)):
        world.run(1, cpus=cpus, project_id=project, started=NOW, expected_s=seconds)
    ours = world.job(world.shape(cpus=5, project_id=2, timeout_s=600.0), waited=500)
    world.carried = (CarriedReservation(ours, ShapeId(1), (NodeId(1),), NOW + 100, NOW + 100),)
    world.job(world.shape(cpus=3, project_id=1, timeout_s=9e5), waited=1)
    plan = world.plan()
    assert (where(plan), plan.reservations[0].start) == ({}, NOW + 100), "else the 3 that are free would be refilled"


def _three_nodes_in_use(left_s: tuple[float, float, float], limit_s: float | None = None) -> tuple[World, int]:
    """Nodes of 4 cpus in use, but for 2 of the first, for so long each, and a gang of three members of 2 cpus that came first."""
    world = World([a_node(number) for number in (1, 2, 3)])
    gang = world.job(world.shape(cpus=2, count=3, timeout_s=50.0), waited=500)
    for number, seconds in enumerate(left_s, 1):
        for _ in range(1 if number == 1 else 2):
            world.run(number, cpus=2, started=NOW, expected_s=seconds, timeout_s=limit_s, project_id=7)
    return world, gang
