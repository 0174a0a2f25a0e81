"""One execution as its node holds it, from the intent to claim it until its report is acknowledged."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from scheduler.rules.lifecycle.outcome import Outcome, Stopped
from scheduler.wire import ExecutionReport, OutputValue, TaskSpec
from workers.agent.slots import ExecutionSlot
from workers.events import ExecutionFailure
from workers.journal import Fact
from workers.paths import ExecutionKey


class State(StrEnum):
    """What an execution on a node is waiting for."""

    DORMANT = "dormant"
    """Read from the journal; the scheduler has not yet said whether it may go on."""
    CLAIMING = "claiming"
    STAGING = "staging"
    RUNNING = "running"
    COLLECTING = "collecting"
    SHIPPING = "shipping"
    REPORTING = "reporting"
    PURGING = "purging"
    """Taken from the node: what runs is being killed, nothing will be reported."""


@dataclass(slots=True)
class NodeExecution:
    """Changed only by the core. `phases` are phase reports in the making, as plain values."""

    key: ExecutionKey
    token: str
    state: State = State.CLAIMING
    spec: TaskSpec | None = None
    slot: ExecutionSlot = field(default_factory=ExecutionSlot)
    running: str | None = None
    """The phase whose command was handed to the supervisor and has not ended."""
    last: str | None = None
    """The phase whose command ended last."""
    began: float = 0.0
    """CLOCK_BOOTTIME at which the present phase began; not kept across lives."""
    staged: bool = False
    ran: bool = False
    phases: dict[str, dict[str, Any]] = field(default_factory=dict)
    failure: ExecutionFailure | None = None
    stop: Stopped | None = None
    """How it ends, once it is being stopped."""
    outputs: list[OutputValue] = field(default_factory=list)
    properties: dict[str, Any] = field(default_factory=dict)
    message: str = ""
    report: ExecutionReport | None = None

    @property
    def granted_spec(self) -> TaskSpec:
        """The spec of an execution that was granted."""
        assert self.spec is not None, self.key  # noqa: S101  no phase begins before the grant
        return self.spec

    @property
    def uid(self) -> int | None:
        """The user it runs as; None: as the node itself."""
        return None if self.slot.user is None else self.slot.user[0]

    @property
    def gid(self) -> int | None:
        """The group it runs as."""
        return None if self.slot.user is None else self.slot.user[1]

    def progress(self) -> dict[str, Any]:
        """Return what a later life of the agent must know to go on from here."""
        return {
            "phases": self.phases,
            "failure": [self.failure.error, self.failure.message] if self.failure else None,
            "of_job": self.failure is not None and self.failure.of_job,
            "stop": self.stop,
        }


def restore(facts: Iterable[Fact]) -> dict[ExecutionKey, NodeExecution]:
    """Return what a journal says is held, oldest first, all DORMANT. Facts of an execution without intent are dropped."""
    held: dict[ExecutionKey, NodeExecution] = {}
    for fact in facts:
        if fact.kind == "intent":
            held[fact.key] = NodeExecution(fact.key, fact.body["token"], State.DORMANT)
        elif fact.key in held:
            _learn(held[fact.key], fact)
    return held


def _learn(one: NodeExecution, fact: Fact) -> None:
    body = fact.body
    match fact.kind:
        case "spec":
            one.spec = TaskSpec.model_validate_json(body["spec"])
            user = None if body["uid"] is None else (body["uid"], body["gid"])
            one.slot = ExecutionSlot(user, tuple(body.get("gpus", ())))
        case "run":
            one.running, one.staged, one.ran = body["phase"], True, True
            _go_on(one, body)
        case "ended":
            one.running, one.last = None, body["phase"]
            _go_on(one, body)
        case "report":
            one.report = ExecutionReport.model_validate_json(body["report"])
        case _:
            pass  # a fact of a newer release


def _go_on(one: NodeExecution, body: Any) -> None:
    one.phases, one.stop = body["phases"], _stop_of(body["stop"])
    failure = body["failure"]
    one.failure = ExecutionFailure(failure[0], failure[1], body.get("of_job", False)) if failure else None


def _stop_of(word: str | None) -> Stopped | None:
    if word is None:
        return None
    return Outcome.CANCELED if word == Outcome.CANCELED else Outcome.RETURNED
