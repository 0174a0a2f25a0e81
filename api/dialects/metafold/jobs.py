"""Jobs. Those of a workflow are made with it; single ones are made here, as older clients do."""

from __future__ import annotations

from flask import Response, request

from api.dialects import repeated
from api.dialects.metafold import dates, new_job, replies, search, view
from api.dialects.metafold.ids import number
from api.dialects.metafold.schema import LinkedJob, MetafoldJob, MetafoldJobBody, MetafoldQuery
from api.http import api_runtime, strict_json
from api.http.answers import Answer
from api.http.links import public
from api.http.routing import ApiCall, Routes
from scheduler.errors import InvalidInput
from scheduler.identifiers import JobId
from scheduler.identity import Role
from scheduler.jobs import pin, submit
from scheduler.lookup import repeats
from scheduler.retention import deletions
from scheduler.search import jobs, projects
from scheduler.store.jobs.summaries import TABLE

routes = Routes("metafold jobs")


@routes.get("/projects/<project>/jobs", role=Role.VIEWER, any_query=True)
def list_jobs(call: ApiCall, project: str, query: MetafoldQuery) -> Response:
    """Every job of a project."""
    row = projects.one(call.rt, call.caller, project)
    terms = search.conditions(query.q, TABLE.texts, {"state": view.STATES})
    order, date = search.order(query.sort, TABLE.orders), dates.form()
    return replies.every(view.job(one, date) for one in jobs.find(call.rt, row.id, terms, order))


@routes.post("/projects/<project>/jobs", role=Role.SUBMITTER)
def run_job(call: ApiCall, project: str, body: MetafoldJobBody) -> Answer[LinkedJob]:
    """Make a job; the link of the answer tells when it has ended."""
    row = projects.one(call.rt, call.caller, project)
    digest = repeated.digest(call)
    made = None if digest is None else repeats.earlier(call.rt, digest)
    if made is None:
        new = new_job.read(call, row, body, None if digest is None else {repeats.MARK: digest})
        made = submit.submit(call.rt, call.caller, new, api_runtime.of_this_app().forecaster.admission).job_ids[0]
        repeated.note(call, digest, job_id=made)
    link = public.url(f"/projects/{row.id}/jobs/{made}/status")
    return replies.one({**view.job(jobs.one(call.rt, row.id, made), dates.form()), "link": link}, 202)


@routes.get("/projects/<project>/jobs/<job>", role=Role.VIEWER, any_query=True)
def show_job(call: ApiCall, project: str, job: str) -> Answer[MetafoldJob]:
    """One job."""
    row = projects.one(call.rt, call.caller, project)
    found = jobs.one(call.rt, row.id, JobId(number(job, "job")))
    repeats.asked_for(call.rt, job_id=found.job.id)
    return replies.one(view.job(found, dates.form()))


@routes.get("/projects/<project>/jobs/<job>/status", role=Role.VIEWER, any_query=True)
def follow_job(call: ApiCall, project: str, job: str) -> Answer[MetafoldJob]:
    """One job: 202 until it has ended, then 201, whichever way it ended."""
    shown = show_job(call, project, job).body
    return replies.one(shown, 201 if shown["state"] in view.ENDED else 202)


@routes.patch("/projects/<project>/jobs/<job>", role=Role.SUBMITTER, any_query=True)
def rename_job(call: ApiCall, project: str, job: str) -> Answer[MetafoldJob]:
    """Give a job another name, by a form or JSON; without a name it stays as it is."""
    row = projects.one(call.rt, call.caller, project)
    job_id = jobs.one(call.rt, row.id, JobId(number(job, "job"))).job.id
    name = _name()
    if name is not None:
        pin.rename(call.rt, job_id, name, actor=call.caller.name)
    return show_job(call, project, job)


@routes.delete("/projects/<project>/jobs/<job>", role=Role.SUBMITTER)
def delete_job(call: ApiCall, project: str, job: str) -> Answer[None]:
    """Delete a job; one that runs is stopped first. Files that it made stay."""
    row = projects.one(call.rt, call.caller, project)
    found = jobs.one(call.rt, row.id, JobId(number(job, "job")))
    deletions.delete_jobs(call.rt, row.id, [found.job.id], actor=call.caller.name)
    return Answer(None, 204)


def _name() -> str | None:
    """Return the name that the body gives. Raises InvalidInput for anything else."""
    if request.mimetype == "application/json":
        body = strict_json.loads(request.get_data(cache=False))
        if not isinstance(body, dict):
            raise InvalidInput("the body is no JSON object")
        name = body.get("name")
    else:
        name = request.form.get("name")
        if name is not None:
            strict_json.check_text(name, "name")
    if name is not None and (not isinstance(name, str) or not 1 <= len(name) <= 256):  # noqa: PLR2004 - as a new job's
        raise InvalidInput("a name has 1 to 256 characters", field="name")
    return name
