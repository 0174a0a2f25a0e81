"""Launches that fail: held against the node when it is to blame, and for a mistake of one user only once others fail too."""

from __future__ import annotations

from typing import Any

from scheduler import wire
from scheduler.identity import Caller, Role
from scheduler.leader import maintenance
from scheduler.nodes import admin
from tests.support.cluster import Cluster

OPERATOR = Caller(1, "olga", Role.OPERATOR, None, None)


def fail(cluster: Cluster, node: wire.Registered, job_id: int, *, of_job: bool) -> None:
    ref = cluster.execution_of(job_id)
    cluster.claim(node, ref)
    cluster.report(node, ref, "failed", error="launch", of_job=of_job)


def a_mistake(cluster: Cluster, program: str, **columns: Any) -> int:
    job_id = cluster.a_job(**columns)
    cluster.change(
        "UPDATE job_specs SET overrides = jsonb_build_object('command', jsonb_build_array(CAST(:program AS text)))"
        " WHERE job_id = :id",
        program=program, id=job_id,
    )  # fmt: skip
    return job_id


def avoided(cluster: Cluster) -> int:
    return int(cluster.value("SELECT count(*) FROM nodes WHERE launch_failures >= 3"))


def test_the_mistake_of_one_user_takes_no_node_out_of_service(cluster: Cluster) -> None:
    nodes = {node.node_id: node for node in (cluster.a_node(), cluster.a_node())}
    for _ in range(4):
        job_id = a_mistake(cluster, "/nonexistent/prog", max_tries=3)
        while cluster.tick():
            fail(cluster, nodes[cluster.job(job_id).node_id], job_id, of_job=True)
        assert cluster.job(job_id).status == "FAILED"
    assert cluster.value("SELECT sum(launch_failures) FROM nodes") == 0
    cluster.a_job()
    assert cluster.tick() == 1


def test_a_node_that_can_start_nothing_is_avoided_after_three_different_programs(cluster: Cluster) -> None:
    node = cluster.a_node("n1")
    cluster.a_node("n2", cpus=500)
    for number in range(3):
        assert avoided(cluster) == 0
        job_id = a_mistake(cluster, f"/usr/bin/program-{number}", max_tries=1)
        assert cluster.tick() == 1
        fail(cluster, node, job_id, of_job=True)
    assert avoided(cluster) == 1
    cluster.a_job()
    assert cluster.tick() == 0


def test_many_mistakes_in_one_project_leave_most_nodes_in_service(cluster: Cluster) -> None:
    nodes = {node.node_id: node for node in (cluster.a_node() for _ in range(6))}
    for number in range(30):
        job_id = a_mistake(cluster, f"/not/mounted/program-{number}", max_tries=1)
        assert cluster.tick() == 1
        fail(cluster, nodes[cluster.job(job_id).node_id], job_id, of_job=True)
    assert avoided(cluster) <= 2


def test_the_only_node_is_avoided_when_three_job_types_fail_to_start_there(cluster: Cluster) -> None:
    node = cluster.a_node()
    for number in range(2, 5):
        assert avoided(cluster) == 0
        revision = cluster.value(
            """INSERT INTO job_type_revisions (job_type_id, revision_num, definition)
               VALUES (:type, :number, '{"command": ["/usr/bin/tool"]}') RETURNING id""",
            type=cluster.type, number=number,
        )  # fmt: skip
        job_id = cluster.a_job(max_tries=1)
        cluster.change("UPDATE jobs SET revision_id = :revision WHERE id = :id", revision=revision, id=job_id)
        assert cluster.tick() == 1
        fail(cluster, node, job_id, of_job=True)
    assert avoided(cluster) == 1


def test_a_program_that_starts_in_between_clears_the_node_of_all_suspicion(cluster: Cluster) -> None:
    node = cluster.a_node()
    for number in range(4):
        job_id = a_mistake(cluster, f"/usr/bin/program-{number}", max_tries=1)
        assert cluster.tick() == 1
        fail(cluster, node, job_id, of_job=True)
        _, ref = cluster.running(node, max_tries=1)
        cluster.report(node, ref, "failed", phases={"job": {"exit_code": 1}})
    assert avoided(cluster) == 0


def test_a_program_that_has_failed_elsewhere_says_nothing_of_a_node(cluster: Cluster) -> None:
    nodes = {node.node_id: node for node in (cluster.a_node(), cluster.a_node())}
    for number in range(3):
        job_id = a_mistake(cluster, f"/usr/bin/program-{number}", max_tries=2)
        for _ in range(2):
            assert cluster.tick() == 1
            fail(cluster, nodes[cluster.job(job_id).node_id], job_id, of_job=True)
    assert avoided(cluster) < 2


def test_an_execution_that_never_started_does_not_clear_a_node_that_fails_to_launch(cluster: Cluster) -> None:
    node = cluster.a_node()
    job_id = cluster.a_job(max_tries=9)
    cluster.tick()
    fail(cluster, node, job_id, of_job=False)
    _, ref = cluster.running(node)
    cluster.report(node, ref, "failed", error="staging", phases={"pre": {}, "job": {}, "post": {}})
    assert cluster.value("SELECT launch_failures FROM nodes") == 1


def test_however_many_launches_fail_at_once_the_next_chance_comes_after_a_minute(cluster: Cluster) -> None:
    node = cluster.a_node(cpus=8000)
    jobs = [cluster.a_job(max_tries=9) for _ in range(8)]
    assert cluster.tick() == 8
    for job_id in jobs:
        fail(cluster, node, job_id, of_job=False)
    assert avoided(cluster) == 1
    cluster.change("UPDATE nodes SET launch_failed_at = now() - interval '2 minutes'")
    maintenance.forgive_nodes(cluster.rt)
    assert avoided(cluster) == 0


def test_resuming_a_node_clears_its_failed_launches_at_once(cluster: Cluster) -> None:
    node = cluster.a_node()
    job_id = cluster.a_job(max_tries=9)
    for _ in range(3):
        assert cluster.tick() == 1
        fail(cluster, node, job_id, of_job=False)
    assert cluster.tick() == 0
    admin.change(cluster.rt, OPERATOR, node.node_id, {"is_paused": False})
    assert cluster.tick() == 1
