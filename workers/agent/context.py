"""The context that every step of the state machine works in: the executions held, the moment, the commands so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from scheduler.documents import JsonValue
from workers.agent.execution import ExecutionStep, NodeExecution
from workers.agent.run_ahead.room import NodeRoom
from workers.agent.slots import SlotAllocator
from workers.commands import NodeCommand, WriteJournalEntry, WriteLogLine
from workers.events import EventTime
from workers.journal import JournalEntry
from workers.paths import ExecutionKey, Paths
from workers.runners.confining import ConfinementRules
from workers.runners.launch import PythonSettings
from workers.supervisor.limits import FENCE_SHARE


@dataclass(frozen=True, slots=True)
class NodeProfile:
    """The facts about a node that its state machine needs. `SlotAllocator` explains four of them."""

    name: str
    paths: Paths
    user: tuple[int, int] | None = None
    slots: tuple[int, int] | None = None
    gpus: tuple[str, ...] = ()
    position: int = 0
    python: PythonSettings = field(default_factory=PythonSettings)
    confine: ConfinementRules = field(default_factory=ConfinementRules)
    sample_s: float = 0.0


class StepContext:
    """Handed to every step. Steps add to `commands` in the order in which the commands are to be done."""

    def __init__(self, profile: NodeProfile, held: dict[ExecutionKey, NodeExecution]) -> None:
        """`held` are the executions of earlier lives; their slots are theirs again."""
        self.profile = profile
        self.held = held
        self.now = EventTime(0.0, 0.0)
        self.commands: list[NodeCommand] = []
        self.leased_at: float | None = None
        """CLOCK_BOOTTIME at which the last answered heartbeat was sent; None before the first one."""
        self.leaving = False
        """The node was told to stop or to drain: it starts nothing new, and signs off once it holds nothing."""
        self.stopping = False
        """The node was told to hand its work back, and does not wait for jobs to end."""
        self.deadlines: dict[ExecutionKey, float] = {}
        """When (CLOCK_BOOTTIME) the agent's own work for a phase has taken too long."""
        self.ahead: list[tuple[int, ExecutionKey]] = []
        """What waits here for room, as a heap: by priority, then as placed."""
        self.given_ahead = 0
        """How many waited here when the scheduler gave the last of them."""
        self.room = NodeRoom()
        self.slots = SlotAllocator(profile.user, profile.slots, profile.gpus, profile.position)
        for execution in held.values():
            if execution.spec is not None and not execution.never_started:
                self.slots.restore(execution.key, execution.slot)
                if execution.report is None:
                    self.room.take(execution.key, execution.spec.amounts)

    def issue(self, command: NodeCommand) -> None:
        """Add a command."""
        self.commands.append(command)

    def record(self, held: NodeExecution, kind: str, body: Mapping[str, JsonValue]) -> None:
        """Add a fact for the journal."""
        self.commands.append(WriteJournalEntry(JournalEntry(held.key, kind, body)))

    def log(self, event: str, held: NodeExecution, **fields: object) -> None:
        """Add a line for the log about an execution."""
        self.commands.append(WriteLogLine(event, {"execution": held.key[0], "attempt": held.key[1], **fields}))

    def fenced(self, lease_s: float) -> bool:
        """Return whether an execution with this lease must not be started any more, as far as the node knows."""
        return self.leased_at is not None and self.now.boot - self.leased_at > lease_s * FENCE_SHARE

    def is_purging(self) -> bool:
        """Return whether anything that was taken from the node has not come to rest yet."""
        return any(execution.state is ExecutionStep.PURGING for execution in self.held.values())

    def forget(self, key: ExecutionKey) -> None:
        """Hold the execution no longer, and free its deadline and slot. May be repeated."""
        self.held.pop(key, None)
        self.deadlines.pop(key, None)
        self.slots.free(key)
        self.room.free(key)
