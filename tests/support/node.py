"""Builders for what a node is given, and a driver that plays the world around a node's state machine by hand."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, TypeVar

from scheduler import wire
from scheduler.identifiers import Epoch, JobId, NodeId
from tests.support.keys import FIRST
from workers import commands
from workers.agent.context import NodeProfile
from workers.agent.state_machine import StateMachine
from workers.commands import NodeCommand
from workers.events import (
    ClaimAnswered,
    Event,
    EventTime,
    HeartbeatAnswered,
    InputsStaged,
    OutputsCollected,
    OutputShipped,
    RegistrationAnswered,
    ReportAnswered,
    RunEnd,
    RunEnded,
    RunOutcome,
    SupervisorUp,
)
from workers.journal import JournalEntry
from workers.paths import ExecutionKey, Paths
from workers.runners import PythonSettings

E = TypeVar("E")
PYTHONS = PythonSettings({"python3": "/usr/bin/python3"})


def a_spec(
    key: ExecutionKey = FIRST,
    *,
    token: str = "t" * 16,
    job: Sequence[str] = ("/bin/true",),
    amounts: dict[str, int] | None = None,
    limits: dict[str, Any] | None = None,
    inputs: Sequence[wire.InputSpec] = (),
    outputs: Sequence[wire.OutputSpec] = (),
    environment: dict[str, str] | None = None,
    **commands: Any,
) -> wire.TaskSpec:
    return wire.TaskSpec(
        execution_id=key[0],
        attempt=key[1],
        token=token,
        job_id=JobId(key[0]),
        job_name=None,
        type_name="test",
        type_version="1",
        project="default",
        amounts=wire.Amounts.model_validate(amounts or {"cpus": 100, "mem": 64_000, "disk": 64_000}),
        commands=wire.Commands(job=list(job), **commands),
        environment=environment or {},
        inputs=list(inputs),
        outputs=list(outputs),
        limits=wire.ExecutionLimits(**(limits or {})),
        tries=1,
    )


class World:
    """A state machine and everything it did; `facts` is its journal, from which `reborn` makes the next life."""

    def __init__(self, facts: Sequence[JournalEntry] = (), *, slots: tuple[int, int] | None = None) -> None:
        words = itertools.count()
        self.slots = slots
        self.machine = StateMachine(
            NodeProfile("n1", Paths("/w", "/l"), None, slots, python=PYTHONS),
            lambda: f"token-{next(words):016d}",
            facts,
        )
        self.facts = list(facts)
        self.done: list[NodeCommand] = []
        self.boot = 1000.0

    def tell(self, event: Event) -> list[NodeCommand]:
        answer = self.machine.handle(event, EventTime(self.boot, 1e9 + self.boot))
        self.done += answer
        for command in answer:
            if isinstance(command, commands.WriteJournalEntry):
                self.facts.append(command.fact)
        return answer

    def reborn(self) -> World:
        """Return the same node after kill -9 of its agent."""
        finished = {fact.key for fact in self.facts if fact.kind == "done"}
        return World([fact for fact in self.facts if fact.key not in finished], slots=self.slots)

    def all(self, kind: type[E]) -> list[E]:
        return [command for command in self.done if isinstance(command, kind)]

    def up(
        self,
        runs: Sequence[tuple[ExecutionKey, str]] = (),
        keep: Sequence[ExecutionKey] = (),
        kill: Sequence[ExecutionKey] = (),
        epoch: int = 1,
    ) -> World:
        """Connect a supervisor, then register."""
        self.tell(SupervisorUp(frozenset(runs)))
        self.registered(keep, kill, epoch)
        return self

    def registered(
        self, keep: Sequence[ExecutionKey] = (), kill: Sequence[ExecutionKey] = (), epoch: int = 1
    ) -> list[NodeCommand]:
        answer = wire.Registered(
            node_id=NodeId(1),
            epoch=Epoch(epoch),
            beat_s=2,
            lease_s=90,
            keep=[_ref(key) for key in keep],
            kill=[_ref(key) for key in kill],
        )
        return self.tell(RegistrationAnswered(answer, self.boot, wire.Amounts(cpus=1000, mem=10**9, disk=10**9)))

    def beat(
        self,
        waiting: Sequence[ExecutionKey] = (),
        cancels: Sequence[wire.Cancel] = (),
        epoch: int = 1,
        *,
        drain: bool = False,
    ) -> list[NodeCommand]:
        answer = wire.HeartbeatAnswer(
            epoch=Epoch(epoch), drain=drain, cancels=list(cancels), waiting=[_ref(key) for key in waiting]
        )
        return self.tell(HeartbeatAnswered(answer, self.boot))

    def cancel(self, key: ExecutionKey, reason: Any = "canceled", grace_s: float | None = None) -> list[NodeCommand]:
        return self.beat(cancels=[wire.Cancel(execution_id=key[0], attempt=key[1], reason=reason, grace_s=grace_s)])

    def grant(self, spec: wire.TaskSpec) -> list[NodeCommand]:
        """Let the placement wait, and grant its claim."""
        key = (spec.execution_id, spec.attempt)
        self.beat(waiting=[key])
        return self.tell(ClaimAnswered(wire.ClaimAnswer(granted=[spec], refused=[])))

    def refuse(self, key: ExecutionKey) -> list[NodeCommand]:
        refused = wire.RefusedClaim(execution_id=key[0], attempt=key[1], why="gone")
        return self.tell(ClaimAnswered(wire.ClaimAnswer(granted=[], refused=[refused])))

    def staged(self, key: ExecutionKey = FIRST, failure: Any = None) -> list[NodeCommand]:
        return self.tell(InputsStaged(key, failure))

    def ended(self, phase: str, exit_code: int | None = 0, key: ExecutionKey = FIRST, **end: Any) -> list[NodeCommand]:
        return self.tell(RunEnded(key, phase, RunEnd(RunOutcome(end.pop("why", "exited")), exit_code, **end)))

    def collected(self, key: ExecutionKey = FIRST, **what: Any) -> list[NodeCommand]:
        return self.tell(OutputsCollected(key, **what))

    def shipped(self, key: ExecutionKey = FIRST) -> list[NodeCommand]:
        return self.tell(OutputShipped(key))

    def acknowledged(self, *keys: ExecutionKey) -> list[NodeCommand]:
        return self.tell(ReportAnswered(list(keys or [FIRST]), []))

    def report(self) -> wire.ExecutionReport:
        (report,) = self.all(commands.SendReport)
        return report.report


def _ref(key: ExecutionKey) -> wire.ExecutionRef:
    return wire.ExecutionRef(execution_id=key[0], attempt=key[1])
