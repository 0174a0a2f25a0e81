"""One pool in one step of the autoscaler: its row, its nodes, its instances, and its description for the rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any

from scheduler.cluster_state import ClusterState
from scheduler.documents import PoolSettingsDocument
from scheduler.identifiers import NodeId
from scheduler.pools.drivers.driver import NodeTemplate
from scheduler.pools.instances import PoolInstances
from scheduler.rules.autoscaling.decide import Pool, ScalingSettings, SizeDecision
from scheduler.rules.autoscaling.sizing import PoolSizing
from scheduler.rules.cluster.resources import Resources
from scheduler.rules.lifecycle.states import NodeState
from scheduler.store.nodes.pool_rows import PoolMember, PoolRow, SizeDecisionDetail


@dataclass(slots=True)
class ScaledPool:
    """A pool's row and nodes as they were read, and its instances as its drivers list them.

    `since_s` are the seconds since the pool last grew and shrank (None: never), `starting` the instances that have not
    registered yet.
    """

    row: PoolRow
    members: Sequence[PoolMember]
    instances: PoolInstances
    since_s: tuple[float | None, float | None]
    starting: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The pool's name."""
        return self.row.name

    @property
    def staying(self) -> list[PoolMember]:
        """Nodes that are READY and neither drain nor leave."""
        return [m for m in self.members if m.state == NodeState.READY and not (m.is_draining or m.is_leaving)]

    @property
    def retiring(self) -> list[PoolMember]:
        """Nodes that drain for good and have not begun to leave, so that they can still be kept."""
        return [m for m in self.members if m.state == NodeState.READY and m.is_retiring and not m.is_leaving]

    @property
    def departed(self) -> list[PoolMember]:
        """Nodes that drained for good and are not READY any more, whose instances must be removed."""
        return [m for m in self.members if m.is_retiring and m.state != NodeState.READY]

    def dead(self, state: NodeState, now: float) -> list[str]:
        """Return the names of nodes in this state whose process has ended."""
        states = {m.name: m.state for m in self.members}
        return [name for name in self.instances.dead(now) if states.get(name) == state]

    def new_node(self) -> NodeTemplate:
        """Return what a driver is told of a new node."""
        amounts = None if self.row.template is None else Resources.from_amounts(self.row.template)
        return NodeTemplate(self.row.name, amounts, self.row.labels)

    def described(self, state: ClusterState, idle_s: Mapping[int, float]) -> Pool:
        """Return the pool as the rules decide on it; `idle_s` has the seconds for which nodes have been idle."""
        row, staying = self.row, {m.id for m in self.staying}
        grown_s, shrunk_s = self.since_s
        return Pool(
            row.name,
            PoolSizing(row.sizing),
            row.size,
            row.smallest,
            row.largest,
            self._amounts(state),
            self._labels(state),
            pace(row.settings),
            row.is_paused,
            len(staying),
            len(self.starting),
            {NodeId(node_id): seconds for node_id, seconds in idle_s.items() if node_id in staying},
            inf if grown_s is None else grown_s,
            inf if shrunk_s is None else shrunk_s,
        )

    def _amounts(self, state: ClusterState) -> Resources | None:
        """Return the amounts of a new node: of the pool's template, else of the driver, else of the largest node, now or before."""
        if self.row.template is not None:
            return Resources.from_amounts(self.row.template)
        known = self.instances.template()
        if known is not None:
            return known
        present = [state.nodes[m.id].capacity for m in self.members if m.id in state.nodes]
        last = (self.row.detail or {}).get("template")
        last_known = None if last is None else Resources.from_amounts(last)
        return max(present, key=lambda amounts: (amounts.cpus, amounts.mem), default=last_known)

    def _labels(self, state: ClusterState) -> dict[str, str]:
        """Return the labels of a new node: those that all present nodes share (or shared last), and the pool's own."""
        found = [dict(state.nodes[m.id].labels) for m in self.members if m.id in state.nodes]
        found = found or [(self.row.detail or {}).get("labels") or {}]
        shared = {k: v for k, v in found[0].items() if all(labels.get(k) == v for labels in found)}
        return {**shared, **self.row.labels}


def pace(settings: PoolSettingsDocument) -> ScalingSettings:
    """Return how eagerly a pool follows demand; settings that are missing have their defaults."""
    given: dict[str, Any] = {name: value for name, value in settings.items() if value is not None}
    return ScalingSettings(**{name: value for name, value in given.items() if name in ScalingSettings.__slots__})


def detail_of(pool: Pool, decision: SizeDecision) -> SizeDecisionDetail:
    """Return what is stored of a decision beside its numbers: for people, and to describe new nodes while there are none."""
    return {
        "unmet": {str(shape_id): count for shape_id, count in decision.unmet.items()},
        "hopeless": {str(shape_id): count for shape_id, count in decision.hopeless.items()},
        "template": None if pool.template is None else pool.template.amounts(),
        "labels": dict(pool.labels),
    }
