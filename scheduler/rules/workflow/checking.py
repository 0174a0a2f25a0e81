"""Whether a definition can run: names, cycles, and its wiring against the interfaces of the job types that it uses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from scheduler.rules.job_type.interface import DeclaredInput, DeclaredOutput, Interface
from scheduler.rules.workflow.definition import (
    StepInput,
    StepWire,
    WorkflowDefinition,
    WorkflowStep,
    in_order,
)
from scheduler.rules.workflow.source import DefinitionFaults, Place

_FILES = {"file", "files"}


def check_names(definition: WorkflowDefinition, faults: DefinitionFaults) -> list[str]:
    """Note names of steps and inputs that there are not, and a cycle; return the steps, parents first."""
    steps = definition.steps
    for step in steps.values():
        _check_step(step, definition, faults)
        _check_finally(definition, step, faults)
        if "needs_within_s" in step.job and not step.parents() and not step.is_finally:
            faults.note("needs_within is for a job that needs others", "jobs", step.name, "needs_within")
    growing = [one for one in steps.values() if one.for_each is not None and one.for_each.wire is not None]
    if definition.max_running is not None and growing:
        faults.note(f"how many jobs {growing[0].name!r} is shows only later: give its for_each a max_running instead", "limits", "max_running")  # fmt: skip
    for name, wire in definition.outputs.items():
        _known(wire.step, steps, faults, ("outputs", name))
    ordered, cycle = in_order(steps)
    if cycle:
        faults.note(f"jobs need each other in a circle: {' -> '.join(cycle)}", "jobs", cycle[0])
    return ordered


def _check_step(step: WorkflowStep, definition: WorkflowDefinition, faults: DefinitionFaults) -> None:
    steps, at = definition.steps, ("jobs", step.name)
    for number, need in enumerate(step.needs):
        other = steps.get(need.step)
        if (
            need.tolerate_percent
            and other is not None
            and other.for_each is not None
            and other.for_each.wire is not None
        ):
            faults.note(f"how many jobs {need.step!r} is shows only later: say how many of a hundred there, as tolerate of its for_each", *at, "needs", number)  # fmt: skip
        _known(need.step, steps, faults, (*at, "needs", number))
    for name, one in step.inputs.items():
        place = (*at, "assets" if one.is_file else "parameters", name)
        for number, wire in enumerate(one.wires):
            _known(wire.step, steps, faults, (*place, number) if len(one.wires) > 1 else place)
        if one.given is not None and one.given not in definition.inputs:
            faults.note(f"the workflow has no input {one.given!r}", *place)
    for number, condition in enumerate(step.conditions):
        if condition.step is not None:
            _known(condition.step, steps, faults, (*at, "if", number))
        elif condition.name not in definition.inputs:
            faults.note(f"the workflow has no input {condition.name!r}", *at, "if", number)
    if step.for_each is not None and step.for_each.wire is not None:
        _known(step.for_each.wire.step, steps, faults, (*at, "for_each"))


def _known(name: str, steps: Mapping[str, WorkflowStep], faults: DefinitionFaults, place: Place) -> None:
    if name not in steps:
        faults.note(f"there is no job {name!r} in the workflow", *place)


def _check_finally(definition: WorkflowDefinition, step: WorkflowStep, faults: DefinitionFaults) -> None:
    for parent in sorted(step.parents()):
        other = definition.steps.get(parent)
        if other is not None and other.is_finally and not step.is_finally:
            faults.note(f"{parent!r} runs finally, after this one: it cannot be needed here", "jobs", step.name)


def wired(
    definition: WorkflowDefinition, interfaces: Mapping[str, Interface], faults: DefinitionFaults
) -> dict[str, WorkflowStep]:
    """Return the steps with every output named, and note what does not fit; `interfaces` are those of the steps' types, by step."""
    return {
        name: _wired(step, definition, interfaces, faults) if name in interfaces else step
        for name, step in definition.steps.items()
    }


def _wired(
    step: WorkflowStep, definition: WorkflowDefinition, interfaces: Mapping[str, Interface], faults: DefinitionFaults
) -> WorkflowStep:
    declared = {one.name: one for one in interfaces[step.name].inputs}
    inputs: dict[str, StepInput] = {}
    for name, given in step.inputs.items():
        at: Place = ("jobs", step.name, "assets" if given.is_file else "parameters", name)
        one = declared.get(name)
        if one is None:
            faults.note(_no_input(step, name, declared), *at)
        else:
            inputs[name] = _checked(given, one, definition, interfaces, faults, at)
    each = step.for_each
    if each is not None and each.wire is not None:
        _check_each(step, each.wire, definition, interfaces, faults)
    for number, condition in enumerate(step.conditions):
        if condition.step is not None and condition.step in interfaces:
            found = _output(interfaces[condition.step], condition.name)
            if found is None or found.type != "property":
                faults.note(f"{condition.step!r} has no parameter {condition.name!r}", "jobs", step.name, "if", number)
    return replace(step, inputs=inputs)


