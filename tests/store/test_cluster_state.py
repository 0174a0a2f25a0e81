"""The scheduler's picture of the queue: it misses nothing, whatever happened to the database in between."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import psycopg
import pytest

from scheduler.cluster_state import ClusterState
from scheduler.jobs import cancel, requeue
from tests.support.cluster import Cluster
from tests.support.servers import connect


def _refresh(cluster: Cluster, state: ClusterState) -> None:
    with cluster.rt.db.begin() as tx:
        state.refresh(tx)


def test_after_a_crash_that_took_transaction_ids_back_nothing_is_missed(cluster: Cluster, database_url: str) -> None:
    state = ClusterState(cluster.settings)
    with connect(database_url) as db:
        db.execute("ALTER SYSTEM SET wal_writer_delay = '10s'")
        db.execute("SELECT pg_reload_conf()")
    before = _spend_ids_and_crash(cluster, state, database_url)
    _await_recovery(cluster)
    job_id = cluster.a_job()
    assert cluster.value("SELECT moved_xid::text::bigint FROM jobs") < before, "the ids did not go back"
    _refresh(cluster, state)
    assert job_id in state.queue


def _spend_ids_and_crash(cluster: Cluster, state: ClusterState, database_url: str) -> int:
    """Use up transaction ids that no crash survives, let the picture see them, and kill a backend; return the last id."""
    with psycopg.connect(database_url, autocommit=True) as db:
        db.execute("SET synchronous_commit = off")
        db.execute("DO $$ BEGIN FOR i IN 1..500 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$")
        _refresh(cluster, state)
        found = db.execute("SELECT pg_backend_pid(), pg_snapshot_xmax(pg_current_snapshot())::text::bigint").fetchone()
        assert found is not None
        os.kill(int(found[0]), signal.SIGKILL)
    return int(found[1])


def _await_recovery(cluster: Cluster) -> None:
    url = cluster.rt.db.url.set(drivername="postgresql").render_as_string(hide_password=False)
    # A server that has lost its buffers syncs its whole folder first: on a busy disk, many seconds.
    for _ in range(1000):
        try:
            with connect(url) as db:
                db.execute("ALTER SYSTEM RESET wal_writer_delay")
                db.execute("SELECT pg_reload_conf()")
        except psycopg.OperationalError:
            time.sleep(0.1)  # a server that recovers tells nobody when it is done
        else:
            break
    else:
        raise AssertionError("the server has not recovered")
    cluster.rt.db.dispose()


def test_a_job_that_was_placed_and_ended_between_two_looks_waits_no_more(cluster: Cluster) -> None:
    node = cluster.a_node()
    mine = ClusterState(cluster.settings)
    job_id = cluster.a_job()
    _refresh(cluster, mine)
    assert job_id in mine.queue
    cluster.tick()
    ref = cluster.execution_of(job_id)
    cluster.claim(node, ref)
    cluster.report(node, ref)
    _refresh(cluster, mine)
    assert job_id not in mine.queue


def test_every_process_predicts_the_same_however_seldom_it_looks(cluster: Cluster) -> None:
    node = cluster.a_node()
    seldom = ClusterState(cluster.settings)
    _refresh(cluster, seldom)
    refs = []
    for _ in range(3):
        job_id = cluster.a_job()
        cluster.tick()
        refs.append(cluster.execution_of(job_id))
        cluster.claim(node, refs[-1])
    for ref, seconds in zip(reversed(refs), (40, 400, 90), strict=True):  # not in the order of their numbers
        cluster.change(
            "UPDATE executions SET started = now() - make_interval(secs => :s) WHERE id = :id", s=seconds, id=ref[0]
        )
        cluster.report(node, ref)
        cluster.tick()
    _refresh(cluster, seldom)
    _refresh(cluster, seldom)
    assert seldom.predictor.ends == cluster.state.predictor.ends > 0
    assert seldom.predictor.expected_s(1, 1, 3600) == cluster.state.predictor.expected_s(1, 1, 3600)


def test_a_job_requeued_while_its_old_tree_dies_waits_on_when_that_is_dead(cluster: Cluster) -> None:
    node = cluster.a_node()
    mine = ClusterState(cluster.settings)
    job_id, ref = cluster.running(node)
    cancel.cancel(cluster.rt, [job_id], actor="me")
    requeue.requeue(cluster.rt, [job_id], actor="me")
    _refresh(cluster, mine)
    assert job_id in mine.queue
    cluster.report(node, ref, "canceled")
    _refresh(cluster, mine)
    assert job_id in mine.queue
    assert cluster.tick() == 1


def test_a_transaction_that_stays_open_does_not_make_it_read_everything_again(
    cluster: Cluster, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = cluster.a_node()
    with psycopg.connect(database_url) as other:
        other.execute("SELECT pg_current_xact_id()")
        cluster.running(node)
        mine = ClusterState(cluster.settings)
        _refresh(cluster, mine)
        taken: list[int] = []
        take = mine._update_queue

        def counted(tx: Any, rows: Any) -> None:
            taken.append(len(rows))
            take(tx, rows)

        monkeypatch.setattr(mine, "_update_queue", counted)
        cluster.a_job()
        for _ in range(3):
            _refresh(cluster, mine)
        assert taken == [1, 0, 0]


def test_what_was_written_before_a_look_and_committed_after_it_is_seen(cluster: Cluster, database_url: str) -> None:
    job_id = cluster.a_job()
    mine = ClusterState(cluster.settings)
    with psycopg.connect(database_url) as other:
        other.execute("UPDATE jobs SET status = 'CANCELED', moved_xid = pg_current_xact_id() WHERE id = %s", (job_id,))
        _refresh(cluster, mine)
        assert job_id in mine.queue
        other.commit()
    _refresh(cluster, mine)
    assert job_id not in mine.queue


def test_a_first_look_may_take_minutes_and_later_ones_may_not(cluster: Cluster) -> None:
    mine = ClusterState(cluster.settings)
    allowed = []
    for _ in range(2):
        with cluster.rt.db.begin() as tx:
            mine.refresh(tx)
            shown = ("statement_timeout", "idle_in_transaction_session_timeout")
            allowed.append({tx.exec_driver_sql(f"SHOW {name}").scalar() for name in shown})
    assert allowed == [{"5min"}, {"10s"}]
