"""Jobs: submit, list, look at, cancel."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import orjson
from flask import g, request

from api.http import api_runtime, paging
from api.http.answers import Answer, dump
from api.http.jobs import view
from api.http.jobs.answer_schema import (
    EventList,
    JobChanges,
    JobDetail,
    JobExecutions,
    JobList,
    JobUpdates,
    NodeFitList,
    SubmittedJob,
)
from api.http.jobs.filtering import interest_of, job_filter
from api.http.jobs.needs_schema import new_needs
from api.http.jobs.new_job import as_written, new_jobs
from api.http.jobs.schema import (
    CancelQuery,
    IdempotencyHeader,
    JobBody,
    JobChangeBody,
    JobListQuery,
    JobsBody,
    JobsQuery,
    SubmitQuery,
)
from api.http.jobs.submission_schema import CreatedJobs, DryRunAnswer
from api.http.jobs.waiting_schema import ChangesQuery, TrialBody, WaitQuery
from api.http.links import public
from api.http.paging import PageQuery
from api.http.routing import ApiCall, Routes
from api.http.waiting import parking
from scheduler.documents import JsonValue
from scheduler.errors import BodyTooLarge, Conflict, GangerError, InvalidInput, NotFound
from scheduler.explain import dry_run, job_explanation, trial, wait_history
from scheduler.explain.explanation_json import JobExplanation, TriedView
from scheduler.explain.trial import FixName
from scheduler.explain.wait_history import WaitHistoryView
from scheduler.feed import changes
from scheduler.feed.change_feed import FeedInterest, Watch
from scheduler.identifiers import JobId
from scheduler.identity import Role
from scheduler.jobs import bulk, cancel, queries, submit
from scheduler.jobs.submit import IdempotencyKey, Submission
from scheduler.needs import editing
from scheduler.rules.lifecycle.moves import FINAL_JOB, JobStatus
from scheduler.store.jobs import listing
from scheduler.uploads import arrival

routes = Routes("jobs")
ORDERS = tuple(listing.KEYS)
NOBODY = (0,)
"""The ids of no job at all; no ids would be those of all jobs."""


@routes.get("/jobs/", role=Role.VIEWER, answers={200: JobList}, orders=ORDERS)
def list_jobs(call: ApiCall, query: JobListQuery) -> JobList:
    """Jobs, filtered and ordered; by default the longest unchanged first."""
    asked = paging.window(query, ORDERS, ["last_modified"])
    chosen = job_filter(call, query)
    if query.operation_id:
        named = bulk.named_jobs(call.rt, call.caller, query.operation_id)
        chosen = replace(chosen, job_id=tuple(named.intersection(chosen.job_id or named)) or NOBODY)
    found = queries.jobs(call.rt, call.caller, chosen, asked)
    return paging.envelope(found.page, asked, view.entry)


@routes.post(
    "/jobs/",
    role=Role.SUBMITTER,
    body_limit=lambda rt: rt.settings.max_jobs_body,
    headers=IdempotencyHeader,
    answers={200: SubmittedJob | CreatedJobs | DryRunAnswer, 201: SubmittedJob | CreatedJobs | DryRunAnswer},
)
def submit_jobs(call: ApiCall, query: SubmitQuery, body: JobsBody) -> Answer[SubmittedJob | CreatedJobs | DryRunAnswer]:
    """Submit one job (an object; answers its detail) or many (an array; answers their ids), all or nothing.

    A job that no node could ever hold, or that its quota never allows, is taken all the same, and `warnings` say so; with `strict`
    it is refused. With `dry_run` nothing is made: the answer says what the next tick would do with each of at most 100 jobs (413),
    and with `strict` whether they would be refused.
    """
    many = isinstance(body.root, list)
    bodies = body.root if isinstance(body.root, list) else [body.root]
    if not bodies:
        raise InvalidInput("an empty array holds no job")
    if len(bodies) > call.rt.settings.max_batch:
        raise BodyTooLarge(f"one request takes at most {call.rt.settings.max_batch} jobs; this one has {len(bodies)}")
    submission = Submission(new_jobs(bodies, many=many), _keys(bodies), strict=query.strict, many=many)
    try:
        if query.dry_run:
            return _tried(call, submission)
        made = submit.submit(call.rt, call.caller, submission, api_runtime.of_this_app().forecaster.admission)
    except GangerError as error:
        raise as_written(error, bodies, many=many) from None
    status, headers = (200, {"Idempotent-Replay": "true"}) if made.replayed else (201, {})
    more = view.warnings(made.hopeless)
    if many:
        ids: list[int] = [*made.job_ids]
        return Answer({"count": len(ids), "job_ids": ids, **more}, status, headers)
    job_id = made.job_ids[0]
    headers["Location"] = public.url(f"/jobs/{job_id}/")
    whole = made.whole or queries.job(call.rt, call.caller, job_id)
    return Answer({**view.detail(whole), **more}, status, headers)


@routes.get("/jobs/<id:job_id>/", role=Role.VIEWER, answers={200: JobDetail})
def show_job(call: ApiCall, job_id: JobId, query: WaitQuery) -> JobDetail:
    """One job in full: inputs, outputs, executions.

    With `wait` the answer comes once the status is none of `known` (without any: another than when the request came), at once if the
    job has ended, and after so many seconds in any case: then it is the job as it was when it was last looked at. To wait for the end
    of a job, name all other statuses: `known=PENDING&known=BLOCKED&known=QUEUED&known=RUNNING`. Progress is no change.
    """
    wait = parking.wait_of(query.wait)

    def look() -> tuple[JobDetail, bool]:
        found = queries.job(call.rt, call.caller, job_id)
        if wait.memo is None:
            wait.memo = frozenset(query.known) or {found.row.status}
        return view.detail(found), found.row.status not in wait.memo or found.row.status in FINAL_JOB

    interest = FeedInterest(job_ids=frozenset({job_id}))
    return parking.look_until(wait, api_runtime.of_this_app().feed, interest, look)


@routes.get("/jobs/changes/", role=Role.VIEWER, answers={200: JobChanges})
def list_changes(call: ApiCall, query: ChangesQuery) -> JobChanges:
    """Jobs that were made, moved to another status, held or released since a cursor, each as it is now, in the order of the changes.

    Without `after` the answer is the cursor of this moment. None is missed; one that changed again, or whose database was
    started anew, may come twice. The filter is about the jobs as they are now. With `wait` the answer comes once there is a job.
    """
    feed, chosen = api_runtime.of_this_app().feed, job_filter(call, query)
    if query.after is None:
        return {"cursor": changes.now(call.rt).written(), "more": False, "results": []}
    wait = parking.wait_of(query.wait)
    if wait.memo is None:
        wait.memo = changes.position_of(query.after)

    def look() -> tuple[JobChanges, bool]:
        found = changes.since(call.rt, call.caller, chosen, wait.memo, query.page_size)
        wait.memo = found.position
        answer = view.changes(found)
        return answer, bool(found.rows) or not found.is_all

    def otherwise(found: JobChanges, watch: Watch) -> bytes:
        passed = feed.passed(watch)
        return dump(found if passed is None else {**found, "cursor": passed.written()})

    return parking.look_until(wait, feed, interest_of(chosen, call.caller), look, otherwise)


@routes.patch("/jobs/<id:job_id>/", role=Role.SUBMITTER, answers={200: JobDetail})
def cancel_job(call: ApiCall, job_id: JobId, query: CancelQuery, body: JobChangeBody) -> JobDetail:
    """Cancel a job, or change what it needs. A cancel is CANCELED at once; what runs is dead soon after.

    What needs it is BLOCKED then, and can be repaired; with `followers` it is cancelled, too, unless something else keeps it waiting.
    Needs change as long as the job is PENDING or BLOCKED: 409 from QUEUED on. It is judged by the new ones at once.
    """
    queries.require_job(call.rt, call.caller, job_id)
    if body.needs is not None:
        editing.edit(call.rt, call.caller, job_id, new_needs(body.needs), reason=body.reason)
        return view.detail(queries.job(call.rt, call.caller, job_id))
    actor = call.caller.name
    answer = (
        cancel.with_followers(call.rt, job_id, actor=actor)
        if query.followers
        else cancel.cancel(call.rt, [job_id], actor=actor)
    )
    if answer.unchanged.get(job_id) is JobStatus.COMPLETED:
        raise Conflict("the job is COMPLETED and stays so")
    if job_id not in answer.unchanged and job_id not in answer.moved:
        raise NotFound(f"there is no job {job_id}")
    return view.detail(queries.job(call.rt, call.caller, job_id))


@routes.post("/jobs/<id:job_id>/uploaded/", role=Role.SUBMITTER, answers={200: JobDetail})
def tell_uploaded(call: ApiCall, job_id: JobId) -> JobDetail:
    """Say that all that a job awaits is uploaded: it is queued, once, however often this is said.

    What is missing, or not as it was asked for, fails the job, and its message says what. A body is not read.
    """
    queries.require_job(call.rt, call.caller, job_id)
    arrival.uploaded(call.rt, job_id, call.caller.name)
    return view.detail(queries.job(call.rt, call.caller, job_id))


@routes.get("/jobs/updates/", role=Role.VIEWER, answers={200: JobUpdates}, orders=ORDERS)
def list_updates(call: ApiCall, query: JobsQuery) -> JobUpdates:
    """Jobs that changed in a time window, with the files they were given."""
    asked = paging.window(query, ORDERS, ["last_status_change"])
    found = queries.updates(call.rt, call.caller, job_filter(call, query), asked)
    return paging.envelope(
        found.page, asked, lambda row: view.with_input_files(row, found.data.get(row.id, {}), found.files)
    )


@routes.get("/jobs/executions/", role=Role.VIEWER, answers={200: JobExecutions}, orders=ORDERS)
def list_jobs_with_executions(call: ApiCall, query: JobsQuery) -> JobExecutions:
    """Jobs, each with its newest execution."""
    asked = paging.window(query, ORDERS, ["last_modified"])
    found = queries.with_executions(call.rt, call.caller, job_filter(call, query), asked)
    return paging.envelope(found.page, asked, lambda row: view.with_latest(row, found.latest))


@routes.get("/jobs/<id:job_id>/events/", role=Role.VIEWER, answers={200: EventList})
def list_job_events(call: ApiCall, job_id: JobId, query: PageQuery) -> EventList:
    """Every change of a job's status, oldest first: when, who, which attempt, why."""
    shown, count = queries.events(call.rt, call.caller, job_id, paging.first_of(query), query.page_size)
    return paging.numbered(query, shown, count)


