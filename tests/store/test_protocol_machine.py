"""Any sequence of the verbs, with late and repeated words, lost answers and forgetful nodes: the invariants hold after each.

The machine keeps what each node believes, as its disk would; the scheduler's side is the real verbs on the real database.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import Connection, text

from scheduler import wire
from scheduler.cluster_state import ClusterState
from scheduler.errors import GangerError, NodeReplaced
from scheduler.executions import node_protocol, withdrawal
from scheduler.identifiers import Attempt, ExecutionId, NodeId, ShapeId
from scheduler.jobs import cancel as cancel_verb
from scheduler.jobs import hold as hold_verb
from scheduler.jobs import requeue
from scheduler.leader import invariants
from scheduler.nodes import drain as drain_verb
from scheduler.nodes import lost as lost_nodes
from scheduler.nodes import registration
from scheduler.rules.cluster.plan import Placement
from scheduler.rules.cluster.shapes import Shape
from scheduler.rules.placement.placement import place
from scheduler.runtime import Runtime
from scheduler.store.leader import plans
from tests.support.cluster import Cluster

NODES = ("alpha", "beta")
CPUS = 2
"""Of each node: too few for all jobs at once, so that some wait ahead of room."""
MEMBERS = (1, 1, 1, 1, 2, 3)
MOST_JOBS, MOST_HELD = len(MEMBERS), sum(MEMBERS)
nodes, pick = st.sampled_from(NODES), st.integers(0, MOST_JOBS - 1)
outcomes = st.sampled_from(["completed", "failed", "launch", "returned", "canceled"])


class Protocol(RuleBasedStateMachine):
    """The cluster as its rows, and each node as what it holds: execution -> (attempt, token).

    Of these, `waits` are ahead of room, as the node's journal says, and `begun` were started there after that.
    """

    database_url = ""

    def __init__(self) -> None:
        super().__init__()
        self.cluster = Cluster.__new__(Cluster)

    @initialize()
    def begin(self) -> None:
        _empty(self.database_url)
        self.cluster = Cluster(self.database_url, retry_first_s=0, claim_deadline_s=0.000001, max_withdrawals=3)
        self.rt: Runtime = self.cluster.rt
        _short_runs(self.cluster)
        self.jobs = [self.cluster.a_job(cpus=1000, max_tries=2, members=members) for members in MEMBERS]
        self.held: dict[str, dict[int, tuple[int, str]]] = {name: {} for name in NODES}
        self.waits: dict[str, set[int]] = {name: set() for name in NODES}
        self.begun: set[int] = set()
        self.boots = dict.fromkeys(NODES, 1)
        self.said: list[tuple[int, wire.ExecutionReport]] = []
        self.canceled: set[int] = set()
        self.as_node = {name: self._register(name) for name in NODES}
        self.pictures = [ClusterState(self.rt.settings), ClusterState(self.rt.settings)]
        self.thought: tuple[Sequence[Placement], dict[ShapeId, Shape]] = (), {}
        self.watch, self.clock = lost_nodes.SilentNodes(), 0.0

    def teardown(self) -> None:
        if hasattr(self, "rt"):
            try:
                self._calm()
            finally:
                self.cluster.close()

    def _calm(self) -> None:
        """Once nothing goes wrong any more, every job ends and all room is given back."""
        hold_verb.release(self.rt, self.jobs, actor="me")
        self.cluster.change("UPDATE nodes SET is_draining = false")
        self.cluster.state = self.pictures[0]
        for name in NODES:
            self.as_node[name] = self._register(name)
        for _ in range(20):
            self.forgive()
            self.cluster.tick()
            withdrawal.withdraw_recalled(self.rt)  # as the leader does again and again
            for name in NODES:
                self.beat(name, lost=False)
                self.claim_again(name)
                self.start_ahead(name, lost=False)
                self.report(name, how_many=MOST_HELD, outcome="completed", lost=False)
        assert self.cluster.query("SELECT id FROM executions WHERE released_at IS NULL") == []
        ends = "('COMPLETED', 'FAILED', 'CANCELED')"
        assert self.cluster.query(f"SELECT id, status FROM jobs WHERE status NOT IN {ends}") == []  # noqa: S608 - our own
        assert invariants.check(self.rt, hours=None) == []

    # --- scheduler

    @rule()
    def tick(self) -> None:
        self.cluster.state = self.pictures[0]
        self.cluster.tick()

    @rule()
    def think(self) -> None:
        """A scheduler makes its plan, and is stopped before it can write it down."""
        slow = self.pictures[1]
        with self.rt.db.begin() as tx:
            slow.refresh(tx)
        plan = place(slow.snapshot(), slow.now, self.rt.chance, limit=10)
        self.thought = plan.placements, {p.shape_id: slow.queue.groups[p.shape_id].shape for p in plan.placements}

    @rule()
    def act(self) -> None:
        """It goes on, however much has happened since; and perhaps does so twice."""
        with self.rt.db.begin() as tx:
            plans.commit(tx, *self.thought, lease_s=90.0)

    @rule(seconds=st.sampled_from([1.0, 9.0, 9.0]), rounds=st.integers(1, 12))
    def time_passes(self, seconds: float, rounds: int) -> None:
        for _ in range(rounds):
            self.clock += seconds
            lost_nodes.declare_lost(self.rt, self.watch, lambda: self.clock)

    @rule()
    def withdraw(self) -> None:
        withdrawal.withdraw_late(self.rt)

    @rule()
    def withdraw_recalled(self) -> None:
        withdrawal.withdraw_recalled(self.rt)

    @rule()
    def forgive(self) -> None:
        self.cluster.change("UPDATE nodes SET launch_failures = 0")

    # --- nodes

    @rule(name=nodes, lost=st.booleans())
    def beat(self, name: str, lost: bool) -> None:
        try:
            answer = self.cluster.beat(self.as_node[name])
        except NodeReplaced:
            self._forget(name)  # it kills everything before it registers again
            self.as_node[name] = self._register(name)
            return
        refs = [ref for ref in answer.waiting if ref.execution_id not in self.held[name]]
        if refs:
            self._claim(name, refs, lost=lost)

    @rule(name=nodes)
    def claim_again(self, name: str) -> None:
        """A repeat: the first answer was lost, or the message came twice."""
        refs = [
            wire.ExecutionRef(execution_id=ExecutionId(e), attempt=Attempt(a)) for e, (a, _) in self.held[name].items()
        ]
        if refs:
            self._claim(name, refs, lost=False)

    @rule(name=nodes, how_many=st.integers(1, 3), outcome=outcomes, lost=st.booleans())
    def report(self, name: str, how_many: int, outcome: str, lost: bool) -> None:
        ended = list(self.held[name].items())[:how_many]
        reports = [self._ended(name, e, attempt, token, outcome) for e, (attempt, token) in ended]
        if reports:
            self._tell(self.as_node[name].node_id, reports)
            if not lost:
                for e, _ in ended:
                    del self.held[name][e]
                    self.waits[name].discard(e)

    @rule(name=nodes, lost=st.booleans())
    def start_ahead(self, name: str, lost: bool) -> None:
        """The node starts by itself what has room by its own books, and tells of it, perhaps."""
        while self.waits[name] and len(self.held[name]) - len(self.waits[name]) < CPUS:
            first = min(self.waits[name])
            self.waits[name].remove(first)
            self.begun.add(first)
        if not lost:
            self._exchange(name, [])

    @rule(name=nodes, how_many=st.integers(0, 2), lost=st.booleans())
    def exchange(self, name: str, how_many: int, lost: bool) -> None:
        """Ends, starts and claims in one call; what is recalled or cancelled before it started goes back."""
        ended = [(e, held) for e, held in self.held[name].items() if e not in self.waits[name]][:how_many]
        news = self._exchange(name, [self._ended(name, e, *held, "completed") for e, held in ended])
        if lost:
            return
        for e, _ in ended:
            del self.held[name][e]
        back = [one.execution_id for one in news.cancels if one.execution_id in self.waits[name]]
        self._exchange(name, [self._ended(name, e, *self.held[name][e], "returned") for e in back])
        for e in back:
            del self.held[name][e]
            self.waits[name].discard(e)

    @rule(which=pick)
    def report_of_old(self, which: int) -> None:
        if self.said:
            node_id, one = self.said[which % len(self.said)]
            self._tell(node_id, [one])

    @rule(name=nodes, how=st.sampled_from(["restarts", "reboots", "forgets", "leaves"]))
    def come_back(self, name: str, how: str) -> None:
        if how == "reboots":
            self.boots[name] += 1
        if how == "forgets":
            self._forget(name)
        if how == "reboots":
            self.begun -= self.held[name].keys()
        if how == "leaves":
            registration.leave(self.rt, self.as_node[name].node_id, self.as_node[name].epoch)
        self.as_node[name] = self._register(name)

    # --- people

    @rule(which=st.sets(pick, min_size=1, max_size=3))
    def cancel(self, which: set[int]) -> None:
        answer = cancel_verb.cancel(self.rt, [self.jobs[n] for n in which], actor="me")
        self.canceled |= set(answer.moved)

    @rule(which=st.sets(pick, min_size=1, max_size=3))
    def requeue(self, which: set[int]) -> None:
        self.canceled -= set(requeue.requeue(self.rt, [self.jobs[n] for n in which], actor="me"))

    @rule(which=st.sets(pick, min_size=2, max_size=MOST_JOBS))
    def cancel_and_think_better_of_it(self, which: set[int]) -> None:
        """A new round while the old tree may still be dying."""
        self.cancel(which)
        self.requeue(which)

    @rule(which=pick, held=st.booleans())
    def hold(self, which: int, held: bool) -> None:
        (hold_verb.hold if held else hold_verb.release)(self.rt, [self.jobs[which]], actor="me")

    @rule(name=nodes, stay=st.booleans())
    def drain(self, name: str, stay: bool) -> None:
        node_id = self.as_node[name].node_id
        try:
            if stay:
                drain_verb.end_drains(self.rt, [node_id], actor="me")
            else:
                drain_verb.drain(self.rt, node_id, actor="me", reason="test", within_s=0)
                drain_verb.stop_overdue(self.rt)
        except GangerError:
            pass  # it has left

    # --- what must hold

    @invariant()
    def every_row_is_as_it_must_be(self) -> None:
        if not hasattr(self, "rt"):
            return
        assert invariants.check(self.rt, hours=None) == []

    @invariant()
    def an_acknowledged_cancel_stays(self) -> None:
        if not hasattr(self, "rt") or not self.canceled:
            return
        found = self.cluster.query("SELECT status FROM jobs WHERE id = ANY(:ids)", ids=sorted(self.canceled))
        assert {row.status for row in found} == {"CANCELED"}

    @invariant()
    def a_picture_that_is_fresh_sees_the_queue_as_it_is(self) -> None:
        if not hasattr(self, "rt"):
            return
        with self.rt.db.begin() as tx:
            for state in self.pictures[:1]:
                state.refresh(tx)
                queued = set(tx.execute(text("SELECT id FROM jobs WHERE status = 'QUEUED'")).scalars())
                assert {job for job in self.jobs if job in state.queue} == queued
                _agree_on_room(tx, state)

    # --- below the rules

    def _register(self, name: str) -> wire.Registered:
        held = [
            {"execution_id": e, "attempt": a, "token": token, "started": e not in self.waits[name]}
            for e, (a, token) in self.held[name].items()
        ]
        boot_id = f"boot-{self.boots[name]}"
        answer = self.cluster.a_node(name, cpus=CPUS * 1000, runs_ahead=True, boot_id=boot_id, held=held)
        for ref in answer.kill:
            self.held[name].pop(ref.execution_id)
            self.waits[name].discard(ref.execution_id)
        return answer

    def _forget(self, name: str) -> None:
        self.held[name].clear()
        self.waits[name].clear()

    def _ended(self, name: str, e: int, attempt: int, token: str, outcome: str) -> wire.ExecutionReport:
        if e in self.waits[name]:
            return _report(e, attempt, token, "unstarted")
        return _report(e, attempt, token, outcome, started=99.0 if e in self.begun else None)

    def _exchange(self, name: str, reports: list[wire.ExecutionReport]) -> wire.ExchangeAnswer:
        node, ended = self.as_node[name], {one.execution_id for one in reports}
        starts = [
            wire.ExecutionStart(execution_id=ExecutionId(e), attempt=Attempt(attempt), token=token, at=99.0)
            for e, (attempt, token) in self.held[name].items()
            if e in self.begun and e not in ended
        ]
        message = wire.NodeExchange(
            node_id=node.node_id, epoch=node.epoch, now=100.0, starts=starts, reports=reports, hungry=False
        )
        answer = node_protocol.exchange(self.rt, message)
        assert len(answer.accepted) + len(answer.fenced) == len(reports)
        self.said += [(node.node_id, one) for one in reports]
        return answer

    def _claim(self, name: str, refs: list[wire.ExecutionRef], *, lost: bool) -> None:
        node, mine = self.as_node[name], self.held[name]
        for ref in refs:  # written down before it is asked for
            mine.setdefault(ref.execution_id, (ref.attempt, f"token-of-{name}-{ref.execution_id:06}"))
        claims = [
            wire.ExecutionClaim(execution_id=r.execution_id, attempt=r.attempt, token=mine[r.execution_id][1])
            for r in refs
        ]
        answer = node_protocol.claim(self.rt, wire.ClaimBatch(node_id=node.node_id, epoch=node.epoch, claims=claims))
        assert len(answer.granted) + len(answer.refused) == len(claims)
        if not lost:
            self.waits[name] |= {spec.execution_id for spec in answer.granted if spec.ahead} - self.begun
            for refused in answer.refused:
                del mine[refused.execution_id]
                self.waits[name].discard(refused.execution_id)

    def _tell(self, node_id: int, reports: list[wire.ExecutionReport]) -> None:
        answer = node_protocol.report(self.rt, wire.ReportBatch(node_id=NodeId(node_id), reports=reports))
        assert len(answer.accepted) + len(answer.fenced) == len(reports)
        self.said += [(node_id, one) for one in reports]


def _report(
    execution_id: int, attempt: int, token: str, outcome: str, started: float | None = None
) -> wire.ExecutionReport:
    error = "launch" if outcome == "launch" else None
    said: dict[str, Any] = {"outcome": "failed" if error else outcome, "error": error, "started": started}
    return wire.ExecutionReport(execution_id=ExecutionId(execution_id), attempt=Attempt(attempt), token=token, **said)


def _agree_on_room(tx: Connection, state: ClusterState) -> None:
    live = tx.execute(text("SELECT id FROM executions WHERE released_at IS NULL")).scalars()
    assert {run.execution_id for run in state.running} == set(live)


def _short_runs(cluster: Cluster) -> None:
    """Three short jobs, from which a scheduler learns that more of their kind may wait ahead of room; and their node is gone."""
    node = cluster.a_node("before", cpus=1000)
    for _ in range(3):
        _, ref = cluster.running(node)
        cluster.report(node, ref)
    registration.leave(cluster.rt, node.node_id, node.epoch)


def _empty(database_url: str) -> None:
    from tests.support.servers import connect  # noqa: PLC0415 - pytest loads that module as a plug-in first

    with connect(database_url) as db:
        db.execute("SET session_replication_role = 'replica'")
        db.execute(
            """TRUNCATE jobs, job_specs, executions, events, shapes, nodes, beats, job_types, job_type_revisions,
                        audit, pool_events RESTART IDENTITY CASCADE"""
        )


@pytest.mark.timeout(600)
def test_the_invariants_hold_after_any_sequence_of_verbs(database_url: str) -> None:
    Protocol.database_url = database_url
    chosen = settings(
        max_examples=15, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck), database=None
    )
    run_state_machine_as_test(Protocol, settings=chosen)
