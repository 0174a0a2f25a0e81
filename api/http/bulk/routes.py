"""Act on every job that matches a filter, and look at how far that has come.

Cancel, requeue, pin and unpin by explicit `job_id` are a submitter's; any wider filter, hold and release are an operator's.
"""

from __future__ import annotations

from api.http import api_runtime, paging
from api.http.answers import Answer
from api.http.auth import permit
from api.http.bulk import view
from api.http.bulk.schema import (
    BulkBody,
    BulkFilter,
    Count,
    OperationKind,
    OperationList,
    OperationsQuery,
    OperationView,
    ProcessesView,
    RequeueBody,
)
from api.http.jobs.filtering import job_filter
from api.http.links import public
from api.http.routing import ApiCall, Routes
from scheduler.errors import InvalidInput
from scheduler.identity import Role
from scheduler.jobs import bulk
from scheduler.store.jobs import operations
from scheduler.store.jobs.operations import OperationFilter

routes = Routes("bulk actions")
ANSWERS = {200: Count, 202: OperationView}


@routes.post("/jobs/cancel/", role=Role.SUBMITTER, answers=ANSWERS)
def cancel_jobs(call: ApiCall, body: BulkBody) -> Answer[Count | OperationView]:
    """Cancel every job that matches."""
    return _begin(call, "cancel", body)


@routes.post("/jobs/requeue/", role=Role.SUBMITTER, answers=ANSWERS)
def requeue_jobs(call: ApiCall, body: RequeueBody) -> Answer[Count | OperationView]:
    """Start a new round for every FAILED and CANCELED job that matches."""
    return _begin(call, "requeue", body, priority=body.priority)


@routes.post("/jobs/hold/", role=Role.OPERATOR, answers=ANSWERS)
def hold_jobs(call: ApiCall, body: BulkBody) -> Answer[Count | OperationView]:
    """Hold every job that matches and has not ended: it is not placed until it is released."""
    return _begin(call, "hold", body)


@routes.post("/jobs/release/", role=Role.OPERATOR, answers=ANSWERS)
def release_jobs(call: ApiCall, body: BulkBody) -> Answer[Count | OperationView]:
    """Release every held job that matches."""
    return _begin(call, "release", body)


@routes.post("/jobs/pin/", role=Role.SUBMITTER, answers=ANSWERS)
def pin_jobs(call: ApiCall, body: BulkBody) -> Answer[Count | OperationView]:
    """Pin every job that matches: neither it, nor its output, nor files that it made or reads are aged out."""
    return _begin(call, "pin", body)


@routes.post("/jobs/unpin/", role=Role.SUBMITTER, answers=ANSWERS)
def unpin_jobs(call: ApiCall, body: BulkBody) -> Answer[Count | OperationView]:
    """Let every pinned job that matches age again, from now on."""
    return _begin(call, "unpin", body)


@routes.get("/operations/", role=Role.VIEWER, answers={200: OperationList}, orders=tuple(operations.OPERATIONS.keys))
def list_operations(call: ApiCall, query: OperationsQuery) -> OperationList:
    """Bulk actions, the newest first. `/jobs/?changed_by=ID` has the jobs that one has changed, to requeue what it cancelled."""
    asked = paging.window(query, tuple(operations.OPERATIONS.keys), ["-id"])
    chosen = OperationFilter(tuple(query.kind), tuple(query.status), tuple(query.created_by))
    return paging.envelope(bulk.page(call.rt, call.caller, chosen, asked), asked, view.operation)


@routes.get("/operations/<id:operation_id>/", role=Role.VIEWER, answers={200: OperationView})
def show_operation(call: ApiCall, operation_id: int) -> OperationView:
    """How far a bulk action has come."""
    return view.operation(bulk.get(call.rt, call.caller, operation_id))


@routes.get("/operations/<id:operation_id>/processes/", role=Role.VIEWER, answers={200: ProcessesView})
def show_processes(call: ApiCall, operation_id: int) -> ProcessesView:
    """The proof of a bulk cancel: how many executions were told to stop, and of how many nothing runs any more."""
    found = bulk.processes(call.rt, call.caller, operation_id)
    return {"told": found.told, "dead": found.dead, "left": found.told - found.dead, "last": found.last}


def _begin(
    call: ApiCall, kind: OperationKind, body: BulkBody, *, priority: int | None = None
) -> Answer[Count | OperationView]:
    chosen = job_filter(call, body)
    if set(body.model_fields_set & BulkFilter.model_fields.keys()) != {"job_id"}:
        permit(call.caller, Role.OPERATOR)
    if chosen.is_empty() and not body.all:
        raise InvalidInput("an empty filter means every job; say all: true if that is meant", field="all")
    if body.dry_run:
        matching = bulk.count(call.rt, call.caller, chosen)
        return Answer(view.count(matching, bulk.breakdown(call.rt, call.caller, chosen)))
    operation_id = bulk.begin(
        call.rt, call.caller, kind, chosen, everything=body.all, reason=body.reason, priority=priority
    )
    if (thread := api_runtime.of_this_app().bulk_thread) is not None:
        thread.wake()
    shown = view.operation(bulk.get(call.rt, call.caller, operation_id))
    return Answer(shown, 202, {"Location": public.url(f"/operations/{operation_id}/")})
