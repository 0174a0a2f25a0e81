"""Pools on the real database: nodes come and go, and no work is lost by it. Nodes are rows, all verbs are the real ones."""

from __future__ import annotations

import pytest

from scheduler.errors import Conflict, InvalidInput, NotFound
from scheduler.identifiers import NodeId
from scheduler.nodes import drain, registration
from scheduler.pools import pools
from scheduler.pools.drivers.external import ExternalDriver
from scheduler.rules.lifecycle.states import NodeState
from scheduler.store.nodes import nodes
from scheduler.store.nodes.pool_rows import PoolChanges
from scheduler.store.paging import PageWindow
from tests.support.cluster import Cluster
from tests.support.rows import Rows

QUICK = {"idle_s": 2, "shrink_pause_s": 0, "target_wait_s": 5, "start_s": 1}


@pytest.fixture
def rows(cluster: Cluster) -> Rows:
    return Rows(cluster)


def test_a_fixed_pool_gets_its_nodes_and_gives_them_back(rows: Rows) -> None:
    rows.pool(size=4)
    rows.step(2)
    assert rows.ready() == 4
    rows.pool(size=1)
    rows.step(3)
    assert (rows.ready(), rows.rows_left(), len(rows.nodes)) == (1, 1, 1)
    assert rows.events("start")[0].detail["nodes"] == ["row-1", "row-2", "row-3", "row-4"]
    assert rows.events("drain")[0].reason == "an operator asked for 1"


def test_a_free_pool_is_left_alone(rows: Rows, cluster: Cluster) -> None:
    cluster.a_node("by-hand")
    rows.step(3)
    assert (rows.ready(), rows.nodes) == (1, {})


def test_nodes_that_joined_by_hand_count_and_are_the_last_to_be_sent_away(rows: Rows, cluster: Cluster) -> None:
    cluster.a_node("by-hand")
    rows.pool(size=3)
    rows.step(3)
    assert len(rows.nodes) == 2
    rows.pool(size=1)
    rows.step(3)
    assert [r.name for r in cluster.query("SELECT name FROM nodes WHERE state = 'READY'")] == ["by-hand"]


def test_draining_takes_back_what_is_not_claimed_without_counting_it(rows: Rows, cluster: Cluster) -> None:
    node = cluster.a_node("n", cpus=4000)
    job_id, ref = cluster.running(node)
    unclaimed = cluster.a_job()
    cluster.tick()
    drained = drain.drain(cluster.rt, node.node_id, actor="ann", reason="new kernel")
    assert drained.withdrawn == 1
    waiting = cluster.job(unclaimed)
    assert (waiting.status, waiting.withdrawals, waiting.num_exes) == ("QUEUED", 0, 0)
    assert cluster.beat(node).drain
    assert cluster.tick() == 0
    assert cluster.report(node, ref).accepted
    assert cluster.job(job_id).status == "COMPLETED"


def test_what_outlives_the_drain_deadline_returns_uncharged(rows: Rows, cluster: Cluster) -> None:
    node = cluster.a_node("n", cpus=4000)
    job_id, ref = cluster.running(node, max_tries=1)
    drain.drain(cluster.rt, node.node_id, actor="ann", reason="now", within_s=0.001)
    assert drain.stop_overdue(cluster.rt) == 1
    assert drain.stop_overdue(cluster.rt) == 0
    cancels = cluster.beat(node).cancels
    assert [(c.execution_id, c.reason) for c in cancels] == [(ref[0], "preempted")]
    cluster.report(node, ref, "canceled")
    job = cluster.job(job_id)
    assert (job.status, job.num_exes, job.forgiven) == ("QUEUED", 1, 1)


def test_a_node_that_was_drained_by_hand_works_again_when_it_comes_back(rows: Rows, cluster: Cluster) -> None:
    node = cluster.a_node("n")
    drain.drain(cluster.rt, node.node_id, actor="ann", reason="disk")
    registration.leave(cluster.rt, node.node_id, node.epoch)
    again = cluster.a_node("n")
    assert not cluster.beat(again).drain


def test_a_retiring_node_that_comes_back_before_it_is_cleared_gets_no_work(rows: Rows, cluster: Cluster) -> None:
    node = cluster.a_node("n")
    drain.drain(cluster.rt, node.node_id, actor="scaling", reason="smaller", retiring=True)
    registration.leave(cluster.rt, node.node_id, node.epoch)
    assert cluster.beat(cluster.a_node("n")).drain


def test_growing_again_keeps_nodes_that_were_about_to_go(rows: Rows, cluster: Cluster) -> None:
    rows.job_steps = 1000
    for _ in range(8):
        cluster.a_job(cpus=1000)
    rows.pool(size=4)
    rows.step(4)
    rows.pool(size=1)
    rows.step(1)
    assert rows.ready() == 1
    rows.pool(size=4)
    rows.step(1)
    assert rows.ready() == 4
    assert len(rows.events("start")) == 1
    assert rows.events("keep")


