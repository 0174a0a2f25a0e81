"""The five calls: submit, status, results, cancel, and what a wrong address is answered with (see `api.dialects.problems`)."""

from __future__ import annotations

import hashlib
from typing import Any
from uuid import UUID

import orjson
from flask import g, request

from api.dialects import repeated
from api.dialects.compute import address, view
from api.dialects.compute.schema import TaskBody
from api.http import api_runtime
from api.http.answers import Answer
from api.http.routing import ApiCall, Routes
from scheduler.documents import Document
from scheduler.errors import Conflict, GangerError, InvalidInput, NotFound, renamed
from scheduler.identifiers import JobId
from scheduler.identity import Role
from scheduler.jobs import cancel, submit
from scheduler.jobs.new_job import NewJob
from scheduler.jobs.submit import IdempotencyKey, Submission
from scheduler.lookup import repeats
from scheduler.rules.lifecycle.moves import JobStatus
from scheduler.search import interfaces

routes = Routes("compute")

TASK = "/compute/orgs/<org>/<topic>/<task>"
JOB = f"{TASK}/<job>"

TOGETHER = "parameters"
"""The input of a type that takes all parameters as one object."""


@routes.post(
    TASK, role=Role.SUBMITTER, any_query=True, body_limit=lambda rt: rt.settings.max_jobs_body, answers={303: None}
)
def execute_task(call: ApiCall, org: str, topic: str, task: str, body: TaskBody) -> Answer[None]:
    """Submit a job of a task; its status is at the address in `Location`."""
    organization, name = address.organization(call, org), f"{topic}/{task}"
    keys, digest = _keys(), repeated.digest(call)
    again = None if digest is None else repeats.earlier(call.rt, digest)
    if again is not None:
        return _accepted(organization, name, again)
    inputs = _inputs(call, name, body.parameters)
    labels = {address.SUBMITTED: str(organization)} | ({} if digest is None else {repeats.MARK: digest})
    new = NewJob(type_name=name, inputs=inputs, labels=labels)
    try:
        made = submit.submit(
            call.rt, call.caller, Submission([new], keys), api_runtime.of_this_app().forecaster.admission
        )
    except GangerError as error:
        if error.field == "job_type" and isinstance(error, InvalidInput):
            raise NotFound(f"there is no task {name}") from None
        raise renamed(error, {"inputs": "parameters"}) from None
    repeated.note(call, digest, job_id=made.job_ids[0])
    return _accepted(organization, name, made.job_ids[0])


@routes.get(f"{JOB}/status", role=Role.VIEWER, any_query=True)
def get_job_status(call: ApiCall, org: str, topic: str, task: str, job: str) -> Answer[Any]:
    """Where a job stands: 202 while it goes on, 200 when it has ended."""
    shown = view.progress(address.job(call, org, f"{topic}/{task}", job))
    return Answer(shown, _code(shown["status"]))


@routes.get(JOB, role=Role.VIEWER, any_query=True)
def get_job_results(call: ApiCall, org: str, topic: str, task: str, job: str) -> Answer[Any]:
    """The results of a job, or why there are none; 202 while it goes on."""
    shown = view.results(call.rt, address.job(call, org, f"{topic}/{task}", job))
    return Answer(shown, _code(shown["status"]))


@routes.delete(JOB, role=Role.SUBMITTER, any_query=True, answers={204: None})
def cancel_task(call: ApiCall, org: str, topic: str, task: str, job: str) -> Answer[None]:
    """Cancel a job; safe to repeat. One that has succeeded or failed stays so, and says so."""
    found = address.job(call, org, f"{topic}/{task}", job)
    if found.row.status == JobStatus.FAILED:
        raise Conflict("the job has failed and stays so")
    done = cancel.cancel(call.rt, [found.row.id], actor=call.caller.name)
    if done.unchanged.get(found.row.id) is JobStatus.COMPLETED:
        raise Conflict("the job has succeeded and stays so")
    return Answer(None, 204)


def _accepted(organization: UUID, name: str, job_id: JobId) -> Answer[None]:
    # Without the host: the published client puts it beneath the address that it knows, and takes no other.
    return Answer(None, 303, {"Location": f"{address.path_of(organization, name, job_id)}/status"})


def _code(status: str) -> int:
    return 200 if status in view.OVER else 202


def _inputs(call: ApiCall, name: str, parameters: Document) -> Document:
    """Return the inputs of a job: the parameters by name, or all of them as the one input that takes them together."""
    interface = interfaces.of_callers(call.rt, call.caller, name)
    taken = set() if interface is None else {one.name for one in interface.inputs}
    return {TOGETHER: parameters} if taken == {TOGETHER} and set(parameters) != taken else parameters


def _keys() -> list[IdempotencyKey]:
    """Return the key under which a client may repeat this request; the published one sends none."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return []
    if not key.isascii() or not key.isprintable() or not 1 <= len(key) <= 128 or " " in key:  # noqa: PLR2004
        raise InvalidInput("the Idempotency-Key is 1 to 128 printable characters", field="Idempotency-Key")
    digest = hashlib.sha256(orjson.dumps([request.path, g.body], option=orjson.OPT_SORT_KEYS)).digest()
    return [IdempotencyKey(key, digest, range(1))]
