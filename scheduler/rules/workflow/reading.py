"""From the values of a definition to its records; all that is wrong is noted by its place, and told at once.

Keys of a step beside `type`, `needs`, `assets` and `parameters` are Ganger's own: a definition without them means what it
means to the system that these four come from.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum

from scheduler.documents import Document, JsonValue
from scheduler.rules.lifecycle.needs import NeedKind
from scheduler.rules.workflow import step_fields
from scheduler.rules.workflow.definition import (
    MOST_JOBS,
    MOST_WRITTEN_OUT,
    FailurePolicy,
    StepCondition,
    StepInput,
    StepNeed,
    StepValues,
    StepWire,
    WorkflowDefinition,
    WorkflowStep,
)
from scheduler.rules.workflow.reuse import ReuseRule
from scheduler.rules.workflow.source import DefinitionFaults, DefinitionSource, Place
from scheduler.rules.workflow.values import DefinitionValues

OPERATORS = ("=", "!=", "in", "not_in", "exists", "not_exists", ">", "<", ">=", "<=")
_TOP = ("jobs", "name", "version", "inputs", "outputs", "limits", "on_failure")
_STEP = (
    "type",
    "needs",
    "assets",
    "parameters",
    "if",
    "for_each",
    "allow_failure",
    "finally",
    "cache",
    *step_fields.FIELDS,
)
_NAME = re.compile(r"[^\x00-\x1f\x7f.@=\[\]]{1,128}\Z")


class _EmptyWord(StrEnum):
    """What a step that is made for no value at all counts as."""

    OK = "ok"
    SKIP = "skip"


def read(source: DefinitionSource) -> WorkflowDefinition:
    """Return the definition; raises InvalidInput with everything that is wrong with its form, by line and column."""
    faults = DefinitionFaults(source)
    found = _DefinitionReading(source, faults).definition()
    faults.raise_all()
    return found


class _DefinitionReading(DefinitionValues):
    """The reading of one definition."""

    def definition(self) -> WorkflowDefinition:
        top = self.source.value
        if not isinstance(top, dict):
            self.faults.note("a definition is a map with the key jobs")
            return WorkflowDefinition({})
        self.known(top, _TOP, ())
        jobs = top.get("jobs")
        if not isinstance(jobs, dict) or not jobs:
            self.faults.note("jobs must be a map of at least one job by its name", "jobs")
            jobs = {}
        most = MOST_JOBS if self.source.is_lines else MOST_WRITTEN_OUT
        if len(jobs) > most:
            self.faults.note(
                f"at most {most} jobs are written out; use for_each{'' if self.source.is_lines else ', or JSON lines'}",
                "jobs",
            )
            jobs = {}
        steps = {name: self._step(name, body, ("jobs", name)) for name, body in jobs.items()}
        limits = self.map(top.get("limits"), ("limits",))
        self.known(limits, ("max_running", "timeout"), ("limits",))
        return WorkflowDefinition(
            steps=steps,
            name=self.text(top, "name", ()),
            version=self.text(top, "version", ()),
            inputs={name: self._input(body, ("inputs", name)) for name, body in self.map(top.get("inputs"), ("inputs",)).items()},
            outputs={name: wire for name, body in self.map(top.get("outputs"), ("outputs",)).items() for wire in self._wire(body, ("outputs", name))},
            on_failure=self.word(top.get("on_failure"), FailurePolicy, FailurePolicy.GO_ON, ("on_failure",)),
            max_running=self.whole(limits, "max_running", 1, MOST_JOBS, None, ("limits",)),
            timeout_s=self.converted(limits.get("timeout"), step_fields.span, ("limits", "timeout")),
        )  # fmt: skip

    def _step(self, name: str, body: JsonValue, place: Place) -> WorkflowStep:
        if not _NAME.match(name):
            self.faults.note("a job's name has no dot, bracket, @ or =, and at most 128 characters", *place)
        if not isinstance(body, dict):
            self.faults.note("a job is a map", *place)
            return WorkflowStep(name)
        self.known(body, _STEP, place)
        kind = self.text(body, "type", place)
        if kind is None and "command" not in body:
            self.faults.note("a job has a type, or a command of its own", *place)
        if kind is not None and "command" in body:
            self.faults.note("a job has either a type or a command, not both", *place, "command")
        type_name, _, version = (kind or "").partition(":")
        return WorkflowStep(
            name,
            type_name=type_name or None,
            type_version=version or None,
            job=step_fields.read(body, place, self.faults),
            needs=tuple(self._needs(body.get("needs"), (*place, "needs"))),
            inputs={**self._assets(body, place), **self._parameters(body, place)},
            conditions=tuple(self._conditions(body.get("if"), (*place, "if"))),
            for_each=self._for_each(body["for_each"], (*place, "for_each")) if "for_each" in body else None,
            allow_failure=self.flag(body, "allow_failure", place),
            is_finally=self.flag(body, "finally", place),
            cache=self._cache(body.get("cache"), (*place, "cache")),
        )

    def _cache(self, given: JsonValue, place: Place) -> Document | None:
        """Return whose results a step may reuse; None where that is off."""
        if given is None or given is False or given == "off":
            return None
        if given == "refresh":
            return ReuseRule().document()
        if not isinstance(given, dict) or "for" not in given:
            self.faults.note("cache says how long a result is good: {for: 30d}; or it is refresh, or off", *place)
            return None
        self.known(given, ("for", "key"), place)
        seconds = self.converted(given["for"], step_fields.span, (*place, "for"))
        return ReuseRule(seconds or 0, self.text(given, "key", place)).document()

    def _needs(self, given: JsonValue, place: Place) -> Iterator[StepNeed]:
        entries = [given] if isinstance(given, str) else given
        if entries is None:
            return
        if not isinstance(entries, list):
            self.faults.note("needs is a list of names of jobs", *place)
            return
        for number, entry in enumerate(entries):
            at = (*place, number)
            if isinstance(entry, str):
                yield StepNeed(entry)
            elif isinstance(entry, dict) and isinstance(entry.get("job"), str):
                self.known(entry, ("job", "after", "allow_skipped", "tolerate"), at)
                after = str(entry.get("after", "ok")).upper()
                if after not in set(NeedKind):
                    self.faults.note("after is one of ok, any, fail, start", *at, "after")
                    after = "OK"
                count, percent = self.tolerated(entry.get("tolerate", 0), (*at, "tolerate"))
                yield StepNeed(
                    str(entry["job"]), NeedKind(after), self.flag(entry, "allow_skipped", at), count, percent
                )
            else:
                self.faults.note("a need is the name of a job, or {job, after, allow_skipped, tolerate}", *at)

    def _assets(self, body: Mapping[str, JsonValue], place: Place) -> dict[str, StepInput]:
        found: dict[str, StepInput] = {}
        for name, given in self.map(body.get("assets"), (*place, "assets")).items():
            at = (*place, "assets", name)
            if isinstance(given, dict) and set(given) == {"input"} and isinstance(given["input"], str):
                found[name] = StepInput(given=given["input"], is_file=True)
                continue
            entries = given if isinstance(given, list) else [given]
            wires = tuple(wire for number, entry in enumerate(entries) for wire in self._wire(entry, (*at, number) if isinstance(given, list) else at))  # fmt: skip
            found[name] = StepInput(wires, is_file=True)
        return found

    def _wire(self, entry: JsonValue, place: Place) -> Iterator[StepWire]:
        if isinstance(entry, str):
            yield StepWire(entry)
            return
        if isinstance(entry, dict) and isinstance(entry.get("job"), str):
            self.known(entry, ("job", "asset", "parameter"), place)
            output = entry.get("asset", entry.get("parameter"))
            if output is None or isinstance(output, str):
                yield StepWire(str(entry["job"]), output)
                return
        self.faults.note("it is the name of a job, or {job, asset}", *place)

    def _parameters(self, body: Mapping[str, JsonValue], place: Place) -> dict[str, StepInput]:
        found: dict[str, StepInput] = {}
        for name, given in self.map(body.get("parameters"), (*place, "parameters")).items():
            at = (*place, "parameters", name)
            if name in self.map(body.get("assets"), (*place, "assets")):
                self.faults.note(f"{name!r} is among the assets, too", *at)
            found[name] = self._parameter(given, at)
        return found

    def _parameter(self, given: JsonValue, place: Place) -> StepInput:
        if (
            isinstance(given, dict)
            and isinstance(given.get("job"), str)
            and set(given) <= {"job", "parameter", "default"}
        ):
            output = given.get("parameter")
            if output is not None and not isinstance(output, str):
                self.faults.note("parameter is the name of an output", *place, "parameter")
                output = None
            return StepInput((StepWire(str(given["job"]), output),), default=given.get("default"), has_default="default" in given)  # fmt: skip
        if isinstance(given, dict) and set(given) == {"input"} and isinstance(given["input"], str):
            return StepInput(given=given["input"])
        return StepInput(literal=given, written=self.source.written.get(place))

    def _conditions(self, given: JsonValue, place: Place) -> Iterator[StepCondition]:
        if given is None:
            return
        for number, entry in enumerate(given if isinstance(given, list) else [given]):
            at = (*place, number)
            if not isinstance(entry, dict) or ("input" in entry) == ("job" in entry):
                self.faults.note("a condition is {job, parameter, op, value} or {input, op, value}", *at)
                continue
            self.known(entry, ("job", "parameter", "input", "op", "value"), at)
            name, op = entry.get("input", entry.get("parameter")), entry.get("op", "=")
            if not isinstance(name, str) or not isinstance(entry.get("job", ""), str):
                self.faults.note("it names an output of a job ({job, parameter}) or an input of the workflow", *at)
            elif op not in OPERATORS:
                self.faults.note(f"op is one of {', '.join(OPERATORS)}", *at, "op")
            else:
                job = entry.get("job")
                yield StepCondition(None if job is None else str(job), name, str(op), entry.get("value"))

    def _for_each(self, given: JsonValue, place: Place) -> StepValues:
        body = {"values": given} if isinstance(given, list) else self.map(given, place)
        names = ("values", "job", "parameter", "asset", "as", "limit", "max_running", "tolerate", "on_empty")
        self.known(body, names, place)
        values, wired = body.get("values"), "job" in body
        if (values is None) is not wired or (values is not None and not isinstance(values, list)):
            self.faults.note("for_each has values: a list; or job with parameter or asset", *place)
            values = None
        count, percent = self.tolerated(body.get("tolerate", 0), (*place, "tolerate"))
        wire = next(self._wire({n: body[n] for n in ("job", "asset", "parameter") if n in body}, place), None) if wired else None  # fmt: skip
        if wire is not None and wire.output is None:
            self.faults.note("for_each over another job says which parameter or asset of it", *place)
        limit = self.whole(body, "limit", 1, MOST_JOBS, 1_000, place)
        if isinstance(values, list) and len(values) > MOST_JOBS:
            self.faults.note(f"at most {MOST_JOBS} jobs are made of one", *place)
        return StepValues(
            values=tuple(values) if isinstance(values, list) else (),
            wire=wire,
            is_file="asset" in body,
            name=self.text(body, "as", place) or "item",
            limit=limit or 1_000,
            max_running=self.whole(body, "max_running", 1, MOST_JOBS, None, place),
            tolerate=count,
            tolerate_percent=percent,
            skip_empty=self.word(body.get("on_empty"), _EmptyWord, _EmptyWord.OK, (*place, "on_empty"))
            is _EmptyWord.SKIP,
        )

    def _input(self, body: JsonValue, place: Place) -> Document:
        given = self.map({"type": body} if isinstance(body, str) else body, place)
        self.known(given, ("type", "required", "default", "schema", "description"), place)
        if given.get("type", "property") not in {"property", "file", "files"}:
            self.faults.note("type is one of property, file, files", *place, "type")
        if "required" in given and not isinstance(given["required"], bool):
            self.faults.note("required is true or false", *place, "required")
        return given
