"""The table of moves against the real SQL: every state x event, and every stale attempt."""

import pytest
from sqlalchemy.exc import DBAPIError

from scheduler.identifiers import Attempt, Epoch, ExecutionId, JobId, NodeId
from scheduler.rules.lifecycle.moves import (
    EXECUTION_MOVES,
    JOB_MOVES,
    LIVE_EXECUTION,
    ExecutionEvent,
    ExecutionStatus,
    JobEvent,
    JobStatus,
)
from scheduler.store.executions import claims, executions, starts
from scheduler.store.jobs import jobs
from tests.support.cluster import TOKEN, Cluster

EVERY_JOB_MOVE = [(status, event) for status in JobStatus for event in JobEvent]
EVERY_EXECUTION_MOVE = [(status, event) for status in ExecutionStatus for event in ExecutionEvent]


def _step(cluster: Cluster, job_id: int, attempt: int) -> jobs.JobMove:
    error = cluster.value("SELECT id FROM errors WHERE name = 'unknown'")
    return jobs.JobMove(JobId(job_id), Attempt(attempt), error_id=error)


def test_sql_moves_a_job_exactly_where_the_table_allows_it(cluster: Cluster) -> None:
    for status, event in EVERY_JOB_MOVE:
        job_id = cluster.a_job(status, attempt=4)
        with cluster.rt.db.begin() as tx:
            moved = jobs.move(tx, event, [_step(cluster, job_id, 4)], "test")
        allowed = status in JOB_MOVES[event].sources
        after = cluster.job(job_id).status
        assert (moved, after) == (([job_id], JOB_MOVES[event].target) if allowed else ([], status)), f"{status} {event}"


def test_a_stale_attempt_moves_no_job(cluster: Cluster) -> None:
    for status, event in EVERY_JOB_MOVE:
        job_id = cluster.a_job(status, attempt=4)
        for attempt in (3, 5):
            with cluster.rt.db.begin() as tx:
                assert jobs.move(tx, event, [_step(cluster, job_id, attempt)], "test") == []
        assert cluster.job(job_id).status == status


def test_every_move_writes_one_event_that_names_where_from_and_where_to(cluster: Cluster) -> None:
    for event, move in JOB_MOVES.items():
        for source in move.sources:
            job_id = cluster.a_job(source, attempt=2)
            with cluster.rt.db.begin() as tx:
                jobs.move(tx, event, [_step(cluster, job_id, 2)], "test")
            rows = cluster.query('SELECT event, "from", "to", actor FROM events WHERE job_id = :id', id=job_id)
            assert [tuple(row) for row in rows] == [(event, source, move.target, "test")]


def test_sql_moves_an_execution_exactly_where_the_table_allows_it(cluster: Cluster) -> None:
    node = cluster.a_node()
    for status, event in EVERY_EXECUTION_MOVE:
        live = status in LIVE_EXECUTION
        by_ahead = event in {ExecutionEvent.HAND_OUT, ExecutionEvent.START} or status is ExecutionStatus.AHEAD
        is_ahead = by_ahead and event is not ExecutionEvent.CLAIM
        execution_id = cluster.value(
            """INSERT INTO executions (job_id, attempt, node_id, node_epoch, status, cpus, mem, disk, lease_s, released_at,
                                       is_ahead, claim_token)
               VALUES (:job, 4, :node, 1, :status, 1, 1, 1, 90, CASE WHEN :live THEN NULL ELSE now() END,
                       :ahead, CASE WHEN :status <> 'QUEUED' THEN CAST(:token AS text) END) RETURNING id""",
            ahead=is_ahead or status is ExecutionStatus.AHEAD,
            token=TOKEN,
            job=cluster.a_job("RUNNING", attempt=4),
            node=node.node_id,
            status=status,
            live=live,
        )
        for attempt in (3, 5):
            assert _fire(cluster, event, execution_id, attempt, node.node_id) == set()
        moved = _fire(cluster, event, execution_id, 4, node.node_id)
        allowed = status in EXECUTION_MOVES[event].sources
        after = cluster.execution(execution_id).status
        assert (moved, after) == (({execution_id}, EXECUTION_MOVES[event].target) if allowed else (set(), status))


def _fire(cluster: Cluster, event: ExecutionEvent, number: int, attempt: int, node_id: int) -> set[ExecutionId]:
    execution_id, tried = ExecutionId(number), Attempt(attempt)
    with cluster.rt.db.begin() as tx:
        if event is ExecutionEvent.CLAIM:
            return claims.claim(tx, [(execution_id, tried, TOKEN)], node_id=NodeId(node_id), epoch=Epoch(1))[0]
        if event is ExecutionEvent.HAND_OUT:
            return starts.hand_out(tx, [(execution_id, tried, TOKEN)], node_id=NodeId(node_id), epoch=Epoch(1))
        if event is ExecutionEvent.START:
            return starts.start(tx, [(execution_id, tried, TOKEN, 0.0)], node_id=NodeId(node_id))
        return executions.end(tx, event, [executions.ExecutionEnd(execution_id, tried)])


@pytest.mark.parametrize("status", ["COMPLETED", "FAILED", "CANCELED"])
def test_the_schema_itself_keeps_final_states(cluster: Cluster, status: str) -> None:
    job_id = cluster.a_job(status)
    with pytest.raises(DBAPIError, match="is final"):
        cluster.change("UPDATE jobs SET status = 'RUNNING', result_attempt = NULL WHERE id = :id", id=job_id)


def test_the_schema_itself_refuses_a_second_live_execution(cluster: Cluster) -> None:
    node = cluster.a_node()
    _, (execution_id, _) = cluster.running(node)
    with pytest.raises(DBAPIError, match="executions_live"):
        cluster.change(
            """INSERT INTO executions (job_id, attempt, node_id, node_epoch, status, cpus, mem, disk, lease_s)
               SELECT job_id, attempt + 1, node_id, 1, 'QUEUED', 1, 1, 1, 90 FROM executions WHERE id = :id""",
            id=execution_id,
        )


def test_the_schema_itself_refuses_more_tries_than_allowed(cluster: Cluster) -> None:
    job_id = cluster.a_job(max_tries=2)
    with pytest.raises(DBAPIError, match="job_tries"):
        cluster.change("UPDATE jobs SET num_exes = 3 WHERE id = :id", id=job_id)


@pytest.mark.parametrize("column", ["attempt", "num_exes", "forgiven", "round"])
def test_the_schema_itself_lets_no_counter_fall(cluster: Cluster, column: str) -> None:
    job_id = cluster.a_job(attempt=1, num_exes=1, forgiven=1)
    with pytest.raises(DBAPIError, match="never fall"):
        cluster.change(f"UPDATE jobs SET {column} = 0 WHERE id = :id", id=job_id)  # noqa: S608 - one of four words
