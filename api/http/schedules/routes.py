"""Schedules: jobs and workflows that start by themselves."""

from __future__ import annotations

from functools import partial
from typing import Any

from api.http import paging
from api.http.answers import Answer
from api.http.jobs.new_job import as_written, new_job
from api.http.jobs.schema import JobBody
from api.http.links import public
from api.http.paging import PageQuery
from api.http.routing import ApiCall, Routes
from api.http.schedules import view
from api.http.schedules.schema import (
    BackfillBody,
    BackfillView,
    EndedBackfill,
    FiringList,
    FiringView,
    ScheduleBody,
    ScheduleChangeBody,
    ScheduledWorkflowBody,
    ScheduleList,
    SchedulePreview,
    SchedulesQuery,
    ScheduleTimingBody,
    ScheduleView,
    TriggerBody,
)
from scheduler.errors import GangerError, InvalidInput
from scheduler.identity import Role
from scheduler.jobs.new_job import NewJob
from scheduler.schedules import runs, schedules
from scheduler.schedules.definition import ScheduleTiming
from scheduler.schedules.runs import BackfillRequest
from scheduler.schedules.schedules import ScheduleChange
from scheduler.schedules.target import Target, WorkflowTarget
from scheduler.store.schedules.schedules import SCHEDULES

routes = Routes("schedules")
ORDERS = tuple(SCHEDULES.keys)


@routes.get("/schedules/", role=Role.VIEWER, answers={200: ScheduleList}, orders=ORDERS)
def list_schedules(call: ApiCall, query: SchedulesQuery) -> ScheduleList:
    """Schedules by name, each with its next times."""
    asked = paging.window(query, ORDERS, ["name"])
    found = schedules.page(call.rt, call.caller, asked, query.name, query.project, is_paused=query.is_paused)
    return paging.envelope(found, asked, partial(view.entry, now=call.rt.now()))


@routes.post("/schedules/", role=Role.SUBMITTER, answers={201: ScheduleView})
def create_schedule(call: ApiCall, body: ScheduleBody) -> Answer[ScheduleView]:
    """Make a schedule. Its job or workflow is checked now, as a submission would be."""
    pause = (body.pause_reason or "paused when it was made") if body.is_paused else None
    named = body.workflow if body.job is None else body.job
    try:
        row = schedules.create(
            call.rt,
            call.caller,
            body.name,
            _timing(body),
            _target(body.job, body.workflow),
            project_name=named.project,
            pause=pause,
        )
    except GangerError as error:
        raise as_written(error, [body.job] if body.job is not None else [], many=False) from None
    headers = {"Location": public.url(f"/schedules/{row.id}/")}
    return Answer(view.entry(row, call.rt.now()), 201, headers)


@routes.post("/schedules/preview/", role=Role.VIEWER, answers={200: SchedulePreview})
def preview_schedule(call: ApiCall, body: ScheduleTimingBody) -> SchedulePreview:
    """The next five times that a schedule would have, and what a change of clocks among them does."""
    return view.preview(schedules.coming(_timing(body), "preview", call.rt.now()))


@routes.get("/schedules/<id:schedule_id>/", role=Role.VIEWER, answers={200: ScheduleView})
def show_schedule(call: ApiCall, schedule_id: int) -> ScheduleView:
    """One schedule."""
    return view.entry(schedules.get(call.rt, call.caller, schedule_id), call.rt.now())


@routes.patch("/schedules/<id:schedule_id>/", role=Role.SUBMITTER, answers={200: ScheduleView})
def change_schedule(call: ApiCall, schedule_id: int, body: ScheduleChangeBody) -> ScheduleView:
    """Change a schedule, pause it, or let it go on. Nothing that is due in the past is made by that."""
    if not body.model_fields_set - {"catch_up"}:
        raise InvalidInput("the body changes nothing")
    wanted = ScheduleChange(
        timing=None if body.timing is None else _timing(body.timing),
        target=None if body.job is None and body.workflow is None else _target(body.job, body.workflow),
        is_paused=body.is_paused,
        pause_reason=body.pause_reason,
        catch_up=body.catch_up,
    )
    return view.entry(schedules.change(call.rt, call.caller, schedule_id, wanted), call.rt.now())


@routes.delete("/schedules/<id:schedule_id>/", role=Role.SUBMITTER, answers={204: None})
def delete_schedule(call: ApiCall, schedule_id: int) -> Answer[None]:
    """Delete a schedule; the jobs and workflows that it made stay."""
    schedules.delete(call.rt, call.caller, schedule_id)
    return Answer(None, 204)


@routes.get("/schedules/<id:schedule_id>/firings/", role=Role.VIEWER, answers={200: FiringList})
def list_firings(call: ApiCall, schedule_id: int, query: PageQuery) -> FiringList:
    """What became of the times of a schedule, the newest first: runs that were made, wait, were skipped or refused, and why."""
    rows, count = schedules.history(call.rt, call.caller, schedule_id, paging.first_of(query), query.page_size)
    return paging.numbered(query, [view.firing(row) for row in rows], count)


@routes.post("/schedules/<id:schedule_id>/trigger/", role=Role.SUBMITTER, answers={201: FiringView})
def trigger_schedule(call: ApiCall, schedule_id: int, body: TriggerBody) -> Answer[FiringView]:
    """Make a run now; 409 while one is live, unless it is forced."""
    return Answer(view.firing(runs.trigger(call.rt, call.caller, schedule_id, force=body.force)), 201)


@routes.post("/schedules/<id:schedule_id>/backfill/", role=Role.SUBMITTER, answers={200: BackfillView})
def backfill_schedule(call: ApiCall, schedule_id: int, body: BackfillBody) -> BackfillView:
    """Let runs be made for past times, so many at once. With `dry_run` the answer says which."""
    wanted = BackfillRequest(
        body.start, body.end, body.max_live, newest_first=body.order == "newest", only_missing=body.only_missing
    )
    times = runs.backfill(call.rt, call.caller, schedule_id, wanted, dry_run=body.dry_run)
    return {"dry_run": body.dry_run, "count": len(times), "times": times}


@routes.delete("/schedules/<id:schedule_id>/backfill/", role=Role.SUBMITTER, answers={200: EndedBackfill})
def end_backfill(call: ApiCall, schedule_id: int) -> EndedBackfill:
    """End the backfills of a schedule: what waits is skipped, what runs is cancelled."""
    return {"count": runs.end_backfill(call.rt, call.caller, schedule_id)}


def _timing(body: ScheduleTimingBody) -> ScheduleTiming:
    facts: dict[str, Any] = {name: getattr(body, name) for name in ScheduleTimingBody.model_fields}
    return ScheduleTiming(**facts)


def _target(job: JobBody | None, workflow: ScheduledWorkflowBody | None) -> Target:
    if job is not None:
        return _job(job)
    assert workflow is not None, "one of both is given"  # noqa: S101 - checked by the body
    return WorkflowTarget(
        type_name=workflow.type,
        name=workflow.name,
        inputs=workflow.inputs or {},
        parameters=workflow.parameters or {},
        assets=workflow.assets or {},
        labels=workflow.labels,
        priority=workflow.priority,
    )


def _job(body: JobBody) -> NewJob:
    if body.idempotency_key is not None:
        raise InvalidInput(
            "the job of a schedule has no idempotency_key: each of its times fires once", field="job.idempotency_key"
        )
    return new_job(body)