@routes.get("/jobs/<id:job_id>/explain/nodes/", role=Role.VIEWER, answers={200: NodeFitList})
def explain_nodes(call: ApiCall, job_id: JobId, query: PageQuery) -> NodeFitList:
    """Why each node cannot take a waiting job now, the nearest first; made by the filters that place jobs."""
    fits, total, asked = job_explanation.by_node(
        call.rt,
        api_runtime.of_this_app().forecaster,
        call.caller,
        job_id,
        first=paging.first_of(query),
        most=query.page_size,
    )
    return {**paging.numbered(query, fits, total), "asked": asked}


@routes.get("/jobs/<id:job_id>/explain/", role=Role.VIEWER, answers={200: JobExplanation})
def explain_job(call: ApiCall, job_id: JobId) -> JobExplanation:
    """Why a job waits, where it runs or ran, why it failed."""
    return job_explanation.explain(call.rt, api_runtime.of_this_app().forecaster, call.caller, job_id)


@routes.get("/jobs/<id:job_id>/waits/", role=Role.VIEWER, answers={200: WaitHistoryView})
def show_waits(call: ApiCall, job_id: JobId) -> WaitHistoryView:
    """Where the wait of a job went: each reason, from when to when, until a node began with it, over all its tries."""
    return wait_history.history(call.rt, call.caller, job_id)


