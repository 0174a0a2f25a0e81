"""Saying that a job is done: an operator's word in place of an execution, with the outputs that its followers are to have."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from api.http.jobs import view
from api.http.jobs.answer_schema import JobDetail
from api.http.jobs.schema import Name
from api.http.routing import ApiCall, Routes
from api.http.schema.fields import Body, Reason
from scheduler.identifiers import JobId
from scheduler.identity import Role
from scheduler.jobs import queries
from scheduler.needs import force

routes = Routes("jobs")


class DoneBody(Body):
    """The outputs of a job that is said to be done: a value, a file id, or a list of file ids by name."""

    outputs: dict[Name, Any] = Field(default={}, max_length=1_000)
    reason: Reason | None = None


@routes.post("/jobs/<id:job_id>/done/", role=Role.OPERATOR, answers={200: JobDetail})
def force_job(call: ApiCall, job_id: JobId, body: DoneBody) -> JobDetail:
    """Say that a FAILED or BLOCKED job is COMPLETED, and what it made; it shows who said so."""
    queries.require_job(call.rt, call.caller, job_id)
    force.done(call.rt, call.caller, job_id, body.outputs, reason=body.reason)
    return view.detail(queries.job(call.rt, call.caller, job_id))
