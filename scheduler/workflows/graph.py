"""The graph of a run, or of a definition: its boxes with where the jobs of each stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from scheduler.identity import Caller
from scheduler.rules.workflow import layout, reading
from scheduler.rules.workflow.definition import WorkflowDefinition, in_order
from scheduler.rules.workflow.layout import WorkflowLayout
from scheduler.runtime import Runtime
from scheduler.store.workflows import graph as store
from scheduler.workflows import lookup, parsing


@dataclass(frozen=True, slots=True)
class DrawnWorkflow:
    """A layout, and the counts of jobs by status for each of its boxes, by the name of the box."""

    layout: WorkflowLayout
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


def of_run(rt: Runtime, caller: Caller, workflow_id: int) -> DrawnWorkflow:
    """Return the graph of a run; raises NotFound."""
    with rt.db.begin() as tx:
        row = lookup.one(tx, caller, workflow_id)
        drawn = layout.layout(_parents(tx, workflow_id, row.definition))
        by_step = store.counts(tx, workflow_id)
    counts: dict[str, dict[str, int]] = {}
    for box in drawn.boxes:
        own = counts.setdefault(box.name, {})
        for step in box.steps:
            for status, count in by_step.get(step, {}).items():
                own[status] = own.get(status, 0) + count
    return DrawnWorkflow(drawn, counts)


def of_definition(definition: WorkflowDefinition) -> DrawnWorkflow:
    """Return the graph of a definition that nobody has run."""
    return DrawnWorkflow(layout.layout(parents_of(definition)))


def parents_of(definition: WorkflowDefinition) -> dict[str, list[str]]:
    """Return the steps of a definition, parents first, each with those that it needs."""
    ordered, _ = in_order(definition.steps)
    others = [name for name in ordered if not definition.steps[name].is_finally]
    last = [name for name in ordered if definition.steps[name].is_finally]
    plain = {name: sorted(definition.steps[name].parents()) for name in others}
    needed = {one for names in plain.values() for one in names}
    ends = [name for name in others if name not in needed]
    return plain | {name: sorted({*definition.steps[name].parents(), *ends}) for name in last}


def _parents(tx: Connection, workflow_id: int, text: str) -> Mapping[str, Sequence[str]]:
    """Return the steps of a run: as its definition says, or where it has none, as its jobs do."""
    return parents_of(reading.read(parsing.parse(text))) if text else store.parents(tx, workflow_id)