def _no_input(step: WorkflowStep, name: str, declared: Mapping[str, DeclaredInput]) -> str:
    there = f"; it has {', '.join(declared)}" if declared else ": it takes none"
    return f"the type {step.type_name or 'command'} has no input {name!r}{there}"


def _checked(
    given: StepInput,
    declared: DeclaredInput,
    definition: WorkflowDefinition,
    interfaces: Mapping[str, Interface],
    faults: DefinitionFaults,
    at: Place,
) -> StepInput:
    is_file = declared.type in _FILES
    if given.is_file is not is_file:
        faults.note(
            f"{declared.name!r} takes {'files: it belongs to assets' if is_file else 'a value: it belongs to parameters'}",
            *at,
        )
        return given
    if len(given.wires) > 1 and declared.type != "files":
        faults.note(f"{declared.name!r} takes one {declared.type}, and is given {len(given.wires)}", *at)
    wires = [_resolved(wire, declared, definition, interfaces, faults, at) for wire in given.wires]
    return replace(given, wires=tuple(wires))


def _resolved(
    wire: StepWire,
    declared: DeclaredInput,
    definition: WorkflowDefinition,
    interfaces: Mapping[str, Interface],
    faults: DefinitionFaults,
    at: Place,
) -> StepWire:
    """Return the wire with its output named; note where there is none, or one that does not fit."""
    interface = interfaces.get(wire.step)
    if interface is None:
        return wire
    wanted = _FILES if declared.type in _FILES else {"property"}
    kind = "asset" if declared.type in _FILES else "parameter"
    fitting = [one for one in interface.outputs if one.type in wanted]
    if wire.output is not None:
        found = _output(interface, wire.output)
    else:
        found = _output(interface, declared.name) or (fitting[0] if len(fitting) == 1 else None)
    if found is None:
        named = (
            f"no {kind} {wire.output!r}"
            if wire.output is not None
            else f"no {kind} {declared.name!r}, and not just one"
        )
        faults.note(f"{wire.step!r} has {named}; it has {', '.join(one.name for one in fitting) or 'none'}", *at)
        return wire
    if found.type not in wanted:
        faults.note(
            f"{found.name!r} of {wire.step!r} is a {found.type}, and {declared.name!r} takes {_takes(declared)}", *at
        )
    several = found.type == "files" or definition.steps[wire.step].for_each is not None
    if several and declared.type == "file":
        faults.note(f"{found.name!r} of {wire.step!r} is several files, and {declared.name!r} takes one", *at)
    if declared.type in _FILES and found.media_type and declared.media_types and not _media(declared, found.media_type):
        faults.note(f"{found.name!r} of {wire.step!r} is {found.media_type}, and {declared.name!r} takes {', '.join(declared.media_types)}", *at)  # fmt: skip
    return StepWire(wire.step, found.name)


def _takes(declared: DeclaredInput) -> str:
    return "a value" if declared.type == "property" else "one file" if declared.type == "file" else "files"


def _media(declared: DeclaredInput, media_type: str) -> bool:
    return media_type.split(";", maxsplit=1)[0].strip().lower() in {one.lower() for one in declared.media_types}


def _output(interface: Interface, name: str) -> DeclaredOutput | None:
    return next((one for one in interface.outputs if one.name == name), None)


def _check_each(
    step: WorkflowStep,
    wire: StepWire,
    definition: WorkflowDefinition,
    interfaces: Mapping[str, Interface],
    faults: DefinitionFaults,
) -> None:
    interface = interfaces.get(wire.step)
    if interface is None or wire.output is None or step.for_each is None:
        return
    at = ("jobs", step.name, "for_each")
    found = _output(interface, wire.output)
    if found is None:
        faults.note(f"{wire.step!r} has no output {wire.output!r}", *at)
        return
    over_files = definition.steps[wire.step].for_each is not None or found.type == "files"
    if step.for_each.is_file and not (found.type in _FILES and over_files):
        faults.note(f"for_each goes over files, and {wire.output!r} of {wire.step!r} is a {found.type}", *at)
    kind = (found.schema or {}).get("type")
    if not step.for_each.is_file and (found.type != "property" or (kind is not None and kind != "array" and "array" not in str(kind))):  # fmt: skip
        faults.note(f"for_each goes over a list, and {wire.output!r} of {wire.step!r} is none", *at)
