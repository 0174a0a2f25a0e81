"""What projects have used and are owed, counted by the leader and kept for the next one."""

from __future__ import annotations

import pytest

from scheduler.cluster_state import ClusterState
from scheduler.leader.process import SchedulerProcess
from scheduler.leader.tick import tick
from scheduler.rules.cluster.fairshare import LONGEST_HORIZON_S
from scheduler.rules.cluster.plan import Plan
from scheduler.store.leader import cluster_state as store
from tests.store.test_leadership import NoDispatcher
from tests.support.cluster import Cluster


def test_what_a_project_lacks_while_it_waits_is_owed_to_it_by_the_next_leader_too(cluster: Cluster) -> None:
    cluster.a_node(cpus=2000)
    ours = [cluster.a_job() for _ in range(3)]
    cluster.tick()
    other = cluster.value("INSERT INTO projects (name) VALUES ('other') RETURNING id")
    cluster.change(
        """
        INSERT INTO shapes (cpus, mem, disk, custom, constraints, pool, project_id, job_type_id, priority, options, digest)
        SELECT cpus, mem, disk, custom, constraints, pool, :other, job_type_id, priority, options, digest || '-other'
        FROM shapes WHERE id = (SELECT shape_id FROM jobs WHERE id = :ours)
        """,
        other=other,
        ours=ours[0],
    )
    theirs = cluster.a_job()
    cluster.change(
        "UPDATE jobs SET project_id = :other, shape_id = (SELECT max(id) FROM shapes), moved_xid = pg_current_xact_id()"
        " WHERE id = :id",
        other=other,
        id=theirs,
    )
    plan = tick(cluster.rt, cluster.state, cluster.term, lambda _: None).plan
    assert not plan.placements
    accounts = cluster.state.account(plan, 600.0)
    with cluster.rt.db.begin() as tx:
        store.write_accounts(tx, accounts)
    assert cluster.value("SELECT lag_s FROM usage WHERE project_id = :id", id=other) == pytest.approx(300)
    successor = ClusterState(cluster.settings)
    _refresh(cluster, successor)
    assert successor.policy.credits == cluster.state.policy.credits
    assert successor.policy.credits[other] == pytest.approx(300 / LONGEST_HORIZON_S), (
        "its jobs have no limit, and nothing is known of them"
    )
    assert successor.account(Plan(), 60.0)[other].lag_s <= 0, "once it waits no more it is owed nothing"


def test_usage_is_kept_of_the_projects_that_there_are_when_one_was_deleted(cluster: Cluster) -> None:
    gone = cluster.value("INSERT INTO projects (name) VALUES ('gone') RETURNING id")
    mine = ClusterState(cluster.settings)
    _refresh(cluster, mine)
    cluster.change("DELETE FROM projects WHERE id = :id", id=gone)
    _refresh(cluster, mine)
    accounts = mine.account(Plan(), 60.0)
    assert gone in accounts, "nobody has told the picture"
    with cluster.rt.db.begin() as tx:
        store.write_accounts(tx, accounts)
    assert cluster.query("SELECT project_id FROM usage") == [(cluster.project,)]


def _refresh(cluster: Cluster, state: ClusterState) -> None:
    with cluster.rt.db.begin() as tx:
        state.refresh(tx)


def test_only_the_time_is_counted_in_which_the_leader_looked_at_what_is_held(cluster: Cluster) -> None:
    node = cluster.a_node(cpus=1000)
    cluster.running(node)
    clock = [0.0]
    scheduler = SchedulerProcess(cluster.rt, NoDispatcher(), monotonic=lambda: clock[0])
    scheduler._lead()
    for pause_s in (0, 60, 36_000, 60):
        clock[0] += pause_s
        scheduler._tick_loop.turn()
    assert 0 < _usage(cluster) < 0.01, "for ten hours there was no tick"
    counted = _usage(cluster)
    scheduler._leadership.step_down(scheduler._leadership.term, "test")
    clock[0] += 36_000
    scheduler._lead()
    scheduler._tick_loop.turn()
    assert _usage(cluster) == counted, "for ten hours it did not lead"
    clock[0] += 60
    scheduler._tick_loop.turn()
    assert counted < _usage(cluster) < 0.01
    scheduler._leadership.step_down(scheduler._leadership.term, "test")


def _usage(cluster: Cluster) -> float:
    return float(cluster.value("SELECT share FROM usage WHERE project_id = :id", id=cluster.project))
