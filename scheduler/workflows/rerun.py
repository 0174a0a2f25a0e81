"""Rerun: a new run from some steps on. What comes before them is borrowed of the old run, of which nothing changes.

split ─► measure ─► merge          rerun from measure: split is borrowed, measure and merge are new jobs
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from sqlalchemy import Connection

from scheduler.documents import JsonValue
from scheduler.errors import Conflict, InvalidInput
from scheduler.identity import Caller
from scheduler.rules.workflow import reading
from scheduler.rules.workflow.definition import StepWire, WorkflowDefinition, WorkflowStep
from scheduler.rules.workflow.supply import ParentResults
from scheduler.runtime import Runtime
from scheduler.store.jobs import submissions
from scheduler.store.workflows import reruns
from scheduler.store.workflows.reruns import LentJob
from scheduler.store.workflows.workflows import WorkflowRow
from scheduler.workflows import checking, lookup, running, saved
from scheduler.workflows.building import BorrowedStep
from scheduler.workflows.running import WorkflowRequest


@dataclass(frozen=True, slots=True)
class RerunRequest:
    """From which steps on a run is made anew, and what is given to it otherwise than the first time.

    `revision` is that of the run's named definition; without one the run's own text holds.
    """

    steps: Sequence[str]
    inputs: Mapping[str, JsonValue] = field(default_factory=dict)
    parameters: Mapping[str, JsonValue] = field(default_factory=dict)
    assets: Mapping[str, int | list[int]] = field(default_factory=dict)
    revision: int | None = None
    name: str | None = None
    labels: dict[str, str] | None = None
    key: str | None = None
    digest: bytes = b""


def rerun(rt: Runtime, caller: Caller, workflow_id: int, asked: RerunRequest) -> int:
    """Make a new run that borrows what comes before these steps, and return its id. Raises NotFound, InvalidInput.

    Raises Conflict where a step that would be borrowed has not ended well, or something that it made is deleted.
    """
    with rt.db.begin() as tx:
        row = lookup.one(tx, caller, workflow_id)
        text, revision_id = _text(tx, row, asked.revision)
        definition = reading.read(checking.stored(text))
        given = reruns.given(tx, workflow_id)
        wanted = _borrowed(definition, asked)
        borrowed = _lent(tx, row, definition, wanted)
    _refuse_addresses(asked, wanted)
    kept = {name: _kept(given.get(name), wanted) for name in ("parameters", "assets")}
    request = WorkflowRequest(
        definition=text,
        is_kept=True,
        name=asked.name or row.name,
        project=row.project,
        inputs={**_known_inputs(row, definition), **asked.inputs},
        parameters={**kept["parameters"], **asked.parameters},
        assets={**cast("Mapping[str, int | list[int]]", kept["assets"]), **asked.assets},
        labels=row.labels if asked.labels is None else asked.labels,
        priority=cast("int | None", given.get("priority")),
        key=asked.key,
        digest=asked.digest,
        type_revision_id=revision_id,
        borrowed=borrowed,
        rerun_of=workflow_id,
        texts=bool(given.get("texts")),
        told=cast("Mapping[str, str]", given.get("told") or {}),
    )
    return running.run(rt, caller, request)


def _text(tx: Connection, row: WorkflowRow, number: int | None) -> tuple[str, int | None]:
    """Return the definition that holds, and its revision if it has one."""
    if number is None and row.type_name is None:
        return row.definition, None
    if row.type_name is None:
        raise InvalidInput("the run was not made from a named definition, which alone has revisions", field="revision")
    found = saved.meant(tx, row.project_id, f"{row.type_name}:{number or row.type_revision}")
    return found.definition, found.id


def _borrowed(definition: WorkflowDefinition, asked: RerunRequest) -> set[str]:
    """Return the steps that come before those that are named; all others are new, named or not."""
    for name in asked.steps:
        if name not in definition.steps:
            raise InvalidInput(f"there is no job {name!r} in the workflow", field="from")
    below = _closure(asked.steps, {name: _followers(definition, name) for name in definition.steps})
    above = _closure(asked.steps, {name: step.parents() for name, step in definition.steps.items()})
    return above - below


def _followers(definition: WorkflowDefinition, name: str) -> set[str]:
    return {other for other, step in definition.steps.items() if name in step.parents()}


def _closure(start: Collection[str], leads: Mapping[str, set[str]]) -> set[str]:
    found, left = set(start), list(start)
    while left:
        fresh = leads[left.pop()] - found
        found |= fresh
        left += fresh
    return found


def _lent(
    tx: Connection, row: WorkflowRow, definition: WorkflowDefinition, wanted: set[str]
) -> dict[str, BorrowedStep]:
    """Return the jobs that stand for these steps. Raises Conflict for one that cannot be borrowed."""
    by_step: dict[str, list[LentJob]] = {name: [] for name in sorted(wanted)}
    for job in reruns.steps(tx, row.id, wanted):
        by_step[job.step].append(job)
    found = {name: _step(row, definition.steps[name], jobs) for name, jobs in by_step.items()}
    _check_files(tx, row, definition, by_step)
    return found


def _step(row: WorkflowRow, step: WorkflowStep, jobs: Sequence[LentJob]) -> BorrowedStep:
    each = step.for_each
    if not jobs:
        if each is not None and each.wire is None and not each.values:
            return BorrowedStep()
        raise Conflict(f"workflow {row.id} has no job {step.name!r}, which the new run would borrow: name it in from")
    for job in jobs:
        if job.status not in {"COMPLETED", "FAILED", "CANCELED"}:
            raise Conflict(
                f"{step.name} of workflow {row.id} is {job.status}: only what has ended can be borrowed; name it in from, or restart"
            )
    bad = [job for job in jobs if job.status != "COMPLETED" and not job.is_skipped and not job.allow_failure]
    tolerated = 0 if each is None else max(each.tolerate, int(len(jobs) * each.tolerate_percent / 100))
    if len(bad) > tolerated:
        raise Conflict(
            f"{step.name} of workflow {row.id} is {bad[0].status}: name it in from, or restart the workflow instead"
        )
    if jobs[0].is_member:
        return BorrowedStep(group=jobs[-1].group_id)
    return BorrowedStep(job=jobs[0].job_id)


def _check_files(
    tx: Connection, row: WorkflowRow, definition: WorkflowDefinition, by_step: Mapping[str, Sequence[LentJob]]
) -> None:
    """Raise Conflict where a file is deleted that a new job takes of a borrowed one."""
    wires = {
        (wire.step, wire.output)
        for name, step in definition.steps.items()
        if name not in by_step
        for wire in _wires(step)
        if wire.step in by_step
    }
    made = reruns.results(tx, [job.job_id for name, _ in wires for job in by_step[name]])
    files: dict[int, str] = {}
    for name, output in wires:
        for job in by_step[name]:
            entries = (made.get(job.job_id) or {}).get("output_data", ())
            outputs = [output] if output is not None else [str(entry["name"]) for entry in entries]
            for one in outputs:
                files |= dict.fromkeys(ParentResults(made.get(job.job_id)).files(one), name)
    gone = sorted(files.keys() - submissions.files(tx, row.project_id, sorted(files)).keys()) if files else []
    if gone:
        raise Conflict(f"file {gone[0]}, which {files[gone[0]]} made, is deleted: name {files[gone[0]]} in from")


def _wires(step: WorkflowStep) -> list[StepWire]:
    found = [wire for one in step.inputs.values() for wire in one.wires]
    return found + ([step.for_each.wire] if step.for_each is not None and step.for_each.wire is not None else [])


def _refuse_addresses(asked: RerunRequest, borrowed: Collection[str]) -> None:
    for part in ("parameters", "assets"):
        for address in getattr(asked, part):
            name = address.partition(".")[0]
            if name in borrowed:
                raise InvalidInput(
                    f"{name} is borrowed, and takes nothing new; name it in from", field=f"{part}.{address}"
                )


def _kept(given: object, borrowed: Collection[str]) -> dict[str, JsonValue]:
    """Return what the first run was given for steps that are new now."""
    kept = cast("Mapping[str, JsonValue]", given or {})
    return {address: value for address, value in kept.items() if address.partition(".")[0] not in borrowed}


def _known_inputs(row: WorkflowRow, definition: WorkflowDefinition) -> Mapping[str, JsonValue]:
    """Return the inputs of the first run, without those that another revision no longer has."""
    return {name: value for name, value in row.inputs.items() if name in definition.inputs}
