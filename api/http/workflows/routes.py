"""Workflows: check, run, list, look at, draw, cancel, restart, hold, delete; and saying that a job is done."""

from __future__ import annotations

import hashlib

import orjson
from flask import g, request

from api.http import paging
from api.http.answers import Answer
from api.http.jobs.schema import IdempotencyHeader
from api.http.paging import PageQuery
from api.http.routing import ApiCall, Routes
from api.http.workflows import view
from api.http.workflows.schema import (
    CheckedView,
    GraphView,
    HoldWorkflowBody,
    ReasonBody,
    RerunBody,
    WorkflowBody,
    WorkflowEventList,
    WorkflowJobs,
    WorkflowJobsQuery,
    WorkflowList,
    WorkflowListQuery,
    WorkflowView,
)
from scheduler.documents import JsonValue
from scheduler.errors import InvalidInput
from scheduler.identity import Role
from scheduler.store.workflows import listing
from scheduler.store.workflows.listing import WorkflowFilter
from scheduler.store.workflows.workflows import WorkflowJobFilter
from scheduler.workflows import graph, lookup, rerun, running, verbs
from scheduler.workflows.rerun import RerunRequest
from scheduler.workflows.running import WorkflowRequest

routes = Routes("workflows")
ORDERS = tuple(listing.KEYS)
_MOST_KEY = 128


@routes.get("/workflows/", role=Role.VIEWER, answers={200: WorkflowList}, orders=ORDERS)
def list_workflows(call: ApiCall, query: WorkflowListQuery) -> WorkflowList:
    """Workflows, filtered and ordered; by default the newest first."""
    asked = paging.window(query, ORDERS, ["-id"])
    chosen = WorkflowFilter(
        tuple(query.state), tuple(query.name), tuple(query.project), tuple(query.label), tuple(query.workflow_id)
    )
    page, shown = lookup.listed(call.rt, call.caller, chosen, asked)
    entries = {found.row.id: view.entry(found) for found in shown}
    return paging.envelope(page, asked, lambda row: entries[row.id])


@routes.post(
    "/workflows/",
    role=Role.SUBMITTER,
    body_limit=lambda rt: rt.settings.max_jobs_body,
    headers=IdempotencyHeader,
    answers={201: WorkflowView},
)
def run_workflow(call: ApiCall, body: WorkflowBody) -> Answer[WorkflowView]:
    """Run a workflow: all its jobs are made, or none. Everything that is wrong with it is told at once."""
    workflow_id = running.run(call.rt, call.caller, _asked(body, _key()))
    location = {"Location": f"{request.url_root}workflows/{workflow_id}/"}
    return Answer(_detail(call, workflow_id), 201, location)


@routes.post(
    "/workflows/validate/",
    role=Role.SUBMITTER,
    body_limit=lambda rt: rt.settings.max_jobs_body,
    answers={200: CheckedView},
)
def validate_workflow(call: ApiCall, body: WorkflowBody) -> CheckedView:
    """Check a workflow as a run would, make nothing, and draw it."""
    return view.checked(running.check(call.rt, call.caller, _asked(body, None)))


@routes.get("/workflows/<id:workflow_id>/", role=Role.VIEWER, answers={200: WorkflowView})
def show_workflow(call: ApiCall, workflow_id: int) -> WorkflowView:
    """One workflow in full: its state, where its jobs stand, and what failed first."""
    return _detail(call, workflow_id)


@routes.delete("/workflows/<id:workflow_id>/", role=Role.SUBMITTER, answers={204: None})
def delete_workflow(call: ApiCall, workflow_id: int) -> Answer[None]:
    """Delete a workflow that has ended, with its jobs; files that they made stay."""
    verbs.delete(call.rt, call.caller, workflow_id)
    return Answer(None, 204)


@routes.get("/workflows/<id:workflow_id>/jobs/", role=Role.VIEWER, answers={200: WorkflowJobs})
def list_workflow_jobs(call: ApiCall, workflow_id: int, query: WorkflowJobsQuery) -> WorkflowJobs:
    """The jobs of a workflow by their names in it."""
    chosen = WorkflowJobFilter(tuple(query.job), tuple(query.status))
    found = lookup.jobs(call.rt, call.caller, workflow_id, chosen, after=query.after, limit=query.limit)
    full = len(found) == query.limit
    return {"results": [view.job(row) for row in found], "next_after": found[-1].job_id if full else None}


