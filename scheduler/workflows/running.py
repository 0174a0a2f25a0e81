"""Running a workflow: its definition is checked as a whole, and then all its jobs are made, or none.

    made = running.run(rt, caller, WorkflowRequest(definition=text, parameters={"wait.seconds": "5"}, assets={"mesh.part": 17}))

Everything that is wrong is told at once (InvalidInput, by line and column), and nothing is stored then. Who speaks another
dialect calls this, and reads the run with `scheduler.workflows.lookup` and its jobs with `scheduler.jobs.queries`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from sqlalchemy import Connection

from scheduler.documents import Document, JsonValue
from scheduler.errors import Conflict, Forbidden, InvalidInput
from scheduler.identifiers import JobId, ProjectId
from scheduler.identity import Caller
from scheduler.jobs import priorities, resolve, submit
from scheduler.jobs.new_job import NewJob
from scheduler.lookup import repeats
from scheduler.needs import children
from scheduler.rules.workflow.definition import MOST_JOBS
from scheduler.rules.workflow.source import DefinitionFaults, DefinitionSource
from scheduler.runtime import Runtime
from scheduler.store import large_batches
from scheduler.store.jobs import submissions
from scheduler.store.jobs.submissions import Project
from scheduler.store.workflows import events, workflows
from scheduler.store.workflows.workflows import NewWorkflow
from scheduler.workflows import building, checking, parsing, saved
from scheduler.workflows.building import BorrowedStep
from scheduler.workflows.job_writer import CheckedWorkflow, FaultsByPlace, JobWriter

MOST_LIVE = 1_000
"""Most live workflows of one project."""


@dataclass(frozen=True, slots=True)
class WorkflowRequest:
    """A workflow to run. `definition` is a text (YAML or JSON) or the document itself; or `type_name` says which saved one, as `name` or `name:2`.

    `inputs` are those of the workflow; `parameters` and `assets` those of single steps, by `step.input`: values, and ids of
    files (one, or a list). `key` makes a repeat harmless, `digest` tells whether it is one.
    """

    definition: str | Document = ""
    type_name: str | None = None
    name: str | None = None
    project: str | None = None
    inputs: Mapping[str, JsonValue] = field(default_factory=dict)
    parameters: Mapping[str, JsonValue] = field(default_factory=dict)
    assets: Mapping[str, int | list[int]] = field(default_factory=dict)
    labels: dict[str, str] | None = None
    priority: int | None = None
    held: bool = False
    is_kept: bool = False
    """The definition is a text that was kept; what somebody sends is read within the bounds of texts."""
    key: str | None = None
    digest: bytes = b""
    type_revision_id: int | None = None
    borrowed: Mapping[str, BorrowedStep] = field(default_factory=dict)
    """Steps that an earlier run, `rerun_of`, has done."""
    rerun_of: int | None = None
    parent_job_id: int | None = None
    """The job that runs it: see `scheduler.needs.children`."""
    texts: bool = False
    """Whether properties that steps take of others become what their inputs take, texts or not."""
    mark: str | None = None
    """What is asked for, and by whom, as a digest, where a client may ask again without a key; see `scheduler.lookup.repeats`."""
    told: Mapping[str, str] = field(default_factory=dict)
    """Variables of all its jobs, such as the time of the schedule that it is run for; users cannot set them."""


@dataclass(frozen=True, slots=True)
class ReadyWorkflow:
    """A request that was checked, with what it would run."""

    request: WorkflowRequest
    project: Project
    checked: CheckedWorkflow


def check(rt: Runtime, caller: Caller, request: WorkflowRequest) -> CheckedWorkflow:
    """Return what a request would run; raises InvalidInput with everything that is wrong with it. Writes nothing."""
    project_name = _project(caller, request)
    request = _named(rt, project_name, request)
    project, checked = _checked(rt, project_name, request)
    with rt.db.begin() as tx:
        _try(tx, rt, project, checked)
    return checked


def run(rt: Runtime, caller: Caller, request: WorkflowRequest) -> int:
    """Make a workflow with all its jobs and return its id; a repeat with the same key returns that of the first time.

    Raises InvalidInput, Conflict for a key that was used for another request, or for too many live workflows, OverQuota.
    Up to 10,000 jobs it is one transaction; a larger one is invisible until the last of its transactions.
    """
    if request.key is not None:
        with rt.db.begin() as tx:
            before = _known(tx, submit.project_of(tx, _project(caller, request)).id, request)
        if before is not None:
            return before
    ready = prepare(rt, caller, request)
    writer = JobWriter(rt, caller, ready.project, ready.checked, ready.request.told)
    with rt.db.begin() as tx:
        before = _replayed(tx, ready.project.id, ready.request)
        if before is not None:
            return before
        first = _begin(tx, caller, ready, writer)
        _keep_key(tx, ready.project.id, ready.request, first)
    if writer.is_large:
        writer.rest()
    rt.nudge("tick")
    return writer.workflow_id


def prepare(rt: Runtime, caller: Caller, request: WorkflowRequest) -> ReadyWorkflow:
    """Return a request that was checked as a whole, for `create`. Raises InvalidInput, Forbidden. Writes nothing."""
    project_name = _project(caller, request)
    priorities.check(rt.settings, caller, request.priority, "priority")
    request = _named(rt, project_name, request)
    project, checked = _checked(rt, project_name, request)
    for number, one in enumerate(checked.jobs):
        priorities.check(rt.settings, caller, one.job.priority, f"[{number}].priority")
    return ReadyWorkflow(request, project, checked)


def create(tx: Connection, rt: Runtime, caller: Caller, ready: ReadyWorkflow) -> int:
    """Make a workflow within a transaction that somebody else has begun, however large it is, and return its id.

    Raises InvalidInput, Conflict, OverQuota as `run` does. Nothing is known of keys here.
    """
    writer = JobWriter(rt, caller, ready.project, ready.checked, ready.request.told)
    _begin(tx, caller, ready, writer)
    if writer.is_large:
        with large_batches.of(tx, len(ready.checked.jobs)):
            for numbers in writer.parts():
                writer.write(tx, numbers)
        writer.open_up(tx)
    return writer.workflow_id


def _begin(tx: Connection, caller: Caller, ready: ReadyWorkflow, writer: JobWriter) -> JobId:
    """Write a run with its first jobs, as many as one transaction has; return the id of the first."""
    project, checked = ready.project, ready.checked
    if workflows.live(tx, project.id, MOST_LIVE) >= MOST_LIVE:
        raise Conflict(f"the project has {MOST_LIVE} live workflows, and may not have more")
    submit.check_quota(tx, project, len(checked.jobs))
    new = _new(caller, project, ready.request, checked, is_open=writer.is_large)
    writer.workflow_id = workflows.insert(tx, new)
    events.write(tx, writer.workflow_id, "RUN", caller.name, _why(ready.request))
    with large_batches.of(tx, len(checked.jobs)):
        first = writer.write(tx, writer.first)
    children.of_run(tx, project.id, ready.request.parent_job_id)  # last: the parent's row is locked until the commit
    return first


def _named(rt: Runtime, project_name: str, request: WorkflowRequest) -> WorkflowRequest:
    """Return a request for a saved definition with the text of its revision, which the run keeps. Raises InvalidInput."""
    if request.type_name is None:
        return request
    with rt.db.begin() as tx:
        found = saved.meant(tx, submit.project_of(tx, project_name).id, request.type_name)
    return replace(request, definition=found.definition, is_kept=True, type_revision_id=found.id)


def _why(request: WorkflowRequest) -> str | None:
    if request.rerun_of is not None:
        return f"a rerun of workflow {request.rerun_of}"
    schedule = request.told.get("GANGER_SCHEDULE")
    return None if schedule is None else f"the schedule {schedule}, for {request.told['GANGER_NOMINAL_TIME']}"


def _checked(rt: Runtime, project_name: str, request: WorkflowRequest) -> tuple[Project, CheckedWorkflow]:
    """Return the project, and what a request would run, up to the checks of single jobs.

    The jobs of a large one take seconds to make: no transaction is open meanwhile.
    """
    text = request.definition if isinstance(request.definition, str) else ""
    source = _source(request)
    with rt.db.begin() as tx:
        project = submit.project_of(tx, project_name)
        definition, ordered, interfaces = checking.checked(tx, project.id, source)
    faults = DefinitionFaults(source)
    given = checking.given(
        definition, interfaces, request.inputs, request.parameters, request.assets, faults, request.borrowed
    )
    faults.raise_all()
    jobs = building.build(definition, ordered, interfaces, given, _common(project, request), request.borrowed)
    if request.texts:
        jobs = [replace(one, job=_with_texts(one.job)) for one in jobs]
    if len(jobs) > MOST_JOBS:
        raise InvalidInput(f"a workflow has at most {MOST_JOBS} jobs; this one has {len(jobs)}", field="definition")
    return project, CheckedWorkflow(source, definition, jobs, dict(given.inputs), text)


def _source(request: WorkflowRequest) -> DefinitionSource:
    if not isinstance(request.definition, str):
        return DefinitionSource(request.definition)
    return (checking.stored if request.is_kept else parsing.parse)(request.definition)


def _project(caller: Caller, request: WorkflowRequest) -> str:
    if caller.project is not None and request.project not in {None, caller.project}:
        raise Forbidden("the token is bound to another project", field="project")
    return request.project or caller.project or submit.DEFAULT_PROJECT


def _common(project: Project, request: WorkflowRequest) -> dict[str, Any]:
    """Return the fields that all jobs of a run have in common."""
    facts: dict[str, Any] = {"project": project.name, "labels": request.labels, "priority": request.priority}
    if request.held:
        facts |= {"held": True, "hold_reason": "its workflow is held"}
    return {name: value for name, value in facts.items() if value is not None}


def _with_texts(job: NewJob) -> NewJob:
    if not job.wiring:
        return job
    return replace(job, wiring={name: replace(wire, texts=True) for name, wire in job.wiring.items()})


def _given(request: WorkflowRequest) -> Document:
    """Return what a rerun of the run has to know beside its inputs, and the mark of one that may be asked for again."""
    facts: Document = {
        "parameters": dict(request.parameters),
        "assets": cast("Document", dict(request.assets)),
        "priority": request.priority,
        "borrowed": [*request.borrowed],
        "told": dict(request.told),
        "texts": request.texts or None,
        repeats.MARK: request.mark,
    }
    return {name: value for name, value in facts.items() if value not in (None, {}, [])}


def _new(
    caller: Caller, project: Project, request: WorkflowRequest, checked: CheckedWorkflow, *, is_open: bool
) -> NewWorkflow:
    definition = checked.definition
    outputs: Document = {
        name: {"job": wire.step, **({"output": wire.output} if wire.output else {})}
        for name, wire in definition.outputs.items()
    }
    return NewWorkflow(
        project_id=project.id,
        created_by=caller.token_id,
        name=request.name or definition.name,
        definition=checked.text or checking.as_text(checked.source),
        on_failure=definition.on_failure,
        timeout_s=definition.timeout_s,
        inputs=checked.inputs,
        outputs=outputs,
        labels=request.labels,
        type_revision_id=request.type_revision_id,
        rerun_of=request.rerun_of,
        parent_job_id=request.parent_job_id,
        given=_given(request),
        total=len(checked.jobs),
        is_open=is_open,
    )


def _replayed(tx: Connection, project_id: ProjectId, request: WorkflowRequest) -> int | None:
    """Reserve the key; return the workflow that an earlier request with it made."""
    if request.key is None:
        return None
    kept = submissions.take_keys(tx, project_id, {request.key: request.digest}).get(request.key)
    if kept is None:
        return None
    found = workflows.of_jobs(tx, kept.job_ids)
    if kept.digest != request.digest or not found:
        raise Conflict(f"the idempotency key {request.key!r} was used for another request", field="idempotency_key")
    return found[0]


def _known(tx: Connection, project_id: ProjectId, request: WorkflowRequest) -> int | None:
    """Return the workflow that an earlier request with this key made, before any work is done for this one."""
    kept = submissions.known_keys(tx, project_id, [request.key or ""]).get(request.key or "")
    found = workflows.of_jobs(tx, kept.job_ids) if kept is not None and kept.digest == request.digest else []
    return found[0] if found else None


def _keep_key(tx: Connection, project_id: ProjectId, request: WorkflowRequest, first: JobId) -> None:
    if request.key is not None:
        submissions.fill_keys(tx, project_id, {request.key: [first]})


def _try(tx: Connection, rt: Runtime, project: Project, checked: CheckedWorkflow) -> None:
    """Check the jobs as their submission would; writes nothing."""
    with FaultsByPlace(checked):
        resolve.tried(tx, rt, project, [one.job for one in checked.jobs])
