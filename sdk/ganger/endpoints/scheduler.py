"""The scheduler: its pause, its order of work, and which process leads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ganger.records import Record
from ganger.transport import Call, Transport


@dataclass(frozen=True, slots=True)
class SchedulerEndpoint:
    """The scheduler: who leads, and what operators have set."""

    _transport: Transport

    def get(self) -> Record:
        """Return its state, pause, queue mode, preemption, reservations and leader."""
        return Record.read(self._transport.json(Call("GET", "/scheduler/")))

    def change(self, changes: Mapping[str, object]) -> Record:
        """Change `is_paused` with `pause_reason`, `queue_mode` (FIFO or LIFO), `preemption`, `reservations`."""
        return Record.read(self._transport.json(Call("PATCH", "/scheduler/", body=dict(changes), repeatable=True)))
