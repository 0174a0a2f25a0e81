"""What was told to stop is known to be stopping: its room is coming free, and nothing else is stopped in its place."""

from scheduler.jobs import cancel
from tests.support.cluster import Cluster


def test_an_execution_that_somebody_cancels_is_marked_with_the_next_look(cluster: Cluster) -> None:
    node = cluster.a_node()
    job_id, ref = cluster.running(node)
    assert not cluster.state.running[ref[0]].stopping
    cancel.cancel(cluster.rt, [job_id], actor="me")
    cluster.tick()
    assert cluster.state.running[ref[0]].stopping


def test_a_victim_that_was_not_claimed_yet_is_asked_once_it_is(database_url: str) -> None:
    cluster = Cluster(database_url, preemption=True)
    node = cluster.a_node(cpus=1000)
    victim = cluster.a_job(preemptible=True)
    cluster.tick()
    cluster.a_job(priority=10)
    cluster.tick()
    ref = cluster.execution_of(victim)
    assert cluster.execution(ref[0]).cancel_requested is None, "only what was claimed can be told"
    assert cluster.claim(node, ref).granted
    cluster.tick()
    assert cluster.execution(ref[0]).cancel_requested == "preempted"
    cluster.tick()
    assert cluster.state.running[ref[0]].stopping
    cluster.close()


def test_two_victims_are_not_stopped_where_one_will_do(database_url: str) -> None:
    cluster = Cluster(database_url, preemption=True)
    node = cluster.a_node(cpus=2000)
    refs = [cluster.running(node, preemptible=True)[1] for _ in range(2)]
    cluster.a_job(priority=10)
    for _ in range(3):
        cluster.tick()
    asked = [cluster.execution(ref[0]).cancel_requested for ref in refs]
    assert sorted(asked, key=str) == [None, "preempted"]
    cluster.close()
