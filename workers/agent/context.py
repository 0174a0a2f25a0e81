"""What the steps of all executions on a node share: the moment, the effects so far, the supervisor, the lease."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workers.agent.execution import Held
from workers.agent.slots import Slots
from workers.commands import Effect, Say, Write
from workers.events import Moment
from workers.journal import Fact
from workers.paths import Key, Places

FENCE = 2 / 3
"""Share of its lease after which an execution ends itself when the scheduler cannot be reached."""


@dataclass(frozen=True, slots=True)
class Host:
    """What of the node the core must know: see `Slots` for the last three."""

    name: str
    places: Places
    user: tuple[int, int] | None = None
    slots: tuple[int, int] | None = None
    gpus: tuple[str, ...] = ()


class Desk:
    """Handed to every step; effects gather in `out` in the order in which they are to be done."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.now = Moment(0.0, 0.0)
        self.out: list[Effect] = []
        self.leased_at: float | None = None
        self.stopping = False
        self.deadlines: dict[Key, float] = {}
        self.slots = Slots(host.user, host.slots, host.gpus)

    def do(self, effect: Effect) -> None:
        """Add an effect."""
        self.out.append(effect)

    def write(self, held: Held, kind: str, body: Mapping[str, Any]) -> None:
        """Add a fact to be kept."""
        self.out.append(Write(Fact(held.key, kind, body)))

    def say(self, event: str, held: Held, **fields: object) -> None:
        """Add a line for the log about an execution."""
        self.out.append(Say(event, {"execution": held.key[0], "attempt": held.key[1], **fields}))

    def fenced(self, lease_s: float) -> bool:
        """Return whether an execution with this lease must not be started any more, as far as the node knows."""
        return self.leased_at is not None and self.now.boot - self.leased_at > lease_s * FENCE

    def forget(self, key: Key) -> None:
        """Free what an execution had here."""
        self.deadlines.pop(key, None)
        self.slots.free(key)
