"""One execution on its node, from the intent to claim it until its report is acknowledged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from scheduler.rules.lifecycle.outcome import Outcome, Stopped
from scheduler.wire import ExecutionReport, OutputValue, TaskSpec
from workers.agent.slots import ExecutionSlot
from workers.events import ExecutionFailure
from workers.journal import JournalEntry
from workers.paths import ExecutionKey


class ExecutionStep(StrEnum):
    """The step that an execution on a node is in, and thereby the event that it waits for."""

    DORMANT = "dormant"
    """Read from the journal; the scheduler has not yet said whether it may go on."""
    CLAIMING = "claiming"
    AHEAD = "ahead"
    """Given by the scheduler, and waits here for room."""
    STAGING = "staging"
    KEEPING = "keeping"
    """A Python environment that it has made becomes the node's own."""
    RUNNING = "running"
    COLLECTING = "collecting"
    SHIPPING = "shipping"
    REPORTING = "reporting"
    PURGING = "purging"
    """Taken from the node: its processes are being killed, and nothing will be reported."""


@dataclass(slots=True)
class NodeExecution:
    """One execution. Only the state machine and its phases change it. `phases` are unfinished phase reports, as plain values."""

    key: ExecutionKey
    token: str
    state: ExecutionStep = ExecutionStep.CLAIMING
    spec: TaskSpec | None = None
    slot: ExecutionSlot = field(default_factory=ExecutionSlot)
    running: str | None = None
    """The phase whose command the supervisor has and which has not ended."""
    last: str | None = None
    """The phase whose command ended last."""
    started: float | None = None
    """When it was started here after it had waited ahead of room, by the node's wall clock; None for every other."""
    began: float = 0.0
    """CLOCK_BOOTTIME at which the present phase began. A later life of the agent does not know it."""
    staged: bool = False
    ran: bool = False
    phases: dict[str, dict[str, Any]] = field(default_factory=dict)
    kept: dict[str, Mapping[str, str]] = field(default_factory=dict)
    """What commands wrote to streams that have no file, by phase; streams with nothing in them are left out."""
    failure: ExecutionFailure | None = None
    stop: Stopped | None = None
    """How the execution will end, if it is being stopped."""
    outputs: list[OutputValue] = field(default_factory=list)
    properties: dict[str, Any] = field(default_factory=dict)
    message: str = ""
    cleanup_trouble: str = ""
    """Why its cleanup command could not be started."""
    report: ExecutionReport | None = None

    @property
    def granted_spec(self) -> TaskSpec:
        """The spec of an execution that was granted."""
        assert self.spec is not None, self.key  # noqa: S101  no phase begins before the grant
        return self.spec

    @property
    def never_started(self) -> bool:
        """Whether it was given ahead of room, and nothing of it was done yet."""
        return self.spec is not None and self.spec.ahead and self.started is None

    @property
    def uid(self) -> int | None:
        """The user that it runs as. None means the user of the agent."""
        return None if self.slot.user is None else self.slot.user[0]

    @property
    def gid(self) -> int | None:
        """The group that it runs as."""
        return None if self.slot.user is None else self.slot.user[1]

    def progress(self) -> dict[str, Any]:
        """Return the values that a later life of the agent needs to go on from here, for the journal."""
        kept = {"kept": self.kept} if self.kept else {}
        return {
            **kept,
            "phases": self.phases,
            "failure": [self.failure.error, self.failure.message] if self.failure else None,
            "of_job": self.failure is not None and self.failure.of_job,
            "stop": self.stop,
        }


def restore(facts: Iterable[JournalEntry]) -> dict[ExecutionKey, NodeExecution]:
    """Return the executions of a journal, oldest first, all DORMANT. Facts of an execution without an intent are dropped."""
    held: dict[ExecutionKey, NodeExecution] = {}
    for fact in facts:
        if fact.kind == "intent":
            held[fact.key] = NodeExecution(fact.key, fact.body["token"], ExecutionStep.DORMANT)
        elif fact.key in held:
            _apply(held[fact.key], fact)
    return held


def _apply(execution: NodeExecution, fact: JournalEntry) -> None:
    body = fact.body
    match fact.kind:
        case "spec":
            execution.spec = TaskSpec.model_validate_json(body["spec"])
            user = None if body["uid"] is None else (body["uid"], body["gid"])
            execution.slot = ExecutionSlot(user, tuple(body.get("gpus", ())))
        case "start":
            execution.started = body["at"]
            user = None if body["uid"] is None else (body["uid"], body["gid"])
            execution.slot = ExecutionSlot(user, tuple(body.get("gpus", ())))
        case "run":
            execution.running, execution.staged, execution.ran = body["phase"], True, True
            _read_progress(execution, body)
        case "ended":
            execution.running, execution.last = None, body["phase"]
            _read_progress(execution, body)
        case "report":
            execution.report = ExecutionReport.model_validate_json(body["report"])
        case _:
            pass  # a fact of a newer release


def _read_progress(execution: NodeExecution, body: Mapping[str, Any]) -> None:  # Any: JSON of our own making
    execution.phases, execution.stop = body["phases"], _stop_of(body["stop"])
    execution.kept = body.get("kept", {})
    failure = body["failure"]
    execution.failure = ExecutionFailure(failure[0], failure[1], body.get("of_job", False)) if failure else None


def _stop_of(word: str | None) -> Stopped | None:
    if word is None:
        return None
    return Outcome.CANCELED if word == Outcome.CANCELED else Outcome.RETURNED
