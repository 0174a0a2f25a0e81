"""A workflow's definition as records: its steps, what each needs, and where its inputs come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from scheduler.documents import Document, JsonValue
from scheduler.rules.lifecycle.needs import NeedKind

MOST_JOBS = 100_000
MOST_WRITTEN_OUT = 5_000
"""Most steps of one definition that is a text; `for_each` makes more jobs of them, and JSON lines have no such limit."""


class FailurePolicy(StrEnum):
    """After a failure: unrelated branches go on, or what has not started is cancelled."""

    GO_ON = "go_on"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class StepNeed:
    """Another step that a step waits for."""

    step: str
    after: NeedKind = NeedKind.OK
    allow_skipped: bool = False
    tolerate: int = 0
    tolerate_percent: float = 0.0

    @property
    def is_plain(self) -> bool:
        """Whether it says nothing but the name of the step."""
        return self.after is NeedKind.OK and not (self.allow_skipped or self.tolerate or self.tolerate_percent)


@dataclass(frozen=True, slots=True)
class StepWire:
    """An output of another step. Without `output` it is the one of the input's own name, or the only one."""

    step: str
    output: str | None = None


@dataclass(frozen=True, slots=True)
class StepInput:
    """One input of a step: wired to outputs, or a literal. `written` is the literal's own text if it is no string.

    `default` is taken where a wired output is missing and may be.
    """

    wires: tuple[StepWire, ...] = ()
    given: str | None = None
    """The input of the workflow that it is."""
    literal: JsonValue = None
    written: str | None = None
    default: JsonValue = None
    has_default: bool = False
    is_file: bool = False


@dataclass(frozen=True, slots=True)
class StepCondition:
    """One condition of `if`: a property of another step, or an input of the workflow, compared with a value."""

    step: str | None
    name: str
    op: str
    value: JsonValue = None


@dataclass(frozen=True, slots=True)
class StepValues:
    """A step that becomes one job for each value: of a list, or of a property or files of another step (`wire`)."""

    values: tuple[JsonValue, ...] = ()
    wire: StepWire | None = None
    is_file: bool = False
    name: str = "item"
    """The input that gets the value."""
    limit: int = 1_000
    max_running: int | None = None
    tolerate: int = 0
    tolerate_percent: float = 0.0
    skip_empty: bool = False


@dataclass(frozen=True, slots=True)
class WorkflowStep:
    """One step: a job type or a program of its own (in `job`, by the words of the definition), its needs and inputs."""

    name: str
    type_name: str | None = None
    type_version: str | None = None
    job: Document = field(default_factory=dict)
    needs: tuple[StepNeed, ...] = ()
    inputs: Mapping[str, StepInput] = field(default_factory=dict)
    conditions: tuple[StepCondition, ...] = ()
    for_each: StepValues | None = None
    allow_failure: bool = False
    is_finally: bool = False
    cache: Document | None = None
    """See `rules.workflow.reuse`; None is off."""

    def parents(self) -> set[str]:
        """Return the steps that it needs, said or implied by its inputs and conditions."""
        wired = {wire.step for one in self.inputs.values() for wire in one.wires}
        asked = {one.step for one in self.conditions if one.step is not None}
        each = {self.for_each.wire.step} if self.for_each is not None and self.for_each.wire is not None else set()
        return {need.step for need in self.needs} | wired | asked | each


@dataclass(frozen=True, slots=True)
class WorkflowDefinition:
    """A whole definition; steps stand in the order in which they were written."""

    steps: Mapping[str, WorkflowStep]
    name: str | None = None
    version: str | None = None
    inputs: Mapping[str, Document] = field(default_factory=dict)
    outputs: Mapping[str, StepWire] = field(default_factory=dict)
    on_failure: FailurePolicy = FailurePolicy.GO_ON
    max_running: int | None = None
    timeout_s: int | None = None


def in_order(steps: Mapping[str, WorkflowStep]) -> tuple[list[str], list[str]]:
    """Return the steps with parents before their followers, and one cycle (its first step at both ends), or none.

    Kahn's algorithm (1962); among steps that are free the order in which they were written.
    """
    parents = {name: {one for one in step.parents() if one in steps} for name, step in steps.items()}
    followers: dict[str, list[str]] = {name: [] for name in steps}
    for name, needed in parents.items():
        for one in needed:
            followers[one].append(name)
    left = {name: len(needed) for name, needed in parents.items()}
    ready = [name for name in steps if not left[name]]
    ordered: list[str] = []
    for name in ready:  # grows while it is walked
        ordered.append(name)
        for follower in followers[name]:
            left[follower] -= 1
            if not left[follower]:
                ready.append(follower)
    return ordered, [] if len(ordered) == len(steps) else _cycle(parents, {n for n in steps if left[n]})


def _cycle(parents: Mapping[str, set[str]], stuck: set[str]) -> list[str]:
    """Return one cycle among steps that all wait for one another."""
    path: list[str] = []
    at = min(stuck)
    while at not in path:
        path.append(at)
        at = min(parents[at] & stuck)
    cycle = path[path.index(at) :][::-1]
    return [*cycle, cycle[0]]
