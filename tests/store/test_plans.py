"""What the hot statements read: what they are about, never a whole table, also where statistics are of quieter days.

Every statement of a verb is explained with its real parameters, on tables that have grown since they were analysed; those of the
verbs that run in sessions that keep their plans with such a plan as well, which knows no parameters. A session may keep a plan from
the first minute of an installation, when any order of tables seems as good as another: there each plan is read for what it goes by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

import psycopg
import pytest
from psycopg import sql
from psycopg._queries import PostgresQuery
from psycopg.adapt import Transformer
from sqlalchemy import event

from scheduler import wire
from scheduler.executions import node_protocol, usage, withdrawal
from scheduler.jobs import cancel, hold, requeue
from scheduler.leader import maintenance
from scheduler.nodes import drain, registration
from scheduler.nodes import lost as lost_nodes
from scheduler.runtime import KEPT_PLANS
from tests.support import plans
from tests.support.cluster import JOINING, TOKEN, Cluster
from workers.paths import ExecutionKey

ROWS = 15_000
FEW = 1_000
_EXPLAIN = "EXPLAIN (ANALYZE, BUFFERS OFF, FORMAT JSON)"


@pytest.fixture
def young(database_url: str) -> Iterator[Cluster]:
    """A cluster in its first minute: a few jobs, and no statistics."""
    cluster = Cluster(database_url, retry_first_s=0, statement_timeout_s=60, claim_deadline_s=0.000001)
    cluster.running(cluster.a_node("first", cpus=100_000))
    _forget_statistics(cluster)
    cluster.tick()
    yield cluster
    cluster.close()


@pytest.fixture
def grown(database_url: str) -> Iterator[Cluster]:
    """A cluster whose tables were analysed when they were nearly empty, and hold many waiting and ended jobs now."""
    cluster = Cluster(database_url, retry_first_s=0, statement_timeout_s=60, claim_deadline_s=0.000001)
    cluster.running(cluster.a_node("first", cpus=100_000))
    cluster.change("ANALYZE")
    columns = "project_id, job_type_id, revision_id, max_tries, mem, priority, shape_id, cpus, queued"
    many = f"FROM jobs, generate_series(1, {ROWS}) WHERE id ="
    cluster.change(
        f"INSERT INTO jobs ({columns}, status) SELECT {columns}, 'QUEUED' {many} :id", id=cluster.a_job(cpus=10**9)
    )
    cluster.change(
        f"""INSERT INTO jobs ({columns}, status, attempt, num_exes, result_attempt)
            SELECT {columns}, 'COMPLETED', 1, 1, 1 {many} 1"""
    )
    cluster.change(
        """INSERT INTO executions (job_id, attempt, node_id, node_epoch, status, cpus, mem, disk, lease_s, released_at)
           SELECT id, 1, 1, 1, 'COMPLETED', 1, 0, 0, 90, now() FROM jobs WHERE status = 'COMPLETED'"""
    )
    cluster.change(
        """INSERT INTO events (job_id, event, "from", "to", attempt, actor)
           SELECT id, 'PLACE', 'QUEUED', 'RUNNING', 1, 'x' FROM jobs WHERE status = 'COMPLETED'"""
    )
    cluster.tick()  # the first reads everything, as it should
    yield cluster
    cluster.close()


class Explained:
    """While it is entered, every statement is explained and analysed in a savepoint before it runs."""

    def __init__(self, cluster: Cluster) -> None:
        self._engine = cluster.rt.db
        self.offences: list[str] = []
        self.not_by_keys: list[str] = []
        self.count = self.count_kept = 0
        self._keeps = False

    def __enter__(self) -> Self:
        event.listen(self._engine, "before_cursor_execute", self._explain)
        return self

    def __exit__(self, *_: object) -> None:
        event.remove(self._engine, "before_cursor_execute", self._explain)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """What runs meanwhile is looked at with plans that are kept, too."""
        self._keeps = True
        yield
        self._keeps = False

    def _explain(self, _c: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.lstrip().split(None, 1)[0].upper() not in {"SELECT", "INSERT", "UPDATE", "WITH"}:
            return
        self.count += 1
        begin, undo = ("BEGIN", "ROLLBACK") if cursor.connection.autocommit else ("SAVEPOINT s", "ROLLBACK TO s")
        with cursor.connection.cursor() as own:
            own.execute(begin)
            own.execute(f"{_EXPLAIN} {statement}", parameters)
            self._judge("", statement, own.fetchone()[0][0]["Plan"])  # with its real parameters
            own.execute(undo)
            if self._keeps:
                self.count_kept += 1
                own.execute(begin)
                kept = _kept_plan(own, statement, parameters)
                self._judge("kept: ", statement, kept)
                self.not_by_keys += [f"{one}: {' '.join(statement.split())}" for one in plans.not_by_keys(kept)]
                own.execute(undo)
                own.execute("DEALLOCATE explained")

    def _judge(self, how: str, statement: str, plan: dict[str, Any]) -> None:
        for node in plans.nodes(plan):
            read = (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
            if node.get("Relation Name") in plans.LARGE and read > FEW:
                self.offences.append(
                    f"{how}{node['Node Type']} of {read} {node['Relation Name']}: {' '.join(statement.split())}"
                )


def _kept_plan(own: psycopg.Cursor[Any], statement: str, parameters: Any) -> dict[str, Any]:
    """Return the plan of a statement that was prepared in a session which keeps its plans."""
    for option in KEPT_PLANS.replace("-c ", "").split():
        own.execute(f"SET LOCAL {option}")
    query = PostgresQuery(Transformer(own))
    query.convert(statement, parameters)
    own.execute(b"PREPARE explained AS " + query.query)
    given = [parameters[name] for name in query._order or ()]
    values = sql.SQL("({})").format(sql.SQL(", ").join(map(sql.Literal, given))) if given else sql.SQL("")
    own.execute(sql.SQL(f"{_EXPLAIN} EXECUTE explained ") + values)
    row = own.fetchone()
    assert row is not None
    plan: dict[str, Any] = row[0][0]["Plan"]
    return plan


def test_no_hot_statement_reads_a_whole_table(grown: Cluster) -> None:
    explained = _all_verbs(grown)
    assert explained.offences == [], "\n".join(explained.offences)
    assert explained.count > 50
    assert explained.count_kept > 20


def test_a_plan_that_is_kept_from_the_first_minute_goes_by_keys(young: Cluster) -> None:
    explained = _all_verbs(young)
    assert explained.not_by_keys == [], "\n".join(explained.not_by_keys)
    assert explained.count_kept > 20


def _all_verbs(grown: Cluster) -> Explained:
    """Do what goes on in a cluster, explained."""
    node = registration.register(
        grown.rt,
        JOINING,
        wire.NodeRegistration(
            name="alpha",
            hostname="alpha",
            boot_id="b",
            disk_id="d",
            amounts=wire.Amounts(cpus=50_000, mem=10**9, disk=10**9),
        ),
    )
    jobs = [grown.a_job(max_tries=5) for _ in range(20)]
    grown.a_job()  # which nobody claims

    def refs() -> list[ExecutionKey]:
        return [grown.execution_of(job) for job in jobs]

    def on_nodes(verb: Callable[[wire.Registered, ExecutionKey], object]) -> None:
        for ref in refs():
            verb(node, ref)

    with Explained(grown) as explained, explained.kept():
        assert grown.tick() == 21
    grown.change("UPDATE executions SET node_id = :node, node_epoch = 1 WHERE released_at IS NULL", node=node.node_id)
    claimed = refs()
    with explained:
        with explained.kept():
            assert len(grown.claim(node, *claimed).granted) == 20
        grown.beat(node, progress=[{"execution_id": e, "attempt": a, "percent": 5} for e, a in claimed])
        with explained.kept():
            grown.report(node, claimed[0])
            grown.report(node, claimed[1], "failed", error="launch")
            grown.report(node, claimed[2], "returned")
            node_protocol.store_output(grown.rt, _output(node, claimed[3]))
            usage.store(grown.rt, _samples(node, claimed))
            grown.tick()
        cancel.cancel(grown.rt, [jobs[3], jobs[4]], actor="me")
        requeue.requeue(grown.rt, [jobs[3]], actor="me", priority=5)
        hold.hold(grown.rt, [jobs[5]], actor="me")
        lost_nodes.declare_lost(grown.rt, lost_nodes.SilentNodes(), lambda: 0.0)
        assert withdrawal.withdraw_late(grown.rt) >= 1
        maintenance.ready_due(grown.rt)
        drain.drain(grown.rt, node.node_id, actor="me", reason="test", within_s=0)
        drain.stop_overdue(grown.rt)
        registration.leave(grown.rt, node.node_id, node.epoch)
        grown.tick()
    return explained


def _forget_statistics(cluster: Cluster) -> None:
    cluster.query("SELECT pg_clear_relation_stats('public', relname) FROM pg_stat_user_tables")
    cluster.change("DELETE FROM pg_statistic WHERE starelid IN (SELECT relid FROM pg_stat_user_tables)")


def _samples(node: wire.Registered, refs: Sequence[ExecutionKey]) -> wire.HeartbeatBody:
    used = {"token": TOKEN, "at": 0.0, "seconds": 10, "cpu_s": 5, "mem_mib": 100}
    said = [{"execution_id": execution_id, "attempt": attempt, **used} for execution_id, attempt in refs]
    return wire.HeartbeatBody.model_validate(
        {"node_id": node.node_id, "epoch": node.epoch, "holding": len(said), "usage": said}
    )


def _output(node: wire.Registered, ref: tuple[int, int]) -> wire.OutputChunks:
    chunk = {"execution_id": ref[0], "attempt": ref[1], "phase": "job", "stream": "stdout", "offset": 0, "at": 1.0}
    return wire.OutputChunks.model_validate(
        {"node_id": node.node_id, "chunks": [{**chunk, "data": "aGk=", "token": TOKEN}]}
    )
