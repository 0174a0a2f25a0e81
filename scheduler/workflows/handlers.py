"""Handlers at a restart: what ran after an end, whichever, or after a failure, runs once more when that begins anew.

A job that is COMPLETED never starts again, so a handler gets a fresh copy, and so does all that follows it in the definition.
"""

from __future__ import annotations

from sqlalchemy import Connection

from scheduler.identifiers import JobId
from scheduler.rules.lifecycle.needs import NeedKind
from scheduler.rules.workflow import reading
from scheduler.rules.workflow.definition import WorkflowDefinition, WorkflowStep, in_order
from scheduler.store.jobs import submissions
from scheduler.store.needs import changes, edges
from scheduler.store.workflows import copies
from scheduler.store.workflows.workflows import WorkflowRow
from scheduler.workflows import checking

_HANDLES = {NeedKind.ANY, NeedKind.FAIL}


def to_copy(tx: Connection, row: WorkflowRow) -> list[JobId]:
    """Return the jobs of a run of which a restart makes fresh copies, parents first."""
    stands = copies.stands(tx, row.id)
    begun = {name for name, one in stands.items() if one.begins}
    if not begun or not any(one.has_run for one in stands.values()):
        return []
    definition = reading.read(checking.stored(row.definition))
    fresh: set[str] = set()
    for name in _after(definition):
        step, stand = definition.steps[name], stands.get(name)
        if stand is None or not stand.is_over:
            continue  # it waits, or runs: what it follows now is soon enough
        handles = stand.has_run and not begun.isdisjoint(_handled(definition, step))
        if handles or not fresh.isdisjoint(step.parents()):
            fresh.add(name)
    return sorted(job for name in fresh for job in stands[name].jobs)


def copy(tx: Connection, row: WorkflowRow, old: list[JobId]) -> list[JobId]:
    """Make fresh copies of these jobs, PENDING; return their ids. What they need has begun anew already."""
    if not old:
        return []
    new = sorted(ids[0] for ids in submissions.take_ids(tx, [1] * len(old)))
    copies.copy(tx, dict(zip(old, new, strict=True)))
    parents, groups = copies.resting(tx, new)
    edges.lock_parents(tx, row.project_id, parents)
    changes.settle_new(tx, new, parents, groups)
    return new


def _after(definition: WorkflowDefinition) -> list[str]:
    """Return the steps with parents first, those that run finally last."""
    ordered, _ = in_order(definition.steps)
    return sorted(ordered, key=lambda name: definition.steps[name].is_finally)


def _handled(definition: WorkflowDefinition, step: WorkflowStep) -> set[str]:
    """Return the steps whose end, whichever, or failure a step follows."""
    named = {need.step for need in step.needs if need.after in _HANDLES}
    others = {name for name, one in definition.steps.items() if not one.is_finally} if step.is_finally else set()
    return named | others