def test_a_pool_follows_demand_from_zero_and_back(rows: Rows, cluster: Cluster) -> None:
    rows.pool(largest=5, settings=QUICK)
    rows.step(2)
    assert rows.ready() == 0
    jobs = [cluster.a_job() for _ in range(40)]
    rows.step(2)
    assert rows.ready() == 5
    rows.step(40)
    assert all(cluster.job(job_id).status == "COMPLETED" for job_id in jobs)
    assert (rows.ready(), rows.rows_left(), rows.nodes) == (0, 0, {})
    why = [event.reason for event in rows.events("decide")]
    assert "jobs would wait longer" in why[1]
    assert "idle" in why[-1]


def test_what_fits_no_node_is_said_and_starts_none(rows: Rows, cluster: Cluster) -> None:
    rows.pool(largest=5, settings=QUICK)
    cluster.a_job(cpus=64_000)
    rows.step(3)
    assert rows.nodes == {}
    seen = pools.get(cluster.rt, "default").row
    assert seen.why is not None
    assert "could run on no node of this pool" in seen.why
    assert seen.detail is not None
    assert list(seen.detail["hopeless"].values()) == [1]


def test_a_driver_in_trouble_is_shown_and_not_pestered(rows: Rows, cluster: Cluster) -> None:
    rows.pool(size=2)
    rows.trouble = "the cloud is down"
    rows.step(3)
    assert pools.get(cluster.rt, "default").row.trouble == "rows: the cloud is down"
    assert len(rows.events("trouble")) == 1
    rows.trouble = None
    rows.step(20)
    assert rows.ready() == 2
    assert pools.get(cluster.rt, "default").row.trouble is None


def test_an_external_pool_is_told_its_size_and_loses_no_node_to_us(rows: Rows, cluster: Cluster) -> None:
    rows.names, rows.driver = ("external",), ExternalDriver()
    for number in range(3):
        cluster.a_node(f"pod-{number}")
    rows.pool(size=1, drivers=[{"driver": "external"}])
    rows.step(3)
    assert rows.ready() == 3
    seen = pools.get(cluster.rt, "default").row
    assert (seen.wanted, seen.present) == (1, 3)
    rows.pool(largest=9, settings=QUICK)
    for _ in range(40):
        cluster.a_job(cpus=4000)
    rows.step(2)
    assert pools.get(cluster.rt, "default").row.wanted == 9
    assert rows.nodes == {}


def test_a_set_that_loses_its_newest_first_is_drained_in_that_order(rows: Rows, cluster: Cluster) -> None:
    rows.picks = False
    rows.job_steps = 1000
    rows.pool(size=3)
    rows.step(3)
    for _ in range(2):
        cluster.a_job(cpus=2000)
    rows.step(2)
    rows.pool(size=2)
    rows.step(1)
    draining_now = cluster.query("SELECT name FROM nodes WHERE is_draining")
    assert [row.name for row in draining_now] == ["row-3"]


def test_an_unknown_driver_is_named(rows: Rows, cluster: Cluster) -> None:
    rows.pool(size=2, drivers=[{"driver": "rack"}])
    rows.step(2)
    assert "no driver 'rack'" in str(pools.get(cluster.rt, "default").row.trouble)


def test_nodes_whose_process_died_are_revived_and_others_are_not_started_for_them(rows: Rows) -> None:
    rows.pool(size=2)
    rows.step(3)
    rows.nodes["row-1"].running = False
    rows.step(2)
    assert rows.nodes["row-1"].running
    assert len(rows.nodes) == 2
    assert rows.events("revive")[0].detail["nodes"] == ["row-1"]


def test_a_driver_is_asked_at_once_about_a_node_that_falls_silent(rows: Rows, cluster: Cluster) -> None:
    rows.look_every_s = 1000.0
    rows.pool(size=2)
    rows.step(3)
    rows.nodes["row-1"].running = False
    rows.step(2)
    assert not rows.events("revive"), "the driver was asked a moment ago"
    cluster.change("UPDATE nodes SET is_silent = true WHERE name = 'row-1'")
    rows.step(1)
    assert rows.nodes["row-1"].running
    assert rows.events("revive")[0].detail["nodes"] == ["row-1"]


def test_a_lost_node_whose_process_is_gone_is_cleared_away_and_replaced(rows: Rows, cluster: Cluster) -> None:
    rows.pool(size=2)
    rows.step(3)
    lost = rows.nodes["row-1"]
    assert lost.known is not None
    with cluster.rt.db.begin() as tx:
        nodes.retire(tx, lost.known.node_id, NodeState.LOST)
    lost.running = False
    rows.step(4)
    assert rows.events("clear")[0].detail["nodes"] == ["row-1"]
    assert (rows.ready(), rows.rows_left(), sorted(rows.nodes)) == (2, 2, ["row-1", "row-2"]), "its name is free again"