@routes.post("/jobs/<id:job_id>/explain/trial/", role=Role.SUBMITTER, answers={200: TriedView})
def try_changes(call: ApiCall, job_id: JobId, body: TrialBody) -> TriedView:
    """Say what the next tick would do with a waiting job once changes that explain names were made; nothing is written.

    Without `changes`: once all of them were made.
    """
    chosen = [FixName(one.fix, one.subject) for one in body.changes]
    return trial.tried(call.rt, api_runtime.of_this_app().forecaster, call.caller, job_id, chosen)


def _tried(call: ApiCall, submission: Submission) -> Answer[SubmittedJob | CreatedJobs | DryRunAnswer]:
    """Say what would become of jobs, without making them."""
    if len(submission.jobs) > dry_run.MOST:
        raise BodyTooLarge(f"a dry run takes at most {dry_run.MOST} jobs; this one has {len(submission.jobs)}")
    results = dry_run.dry_run(call.rt, api_runtime.of_this_app().forecaster, call.caller, submission)
    return Answer({"dry_run": True, "count": len(results), "results": results})


def _keys(bodies: list[JobBody]) -> list[IdempotencyKey]:
    """Return the idempotency keys of a request: the header covers all of it, a field its own job."""
    header = request.headers.get("Idempotency-Key")
    own = {number: body.idempotency_key for number, body in enumerate(bodies) if body.idempotency_key is not None}
    if header is not None:
        if not header.isascii() or not header.isprintable() or not 1 <= len(header) <= 128 or " " in header:  # noqa: PLR2004
            raise InvalidInput("the Idempotency-Key is 1 to 128 printable characters", field="Idempotency-Key")
        if any(key != header for key in own.values()):
            raise InvalidInput("the Idempotency-Key and the field idempotency_key differ", field="idempotency_key")
        return [IdempotencyKey(header, _digest(_without_keys(g.body)), range(len(bodies)))]
    if len(set(own.values())) < len(own):
        raise InvalidInput("two jobs of one request have the same idempotency_key", field="idempotency_key")
    sent = g.body if isinstance(g.body, list) else [g.body]
    return [
        IdempotencyKey(key, _digest(_without_keys(sent[number])), range(number, number + 1))
        for number, key in own.items()
    ]


def _without_keys(sent: JsonValue) -> JsonValue:
    """Return a body as it is without its keys: in the header or in the field, the same request has the same digest."""
    if isinstance(sent, list):
        return [_without_keys(one) for one in sent]
    if not isinstance(sent, dict):
        return sent
    return {name: value for name, value in sent.items() if name != "idempotency_key"}


def _digest(sent: JsonValue) -> bytes:
    return hashlib.sha256(orjson.dumps(sent, option=orjson.OPT_SORT_KEYS)).digest()
