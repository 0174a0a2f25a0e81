"""A pool whose nodes are rows: a driver that lets them register by the real verbs, and nodes that live when told to.

rows = Rows(cluster)            a driver and its nodes
rows.pool(size=3)               what an operator wants
rows.step()                     a second passes: the scheduler's tick, scaling, every node's life
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from scheduler import wire
from scheduler.nodes import registration
from scheduler.pools import pools
from scheduler.pools.autoscaler import Autoscaler
from scheduler.pools.drivers.driver import DriverTrouble, Instance, InstanceList, NodeTemplate
from scheduler.pools.drivers.registry import DriverRegistry
from scheduler.rules.cluster.resources import Resources
from tests.support.cluster import Cluster
from workers.paths import ExecutionKey


@dataclass
class RowNode:
    """One node: what it runs, and whether it was told to finish."""

    known: wire.Registered | None = None
    runs: dict[ExecutionKey, int] = field(default_factory=dict)
    stopped: set[ExecutionKey] = field(default_factory=set)
    running: bool = True


class Rows:
    """The driver of one pool, its nodes, and the clock they share."""

    starts = True
    picks = True
    look_every_s = 0.0
    join_within_s = 60.0
    names: Sequence[str] = ("rows",)

    def __init__(self, cluster: Cluster, *, cpus: int = 2000, job_steps: int = 3, seed: int = 1) -> None:
        self.cluster, self.cpus, self.job_steps = cluster, cpus, job_steps
        self.nodes: dict[str, RowNode] = {}
        self.chance = random.Random(seed)
        self.now = 1000.0
        self.trouble: str | None = None
        self.driver: Any = self
        self.most_at_once = 0
        self.scaler = self.new_leader()

    # --- the driver -------------------------------------------------------------------------------------------

    def start(self, count: int, template: NodeTemplate) -> list[str]:
        self._answer()
        free = [name for name in (f"row-{n}" for n in range(1, 1000)) if name not in self.nodes][:count]
        self.nodes |= {name: RowNode() for name in free}
        return free

    def retire(self, names: Sequence[str]) -> None:
        self._answer()
        for name in names:
            self.nodes.pop(name, None)

    def revive(self, names: Sequence[str], template: NodeTemplate) -> None:
        for name in names:
            self.nodes[name].running = True

    def listing(self) -> InstanceList:
        self._answer()
        return InstanceList(tuple(Instance(name, node.running) for name, node in self.nodes.items()))

    def template(self) -> Resources:
        return Resources(self.cpus, 1_000_000, 1_000_000)

    def open(self, name: str, pool: str) -> Any:
        return self.driver if name in self.names else None

    # --- the world --------------------------------------------------------------------------------------------

    def new_leader(self) -> Autoscaler:
        @contextmanager
        def look() -> Any:
            yield self.cluster.state

        self.scaler = Autoscaler(self.cluster.rt, cast("DriverRegistry", self), look, lambda: self.now)
        return self.scaler

    def pool(self, **columns: Any) -> None:
        """Say what is wanted of the pool."""
        changes: Any = {"drivers": [{"driver": "rows"}], **columns}
        pools.change(self.cluster.rt, "default", changes, actor="ann")

    def step(self, times: int = 1, *, seconds: float = 1.0) -> None:
        for _ in range(times):
            self.second(seconds)
        self.cluster.tick()

    def second(self, seconds: float = 1.0) -> None:
        """Let time pass, but leave what nodes did last to the next tick."""
        self.now += seconds
        self.cluster.tick()
        self.scaler.step(self.cluster.term)
        for name in list(self.nodes):
            self.live(name)

    def live(self, name: str) -> None:
        """Let one node register, beat, claim, go on with its work, report, and leave when it was told to."""
        node = self.nodes[name]
        if not node.running:
            return
        if node.known is None:
            node.known = self.cluster.a_node(name, cpus=self.cpus)
        answer = self.cluster.beat(node.known)
        for cancel in answer.cancels:
            node.stopped.add((cancel.execution_id, cancel.attempt))
        refs = [(ref.execution_id, ref.attempt) for ref in answer.waiting]
        if refs:
            granted = self.cluster.claim(node.known, *refs).granted
            node.runs |= {(g.execution_id, g.attempt): self.chance.randint(1, self.job_steps) for g in granted}
        self.most_at_once = max(self.most_at_once, len(node.runs))
        for ref in list(node.runs):
            node.runs[ref] -= 1
            if ref in node.stopped or node.runs[ref] <= 0:
                outcome = "canceled" if ref in node.stopped else "completed"
                assert self.cluster.report(node.known, ref, outcome).accepted
                del node.runs[ref]
        if answer.drain and not node.runs:
            registration.leave(self.cluster.rt, node.known.node_id, node.known.epoch)
            node.running = False

    def ready(self) -> int:
        return int(self.cluster.value("SELECT count(*) FROM nodes WHERE state = 'READY' AND NOT is_draining"))

    def rows_left(self) -> int:
        return int(self.cluster.value("SELECT count(*) FROM nodes WHERE state <> 'GONE' OR is_retiring"))

    def events(self, kind: str) -> list[Any]:
        return self.cluster.query("SELECT * FROM pool_events WHERE event = :kind ORDER BY id", kind=kind)

    def _answer(self) -> None:
        if self.trouble:
            raise DriverTrouble(self.trouble)
