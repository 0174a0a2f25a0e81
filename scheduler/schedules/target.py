"""What a schedule makes at each of its times: a job, or a run of a saved workflow."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast

from scheduler.documents import Document, JsonValue
from scheduler.errors import GangerError, InvalidInput, renamed
from scheduler.identity import Caller
from scheduler.jobs import priorities, resolve
from scheduler.jobs.entry_faults import EntryError
from scheduler.jobs.new_job import NewJob
from scheduler.runtime import Runtime
from scheduler.store.jobs.submissions import Project
from scheduler.workflows import running
from scheduler.workflows.running import WorkflowRequest

_NOT_OF_SCHEDULES = ("needs", "wiring", "conditions", "key", "group", "not_before", "awaits", "parent_job_id")


@dataclass(frozen=True, slots=True)
class WorkflowTarget:
    """A saved workflow, as `name` or `name:2`, and what each run of it is given. Without a revision it is the newest at that time."""

    type_name: str
    name: str | None = None
    inputs: Mapping[str, JsonValue] = field(default_factory=dict)
    parameters: Mapping[str, JsonValue] = field(default_factory=dict)
    assets: Mapping[str, int | list[int]] = field(default_factory=dict)
    labels: dict[str, str] | None = None
    priority: int | None = None


Target: TypeAlias = NewJob | WorkflowTarget


def document(target: Target) -> Document:
    """Return the stored form: the fields of a job, or those of a workflow under `workflow`; what is not said is left out."""
    plain = {
        one.name: value
        for one in dataclasses.fields(target)
        if (value := getattr(target, one.name)) != one.default and value not in ({}, None)
    }
    return cast("Document", {"workflow": plain} if isinstance(target, WorkflowTarget) else plain)


def is_workflow(stored: Mapping[str, object]) -> bool:
    """Tell whether a stored document means a workflow."""
    return "workflow" in stored


def read(stored: Mapping[str, object]) -> Target:
    """Return what a stored document says."""
    if (workflow := stored.get("workflow")) is not None:
        return WorkflowTarget(**cast("dict[str, Any]", workflow))
    return NewJob(**cast("dict[str, Any]", stored))


def of_project(target: Target, project: str) -> Target:
    """Return what is made in this project; of a workflow the request says so."""
    return dataclasses.replace(target, project=project) if isinstance(target, NewJob) else target


def request(target: WorkflowTarget, project: str, told: Mapping[str, str] | None = None) -> WorkflowRequest:
    """Return the request for one run; `told` are variables that each of its jobs gets."""
    facts: dict[str, Any] = {one.name: getattr(target, one.name) for one in dataclasses.fields(target)}
    return WorkflowRequest(project=project, told=told or {}, **facts)


def check(rt: Runtime, caller: Caller, project: Project, target: Target) -> None:
    """Raise what a submission would, by the field of a schedule that is at fault. Writes nothing."""
    if isinstance(target, WorkflowTarget):
        _check_workflow(rt, caller, project, target)
        return
    for name in _NOT_OF_SCHEDULES:
        if getattr(target, name, None) is not None:
            raise InvalidInput(f"the job of a schedule has no {name}", field=f"job.{name}")
    priorities.check(rt.settings, caller, target.priority, "job.priority")
    try:
        with rt.db.begin() as tx:
            resolve.tried(tx, rt, project, [target])
    except EntryError as error:
        raise error.named(None) from None


def _check_workflow(rt: Runtime, caller: Caller, project: Project, target: WorkflowTarget) -> None:
    priorities.check(rt.settings, caller, target.priority, "workflow.priority")
    try:
        running.check(rt, caller, request(target, project.name))
    except GangerError as error:
        names = ("type", "definition", "inputs", "parameters", "assets", "labels")
        raise renamed(error, {name: f"workflow.{name}" for name in names}) from None
