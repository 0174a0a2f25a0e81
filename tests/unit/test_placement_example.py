"""The worked example at the top of `rules.placement.placement`, step by step."""

from scheduler.rules.cluster.reasons import Reason
from tests.support.placement import NOW, World, a_node, where


def test_the_example_of_the_essay_goes_as_it_is_told() -> None:
    world = World([a_node(1), a_node(2)])
    world.run(1, cpus=3, started=NOW, expected_s=60.0, timeout_s=60.0)
    world.run(2, cpus=4, started=NOW, expected_s=600.0, timeout_s=600.0)
    large = world.job(world.shape(cpus=4, timeout_s=600.0), waited=300)
    short = world.job(world.shape(cpus=1, timeout_s=40.0), waited=100)
    lengthy = world.job(world.shape(cpus=1, timeout_s=7200.0), waited=10)
    plan = world.plan()
    assert where(plan) == {short: 1}, "it ends before the large job is due"
    (reservation,) = plan.reservations
    assert (reservation.job_id, reservation.node_ids, reservation.start) == (large, (1,), NOW + 60)
    assert {shape_id: refusal.reason for shape_id, refusal in plan.refusals.items()} == {
        world.queue[large].shape_id: Reason.NO_ROOM,
        world.queue[lengthy].shape_id: Reason.NO_ROOM,
    }
    assert [carried.job_id for carried in plan.carried] == [large], "the next plan keeps the room before anybody's turn"
