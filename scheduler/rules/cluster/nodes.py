"""The table of nodes as arrays, so that ten thousand nodes are tested in one pass.

Rows are in the order of arrival, until `sort_rows` puts them in the order of ids. The row of a node that left is used
again. Amounts are thousandths in int64. Each resource has one row of the matrix (its *axis*), so that it lies
contiguous in memory.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from scheduler.identifiers import NodeId, ProjectId
from scheduler.rules.cluster.resources import PLAIN, Resources
from scheduler.rules.cluster.shapes import NODE_LABEL, Constraint

Amounts: TypeAlias = NDArray[np.int64]
Mask: TypeAlias = NDArray[np.bool_]
Rows: TypeAlias = NDArray[np.intp]

_FIRST_ROWS = 16


@dataclass(frozen=True, slots=True)
class Node:
    """One node as placement sees it. `ready` is false for a node that is silent or not yet registered."""

    id: NodeId
    capacity: Resources
    name: str = ""
    pool: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    ready: bool = True
    paused: bool = False
    draining: bool = False
    launch_failures: int = 0
    projects: frozenset[ProjectId] | None = None
    """The only projects that the node serves; None: all."""
    runs_ahead: bool = False
    """Whether it starts by itself what was placed beyond its room."""


class Nodes:
    """All nodes, with what is free on each.

    Ids are the database's. A row number is valid until the next `remove` or `sort_rows`. `memo` and `refusal_counts`
    hold what was computed from the nodes; both are emptied when a node changes, and `version` rises.
    """

    def __init__(self, nodes: Iterable[Node] = ()) -> None:
        self.axes: list[str] = list(PLAIN)
        self.capacity: Amounts = np.zeros((len(PLAIN), _FIRST_ROWS), dtype=np.int64)
        self.used: Amounts = np.zeros_like(self.capacity)
        self.version = 0
        self.memo: dict[object, Mask] = {}
        self.refusal_counts: dict[object, dict[str, int]] = {}
        self._codes: dict[str, Rows] = {}
        self._table: Rows | None = None
        self._rows: dict[int, int] = {}
        self._vectors: dict[Resources, Amounts] = {}
        self._nodes: list[Node | None] = [None] * _FIRST_ROWS
        self._vacant = list(range(_FIRST_ROWS - 1, -1, -1))
        self._last, self._sorted = (-1, -1), True
        for node in nodes:
            self.upsert(node)

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, node_id: object) -> bool:
        return node_id in self._rows

    def __iter__(self) -> Iterator[Node]:
        return (self[node_id] for node_id in self._rows)

    def __getitem__(self, node_id: int) -> Node:
        node = self._nodes[self._rows[node_id]]
        assert node is not None
        return node

    def upsert(self, node: Node) -> None:
        """Add a node with all of it free, or take over the changed capacity, pool, labels and flags of a known one.

        May be repeated. An amount allocated on the node stays allocated, also where the new capacity is smaller.
        """
        row = self._rows.get(node.id)
        if row is None:
            row = self._occupy(node.id)
        elif self._nodes[row] == node:
            return
        self._nodes[row] = node
        vector = self.vector(node.capacity)
        self.capacity[:, row] = vector
        self._changed()

    def remove(self, node_id: int) -> None:
        """Remove a node and what was allocated on it; an unknown id is ignored."""
        row = self._rows.pop(node_id, None)
        if row is None:
            return
        self._nodes[row] = None
        self.capacity[:, row] = 0
        self.used[:, row] = 0
        self._vacant.append(row)
        self._changed()

    def sort_rows(self) -> None:
        """Put the rows into the order of ids.

        Ties between equally good nodes go by the row. After this, all processes that know the same nodes choose the
        same one.
        """
        if self._sorted:
            return
        ids = sorted(self._rows)
        order = np.array([*(self._rows[node_id] for node_id in ids), *self._vacant], dtype=np.intp)
        self.capacity, self.used = self.capacity[:, order], self.used[:, order]
        self._nodes = [self._nodes[row] for row in order.tolist()]
        self._rows = {node_id: row for row, node_id in enumerate(ids)}
        self._vacant = list(range(len(order) - 1, len(ids) - 1, -1))
        self._last, self._sorted = (ids[-1] if ids else -1, len(ids) - 1), True
        self._changed()

    def allocate(self, node_id: int, resources: Resources, count: int = 1) -> None:
        """Take `count` times `resources` of a node. The free amount may become negative (an over-committed node)."""
        self._change_used(node_id, resources, count)

    def release(self, node_id: int, resources: Resources, count: int = 1) -> None:
        """Give back what `allocate` took; a node that has left meanwhile is ignored."""
        self._change_used(node_id, resources, -count)

    def free(self) -> Amounts:
        """Return a copy of what is free: one row for each axis, one column for each node row, in thousandths."""
        return self.capacity - self.used

    def free_on(self, node_id: int) -> Resources:
        """Return what is free on one node; raises KeyError for an unknown one."""
        row = self._rows[node_id]
        free = (self.capacity[:, row] - self.used[:, row]).tolist()
        return Resources.from_amounts(dict(zip(self.axes, free, strict=True)))

    def total(self, where: Mask) -> Resources:
        """Return the capacity of the nodes at the rows in `where`, together."""
        sums = self.capacity[:, where].sum(axis=1).tolist()
        return Resources.from_amounts(dict(zip(self.axes, sums, strict=True)))

    def vector(self, resources: Resources) -> Amounts:
        """Return `resources` along the axes. A name that no node has ever had gets an axis of zero capacity."""
        vector = self._vectors.get(resources)
        if vector is None:
            self._add_axes(resources)
            amounts = resources.amounts()
            vector = np.array([amounts.get(axis, 0) for axis in self.axes], dtype=np.int64)
            self._vectors[resources] = vector
        return vector

    def row(self, node_id: int) -> int | None:
        """Return the row of a node; None for an unknown one."""
        return self._rows.get(node_id)

    def at(self, row: int) -> Node:
        """Return the node at a row of the arrays."""
        node = self._nodes[row]
        assert node is not None
        return node

    def rows_of(self, node_ids: NDArray[np.int64]) -> Rows:
        """Return the rows of many nodes at once, -1 for unknown ones.

        Uses a table as long as the largest id: ids come from a database that counts up from 1.
        """
        if self._table is None:
            self._table = np.full(max(self._rows, default=0) + 2, -1, dtype=np.intp)
            self._table[list(self._rows)] = list(self._rows.values())
        return self._table[np.clip(node_ids, -1, len(self._table) - 1)]

    def present(self) -> Mask:
        """Return the rows that hold a node."""
        return self._mask("present", lambda _node: True)

    def ready(self) -> Mask:
        """Return the rows of nodes that are registered and not silent."""
        return self._mask("ready", lambda node: node.ready)

    def paused(self) -> Mask:
        """Return the rows of nodes that an operator paused."""
        return self._mask("paused", lambda node: node.paused)

    def draining(self) -> Mask:
        """Return the rows of nodes that finish what they run and take nothing more."""
        return self._mask("draining", lambda node: node.draining)

    def running_ahead(self) -> Mask:
        """Return the rows of nodes that start by themselves what was placed beyond their room."""
        return self._mask("ahead", lambda node: node.runs_ahead)

    def failing(self, limit: int) -> Mask:
        """Return the rows of nodes with at least `limit` recent launch failures."""
        return self._mask(("failing", limit), lambda node: node.launch_failures >= limit)

    def in_pools(self, pools: frozenset[str]) -> Mask:
        """Return the rows of nodes in any of the pools."""
        return self._mask(("pools", pools), lambda node: node.pool in pools)

    def without_pool(self) -> Mask:
        """Return the rows of nodes in no pool."""
        return self._mask("poolless", lambda node: node.pool is None)

    def matching(self, constraint: Constraint) -> Mask:
        """Return the rows of nodes whose labels satisfy a constraint."""
        return self._mask(constraint, lambda node: constraint.holds(labels_of(node)))

    def label_codes(self, label: str) -> Rows:
        """Return a number for each row, equal where the values of a label are equal; -1 without the label."""
        codes = self._codes.get(label)
        if codes is None:
            values: dict[str, int] = {}
            found = (None if node is None else labels_of(node).get(label) for node in self._nodes)
            numbers = (-1 if value is None else values.setdefault(value, len(values)) for value in found)
            codes = self._codes[label] = np.fromiter(numbers, dtype=np.intp, count=len(self._nodes))
        return codes

    def _mask(self, key: object, test: Callable[[Node], bool]) -> Mask:
        """Return the rows whose node passes `test`; remembered under `key` until a node changes."""
        mask = self.memo.get(key)
        if mask is None:
            mask = np.fromiter((node is not None and test(node) for node in self._nodes), dtype=np.bool_)
            self.memo[key] = mask
        return mask

    def _changed(self) -> None:
        self.version += 1
        self.memo.clear()
        self.refusal_counts.clear()
        self._codes.clear()
        self._table = None

    def _occupy(self, node_id: int) -> int:
        if not self._vacant:
            self._grow()
        row = self._vacant.pop()
        self._rows[node_id] = row
        self._sorted &= node_id > self._last[0] and row > self._last[1]
        self._last = max(node_id, self._last[0]), max(row, self._last[1])
        return row

    def _grow(self) -> None:
        rows = len(self._nodes)
        self.capacity = np.pad(self.capacity, ((0, 0), (0, rows)))
        self.used = np.pad(self.used, ((0, 0), (0, rows)))
        self._nodes.extend([None] * rows)
        self._vacant.extend(range(2 * rows - 1, rows - 1, -1))

    def _add_axes(self, resources: Resources) -> None:
        """Give an axis to every custom resource that has none."""
        new = [name for name, _ in resources.custom if name not in self.axes]
        if new:
            self._vectors.clear()
            self.axes.extend(new)
            self.capacity = np.pad(self.capacity, ((0, len(new)), (0, 0)))
            self.used = np.pad(self.used, ((0, len(new)), (0, 0)))

    def _change_used(self, node_id: int, resources: Resources, count: int) -> None:
        row = self._rows.get(node_id)
        if row is not None:
            vector = self.vector(resources)
            self.used[:, row] += vector * count


def labels_of(node: Node) -> Mapping[str, str]:
    """Return the node's labels, its own name among them."""
    return {NODE_LABEL: node.name or str(node.id), **node.labels}


def serves(node: Node, project: ProjectId | None) -> bool:
    """Return whether the node serves a project; for None, whether it serves all."""
    return node.projects is None or project in node.projects
