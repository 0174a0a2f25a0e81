"""A more urgent job takes the room of a preemptible one, which waits again where it stood and does not come back too early."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from tests.support.cluster import Cluster


@pytest.fixture
def preempting(database_url: str) -> Iterator[Cluster]:
    made = Cluster(database_url, preemption=True, retry_first_s=0)
    yield made
    made.close()


def test_who_is_displaced_waits_where_it_stood_until_the_urgent_job_is_done(preempting: Cluster) -> None:
    node = preempting.a_node(cpus=2000)
    victim, ref = preempting.running(node, cpus=2000, priority=200, preemptible=True)
    preempting.change("UPDATE jobs SET queued = queued - interval '1 hour' WHERE id = :id", id=victim)
    queued = preempting.job(victim).queued
    urgent = preempting.a_job(cpus=2000, priority=10)
    preempting.tick()
    assert [(one.execution_id, one.reason) for one in preempting.beat(node).cancels] == [(ref[0], "preempted")]
    preempting.report(node, ref, "canceled")
    waiting = preempting.job(victim)
    assert (waiting.status, waiting.queued) == ("QUEUED", queued)
    assert waiting.num_exes - waiting.forgiven == 0, "no try is charged"
    assert preempting.tick() == 1
    running = preempting.execution_of(urgent)
    preempting.claim(node, running)
    for _ in range(3):
        assert preempting.tick() == 0
    assert preempting.execution(running[0]).cancel_requested is None
    younger = preempting.a_job(cpus=2000, priority=200, preemptible=True)
    preempting.report(node, running)
    assert preempting.tick() == 1
    assert (preempting.job(victim).status, preempting.job(younger).status) == ("RUNNING", "QUEUED")


def test_who_is_displaced_does_not_come_back_into_the_room_that_is_still_being_made(preempting: Cluster) -> None:
    node = preempting.a_node(cpus=4000)
    victims = [preempting.running(node, cpus=2000, priority=200, preemptible=True) for _ in range(2)]
    urgent = preempting.a_job(cpus=4000, priority=10)
    preempting.tick()
    for _, ref in victims:
        assert preempting.execution(ref[0]).cancel_requested == "preempted"
        assert preempting.tick() == 0, "the first who has ended waits although there is room for it"
        preempting.report(node, ref, "canceled")
    assert preempting.tick() == 1
    assert preempting.job(urgent).status == "RUNNING"
    assert preempting.value("SELECT count(*) FROM executions") == len(victims) + 1


def test_room_that_is_being_made_for_two_urgent_jobs_is_kept_for_both(preempting: Cluster) -> None:
    nodes = [preempting.a_node(cpus=2000) for _ in range(2)]
    refs = []
    for _ in range(4):
        job_id = preempting.a_job(priority=200, preemptible=True)
        preempting.tick()
        refs.append(preempting.execution_of(job_id))
    at = {ref: next(n for n in nodes if n.node_id == preempting.execution(ref[0]).node_id) for ref in refs}
    for ref in refs:
        preempting.claim(at[ref], ref)
    urgent = [preempting.a_job(cpus=2000, mem=mem, priority=10) for mem in (0, 1000)]
    preempting.tick()
    assert {preempting.execution(ref[0]).cancel_requested for ref in refs} == {"preempted"}
    for node in nodes:
        mine = [ref for ref in refs if at[ref] == node]
        for ref in mine:
            assert preempting.tick() == 0, "half of a node is free, for nobody but the urgent ones"
            preempting.report(node, ref, "canceled")
        preempting.tick()
    assert [preempting.job(job_id).status for job_id in urgent] == ["RUNNING"] * 2
    assert preempting.value("SELECT count(*) FROM executions") == len(refs) + len(urgent)


def test_a_client_that_holds_the_lock_of_a_victim_keeps_nobody_else_from_being_placed(
    preempting: Cluster, database_url: str
) -> None:
    node = preempting.a_node(cpus=1000, labels={})
    victim, ref = preempting.running(node, priority=200, preemptible=True)
    preempting.a_job(mem=8_000_000, priority=10)
    with psycopg.connect(database_url) as other:
        other.execute("SELECT FROM jobs WHERE id = %s FOR UPDATE", (victim,))
        elsewhere = preempting.a_node(mem=1_000_000)
        preempting.a_job(mem=1_000_000)
        assert preempting.tick() == 1
        assert preempting.value("SELECT count(*) FROM executions WHERE node_id = :id", id=elsewhere.node_id) == 1
        assert preempting.execution(ref[0]).cancel_requested is None
    preempting.tick()
    assert preempting.execution(ref[0]).cancel_requested == "preempted"


def test_a_job_whose_try_failed_takes_a_new_place(cluster: Cluster) -> None:
    node = cluster.a_node()
    job_id, ref = cluster.running(node)
    before = cluster.job(job_id).queued
    cluster.report(node, ref, "failed")
    assert (cluster.job(job_id).status, cluster.job(job_id).queued > before) == ("QUEUED", True)
