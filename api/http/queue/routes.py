"""The queue, in the forms that older clients of the job services know."""

from __future__ import annotations

from api.http import api_runtime, paging
from api.http.answers import Answer
from api.http.bulk.schema import BulkFilter
from api.http.jobs import view
from api.http.jobs.answer_schema import JobList, SubmittedJob
from api.http.jobs.filtering import job_filter
from api.http.links import public
from api.http.paging import PageQuery
from api.http.queue import view as queue_view
from api.http.queue.schema import (
    BalanceHistory,
    BalanceHistoryQuery,
    BalanceList,
    NewJobBody,
    QueueHeadList,
    QueueHeadQuery,
    QueueStatus,
    QueueStatusList,
    RequeueJobsBody,
)
from api.http.routing import ApiCall, Routes
from scheduler.errors import GangerError, InvalidInput, NotFound, renamed
from scheduler.explain import queue_order
from scheduler.identity import Role
from scheduler.jobs import bulk, priorities, queries, requeue, submit
from scheduler.jobs.new_job import NewJob
from scheduler.store.jobs import listing
from scheduler.store.paging import PageWindow

routes = Routes("queue")

NOBODY = (0,)
"""The ids of no job at all; no ids would be those of all jobs."""

MOST_AT_ONCE = 10_000
"""Jobs of one synchronous requeue; more go through /jobs/requeue/."""


@routes.post("/queue/new-job/", role=Role.SUBMITTER, answers={201: SubmittedJob})
def queue_new_job(call: ApiCall, body: NewJobBody) -> Answer[SubmittedJob]:
    """Submit one job of a type by its id; `warnings` say so if no node could ever hold it."""
    if not queries.type_exists(call.rt, body.job_type_id):
        raise NotFound(f"there is no job type {body.job_type_id}", field="job_type_id")
    data = body.job_data.model_dump(exclude_unset=True)
    submission = submit.Submission([NewJob(job_type_id=body.job_type_id, data=data)])
    try:
        made = submit.submit(call.rt, call.caller, submission, api_runtime.of_this_app().forecaster.admission)
    except GangerError as error:
        raise renamed(error, {"data": "job_data", "inputs": "job_data.input_data"}) from None
    job_id = made.job_ids[0]
    shown: SubmittedJob = {**view.detail(queries.job(call.rt, call.caller, job_id)), **view.warnings(made.hopeless)}
    return Answer(shown, 201, {"Location": public.url(f"/jobs/{job_id}/")})


@routes.post("/queue/requeue-jobs/", role=Role.OPERATOR, answers={200: JobList})
def queue_requeue_jobs(call: ApiCall, query: PageQuery, body: RequeueJobsBody) -> JobList:
    """Requeue every FAILED and CANCELED job that matches, at once; answers all that match, in their new state.

    The jobs are in the order of their ids; `next` and `previous` are pages of `/jobs/`, which the operation's id narrows to them.
    """
    priorities.check(call.rt.settings, call.caller, body.priority)
    chosen = job_filter(call, _filter(body))
    if chosen.is_empty():
        raise InvalidInput("an empty filter means every job; use /jobs/requeue/ with all: true")
    if bulk.count(call.rt, call.caller, chosen) > MOST_AT_ONCE:
        raise InvalidInput(f"more than {MOST_AT_ONCE} jobs match; use /jobs/requeue/")
    ids = queries.job_ids(call.rt, call.caller, chosen, MOST_AT_ONCE)
    if not ids:
        raise NotFound("no job matches")
    moved = requeue.requeue(call.rt, ids, actor=call.caller.name, priority=body.priority)
    operation_id = bulk.record(call.rt, call.caller, "requeue", ids, changed=moved, priority=body.priority)
    asked = paging.window(query, ("id",), ["id"])
    found = queries.jobs(call.rt, call.caller, listing.JobFilter(job_id=tuple(ids)), asked)
    shown = paging.envelope(found.page, asked, view.entry)
    # To follow a link is a GET, which must not requeue again: the links are those of the list of these jobs.
    links = {"operation_id": str(operation_id), "order": "id", "page_size": str(query.page_size)}
    return {
        **shown,
        "next": shown["next"] and paging.link_to("jobs/", {**links, "page": str(query.page + 1)}),
        "previous": shown["previous"] and paging.link_to("jobs/", {**links, "page": str(query.page - 1)}),
    }


@routes.get("/queue/status/", role=Role.VIEWER, answers={200: QueueStatusList})
def show_queue_status(call: ApiCall, query: PageQuery) -> QueueStatusList:
    """Per job type: how many jobs wait, since when, and the most urgent priority; what can go first comes first."""
    results: list[QueueStatus] = [
        {
            "job_type": view.job_type(row),
            "count": row.count,
            "longest_queued": row.longest_queued,
            "highest_priority": row.highest_priority,
            "is_job_type_paused": row.is_paused,
        }
        for row in queries.queue_status(call.rt, call.caller)
    ]
    return paging.part(query, results)


@routes.get("/queue/head/", role=Role.VIEWER, answers={200: QueueHeadList})
def show_queue_head(call: ApiCall, query: QueueHeadQuery) -> QueueHeadList:
    """The jobs that go next, in the order in which the scheduler looks at them, with what it would do with each now.

    The order is that of shares, debts, turns and priorities, as if each job before had started. Jobs that fit nowhere now are passed
    by others, so a job further down may start first. A caller of one project sees its own jobs; `position` counts all.
    """
    found = queue_order.head(api_runtime.of_this_app().forecaster, call.caller, query.limit)
    chosen = listing.JobFilter(job_id=tuple(one.job_id for one in found) or NOBODY)
    window = PageWindow(1, max(1, len(found)), (("id", False),))
    rows = {row.id: row for row in queries.jobs(call.rt, call.caller, chosen, window).page.rows}
    return {"results": [queue_view.head(one, rows[one.job_id]) for one in found if one.job_id in rows]}


@routes.get("/queue/balance/", role=Role.VIEWER, answers={200: BalanceList})
def show_balance(call: ApiCall, query: PageQuery) -> BalanceList:
    """How projects stand beside each other: what each holds for its weight, and what it is owed; whoever goes first comes first.

    A caller of one project sees its own.
    """
    found = queue_order.balance(call.rt, api_runtime.of_this_app().forecaster, call.caller)
    return paging.part(query, [queue_view.balance(one) for one in found])


@routes.get("/queue/balance/history/", role=Role.VIEWER, answers={200: BalanceHistory})
def show_balance_history(call: ApiCall, query: BalanceHistoryQuery) -> BalanceHistory:
    """How projects stood over time: what each used of the fleet of late and what it was owed, a sample a minute, thinned to 200.

    A caller of one project sees its own.
    """
    return {
        "results": [
            queue_view.course(one) for one in queue_order.courses(call.rt, call.caller, query.hours, query.limit)
        ]
    }


def _filter(body: RequeueJobsBody) -> BulkFilter:
    return BulkFilter(
        started=body.started,
        ended=body.ended,
        status=body.status,
        job_id=body.job_ids,
        job_type_id=body.job_type_ids,
        job_type_name=body.job_type_names,
        job_type_category=body.job_type_categories,
        error_category=body.error_categories,
        error_id=body.error_ids,
    )
