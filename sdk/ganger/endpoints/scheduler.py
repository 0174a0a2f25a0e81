"""The scheduler: its pause, its order of work, which process leads, who goes next, and what it would do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from ganger import paging
from ganger.answers import WaitHistoryView
from ganger.documents import JsonObject
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

    def try_changes(self, job_id: int, changes: Sequence[Mapping[str, str]] = ()) -> JsonObject:
        """Return what the next tick would do with a waiting job once changes that `explain` names were made; nothing is written.

        Each change is `{"fix": …, "subject": …}`; without any, all of them are tried together.
        """
        body = {"changes": [{"fix": one["fix"], "subject": one.get("subject", "")} for one in changes]}
        return self._transport.json(Call("POST", f"/jobs/{job_id}/explain/trial/", body=body, repeatable=True))

    def waits(self, job_id: int) -> WaitHistoryView:
        """Return where the wait of a job went: each reason from when to when, and how long altogether. Raises NotFound."""
        return cast("WaitHistoryView", self._transport.json(Call("GET", f"/jobs/{job_id}/waits/")))

    def queue_head(self, *, limit: int = 50) -> Sequence[JsonObject]:
        """Return the jobs that go next, in the order in which the scheduler looks at them."""
        answer = self._transport.json(Call("GET", "/queue/head/", params=(("limit", str(limit)),)))
        return cast("Sequence[JsonObject]", answer["results"])

    def balance(self, *, limit: int | None = None) -> Iterator[Record]:
        """Yield how projects stand beside each other: what each holds and is owed; whoever goes first comes first."""
        return paging.every(self._transport, Record, "/queue/balance/", (), limit=limit)

    def balance_history(self, *, hours: int = 24, limit: int = 8) -> Sequence[JsonObject]:
        """Return how projects stood over the last hours, whoever was owed or owed most first: `project`, and `points` of `time`, `share`, `owed_s`."""
        query = (("hours", str(hours)), ("limit", str(limit)))
        answer = self._transport.json(Call("GET", "/queue/balance/history/", params=query))
        return cast("Sequence[JsonObject]", answer["results"])

    def operation_processes(self, operation_id: int) -> JsonObject:
        """Return of how many executions that a bulk cancel stopped nothing runs any more."""
        return self._transport.json(Call("GET", f"/operations/{operation_id}/processes/"))
