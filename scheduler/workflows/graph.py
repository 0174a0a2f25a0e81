"""The graph of a run, or of a definition: its boxes with where the jobs of each stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection

from scheduler.identifiers import JobId
from scheduler.identity import Caller
from scheduler.rules.lifecycle.moves import FINAL_JOB, JobStatus
from scheduler.rules.workflow import layout, reading
from scheduler.rules.workflow.definition import WorkflowDefinition, in_order
from scheduler.rules.workflow.layout import WorkflowLayout
from scheduler.runtime import Runtime
from scheduler.store.workflows import graph as store
from scheduler.store.workflows.graph import StepCount
from scheduler.workflows import checking, lookup

_OPEN = {str(status) for status in JobStatus} - {str(status) for status in FINAL_JOB}


@dataclass(frozen=True, slots=True)
class BoxJobs:
    """How many jobs of a box stand where, the one to look at first, when the first began, and the last end once all have ended."""

    counts: Mapping[str, int] = field(default_factory=dict)
    first: JobId | None = None
    started: datetime | None = None
    ended: datetime | None = None


NOT_RUN = BoxJobs()


@dataclass(frozen=True, slots=True)
class DrawnWorkflow:
    """A layout, and what is known of the jobs of each box, by its name."""

    layout: WorkflowLayout
    jobs: Mapping[str, BoxJobs] = field(default_factory=dict)


def of_run(rt: Runtime, caller: Caller, workflow_id: int) -> DrawnWorkflow:
    """Return the graph of a run; raises NotFound."""
    with rt.db.begin() as tx:
        row = lookup.one(tx, caller, workflow_id)
        drawn = layout.layout(_parents(tx, workflow_id, row.definition))
        found = store.counts(tx, workflow_id)
    box_of = {step: box.name for box in drawn.boxes for step in box.steps}
    rows: dict[str, list[StepCount]] = {}
    for one in found:
        rows.setdefault(box_of.get(one.step, one.step), []).append(one)
    return DrawnWorkflow(drawn, {name: _together(own) for name, own in rows.items()})


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


def _together(rows: Sequence[StepCount]) -> BoxJobs:
    counts: dict[str, int] = {}
    for one in rows:
        counts[one.stands] = counts.get(one.stands, 0) + one.jobs
    failed_first = min(rows, key=lambda one: (one.stands != JobStatus.FAILED, one.first))
    starts = [one.started for one in rows if one.started is not None]
    ends = [one.ended for one in rows if one.ended is not None]
    all_ended = not _OPEN.intersection(counts)
    return BoxJobs(
        counts, failed_first.first, min(starts, default=None), max(ends, default=None) if all_ended else None
    )


def _parents(tx: Connection, workflow_id: int, text: str) -> Mapping[str, Sequence[str]]:
    """Return the steps of a run: as its definition says, or where it has none, as its jobs do."""
    return parents_of(reading.read(checking.stored(text))) if text else store.parents(tx, workflow_id)