def test_nodes_that_never_register_are_cleared_and_replaced(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    rows.pool(size=1)
    monkeypatch.setattr(rows, "live", lambda _name: None)
    rows.step(2)
    assert list(rows.nodes) == ["row-1"]
    rows.step(1, seconds=61.0)
    cleared = rows.events("clear")[0]
    assert cleared.detail["nodes"] == ["row-1"]
    assert "row-1 did not register in 60 s" in cleared.reason
    assert "did not register" in str(pools.get(rows.cluster.rt, "default").row.trouble)
    assert rows.nodes == {}
    rows.step(1)
    assert rows.nodes == {}, "it rests before it tries again"
    monkeypatch.undo()
    rows.step(4)
    assert rows.ready() == 1
    assert pools.get(rows.cluster.rt, "default").row.trouble is None


def test_nodes_that_end_at_once_are_started_ever_later(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    rows.pool(size=1)
    monkeypatch.setattr(rows, "live", lambda name: setattr(rows.nodes[name], "running", False))
    rows.step(60)
    assert 3 <= len(rows.events("start")) <= 6


def test_a_new_leader_goes_on_where_the_last_one_ended(rows: Rows) -> None:
    rows.pool(size=3)
    rows.step(1)
    rows.new_leader()
    rows.step(3)
    assert (rows.ready(), len(rows.nodes)) == (3, 3)
    rows.pool(size=1)
    rows.step(1)
    rows.new_leader()
    rows.step(3)
    assert (rows.ready(), rows.rows_left(), len(rows.nodes)) == (1, 1, 1)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("seed", [42, 43])
def test_a_thousand_random_sizes_under_load_lose_no_try_and_leave_nothing(cluster: Cluster, seed: int) -> None:
    """Two times five hundred; with real processes they are made by `./run bench scale --changes 1000`."""
    rows = Rows(cluster, job_steps=4, seed=seed)
    jobs: list[int] = []
    sizes = [0]
    for _ in range(500):
        if rows.chance.random() < 0.2:  # keep it busy
            jobs += [cluster.a_job(max_tries=1) for _ in range(rows.chance.randint(1, 4))]
        size = rows.chance.choice([n for n in range(6) if n != sizes[-1]])
        rows.pool(size=size)
        sizes.append(size)
        rows.second()
    rows.pool(size=3)
    rows.step(60)
    found = cluster.query("SELECT status, num_exes, forgiven, is_held, count(*) FROM jobs GROUP BY 1, 2, 3, 4")
    assert [tuple(row) for row in found] == [("COMPLETED", 1, 0, False, len(jobs))]
    assert cluster.value("SELECT count(*) FROM executions WHERE status NOT IN ('COMPLETED', 'WITHDRAWN')") == 0
    assert cluster.value("SELECT count(*) FROM executions WHERE released_at IS NULL") == 0
    assert rows.most_at_once <= 2
    rows.pool(size=0)
    rows.step(5)
    assert (rows.rows_left(), rows.nodes) == (0, {})


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"smallest": 4, "largest": 2}, "min"), ({"smallest": 1}, "max"), ({"sizing": "auto"}, "max")],
)
def test_sizes_that_contradict_each_other_are_refused(cluster: Cluster, changes: PoolChanges, field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        pools.change(cluster.rt, "default", changes, actor="ann")
    assert refused.value.field == field


def test_changes_are_audited_with_who_and_why(cluster: Cluster) -> None:
    pools.change(cluster.rt, "default", {"is_paused": True, "pause_reason": "storm"}, actor="ann", reason="storm")
    pools.change(cluster.rt, "default", {"is_paused": False}, actor="bob")
    pools.change(cluster.rt, "default", {"size": 2}, actor="bob", reason="more")
    rows = cluster.query("SELECT actor, action, reason FROM audit ORDER BY id")
    assert [tuple(row) for row in rows] == [
        ("ann", "pool.pause", "storm"),
        ("bob", "pool.resume", None),
        ("bob", "pool.change", "more"),
    ]
    newest_first = PageWindow(1, 10, (("id", True),))
    events = pools.events(cluster.rt, "default", newest_first).rows
    assert [event.event for event in events] == ["change", "resume", "pause"]


def test_pools_and_nodes_that_are_not_there_are_not_found(cluster: Cluster) -> None:
    for ask in (
        lambda: pools.change(cluster.rt, "nowhere", {"size": 1}, actor="ann"),
        lambda: pools.get(cluster.rt, "nowhere"),
        lambda: drain.drain(cluster.rt, NodeId(99), actor="ann", reason="gone"),
        lambda: drain.end_drain(cluster.rt, NodeId(99), actor="ann"),
    ):
        with pytest.raises(NotFound):
            ask()
    pools.create(cluster.rt, "night", {"size": 0}, actor="ann")
    with pytest.raises(Conflict):
        pools.create(cluster.rt, "night", {}, actor="ann")
