"""Silence, leases and the brake; and that nobody who is stuck makes the others wait."""

from __future__ import annotations

import dataclasses

from scheduler.leader import maintenance
from scheduler.nodes import lost as lost_nodes
from scheduler.settings import Settings
from scheduler.store.jobs import jobs
from scheduler.store.nodes import nodes
from tests.support.cluster import TOKEN, Cluster


def test_an_execution_keeps_the_lease_it_was_given(cluster: Cluster, database_url: str) -> None:
    node = cluster.a_node("alpha")
    cluster.running(node)
    hasty = Cluster.__new__(Cluster)
    hasty.__dict__.update(cluster.__dict__)
    hasty.rt = dataclasses.replace(cluster.rt, settings=Settings(lease_s=12))
    watch, clock, lost = lost_nodes.SilentNodes(), [0.0], {}
    for second in range(0, 100, 5):
        clock[0] = float(second)
        lost[second] = lost_nodes.declare_lost(hasty.rt, watch, lambda: clock[0])
    assert [second for second, names in lost.items() if names] == [90]


def test_a_fleet_that_falls_silent_over_some_seconds_brakes_too(cluster: Cluster) -> None:
    fleet = [cluster.a_node() for _ in range(4)]
    watch, clock, lost = lost_nodes.SilentNodes(), [0.0], {}
    for second in range(200):
        clock[0] = float(second)
        for number, node in enumerate(fleet):
            if second < number * 2:
                cluster.beat(node)
        lost[second] = lost_nodes.declare_lost(cluster.rt, watch, lambda: clock[0])
    assert min(second for second, names in lost.items() if names) >= 180


def test_a_stuck_node_row_delays_no_other_node(cluster: Cluster) -> None:
    stuck, other = cluster.a_node(cpus=1000), cluster.a_node(cpus=1000)
    jobs_of_both = [cluster.a_job(), cluster.a_job()]
    with cluster.rt.db.begin() as tx:
        nodes.lock(tx, stuck.node_id)
        assert cluster.tick() == 1
        assert cluster.value("SELECT node_id FROM executions") == other.node_id
        watch, lost = lost_nodes.SilentNodes(), list[str]()
        for now in range(0, 100, 5):
            lost += lost_nodes.declare_lost(cluster.rt, watch, lambda: float(now))  # noqa: B023  called right here
        assert lost == [cluster.value("SELECT name FROM nodes WHERE id = :id", id=other.node_id)]
    assert lost_nodes.declare_lost(cluster.rt, watch, lambda: 100.0) != []
    assert {cluster.job(job).status for job in jobs_of_both} == {"QUEUED"}


def test_a_beat_waits_for_no_job_and_tells_of_the_others(cluster: Cluster) -> None:
    node = cluster.a_node()
    (busy, busy_ref), (free, free_ref) = cluster.running(node), cluster.running(node)
    told = [{"execution_id": e, "attempt": a, "token": TOKEN, "percent": 40} for e, a in (busy_ref, free_ref)]
    with cluster.rt.db.begin() as tx:
        jobs.lock(tx, [busy])
        cluster.beat(node, progress=told)
    assert [cluster.job(job).percent for job in (busy, free)] == [None, 40]


def test_a_clock_that_was_set_back_keeps_no_node_avoided(cluster: Cluster) -> None:
    cluster.a_node()
    cluster.change("UPDATE nodes SET launch_failures = 3, launch_failed_at = now() + interval '10 years'")
    assert maintenance.forgive_nodes(cluster.rt) == 1
