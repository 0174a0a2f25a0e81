"""From rows to the values that the rules work on: shapes, nodes, amounts."""

from __future__ import annotations

from typing import Protocol

from scheduler.documents import ConstraintDocument
from scheduler.identifiers import ShapeId
from scheduler.rules.cluster.nodes import Node
from scheduler.rules.cluster.resources import Resources
from scheduler.rules.cluster.shapes import Constraint, ConstraintOperator, Preference, Shape
from scheduler.store.jobs.shapes import NewShape
from scheduler.store.leader.cluster_rows import NodeStateRow, ShapeRow

NEW_SHAPE = ShapeId(0)
"""The id of a shape that is not stored yet."""


class AmountColumns(Protocol):
    """Rows with amounts in thousandths, in the columns of the tables."""

    @property
    def cpus(self) -> int:
        """Thousandths of a cpu."""

    @property
    def mem(self) -> int:
        """Thousandths of a MiB of memory."""

    @property
    def disk(self) -> int:
        """Thousandths of a MiB of disk."""

    @property
    def custom(self) -> dict[str, int] | None:
        """Thousandths of a piece of each custom resource."""


def shape_of(row: ShapeRow | NewShape, shape_id: ShapeId) -> Shape:
    """Return a shape under this id: from its row, or from a new one that is not stored yet."""
    options = row.options
    return Shape(
        shape_id,
        resources_of(row),
        constraints=tuple(_constraint(c) for c in row.constraints),
        pool=row.pool,
        project_id=row.project_id,
        job_type_id=row.job_type_id,
        priority=row.priority,
        timeout_s=options.get("timeout_s"),
        preferences=tuple(Preference(_constraint(p), p.get("weight", 1.0)) for p in options.get("preferences", ())),
        count=options.get("count", 1),
        apart=options.get("apart"),
        spread=options.get("spread"),
        preemptible=options.get("preemptible", False),
        serial=options.get("serial"),
    )


def node_of(row: NodeStateRow) -> Node:
    """Return a node from its row."""
    return Node(
        row.id,
        resources_of(row),
        row.name,
        row.pool,
        row.labels,
        row.ready,
        row.paused,
        row.draining,
        row.launch_failures,
        None if row.projects is None else frozenset(row.projects),
        row.runs_ahead,
    )


def resources_of(row: AmountColumns) -> Resources:
    """Return the amounts in the columns `cpus`, `mem`, `disk` and `custom`; thousandths."""
    custom = tuple(sorted(row.custom.items())) if row.custom else ()
    return Resources(row.cpus, row.mem, row.disk, custom)


def _constraint(document: ConstraintDocument) -> Constraint:
    value = document.get("value", "")
    return Constraint(
        document["label"],
        ConstraintOperator(document["op"]),
        tuple(str(v) for v in value) if isinstance(value, list) else str(value),
    )
