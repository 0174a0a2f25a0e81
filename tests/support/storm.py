"""Many threads doing every verb to the same few jobs and nodes at once, with real commits: whatever can meet, meets."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.exc import DBAPIError

from scheduler import wire
from scheduler.cluster_state import ClusterState
from scheduler.errors import GangerError, NodeReplaced
from scheduler.executions import node_protocol, withdrawal
from scheduler.identifiers import Attempt, ExecutionId, JobId
from scheduler.jobs import cancel as cancel_verb
from scheduler.jobs import hold, requeue
from scheduler.leader import maintenance, tick
from scheduler.nodes import drain, registration
from scheduler.nodes import lost as lost_nodes
from tests.support.cluster import Cluster

OUTCOMES = ("completed", "completed", "failed", "launch", "returned")


@dataclass
class Machine:
    """A node as the storm plays it: it claims what it is told of, holds it for a while, and reports."""

    name: str
    boot: int = 1
    node: wire.Registered | None = None
    held: dict[int, tuple[int, str, str | None]] = field(default_factory=dict)
    said: list[wire.ExecutionReport] = field(default_factory=list)


class Storm:
    """`blow(seconds)` lets it rage; `calm()` brings everything to its end. `troubles` are errors that nothing explains."""

    def __init__(self, cluster: Cluster, *, jobs: int, nodes: int, seed: int) -> None:
        self.cluster, self.rt = cluster, cluster.rt
        self.seed = seed
        self.jobs = [cluster.a_job(max_tries=3, members=3 if n % 5 == 0 else 1) for n in range(jobs)]
        self.machines = [Machine(f"m{n}") for n in range(nodes)]
        self.troubles: list[str] = []
        self.done: Counter[str] = Counter()
        self._over = threading.Event()

    def blow(self, seconds: float) -> None:
        duties: list[Callable[[random.Random], None]] = [
            *(self._node_duty(machine) for machine in self.machines),
            *(self._tick_duty() for _ in range(2)),
            *(self._cancel, self._requeue, self._hold, self._withdraw, self._drain, self._lose_duty()),
        ]
        threads = [
            threading.Thread(target=self._repeat, args=(duty, random.Random(self.seed * 1000 + n)), daemon=True)
            for n, duty in enumerate(duties)
        ]
        for thread in threads:
            thread.start()
        self._over.wait(seconds)
        self._over.set()
        for thread in threads:
            thread.join(30)
        assert not any(thread.is_alive() for thread in threads)

    def calm(self) -> None:
        """No more faults: nodes come back, held jobs are let go, and everything ends."""
        hold.release(self.rt, self.jobs, actor="calm")
        self.cluster.change("UPDATE nodes SET launch_failures = 0, is_draining = false, is_silent = false")
        state, chance = ClusterState(self.rt.settings), random.Random(1)
        for machine in self.machines:
            self._register(machine)
        for _ in range(200):
            self.cluster.change("UPDATE nodes SET launch_failures = 0")
            tick.tick(self.rt, state, self.cluster.term, lambda _: None)
            for machine in self.machines:
                self._beat(machine, chance)
                self._report(machine, chance, everything=True, outcome="completed")
            if not self._open():
                return
        raise AssertionError(f"still open: {self._open()}")

    def _open(self) -> list[Any]:
        return self.cluster.query(
            "SELECT id, status, attempt FROM jobs WHERE status NOT IN ('COMPLETED', 'FAILED', 'CANCELED')"
        ) + self.cluster.query("SELECT id, status, attempt FROM executions WHERE released_at IS NULL")

    def _repeat(self, duty: Callable[[random.Random], None], chance: random.Random) -> None:
        while not self._over.is_set():
            try:
                duty(chance)
            except (GangerError, tick.TermOver) as refusal:
                self.done[type(refusal).__name__] += 1
            except DBAPIError as trouble:
                self.troubles.append(f"{getattr(duty, '__qualname__', duty)}: {trouble.orig}")
            except Exception as trouble:  # noqa: BLE001 - what it is, is for the test to say
                self.troubles.append(f"{getattr(duty, '__qualname__', duty)}: {trouble!r}")

    def _some(self, chance: random.Random, most: int = 10) -> list[JobId]:
        return chance.sample(self.jobs, chance.randint(1, most))

    # --- nodes

    def _node_duty(self, machine: Machine) -> Callable[[random.Random], None]:
        def duty(chance: random.Random) -> None:
            if machine.node is None or chance.random() < 0.03:
                machine.boot += chance.random() < 0.5
                self._register(machine)
            try:
                self._beat(machine, chance)
                self._report(machine, chance, everything=False)
            except NodeReplaced:
                self.done["replaced"] += 1
                machine.held.clear()
                machine.node = None

        return duty

    def _register(self, machine: Machine) -> None:
        held = [{"execution_id": e, "attempt": a, "token": t} for e, (a, t, _) in machine.held.items()]
        machine.node = self.cluster.a_node(machine.name, cpus=4000, boot_id=f"boot-{machine.boot}", held=held)
        for ref in machine.node.kill:
            machine.held.pop(ref.execution_id, None)
        self.done["register"] += 1

    def _beat(self, machine: Machine, chance: random.Random) -> None:
        node = machine.node
        assert node is not None
        progress = [
            wire.Progress(execution_id=ExecutionId(e), attempt=Attempt(a), percent=chance.randint(0, 100), token=token)
            for e, (a, token, stop) in chance.sample(sorted(machine.held.items()), len(machine.held))
        ]
        sick = "it coughs" if chance.random() < 0.05 and not self._over.is_set() else None
        answer = node_protocol.beat(
            self.rt,
            wire.HeartbeatBody(node_id=node.node_id, epoch=node.epoch, holding=0, progress=progress, degraded=sick),
        )
        for cancel in answer.cancels:
            if cancel.execution_id in machine.held:
                attempt, token, _ = machine.held[cancel.execution_id]
                machine.held[cancel.execution_id] = (attempt, token, cancel.reason)
        waiting = [ref for ref in answer.waiting if ref.execution_id not in machine.held]
        if waiting:
            self._claim(machine, node, waiting, chance)

    def _claim(
        self, machine: Machine, node: wire.Registered, refs: list[wire.ExecutionRef], chance: random.Random
    ) -> None:
        for ref in refs:
            machine.held[ref.execution_id] = (ref.attempt, f"{chance.getrandbits(128):032x}", None)
        claims = [
            wire.ExecutionClaim(execution_id=r.execution_id, attempt=r.attempt, token=machine.held[r.execution_id][1])
            for r in refs
        ]
        answer = None
        for _ in range(chance.choice((1, 1, 2))):  # the first answer may have been lost
            answer = node_protocol.claim(
                self.rt, wire.ClaimBatch(node_id=node.node_id, epoch=node.epoch, claims=claims)
            )
        assert answer is not None
        for refused in answer.refused:
            del machine.held[refused.execution_id]
        self.done["claim"] += len(answer.granted)

    def _report(self, machine: Machine, chance: random.Random, *, everything: bool, outcome: str | None = None) -> None:
        ended = [e for e in machine.held if everything or chance.random() < 0.4]
        reports = [self._end_of(machine, e, outcome or chance.choice(OUTCOMES)) for e in ended]
        if machine.said and chance.random() < 0.2:
            reports.append(chance.choice(machine.said))  # a late repeat of what was answered long ago
        if not reports:
            return
        chance.shuffle(reports)
        assert machine.node is not None
        answer = node_protocol.report(self.rt, wire.ReportBatch(node_id=machine.node.node_id, reports=reports))
        assert len(answer.accepted) + len(answer.fenced) == len(reports)
        machine.said = (machine.said + reports)[-20:]
        for e in ended:
            del machine.held[e]
        self.done["report"] += len(answer.accepted)
        self.done["fenced"] += len(answer.fenced)

    def _end_of(self, machine: Machine, execution_id: int, outcome: str) -> wire.ExecutionReport:
        attempt, token, stop = machine.held[execution_id]
        error = "launch" if outcome == "launch" else None
        said = "failed" if error else outcome
        if stop is not None and outcome != "completed":
            said, error = ("canceled" if stop == "canceled" else "returned"), None
        return wire.ExecutionReport.model_validate(
            {"execution_id": execution_id, "attempt": attempt, "token": token, "outcome": said, "error": error}
        )

    # --- scheduler and people

    def _tick_duty(self) -> Callable[[random.Random], None]:
        state = {"picture": ClusterState(self.rt.settings)}

        def ticks(_: random.Random) -> None:
            try:
                self.done["placed"] += tick.tick(self.rt, state["picture"], self.cluster.term, lambda _: None).placed
            except BaseException:
                state["picture"] = ClusterState(self.rt.settings)
                raise

        return ticks

    def _cancel(self, chance: random.Random) -> None:
        self.done["cancel"] += len(cancel_verb.cancel(self.rt, self._some(chance, 4), actor="storm").moved)

    def _requeue(self, chance: random.Random) -> None:
        self.done["requeue"] += len(requeue.requeue(self.rt, self._some(chance, 20), actor="storm"))

    def _hold(self, chance: random.Random) -> None:
        act = chance.choice((hold.hold, hold.release, hold.release))
        self.done["hold"] += len(act(self.rt, self._some(chance), actor="storm"))

    def _withdraw(self, _: random.Random) -> None:
        self.done["withdraw"] += withdrawal.withdraw_late(self.rt)
        maintenance.forgive_nodes(self.rt)

    def _drain(self, chance: random.Random) -> None:
        machine = chance.choice(self.machines)
        if machine.node is None:
            return
        node_id = machine.node.node_id
        if chance.random() < 0.5:
            drain.drain(self.rt, node_id, actor="storm", reason="storm", within_s=0)
            drain.stop_overdue(self.rt)
        elif chance.random() < 0.1:
            registration.leave(self.rt, node_id, machine.node.epoch)
        drain.end_drains(self.rt, [m.node.node_id for m in self.machines if m.node is not None], actor="storm")
        self.done["drain"] += 1

    def _lose_duty(self) -> Callable[[random.Random], None]:
        watch, skew = lost_nodes.SilentNodes(), [0.0]

        def loses(chance: random.Random) -> None:
            skew[0] += chance.choice((0.0, 0.0, 5.0, 9.0))
            self.done["lost"] += len(lost_nodes.declare_lost(self.rt, watch, lambda: time.monotonic() + skew[0]))
            self._over.wait(0.005)  # the pace of a duty that has no signal to wait for: time itself is what it watches

        return loses
