"""Workflows as the API shows them."""

from __future__ import annotations

from typing import cast

from api.http.workflows.schema import (
    BoxView,
    CheckedView,
    CulpritView,
    GraphView,
    StateWord,
    WorkflowCountsView,
    WorkflowEventView,
    WorkflowInList,
    WorkflowJobView,
    WorkflowView,
)
from scheduler.rules.workflow import layout
from scheduler.rules.workflow.layout import WorkflowBox
from scheduler.store.workflows.events import WorkflowEvent
from scheduler.store.workflows.workflows import WorkflowJobRow
from scheduler.workflows.graph import NOT_RUN, BoxJobs, DrawnWorkflow, of_definition
from scheduler.workflows.job_writer import CheckedWorkflow
from scheduler.workflows.lookup import ShownWorkflow

_MOST_NAMED = 100


def entry(found: ShownWorkflow) -> WorkflowInList:
    """Return a workflow as lists show it."""
    row, counts = found.row, found.found.counts
    ended = counts.total - counts.live
    return {
        "id": row.id,
        "uuid": row.uuid,
        "name": row.name,
        "project": row.project,
        "state": cast("StateWord", str(found.state)),
        "type": row.type_name,
        "revision": row.type_revision,
        "rerun_of": row.rerun_of,
        "parent_job_id": row.parent_job_id,
        "will_fail": found.will_fail,
        "percent": round(100 * ended / counts.total, 1) if counts.total else 100.0,
        "counts": cast(
            "WorkflowCountsView", {name: getattr(counts, name) for name in WorkflowCountsView.__annotations__}
        ),
        "on_failure": row.on_failure,
        "timeout": row.timeout_s,
        "is_held": row.is_held,
        "labels": row.labels or {},
        "created_by": row.created_by,
        "canceled": row.canceled,
        "canceled_by": row.canceled_by,
        "cancel_reason": row.cancel_reason,
        "created": row.created,
        "started": found.found.started or row.started,
        "ended": None if counts.live else found.found.ended or row.ended,
        "last_modified": row.last_modified,
    }


def detail(found: ShownWorkflow, culprit: WorkflowJobRow | None) -> WorkflowView:
    """Return a workflow in full."""
    row = found.row
    return {
        **entry(found),
        "definition": row.definition,
        "inputs": row.inputs,
        "outputs": row.outputs,
        "borrowed": row.borrowed or [],
        "culprit": None if culprit is None else _culprit(culprit),
    }


def job(row: WorkflowJobRow) -> WorkflowJobView:
    """Return a job of a workflow."""
    return {
        "job_id": row.job_id,
        "job": row.step,
        "member": row.member,
        "type": row.type_name,
        "status": row.status,
        "is_skipped": row.is_skipped,
        "allow_failure": row.allow_failure,
        "is_finally": row.is_finally,
        "superseded_by": row.superseded_by,
        "reused_from": row.reused_from,
        "error": row.error,
        "message": row.message,
        "started": row.started,
        "ended": row.ended,
    }


def event(row: WorkflowEvent) -> WorkflowEventView:
    """Return an event of a workflow."""
    return cast("WorkflowEventView", row._asdict())


def graph(drawn: DrawnWorkflow) -> GraphView:
    """Return the drawing of a workflow."""
    return {
        "width": drawn.layout.width,
        "height": drawn.layout.height,
        "box_width": layout.WIDTH,
        "box_height": layout.HEIGHT,
        "boxes": [_box(box, drawn.jobs.get(box.name, NOT_RUN)) for box in drawn.layout.boxes],
        "arrows": [{"source": source, "target": target} for source, target in drawn.layout.arrows],
    }


def _box(box: WorkflowBox, found: BoxJobs) -> BoxView:
    return {
        "name": box.name,
        "jobs": list(box.steps[:_MOST_NAMED]),
        "job_id": found.first,
        "level": box.level,
        "x": box.x,
        "y": box.y,
        "counts": dict(found.counts),
        "started": found.started,
        "ended": found.ended,
    }


def checked(found: CheckedWorkflow) -> CheckedView:
    """Return what a definition means."""
    return {
        "jobs": len(found.jobs),
        "order": list(dict.fromkeys(one.step for one in found.jobs)),
        "graph": graph(of_definition(found.definition)),
    }


def _culprit(row: WorkflowJobRow) -> CulpritView:
    name = row.step if row.member is None else f"{row.step}[{row.member}]"
    return {"job_id": row.job_id, "job": name, "error": row.error, "message": row.message}
