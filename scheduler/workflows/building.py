"""From a checked definition to the jobs that it means, parents first, each with its needs, its inputs and its conditions."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import orjson

from scheduler.documents import Document, JsonValue
from scheduler.identifiers import JobId
from scheduler.jobs.new_job import NewJob
from scheduler.needs.new_needs import NewNeed, NewWire
from scheduler.rules.job_type.interface import DeclaredInput, Interface
from scheduler.rules.lifecycle.needs import NeedKind
from scheduler.rules.workflow import supply
from scheduler.rules.workflow.definition import StepInput, StepValues, StepWire, WorkflowDefinition, WorkflowStep


@dataclass(frozen=True, slots=True)
class StepJob:
    """One job of a workflow: its step, and its number among the jobs of a step that is several."""

    step: str
    member: int | None
    job: NewJob
    allow_failure: bool = False
    is_finally: bool = False


@dataclass(frozen=True, slots=True)
class GivenInputs:
    """What is given to a run: inputs of the workflow by name, and inputs of single steps by `step.input`."""

    inputs: Mapping[str, JsonValue] = field(default_factory=dict)
    of_steps: Mapping[str, Mapping[str, JsonValue]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BorrowedStep:
    """A step that an earlier run has done: its job, or the group of its jobs; neither where it was for no value at all."""

    job: JobId | None = None
    group: int | None = None


@dataclass(slots=True)
class _Needs:
    """The needs of one job as they are gathered: what implies the same need shares it."""

    sizes: Mapping[str, int | None]
    steps: Mapping[str, WorkflowStep]
    borrowed: Mapping[str, BorrowedStep] = field(default_factory=dict)
    found: list[NewNeed] = field(default_factory=list)
    places: dict[str, int] = field(default_factory=dict)
    plain: dict[str, NewNeed] = field(default_factory=dict)
    """The needs that say nothing but the step; those of many jobs are the same."""

    def add(self, step: str, need: NewNeed | None = None, *, wires: bool = False) -> int | None:
        """Return the place of the need for a step; None where the step is no job at all."""
        if self.sizes[step] == 0:
            return None
        place = self.places.get(step)
        if place is None:
            place = self.places[step] = len(self.found)
            known = self.plain.get(step) if need is None else None
            if known is not None:
                self.found.append(known)
                return self._wired(place) if wires else place
            several = self.sizes[step] is not None
            base = need or NewNeed()
            each = self.steps[step].for_each
            if each is not None and base.after is NeedKind.OK and not (base.tolerate or base.tolerate_percent):
                base = dataclasses.replace(base, tolerate=each.tolerate, tolerate_percent=each.tolerate_percent)
            target: dict[str, Any] = {"group": step} if several else {"job": f"={step}"}
            if (lent := self.borrowed.get(step)) is not None:
                target = {"group": lent.group} if several else {"job": lent.job}
            made = dataclasses.replace(base, **target)
            if need is None:
                self.plain[step] = made
            self.found.append(made)
        return self._wired(place) if wires else place

    def _wired(self, place: int) -> int:
        if not self.found[place].wires:
            self.found[place] = dataclasses.replace(self.found[place], wires=True)
        return place


def build(
    definition: WorkflowDefinition,
    ordered: Sequence[str],
    interfaces: Mapping[str, Interface],
    given: GivenInputs,
    common: Mapping[str, Any],
    borrowed: Mapping[str, BorrowedStep] | None = None,
) -> list[StepJob]:
    """Return the jobs, parents first; `common` are fields of every job, such as its project. What was given has been checked.

    Of the steps that are `borrowed` no job is made: what needs them needs what an earlier run has made.
    """
    borrowed = borrowed or {}
    sizes: dict[str, int | None] = {}
    plain: dict[str, NewNeed] = {}
    found: list[StepJob] = []
    others = [name for name, step in definition.steps.items() if not step.is_finally and name not in borrowed]
    last = [name for name in ordered if definition.steps[name].is_finally]
    for name in [*(one for one in ordered if one not in set(last)), *last]:
        step = definition.steps[name]
        if (lent := borrowed.get(name)) is not None:
            sizes[name] = None if lent.job is not None else 0 if lent.group is None else 1
            continue
        sizes[name] = _size(step)
        if sizes[name] == 0 and step.for_each is not None and step.for_each.skip_empty:
            sizes[name] = None
        gathered = _Needs(sizes, definition.steps, borrowed, plain=plain)
        own = _needs(step, gathered, others if step.is_finally else ())
        made = _jobs(step, sizes[name], own, definition, interfaces.get(name, Interface()), given, common)
        found += [StepJob(name, member, job, step.allow_failure, step.is_finally) for member, job in made]
    return found if definition.max_running is None else _windowed(found, definition.max_running)


def _windowed(jobs: Sequence[StepJob], most: int) -> list[StepJob]:
    """Return jobs of which at most so many run at once: each waits for the one that is so many places before it, however that ends."""
    return [
        one
        if number < most or one.is_finally
        else dataclasses.replace(one, job=_behind(one.job, str(jobs[number - most].job.key)))
        for number, one in enumerate(jobs)
    ]


def _behind(job: NewJob, key: str) -> NewJob:
    return dataclasses.replace(job, needs=[*(job.needs or ()), NewNeed(job=f"={key}", after=NeedKind.ANY)])


def _size(step: WorkflowStep) -> int | None:
    """Return how many jobs a step is now, None for one that is just itself."""
    if step.for_each is None:
        return None
    return len(step.for_each.values) if step.for_each.wire is None else 1


def _needs(step: WorkflowStep, own: _Needs, others: Sequence[str]) -> _Needs:
    """Gather what a step needs: what it says, and what its inputs and conditions imply."""
    sizes = own.sizes
    for need in step.needs:
        own.add(
            need.step,
            None
            if need.is_plain
            else NewNeed(
                after=need.after,
                allow_skipped=need.allow_skipped,
                tolerate=need.tolerate if sizes[need.step] is not None else 0,
                tolerate_percent=need.tolerate_percent if sizes[need.step] is not None else 0.0,
            ),
        )
    after_all = NewNeed(after=NeedKind.ANY)
    for name in others:
        own.add(name, after_all)
    for one in step.inputs.values():
        for wire in one.wires:
            own.add(wire.step, wires=True)
    for condition in step.conditions:
        if condition.step is not None:
            own.add(condition.step, wires=True)
    if step.for_each is not None and step.for_each.wire is not None:
        own.add(step.for_each.wire.step, wires=True)
    return own


def _jobs(
    step: WorkflowStep,
    size: int | None,
    own: _Needs,
    definition: WorkflowDefinition,
    interface: Interface,
    given: GivenInputs,
    common: Mapping[str, Any],
) -> list[tuple[int | None, NewJob]]:
    """Return the jobs of one step with their numbers."""
    declared = {one.name: one for one in interface.inputs}
    inputs = _inputs(step, declared, given)
    wiring = _wiring(step, own, inputs)
    conditions = _conditions(step, own, definition, given)
    base = NewJob(
        **{**common, **cast("dict[str, Any]", step.job)},
        type_name=step.type_name,
        type_version=step.type_version,
        name=step.name,
        needs=own.found or None,
        wiring=wiring or None,
        conditions=conditions or None,
        cache=step.cache,
        key=step.name,
    )
    if step.for_each is not None and step.for_each.wire is not None:
        expansion = _expansion(step, step.for_each, own)
        return [(0, dataclasses.replace(base, inputs=inputs or None, group=step.name, expansion=expansion))]
    if step.for_each is None or size is None:
        if step.for_each is not None:  # for no value at all, and that counts as skipped
            base = dataclasses.replace(base, conditions=[supply.NEVER])
        return [(None, dataclasses.replace(base, inputs=inputs or None))]
    each = step.for_each
    made: list[tuple[int | None, NewJob]] = []
    facts = {one.name: getattr(base, one.name) for one in dataclasses.fields(base)}
    for number, value in enumerate(each.values):
        needs = own.found
        if each.max_running is not None and number >= each.max_running:
            # So many at once: each waits for the one that is so many places before it, however that ends.
            needs = [*needs, NewNeed(job=f"={step.name}[{number - each.max_running}]", after=NeedKind.ANY)]
        made.append((number, _member(facts, step, number, value, inputs, declared, needs)))
    return made


def _expansion(step: WorkflowStep, each: StepValues, own: _Needs) -> Document:
    """Return how a step becomes its jobs, once the output is there that it goes over."""
    assert each.wire is not None, "it goes over an output"  # noqa: S101 - promised by the caller
    place = own.places.get(each.wire.step)
    found: Document = {
        "step": step.name,
        "name": each.name,
        "from": [place, each.wire.output],
        "is_file": each.is_file,
        "limit": each.limit,
        "position": len(own.found),
        "skip_empty": each.skip_empty,
    }
    more: Document = {"max_running": each.max_running, "tolerate_percent": each.tolerate_percent or None}
    return found | {name: value for name, value in more.items() if value is not None}


def _member(
    facts: Mapping[str, Any],
    step: WorkflowStep,
    number: int,
    value: JsonValue,
    inputs: Mapping[str, JsonValue],
    declared: Mapping[str, DeclaredInput],
    needs: list[NewNeed],
) -> NewJob:
    """Return one job of a step that is several, which has these facts in common: the value is an input of its type, or stands in its environment."""
    each = step.for_each
    assert each is not None, "only such steps have members"  # noqa: S101 - promised by the caller
    own = {**inputs, each.name: value} if each.name in declared else dict(inputs)
    environment = dict(facts["environment"] or {})
    if step.type_name is None:
        text = value if isinstance(value, str) else orjson.dumps(value).decode()
        environment |= {"INDEX": str(number), "ITEM": text}
    key = f"{step.name}[{number}]"
    more = {"inputs": own or None, "environment": environment or None, "needs": needs or None}
    return NewJob(**{**facts, "name": key, "key": key, "group": step.name, **more})


def _inputs(step: WorkflowStep, declared: Mapping[str, DeclaredInput], given: GivenInputs) -> dict[str, JsonValue]:
    """Return the inputs of a step that are known now: literals, inputs of the workflow, and what was given for this step."""
    found: dict[str, JsonValue] = {}
    for name, one in step.inputs.items():
        if one.given is not None:
            if one.given in given.inputs:
                value = given.inputs[one.given]
                takes = declared.get(name)
                several = takes is not None and takes.type == "files" and not isinstance(value, list)
                found[name] = [value] if several else value
        elif not one.wires:
            found[name] = _literal(one, declared.get(name))
    return found | dict(given.of_steps.get(step.name, {}))


def _literal(one: StepInput, declared: DeclaredInput | None) -> JsonValue:
    """Return a literal: as it was written where a text is wanted, so that 1.10 stays 1.10."""
    kind = (declared.schema or {}).get("type") if declared is not None else None
    return one.written if kind == "string" and one.written is not None else one.literal


def _wiring(step: WorkflowStep, own: _Needs, known: Mapping[str, JsonValue]) -> dict[str, NewWire]:
    found: dict[str, NewWire] = {}
    for name, one in step.inputs.items():
        if not one.wires or name in known:
            continue
        sources = [(place, wire) for wire in one.wires if (place := own.places.get(wire.step)) is not None]
        found[name] = NewWire(tuple(map(_source, sources)), one.default, one.has_default)
    return found


def _source(source: tuple[int, StepWire]) -> tuple[int, str]:
    place, wire = source
    return place, wire.output or ""


def _conditions(step: WorkflowStep, own: _Needs, definition: WorkflowDefinition, given: GivenInputs) -> list[Document]:
    """Return the conditions that are judged once the needs are satisfied; one on an input is judged now."""
    found: list[Document] = []
    for one in step.conditions:
        if one.step is None:
            value = given.inputs.get(one.name, definition.inputs[one.name].get("default"))
            if not supply.holds(one.op, value, one.value, there=value is not None):
                return [supply.NEVER]
        else:
            place = own.places.get(one.step)
            if place is None:
                return [supply.NEVER]
            found.append({"from": [place, one.name], "op": one.op, "value": one.value})
    return found
