"""A world without processes: a real database, verbs called by hand, and nodes that are only rows.

cluster     a `Cluster` on a clean database; `cluster.nudges` has every topic that was nudged
"""

from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Iterator
from typing import Any, cast

import orjson
import pytest
from sqlalchemy import text

from scheduler import runtime, wire
from scheduler.cluster_state import ClusterState
from scheduler.executions import node_protocol
from scheduler.identifiers import JobId
from scheduler.identity import Caller
from scheduler.leader import tick
from scheduler.leader.dispatch import DispatchBatch
from scheduler.nodes import registration
from scheduler.rules.lifecycle.failures import BUILT_IN
from scheduler.rules.lifecycle.outcome import Outcome, Reported
from scheduler.settings import Settings
from scheduler.store.leader import lease
from workers.paths import ExecutionKey

TOKEN = "token-of-sixteen-or-more"
JOINING = Caller(1, "join", None)
"""A join token without limits, and an agent that proposes no credential."""


class Cluster:
    """Rows and verbs. Everything that is placed is remembered in `delivered`."""

    def __init__(self, database_url: str, **settings: Any) -> None:
        self.nudges: list[str] = []
        self.delivered: list[tuple[str, int, int, int]] = []
        self.settings = Settings(**settings)
        engine = runtime.connect(database_url, self.settings, name="test")
        self.rt = runtime.Runtime(engine, self.settings, runtime.utc_now, random.Random(7).random, self.nudges.append)
        self.state = ClusterState(self.settings)
        self._numbers = itertools.count(1)
        self._seed()
        with self.rt.db.begin() as tx:
            term = lease.take_over(tx, "test", lease.read(tx))
        assert term is not None
        self.term = term

    def query(self, sql: str, **parameters: Any) -> list[Any]:
        with self.rt.db.begin() as tx:
            return list(tx.execute(text(sql), parameters))

    def value(self, sql: str, **parameters: Any) -> Any:
        return self.query(sql, **parameters)[0][0]

    def change(self, sql: str, **parameters: Any) -> None:
        with self.rt.db.begin() as tx:
            tx.execute(text(sql), parameters)

    def a_job(
        self,
        status: str = "QUEUED",
        *,
        cpus: int = 1000,
        mem: int = 0,
        max_tries: int = 3,
        priority: int = 100,
        preemptible: bool = False,
        members: int = 1,
        **columns: Any,
    ) -> JobId:
        """Insert a job as submission would leave it, in any status; return its id. More than one member make a gang."""
        shape = self._shape(cpus, mem, priority, preemptible=preemptible, members=members)
        facts = {"attempt": 0, "num_exes": 0, "priority": priority, "members": members, **columns}
        names = ", ".join(facts)
        binds = ", ".join(f":{name}" for name in facts)
        job_id = self.value(
            f"""INSERT INTO jobs (project_id, job_type_id, revision_id, shape_id, status, max_tries, cpus, mem, queued,
                                  error_id, result_attempt, {names})
                VALUES (:project, :type, :revision, :shape, :status, :max_tries, :cpus, :mem, now(),
                        CASE WHEN :status = 'FAILED' THEN (SELECT id FROM errors WHERE name = 'unknown') END,
                        CASE WHEN :status = 'COMPLETED' THEN 0 END, {binds})
                RETURNING id""",  # noqa: S608 - column names of our own tests
            project=self.project,
            type=self.type,
            revision=self.revision,
            shape=shape,
            status=status,
            max_tries=max_tries,
            cpus=cpus,
            mem=mem,
            **facts,
        )
        self.change("INSERT INTO job_specs (job_id) VALUES (:id)", id=job_id)
        return JobId(job_id)

    def a_node(
        self,
        name: str | None = None,
        *,
        caller: Caller = JOINING,
        cpus: int = 4000,
        mem: int = 8_000_000,
        **facts: Any,
    ) -> wire.Registered:
        """Register a node, or the same one again."""
        name = name or f"n{next(self._numbers)}"
        message = {
            "name": name,
            "hostname": name,
            "boot_id": "boot-1",
            "disk_id": f"disk-{name}",
            "amounts": {"cpus": cpus, "mem": mem, "disk": 10_000_000},
            **facts,
        }
        told = registration.register(self.rt, caller, wire.NodeRegistration.model_validate(message))
        if caller is JOINING:  # a row of the release before, which knew no join tokens: any of them speaks for it
            self.change("UPDATE nodes SET token_id = NULL WHERE id = :id", id=told.node_id)
        return told

    def tick(self) -> int:
        return tick.tick(self.rt, self.state, self.term, self._deliver).placed

    def claim(self, node: wire.Registered, *refs: ExecutionKey, token: str = TOKEN) -> wire.ClaimAnswer:
        claims = [wire.ExecutionClaim(execution_id=e, attempt=a, token=token) for e, a in refs]
        return node_protocol.claim(self.rt, wire.ClaimBatch(node_id=node.node_id, epoch=node.epoch, claims=claims))

    def report(
        self,
        node: wire.Registered,
        ref: ExecutionKey,
        outcome: str = "completed",
        *,
        token: str = TOKEN,
        **facts: Any,
    ) -> wire.ReportAnswer:
        one = wire.ExecutionReport(
            execution_id=ref[0], attempt=ref[1], token=token, outcome=cast("Reported", Outcome(outcome)), **facts
        )
        return node_protocol.report(self.rt, wire.ReportBatch(node_id=node.node_id, reports=[one]))

    def beat(self, node: wire.Registered, **facts: Any) -> wire.HeartbeatAnswer:
        return node_protocol.beat(
            self.rt, wire.HeartbeatBody(node_id=node.node_id, epoch=node.epoch, holding=0, **facts)
        )

    def running(self, node: wire.Registered, **columns: Any) -> tuple[JobId, ExecutionKey]:
        """Bring a new job to RUNNING and claimed on this node; return its id and its execution."""
        job_id = self.a_job(**columns)
        self.tick()
        ref = self.execution_of(job_id)
        assert self.claim(node, ref).granted
        return job_id, ref

    def execution_of(self, job_id: int) -> ExecutionKey:
        row = self.query(
            "SELECT id, attempt FROM executions WHERE job_id = :id ORDER BY attempt DESC LIMIT 1", id=job_id
        )
        return row[0].id, row[0].attempt

    def members_of(self, job_id: int) -> list[Any]:
        """The executions of a gang's newest attempt, in the order of its members, each with its node's name."""
        return self.query(
            """SELECT x.*, n.name AS node FROM executions x JOIN jobs j ON j.id = x.job_id JOIN nodes n ON n.id = x.node_id
               WHERE j.id = :id AND x.attempt = j.attempt ORDER BY x.member""",
            id=job_id,
        )

    def job(self, job_id: int) -> Any:
        return self.query(
            "SELECT j.*, e.name AS error FROM jobs j LEFT JOIN errors e ON e.id = j.error_id WHERE j.id = :id",
            id=job_id,
        )[0]

    def execution(self, execution_id: int) -> Any:
        return self.query("SELECT * FROM executions WHERE id = :id", id=execution_id)[0]

    def close(self) -> None:
        self.rt.db.dispose()

    def _deliver(self, delivery: DispatchBatch) -> None:
        for (name, epoch), placements in delivery.placements.items():
            self.delivered += [(name, epoch, e, a) for e, a in placements]

    def _seed(self) -> None:
        for f in BUILT_IN:
            self.change(
                """INSERT INTO errors (name, title, category, should_be_retried, is_builtin)
                   VALUES (:name, :title, :category, :retried, true) ON CONFLICT DO NOTHING""",
                name=f.name, title=f.title, category=f.category, retried=f.should_be_retried,
            )  # fmt: skip
        self.project = self.value("SELECT id FROM projects WHERE name = 'default'")
        self.type = self.value("INSERT INTO job_types (name, version) VALUES ('plain', '1') RETURNING id")
        definition = {
            "command": ["/bin/true"],
            "exit_codes": {"3": "checksum"},
            "retry_on": ["SYSTEM", "DATA", "ALGORITHM"],
        }
        self.revision = self.value(
            """INSERT INTO job_type_revisions (job_type_id, revision_num, definition)
               VALUES (:type, 1, CAST(:definition AS jsonb)) RETURNING id""",
            type=self.type,
            definition=orjson.dumps(definition).decode(),
        )

    def _shape(self, cpus: int, mem: int, priority: int = 100, *, preemptible: bool = False, members: int = 1) -> int:
        said = {"preemptible": preemptible, "count": members if members > 1 else None}
        options = orjson.dumps({name: value for name, value in said.items() if value}).decode()
        return int(
            self.value(
                """INSERT INTO shapes (digest, cpus, mem, disk, project_id, job_type_id, priority, options)
                   VALUES (:digest, :cpus, :mem, 0, :project, :type, :priority, CAST(:options AS jsonb))
                   ON CONFLICT (digest) DO UPDATE SET cpus = EXCLUDED.cpus RETURNING id""",
                digest=hashlib.sha256(f"{cpus}/{mem}/{priority}/{options}".encode()).digest(),
                cpus=cpus,
                mem=mem,
                project=self.project,
                type=self.type,
                priority=priority,
                options=options,
            )
        )


@pytest.fixture
def cluster(database_url: str) -> Iterator[Cluster]:
    made = Cluster(database_url, retry_first_s=0)
    yield made
    made.close()
