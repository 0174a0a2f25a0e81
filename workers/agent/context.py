"""What the steps of all executions on a node share: the moment, the effects so far, the supervisor, the lease."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workers.agent.execution import HeldExecution
from workers.agent.slots import SlotAllocator
from workers.commands import LogLine, NodeCommand, WriteFact
from workers.events import Moment
from workers.journal import Fact
from workers.paths import ExecutionKey, Paths

FENCE = 2 / 3
"""Share of its lease after which an execution ends itself when the scheduler cannot be reached."""


@dataclass(frozen=True, slots=True)
class NodeProfile:
    """What of the node the core must know: see `Slots` for the last three."""

    name: str
    paths: Paths
    user: tuple[int, int] | None = None
    slots: tuple[int, int] | None = None
    gpus: tuple[str, ...] = ()


class Context:
    """Handed to every step; effects gather in `out` in the order in which they are to be done."""

    def __init__(self, profile: NodeProfile) -> None:
        self.profile = profile
        self.now = Moment(0.0, 0.0)
        self.commands: list[NodeCommand] = []
        self.leased_at: float | None = None
        self.stopping = False
        self.deadlines: dict[ExecutionKey, float] = {}
        self.slots = SlotAllocator(profile.user, profile.slots, profile.gpus)

    def issue(self, command: NodeCommand) -> None:
        """Add an effect."""
        self.commands.append(command)

    def record(self, held: HeldExecution, kind: str, body: Mapping[str, Any]) -> None:
        """Add a fact to be kept."""
        self.commands.append(WriteFact(Fact(held.key, kind, body)))

    def log(self, event: str, held: HeldExecution, **fields: object) -> None:
        """Add a line for the log about an execution."""
        self.commands.append(LogLine(event, {"execution": held.key[0], "attempt": held.key[1], **fields}))

    def fenced(self, lease_s: float) -> bool:
        """Return whether an execution with this lease must not be started any more, as far as the node knows."""
        return self.leased_at is not None and self.now.boot - self.leased_at > lease_s * FENCE

    def forget(self, key: ExecutionKey) -> None:
        """Free what an execution had here."""
        self.deadlines.pop(key, None)
        self.slots.free(key)
