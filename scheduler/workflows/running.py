"""Running a workflow: its definition is checked as a whole, and then all its jobs are made, or none.

    made = running.run(rt, caller, WorkflowRequest(definition=text, parameters={"wait.seconds": "5"}, assets={"mesh.part": 17}))

Everything that is wrong is told at once (InvalidInput, by line and column), and nothing is stored then. Who speaks another
dialect calls this, and reads the run with `scheduler.workflows.lookup` and its jobs with `scheduler.jobs.queries`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from sqlalchemy import Connection

from scheduler.documents import Document, JsonValue
from scheduler.errors import Conflict, Forbidden, GangerError, InvalidInput
from scheduler.identifiers import JobId, ProjectId
from scheduler.identity import Caller
from scheduler.jobs import priorities, resolve, submit
from scheduler.jobs.entry_faults import EntryError
from scheduler.needs import batch, writing
from scheduler.needs.batch import BatchNeeds
from scheduler.rules.lifecycle.moves import JobStatus
from scheduler.rules.workflow.definition import MOST_JOBS, WorkflowDefinition
from scheduler.rules.workflow.source import DefinitionFaults, DefinitionSource
from scheduler.runtime import Runtime
from scheduler.store import large_batches
from scheduler.store.jobs import submissions
from scheduler.store.jobs.submissions import GroupedJob, Project
from scheduler.store.needs import changes
from scheduler.store.workflows import events, workflows
from scheduler.store.workflows.workflows import NewWorkflow
from scheduler.workflows import building, checking, saved
from scheduler.workflows.building import BorrowedStep, StepJob

MOST_LIVE = 1_000
"""Most live workflows of one project."""

_PART = 10_000
"""Jobs of one transaction. A larger workflow is written in several, and nobody sees it before the last."""


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
    key: str | None = None
    digest: bytes = b""
    type_revision_id: int | None = None
    borrowed: Mapping[str, BorrowedStep] = field(default_factory=dict)
    """Steps that an earlier run, `rerun_of`, has done."""
    rerun_of: int | None = None


@dataclass(frozen=True, slots=True)
class CheckedWorkflow:
    """A definition that can run: its jobs, parents first, and where each value was written."""

    source: DefinitionSource
    definition: WorkflowDefinition
    jobs: Sequence[StepJob]
    inputs: Document
    text: str


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
    project_name = _project(caller, request)
    priorities.check(rt.settings, caller, request.priority, "priority")
    if request.key is not None:
        with rt.db.begin() as tx:
            before = _known(tx, submit.project_of(tx, project_name).id, request)
        if before is not None:
            return before
    request = _named(rt, project_name, request)
    project, checked = _checked(rt, project_name, request)
    writer = _JobWriter(rt, caller, project, checked)
    with rt.db.begin() as tx:
        before = _replayed(tx, project.id, request)
        if before is not None:
            return before
        for number, one in enumerate(checked.jobs):
            priorities.check(rt.settings, caller, one.job.priority, f"[{number}].priority")
        if workflows.live(tx, project.id, MOST_LIVE) >= MOST_LIVE:
            raise Conflict(f"the project has {MOST_LIVE} live workflows, and may not have more")
        submit.check_quota(tx, project, len(checked.jobs))
        large = len(checked.jobs) > _PART
        new = _new(caller, project, request, checked, is_open=large)
        workflow_id = writer.workflow_id = workflows.insert(tx, new)
        events.write(tx, workflow_id, "RUN", caller.name, _why(request))
        with large_batches.of(tx, len(checked.jobs)):
            first = writer.write(tx, range(min(_PART, len(checked.jobs))))
        _keep_key(tx, project.id, request, first)
    if large:
        writer.rest()
    rt.nudge("tick")
    return workflow_id


def _named(rt: Runtime, project_name: str, request: WorkflowRequest) -> WorkflowRequest:
    """Return a request for a saved definition with the text of its revision, which the run keeps. Raises InvalidInput."""
    if request.type_name is None:
        return request
    with rt.db.begin() as tx:
        found = saved.meant(tx, submit.project_of(tx, project_name).id, request.type_name)
    return replace(request, definition=found.definition, type_revision_id=found.id)


def _why(request: WorkflowRequest) -> str | None:
    return None if request.rerun_of is None else f"a rerun of workflow {request.rerun_of}"


def _checked(rt: Runtime, project_name: str, request: WorkflowRequest) -> tuple[Project, CheckedWorkflow]:
    """Return the project, and what a request would run, up to the checks of single jobs.

    The jobs of a large one take seconds to make: no transaction is open meanwhile.
    """
    text = request.definition if isinstance(request.definition, str) else ""
    source = checking.stored(text) if isinstance(request.definition, str) else DefinitionSource(request.definition)
    with rt.db.begin() as tx:
        project = submit.project_of(tx, project_name)
        definition, ordered, interfaces = checking.checked(tx, project.id, source)
    faults = DefinitionFaults(source)
    given = checking.given(
        definition, interfaces, request.inputs, request.parameters, request.assets, faults, request.borrowed
    )
    faults.raise_all()
    jobs = building.build(definition, ordered, interfaces, given, _common(project, request), request.borrowed)
    if len(jobs) > MOST_JOBS:
        raise InvalidInput(f"a workflow has at most {MOST_JOBS} jobs; this one has {len(jobs)}", field="definition")
    return project, CheckedWorkflow(source, definition, jobs, dict(given.inputs), text)


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


def _given(request: WorkflowRequest) -> Document:
    """Return what a rerun of the run has to know beside its inputs."""
    facts: Document = {
        "parameters": dict(request.parameters),
        "assets": cast("Document", dict(request.assets)),
        "priority": request.priority,
        "borrowed": [*request.borrowed],
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
    with _told_by_place(checked):
        resolve.tried(tx, rt, project, [one.job for one in checked.jobs])


class _told_by_place:  # noqa: N801 - used as a function in a with statement
    """Turns faults of single jobs into faults of the definition, by the places where they were written."""

    def __init__(self, checked: CheckedWorkflow, first: int = 0) -> None:
        self._checked, self._first = checked, first

    def __enter__(self) -> None:
        return

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, EntryError):
            raise self._named(error) from None

    def _named(self, error: EntryError) -> GangerError:
        faults = DefinitionFaults(self._checked.source)
        told: set[tuple[str, str]] = set()
        for number, one in sorted(error.errors.items()):
            step = self._checked.jobs[self._first + number].step
            for fault in one.faults:
                if (step, fault.sentence) not in told:
                    told.add((step, fault.sentence))
                    faults.note(f"{step}: {fault.sentence}", "jobs", step, *checking.part_of(fault.field, self._checked.definition.steps[step]))  # fmt: skip
        try:
            faults.raise_all()
        except GangerError as found:
            return found
        return next(iter(error.errors.values()))


class _JobWriter:
    """Writes the jobs of one workflow, part by part."""

    def __init__(self, rt: Runtime, caller: Caller, project: Project, checked: CheckedWorkflow) -> None:
        self._rt, self._caller, self._project, self._checked = rt, caller, project, checked
        self.workflow_id = 0
        self._is_large = len(checked.jobs) > _PART
        self._needs: BatchNeeds = batch.read([one.job for one in checked.jobs])
        self._ids: dict[int, JobId] = {}
        self._groups: dict[str, int] = {}

    def write(self, tx: Connection, numbers: range) -> JobId:
        """Write these jobs; return the id of the first."""
        jobs = self._checked.jobs
        with _told_by_place(self._checked, numbers.start):
            prepared = resolve.prepare(tx, self._rt, self._project, [jobs[n].job for n in numbers])
        if self._needs.faults:
            raise next(iter(self._needs.faults.values())).together()
        groups = prepared.groups
        if self._is_large:  # nothing starts before all of it is there
            groups = [replace(group, status=JobStatus.PENDING) for group in groups]
        # A workflow wants to know of each end, for it may be its own.
        rows = [
            GroupedJob(row.group, row.name, row.data, row.environment, row.labels, self._needs.levels.get(n, 1))
            for n, row in zip(numbers, prepared.rows, strict=True)
        ]
        caller = self._caller
        taken = submissions.take_ids(tx, [self._kept(n) for n in numbers])
        for n, own in zip(numbers, taken, strict=True):
            expansion = self._needs.plans.get(n, {}).get("expansion")
            if isinstance(expansion, dict):
                expansion["ids"] = _ranges(own[1:])
        ids = submissions.insert(
            tx,
            self._project.id,
            groups,
            rows,
            caller.token_id,
            caller.name,
            workflow_id=self.workflow_id,
            ids=[own[0] for own in taken],
        )
        self._ids.update(zip(numbers, ids, strict=True))
        faults = writing.write(tx, self._project.id, self._needs, self._ids, numbers, self._groups)
        if faults:
            raise next(iter(faults.values())).together()
        members = [
            (self._ids[n], jobs[n].step, jobs[n].member, jobs[n].allow_failure, jobs[n].is_finally) for n in numbers
        ]
        workflows.insert_jobs(tx, self.workflow_id, members)
        return ids[0]

    def _kept(self, number: int) -> int:
        """Return how many ids a job takes: one, or as many as it may become jobs."""
        expansion = self._checked.jobs[number].job.expansion
        return 1 if expansion is None else int(str(expansion["limit"]))

    def rest(self) -> None:
        """Write what the first transaction has left, and let the workflow be seen."""
        for numbers in self._parts():
            with self._rt.db.begin() as tx, large_batches.of(tx, len(numbers)):
                self.write(tx, numbers)
        with self._rt.db.begin() as tx:
            roots = [self._ids[n] for n in range(len(self._checked.jobs)) if n not in self._needs.needs]
            changes.tell(tx, roots)
            workflows.open_up(tx, self.workflow_id)

    def _parts(self) -> Iterator[range]:
        total = len(self._checked.jobs)
        for start in range(_PART, total, _PART):
            yield range(start, min(start + _PART, total))


def _ranges(ids: Sequence[JobId]) -> list[list[int]]:
    """Return ascending ids as ranges, first and last."""
    ranges: list[list[int]] = []
    for one in ids:
        if ranges and ranges[-1][1] == one - 1:
            ranges[-1][1] = one
        else:
            ranges.append([one, one])
    return ranges
