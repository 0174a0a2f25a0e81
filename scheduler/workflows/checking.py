"""Checking a definition against the job types of a project, and what is given to a run against what it takes."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import cast

import orjson
from sqlalchemy import Connection

from scheduler.documents import Document, JsonValue
from scheduler.identifiers import ProjectId
from scheduler.jobs.resolve import AD_HOC
from scheduler.rules.job_type import definition as definitions
from scheduler.rules.job_type.interface import Interface
from scheduler.rules.workflow import checking, reading
from scheduler.rules.workflow.definition import WorkflowDefinition, WorkflowStep
from scheduler.rules.workflow.source import DefinitionFaults, DefinitionSource, Place
from scheduler.store.admin import job_types
from scheduler.workflows import parsing
from scheduler.workflows.building import GivenInputs


def checked(
    tx: Connection, project_id: ProjectId, source: DefinitionSource
) -> tuple[WorkflowDefinition, list[str], dict[str, Interface]]:
    """Return the definition with its wiring resolved, its steps with parents first, and the interfaces of their types.

    Raises InvalidInput with all that is wrong.
    """
    definition = reading.read(source)
    faults = DefinitionFaults(source)
    ordered = checking.check_names(definition, faults)
    interfaces = _interfaces(tx, project_id, definition, faults)
    steps = checking.wired(definition, interfaces, faults)
    faults.raise_all()
    return _with_steps(definition, steps), ordered, interfaces


def _with_steps(definition: WorkflowDefinition, steps: Mapping[str, WorkflowStep]) -> WorkflowDefinition:
    return replace(definition, steps=steps)


def _interfaces(
    tx: Connection, project_id: ProjectId, definition: WorkflowDefinition, faults: DefinitionFaults
) -> dict[str, Interface]:
    """Return by step the interface of its type; note types that there are not, or that are archived."""
    named = {
        name: (step.type_name, step.type_version) if step.type_name is not None else AD_HOC
        for name, step in definition.steps.items()
    }
    found = job_types.by_name(tx, project_id, sorted(set(named.values()), key=str))
    documents = job_types.definitions(tx, sorted({one.revision_id for one in found.values()}))
    known = {revision: definitions.read(document).interface for revision, document in documents.items()}
    interfaces: dict[str, Interface] = {}
    for name, asked in named.items():
        one = found.get(asked)
        if one is None:
            faults.note(f"there is no job type {':'.join(filter(None, asked))}", "jobs", name, "type")
        elif not one.is_active:
            faults.note(f"the job type {one.name} {one.version} is archived", "jobs", name, "type")
        else:
            interfaces[name] = known[one.revision_id]
    return interfaces


def given(
    definition: WorkflowDefinition,
    interfaces: Mapping[str, Interface],
    inputs: Mapping[str, JsonValue],
    parameters: Mapping[str, JsonValue],
    assets: Mapping[str, int | list[int]],
    faults: DefinitionFaults,
    borrowed: Collection[str] = (),
) -> GivenInputs:
    """Return what is given to a run by what takes it, and note what nothing takes, and required inputs that have no source.

    Steps that are `borrowed` take nothing any more.
    """
    for name in inputs:
        if name not in definition.inputs:
            faults.note(f"inputs.{name}: the workflow has no such input", "inputs")
    values: dict[str, JsonValue] = {
        name: declared["default"] for name, declared in definition.inputs.items() if "default" in declared
    }
    values |= dict(inputs)
    for name, declared in definition.inputs.items():
        if name not in values and declared.get("required", True):
            faults.note(f"the input {name!r} of the workflow is required", "inputs", name)
    of_steps: dict[str, dict[str, JsonValue]] = {}
    for part, given_values in (("parameters", parameters), ("assets", cast("Mapping[str, JsonValue]", assets))):
        for address, value in given_values.items():
            _address(part, address, value, definition, interfaces, of_steps, faults)
    for name, step in definition.steps.items():
        if name in interfaces and name not in borrowed:
            _check_sources(step, interfaces[name], of_steps.get(name, {}), values, faults)
    return GivenInputs(values, of_steps)


def _address(
    part: str,
    address: str,
    value: JsonValue,
    definition: WorkflowDefinition,
    interfaces: Mapping[str, Interface],
    of_steps: dict[str, dict[str, JsonValue]],
    faults: DefinitionFaults,
) -> None:
    step, point, name = address.partition(".")
    declared = next((one for one in interfaces.get(step, Interface()).inputs if one.name == name), None)
    if not point or step not in definition.steps:
        faults.note(f"{part}.{address}: there is no job {step!r} in the workflow", "jobs")
    elif declared is None or (declared.type == "property") is not (part == "parameters"):
        kind = "parameter" if part == "parameters" else "asset"
        faults.note(f"{part}.{address}: the job {step!r} takes no {kind} {name!r}", "jobs", step)
    else:
        several = declared.type == "files" and not isinstance(value, list)
        of_steps.setdefault(step, {})[name] = [value] if several else value


def _check_sources(
    step: WorkflowStep,
    interface: Interface,
    own: Mapping[str, JsonValue],
    inputs: Mapping[str, JsonValue],
    faults: DefinitionFaults,
) -> None:
    each = {step.for_each.name} if step.for_each is not None else set()
    for one in interface.inputs:
        found = step.inputs.get(one.name)
        has_source = one.name in own or one.name in each or (found is not None and (found.given is None or found.given in inputs))  # fmt: skip
        if one.required and not one.has_default and not has_source:
            faults.note(f"{step.name}: the input {one.name!r} is required, and has no source", "jobs", step.name)


def part_of(field_name: str | None, step: WorkflowStep) -> Place:
    """Return the place within a step that a fault of its job is about, as far as that can be told."""
    head, _, name = (field_name or "").partition(".")
    if head == "inputs" and name in step.inputs:
        return ("assets" if step.inputs[name].is_file else "parameters", name)
    words = {"cpus_required": "cpus", "mem_required": "mem", "disk_out_required": "disk", "job_type": "type"}
    return (words.get(head, head),) if head and head != "inputs" else ()


def stored(text: str) -> DefinitionSource:
    """Return a definition as it is kept, that was checked before: the text that it came as, or a document in the form of `as_text`."""
    if text.startswith("{") and len(text) > parsing.MOST_BYTES // 4:
        with contextlib.suppress(orjson.JSONDecodeError):
            return DefinitionSource(orjson.loads(text))
    return parsing.parse(text)


def as_text(source: DefinitionSource) -> str:
    """Return a definition that came as a document in the form in which it is kept."""
    return orjson.dumps(cast("Document", source.value)).decode()
