"""Replay on a pool that follows demand: the autoscaler's real decision is made again and again in simulated time.

It answers what-if questions: how many node-hours a trace would have cost, and how long jobs would have waited, in a pool
between these bounds instead of a pool of fixed size.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import inf

from scheduler.identifiers import NodeId
from scheduler.replay.replay import ReplayCluster, ReplayResult
from scheduler.replay.trace import TraceJob
from scheduler.rules.autoscaling.decide import Pool, decide, nodes_to_stop
from scheduler.rules.autoscaling.sizing import PoolSizing
from scheduler.rules.cluster.nodes import Node
from scheduler.rules.cluster.plan import Snapshot
from scheduler.rules.cluster.policy import Policy
from scheduler.rules.cluster.resources import Resources


@dataclass(slots=True)
class ElasticResult:
    """The result of the replay. `sizes` are (time, nodes paid for, why), one for each change; `node_s` is the total cost in node-seconds."""

    outcome: ReplayResult
    node_s: float = 0.0
    sizes: list[tuple[float, int, str]] = field(default_factory=list)


def replay(jobs: Sequence[TraceJob], pool: Pool, *, step_s: float = 5.0, seed: int = 1) -> ElasticResult:
    """Run a trace (sorted by submission time) on a pool whose nodes need `pool.pace.start_s` seconds to start.

    A node costs from its order until it has left. The pool must be AUTO and have a template. The replay ends when the pool
    has its smallest size again and no job is left that could start. Raises ValueError.
    """
    world = _ElasticWorld(jobs, pool, step_s, seed)
    while world.step():
        pass
    return world.seen


class _ElasticWorld(ReplayCluster):
    """A cluster in which nodes come and go, as decided every `step_s` seconds."""

    def __init__(self, jobs: Sequence[TraceJob], pool: Pool, step_s: float, seed: int) -> None:
        if pool.template is None or pool.sizing is not PoolSizing.AUTO:
            raise ValueError("only a pool that follows demand, with a template of its nodes, can be replayed")
        self._pool, self._step_s, self._template = pool, step_s, pool.template
        self._ids = 0
        first = [self._node() for _ in range(pool.smallest)]
        super().__init__(jobs, first, Policy(), seed)
        self._due = self._now
        self._starting_nodes: list[tuple[float, int]] = []
        self._idle_since: dict[int, float] = {}
        self._grown, self._shrunk = -inf, -inf
        self.seen = ElasticResult(self.outcome, sizes=[(self._now, pool.smallest, "the smallest size")])

    def step(self) -> bool:
        """Go to the next arrival, end, new node or decision; return False when nothing can change any more."""
        coming = self._future.next_event()
        now = min(coming, self._next_node(), self._due)
        if self._settled() or now == inf:
            return False
        self.seen.node_s += (len(self._nodes) + len(self._starting_nodes)) * (now - self._now)
        while self._starting_nodes and self._starting_nodes[0][0] <= now:
            self._nodes.upsert(self._node(heapq.heappop(self._starting_nodes)[1]))
        if now < coming:
            self._go_to(now)
            self._place()
        else:
            super().step()
        self._remove_drained()
        if self._due <= now:
            self._decide()
            self._due = now + self._step_s
        return True

    def _fleet(self) -> Resources:
        """Return one node: the size of the whole changes."""
        return self._template

    def _settled(self) -> bool:
        quiet = self._future.next_event() == inf and not self._starting_nodes
        return quiet and len(self._nodes) <= self._pool.smallest and self._last_wanted() <= self._pool.smallest

    def _last_wanted(self) -> int:
        return self.seen.sizes[-1][1]

    def _decide(self) -> None:
        idle = {node.id for node in self._nodes if not node.draining and not self._running.on_node(node.id)}
        self._idle_since = {node_id: self._idle_since.get(node_id, self._now) for node_id in idle}
        pool = replace(
            self._pool,
            starting=len(self._starting_nodes),
            idle_s={node_id: self._now - since for node_id, since in self._idle_since.items()},
            since_grown_s=self._now - self._grown,
            since_shrunk_s=self._now - self._shrunk,
        )
        snapshot = Snapshot(self._nodes, self._queue, self._running, self._policy, self.predictor)
        decision = decide(snapshot, [pool], self._now)[pool.name]
        for _ in range(decision.wanted - decision.present):
            self._ids += 1
            heapq.heappush(self._starting_nodes, (self._now + pool.pace.start_s, self._ids))
            self._grown = self._now
        staying = [node.id for node in self._nodes if not node.draining]
        for node_id in nodes_to_stop(snapshot, staying, max(0, decision.present - decision.wanted), self._now):
            self._nodes.upsert(replace(self._nodes[node_id], draining=True))
            self._shrunk = self._now
        self._remove_drained()
        if decision.wanted != self._last_wanted():
            self.seen.sizes.append((self._now, decision.wanted, decision.why))

    def _remove_drained(self) -> None:
        for node in [node for node in self._nodes if node.draining and not self._running.on_node(node.id)]:
            self._nodes.remove(node.id)

    def _next_node(self) -> float:
        return self._starting_nodes[0][0] if self._starting_nodes else inf

    def _node(self, number: int | None = None) -> Node:
        if number is None:
            self._ids += 1
            number = self._ids
        return Node(NodeId(number), self._template, name=f"{self._pool.name}-{number}", pool=self._pool.name)
