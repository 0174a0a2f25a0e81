"""Workflows: definitions in YAML whose jobs get files by their names and parameters as texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flask import Response

from api.dialects import repeated
from api.dialects.metafold import dates, new_job, replies, search, values, view
from api.dialects.metafold.ids import number
from api.dialects.metafold.schema import MetafoldQuery, MetafoldWorkflow, MetafoldWorkflowBody
from api.http.answers import Answer
from api.http.links import public
from api.http.routing import ApiCall, Routes
from scheduler.documents import JsonValue
from scheduler.errors import FaultList, InvalidInput
from scheduler.identity import Role
from scheduler.jobs.submit import IdempotencyKey
from scheduler.lookup import repeats
from scheduler.retention import deletions
from scheduler.rules.job_type.interface import Interface
from scheduler.runtime import Runtime
from scheduler.search import files, interfaces, projects, workflows
from scheduler.store.admin.project_summaries import ProjectSummary
from scheduler.store.workflows.summaries import TABLE, WorkflowSummary
from scheduler.workflows import parsing, running, verbs
from scheduler.workflows.running import WorkflowRequest

routes = Routes("metafold workflows")


def body_limit(rt: Runtime) -> int:
    """Return the most bytes of a workflow with all that its jobs are given."""
    return rt.settings.max_jobs_body


@routes.get("/projects/<project>/workflows", role=Role.VIEWER, any_query=True)
def list_workflows(call: ApiCall, project: str, query: MetafoldQuery) -> Response:
    """Every workflow of a project."""
    row = projects.one(call.rt, call.caller, project)
    terms = search.conditions(query.q, TABLE.texts, {"state": view.WORKFLOW_STATES})
    order, date = search.order(query.sort, TABLE.orders), dates.form()
    return replies.every(view.workflow(one, date) for one in workflows.find(call.rt, row.id, terms, order))


@routes.post("/projects/<project>/workflows", role=Role.SUBMITTER, body_limit=body_limit)
def run_workflow(call: ApiCall, project: str, body: MetafoldWorkflowBody) -> Answer[MetafoldWorkflow]:
    """Make a workflow with all its jobs, or nothing; the link of the answer tells when it has ended."""
    row = projects.one(call.rt, call.caller, project)
    keys, digest = new_job.keys(), repeated.digest(call)
    made = None if digest is None else repeats.earlier_run(call.rt, row.id, digest)
    if made is None:
        made = running.run(call.rt, call.caller, _request(call, row, body, keys, digest))
        repeated.note(call, digest, run_id=made)
    link = public.url(f"/projects/{row.id}/workflows/{made}/status")
    linked: MetafoldWorkflow = {**view.workflow(workflows.one(call.rt, row.id, made), dates.form()), "link": link}
    return replies.one(linked, 202)


@routes.get("/projects/<project>/workflows/<workflow>", role=Role.VIEWER, any_query=True)
def show_workflow(call: ApiCall, project: str, workflow: str) -> Answer[MetafoldWorkflow]:
    """One workflow."""
    row = _one(call, project, workflow)
    repeats.asked_for(call.rt, run_id=row.id)
    return replies.one(view.workflow(row, dates.form()))


@routes.get("/projects/<project>/workflows/<workflow>/status", role=Role.VIEWER, any_query=True)
def follow_workflow(call: ApiCall, project: str, workflow: str) -> Answer[MetafoldWorkflow]:
    """One workflow: 202 until it has ended, then 201, whichever way it ended."""
    shown = show_workflow(call, project, workflow).body
    return replies.one(shown, 201 if shown["state"] in view.ENDED else 202)


@routes.post("/projects/<project>/workflows/<workflow>/cancel", role=Role.SUBMITTER, any_query=True)
def cancel_workflow(call: ApiCall, project: str, workflow: str) -> Answer[MetafoldWorkflow]:
    """Cancel a workflow; it may be said again. 409 for one that has ended otherwise."""
    row = _one(call, project, workflow)
    if row.state != "CANCELED":
        verbs.cancel(call.rt, call.caller, row.id)
    return show_workflow(call, project, workflow)


@routes.delete("/projects/<project>/workflows/<workflow>", role=Role.SUBMITTER, any_query=True)
def delete_workflow(call: ApiCall, project: str, workflow: str) -> Answer[None]:
    """Delete a workflow with its jobs; what runs is stopped first. Files that they made stay."""
    row = _one(call, project, workflow)
    deletions.delete_workflow(call.rt, row.project_id, row.id, actor=call.caller.name)
    return Answer(None, 204)


def _request(
    call: ApiCall,
    row: ProjectSummary,
    body: MetafoldWorkflowBody,
    keys: Sequence[IdempotencyKey],
    digest: str | None,
) -> WorkflowRequest:
    return WorkflowRequest(
        definition=body.definition,
        project=row.name,
        parameters=_parameters(call.rt, row, body),
        assets=_assets(call.rt, row, body),
        texts=True,
        mark=digest,
        key=keys[0].key if keys else None,
        digest=keys[0].digest if keys else b"",
    )


def _one(call: ApiCall, project: str, workflow: str) -> WorkflowSummary:
    row = projects.one(call.rt, call.caller, project)
    return workflows.one(call.rt, row.id, number(workflow, "workflow"))


def _parameters(rt: Runtime, project: ProjectSummary, body: MetafoldWorkflowBody) -> dict[str, JsonValue]:
    """Return what is given for properties as these take it; what nothing takes stays a text, and is told when it is checked."""
    definition = parsing.parse(body.definition).value
    literals = _texts(definition)
    if not body.parameters and not literals:
        return {}
    kinds = {name: one["type"] for name, one in _jobs(definition).items() if isinstance(one.get("type"), str)}
    known: dict[str, Interface | None] = {
        kind: interfaces.of_type(rt, project.id, kind) for kind in set(map(str, kinds.values()))
    }
    found: dict[str, JsonValue] = {}
    for address, given in {**literals, **(body.parameters or {})}.items():
        step, _, name = address.partition(".")
        interface = known.get(str(kinds.get(step, "")))
        declared = next((one for one in (interface.inputs if interface else ()) if one.name == name), None)
        meant = given if declared is None else values.value_for(declared, given)
        if address not in literals or meant != given:
            found[address] = meant
    return found


def _texts(definition: JsonValue) -> dict[str, JsonValue]:
    """Return the texts that stand in a definition as values of parameters, each as `job.name`."""
    return {
        f"{job}.{name}": value
        for job, one in _jobs(definition).items()
        if isinstance(given := one.get("parameters"), dict)
        for name, value in given.items()
        if isinstance(value, str)
    }


def _jobs(definition: JsonValue) -> Mapping[str, Mapping[str, JsonValue]]:
    """Return the jobs of a definition that may be anything."""
    jobs = definition.get("jobs") if isinstance(definition, dict) else None
    return {name: one for name, one in (jobs if isinstance(jobs, dict) else {}).items() if isinstance(one, dict)}


def _assets(rt: Runtime, project: ProjectSummary, body: MetafoldWorkflowBody) -> dict[str, int | list[int]]:
    """Return the files that are meant by their names. Raises InvalidInput for names that the project has no file of."""
    given = body.assets or {}
    known = files.newest(rt, project.id, sorted(set(given.values())))
    faults = FaultList()
    for address, name in given.items():
        if name not in known:
            faults.add(InvalidInput(f"the project has no asset {name!r}", field=f"assets.{address}"))
    faults.raise_all()
    return {address: known[name] for address, name in given.items()}