@routes.get("/workflows/<id:workflow_id>/graph/", role=Role.VIEWER, answers={200: GraphView})
def draw_workflow(call: ApiCall, workflow_id: int) -> GraphView:
    """A workflow as a drawing of at most 500 boxes, with where the jobs of each stand."""
    return view.graph(graph.of_run(call.rt, call.caller, workflow_id))


@routes.post("/workflows/<id:workflow_id>/cancel/", role=Role.SUBMITTER, answers={200: WorkflowView})
def cancel_workflow(call: ApiCall, workflow_id: int, body: ReasonBody) -> WorkflowView:
    """Cancel what has not ended, but what runs finally; a second cancel stops that, too."""
    verbs.cancel(call.rt, call.caller, workflow_id, reason=body.reason)
    return _detail(call, workflow_id)


@routes.post("/workflows/<id:workflow_id>/restart/", role=Role.SUBMITTER, answers={200: WorkflowView})
def restart_workflow(call: ApiCall, workflow_id: int, body: ReasonBody) -> WorkflowView:
    """Begin anew what failed or was cancelled; what is COMPLETED stays, and what was blocked goes on by itself."""
    verbs.restart(call.rt, call.caller, workflow_id, reason=body.reason)
    return _detail(call, workflow_id)


@routes.post(
    "/workflows/<id:workflow_id>/rerun/",
    role=Role.SUBMITTER,
    body_limit=lambda rt: rt.settings.max_jobs_body,
    headers=IdempotencyHeader,
    answers={201: WorkflowView},
)
def rerun_workflow(call: ApiCall, workflow_id: int, body: RerunBody) -> Answer[WorkflowView]:
    """Make a new run from these jobs on, which borrows what comes before them; nothing of the old run changes.

    409 where a job that would be borrowed has not ended well, or something that it made is deleted.
    """
    asked = RerunRequest(
        body.steps,
        body.inputs or {},
        body.parameters or {},
        body.assets or {},
        revision=body.revision,
        name=body.name,
        labels=body.labels,
        key=_key(),
        digest=_digest({"rerun_of": workflow_id, "body": g.body}),
    )
    made = rerun.rerun(call.rt, call.caller, workflow_id, asked)
    return Answer(_detail(call, made), 201, {"Location": f"{request.url_root}workflows/{made}/"})


@routes.get("/workflows/<id:workflow_id>/events/", role=Role.VIEWER, answers={200: WorkflowEventList})
def list_workflow_events(call: ApiCall, workflow_id: int, query: PageQuery) -> WorkflowEventList:
    """What happened to a workflow as a whole, the oldest first: when, by whom, why, and how it ended."""
    skipped = paging.first_of(query)
    rows, count = lookup.history(call.rt, call.caller, workflow_id, skipped, query.page_size)
    return paging.numbered(query, [view.event(row) for row in rows], count)


@routes.post("/workflows/<id:workflow_id>/hold/", role=Role.OPERATOR, answers={200: WorkflowView})
def hold_workflow(call: ApiCall, workflow_id: int, body: HoldWorkflowBody) -> WorkflowView:
    """Hold all jobs that have not started, or release them."""
    verbs.hold(call.rt, call.caller, workflow_id, held=body.held, reason=body.reason)
    return _detail(call, workflow_id)


def _detail(call: ApiCall, workflow_id: int) -> WorkflowView:
    return view.detail(lookup.get(call.rt, call.caller, workflow_id), lookup.culprit(call.rt, call.caller, workflow_id))


def _asked(body: WorkflowBody, key: str | None) -> WorkflowRequest:
    return WorkflowRequest(
        definition=body.definition or "",
        type_name=body.type,
        name=body.name,
        project=body.project,
        inputs=body.inputs or {},
        parameters=body.parameters or {},
        assets=body.assets or {},
        labels=body.labels,
        priority=body.priority,
        held=body.held,
        parent_job_id=body.parent_job_id,
        key=key,
        digest=_digest(g.body),
    )


def _digest(sent: JsonValue) -> bytes:
    return hashlib.sha256(orjson.dumps(sent, option=orjson.OPT_SORT_KEYS)).digest()


def _key() -> str | None:
    header = request.headers.get("Idempotency-Key")
    if header is not None and (not header.isascii() or not header.isprintable() or not 1 <= len(header) <= _MOST_KEY or " " in header):  # fmt: skip
        raise InvalidInput("the Idempotency-Key is 1 to 128 printable characters", field="Idempotency-Key")
    return header
