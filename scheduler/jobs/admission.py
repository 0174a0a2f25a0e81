"""The admission check: tells at every submission whether a job could ever be placed on the nodes that exist or could exist.

Silent and lost nodes count, because they may come back. Nodes that pools may start count too, up to the size of each pool.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from scheduler.identifiers import NodeId
from scheduler.rules.cluster.nodes import Node, Nodes
from scheduler.rules.cluster.resources import Resources
from scheduler.rules.cluster.shapes import Shape
from scheduler.rules.explain import explain
from scheduler.rules.explain.answer import NoFittingNode
from scheduler.rules.placement.capacity import PoolGrowth
from scheduler.runtime import Runtime
from scheduler.store.leader import cluster_state as store
from scheduler.store.leader.conversion import NEW_SHAPE, node_of

_KEPT_S = 2.0


class AdmissionCheck:
    """May be asked from any thread; a process needs only one. It knows the nodes of at most two seconds ago."""

    def __init__(self, rt: Runtime, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._rt, self._monotonic = rt, monotonic
        self._asking = threading.Lock()
        self._read_at: float | None = None
        self._nodes, self._growth = Nodes(), list[PoolGrowth]()
        self._fit: set[Shape] = set()

    def never_fits(self, shape: Shape, *, sure: bool = True) -> NoFittingNode | None:
        """Return why a job of this shape could never be placed; None if it could, on present nodes or on nodes that pools may start.

        With `sure` the nodes are read again before the answer is that it could not.
        """
        shape = _demand(shape)
        with self._asking:
            now = self._monotonic()
            if self._read_at is None or now - self._read_at > _KEPT_S:
                self._read(now)
            if shape in self._fit:
                return None
            found = explain.could_ever_fit(shape, self._nodes, self._growth)
            if sure and found is not None and self._read_at != now:
                self._read(now)
                found = explain.could_ever_fit(shape, self._nodes, self._growth)
            if found is None:
                self._fit.add(shape)
            return found

    def _read(self, now: float) -> None:
        with self._rt.db.begin() as tx:
            self._nodes = Nodes([node_of(row) for row in store.lasting_nodes(tx)])
            self._growth = [
                PoolGrowth(
                    Node(NodeId(row.id), Resources.from_amounts(row.template), "", row.name, row.labels), row.most
                )
                for row in store.templates(tx)
            ]
        self._read_at = now
        self._fit.clear()


def _demand(shape: Shape) -> Shape:
    """Return the part of a shape that matters here: equal requests of all projects and priorities are judged once."""
    apart = shape.apart if shape.count > 1 else None
    return Shape(NEW_SHAPE, shape.requires, shape.constraints, shape.pool, count=shape.count, apart=apart)
