"""Why each node cannot take a waiting job now, the nearest first: the same masks that place jobs, node by node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from scheduler.identifiers import NodeId
from scheduler.rules.cluster.nodes import Nodes
from scheduler.rules.cluster.reasons import Reason
from scheduler.rules.cluster.shapes import Shape
from scheduler.rules.explain import fixes
from scheduler.rules.explain.node_reasons import NodeReasons


@dataclass(frozen=True, slots=True)
class NodeFit:
    """One node: the reasons against it (none: it could take the job), what is missing there, what it has and what is free; in thousandths."""

    node_id: NodeId
    name: str
    reasons: Sequence[Reason]
    missing: Mapping[str, int]
    capacity: Mapping[str, int]
    free: Mapping[str, int]


def of_nodes(shape: Shape, nodes: Nodes, reasons: NodeReasons, *, first: int, most: int) -> list[NodeFit]:
    """Return so many nodes from `first` on, those with the fewest reasons and the least missing before the others."""
    need = nodes.vector(shape.requires)
    against = sum((mask.astype(np.int64) for mask in reasons.masks.values()), np.zeros(len(nodes.present()), np.int64))
    lacking = np.maximum(need[:, None] - reasons.room, 0) / np.maximum(need[:, None], 1)
    rows = np.lexsort((lacking.sum(axis=0), against))
    shown = rows[nodes.present()[rows]][first : first + most]
    return [_fit(shape, nodes, reasons, int(row)) for row in shown]


def _fit(shape: Shape, nodes: Nodes, reasons: NodeReasons, row: int) -> NodeFit:
    node = nodes.at(row)
    asked = [number for number, amount in enumerate(nodes.vector(shape.requires).tolist()) if amount]
    capacity, room = nodes.capacity[:, row].tolist(), reasons.room[:, row].tolist()
    return NodeFit(
        node.id,
        node.name,
        tuple(reason for reason, mask in reasons.masks.items() if mask[row]),
        fixes.missing(shape, nodes, reasons.room, row),
        {nodes.axes[number]: int(capacity[number]) for number in asked},
        {nodes.axes[number]: max(0, int(room[number])) for number in asked},
    )
