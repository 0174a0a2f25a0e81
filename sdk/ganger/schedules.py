"""Schedules: jobs and workflows that start by themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ganger import paging
from ganger.documents import JsonObject
from ganger.paging import Filter
from ganger.records import Record
from ganger.transport import Call, Transport


@dataclass(frozen=True, slots=True)
class SchedulesEndpoint:
    """Schedules, and what became of their times."""

    _transport: Transport

    def list(self, *, limit: int | None = None, **filters: Filter) -> Iterator[Record]:
        """Yield schedules by name, page by page, each with its next times."""
        return paging.every(self._transport, Record, "/schedules/", paging.params(filters), limit=limit)

    def create(
        self,
        name: str,
        job: Mapping[str, object] | None = None,
        timing: Mapping[str, object] | None = None,
        *,
        workflow: Mapping[str, object] | None = None,
    ) -> Record:
        """Make a schedule of a `job`, or of a saved `workflow`: its `type`, and `inputs`, `parameters`, `assets`, ...

        `timing` has one of `cron`, `every` and `at`, and `zone`, `overlap`, `catch_up`, ... Raises Conflict, InvalidRequest.
        """
        made = {name: dict(one) for name, one in (("job", job), ("workflow", workflow)) if one is not None}
        body = {"name": name, **made, **(timing or {})}
        return Record.read(self._transport.json(Call("POST", "/schedules/", body=body)))

    def preview(self, timing: Mapping[str, object]) -> JsonObject:
        """Return the next times that a schedule would have, and what a change of clocks among them does. Raises InvalidRequest."""
        return self._transport.json(Call("POST", "/schedules/preview/", body=dict(timing), repeatable=True))

    def get(self, schedule_id: int) -> Record:
        """Return a schedule. Raises NotFound."""
        return Record.read(self._transport.json(Call("GET", f"/schedules/{schedule_id}/")))

    def change(self, schedule_id: int, changes: Mapping[str, object]) -> Record:
        """Change a schedule: `timing`, `job` or `workflow`, `is_paused`. Raises NotFound, InvalidRequest."""
        call = Call("PATCH", f"/schedules/{schedule_id}/", body=dict(changes), repeatable=True)
        return Record.read(self._transport.json(call))

    def delete(self, schedule_id: int) -> None:
        """Delete a schedule; the jobs and workflows that it made stay. Raises NotFound."""
        self._transport.send(Call("DELETE", f"/schedules/{schedule_id}/"))

    def firings(self, schedule_id: int, *, limit: int | None = None) -> Iterator[Record]:
        """Yield what became of the times of a schedule, the newest first. Raises NotFound."""
        return paging.every(self._transport, Record, f"/schedules/{schedule_id}/firings/", (), limit=limit)

    def trigger(self, schedule_id: int, *, force: bool = False) -> JsonObject:
        """Make a run now. Raises NotFound, Conflict while one is live, unless it is forced."""
        return self._transport.json(Call("POST", f"/schedules/{schedule_id}/trigger/", body={"force": force}))

    def backfill(self, schedule_id: int, span: Mapping[str, object]) -> JsonObject:
        """Let runs be made for past times: `from`, `to`, `max_live`, `order`, `dry_run`. Raises NotFound, InvalidRequest."""
        return self._transport.json(
            Call("POST", f"/schedules/{schedule_id}/backfill/", body=dict(span), repeatable=True)
        )

    def end_backfill(self, schedule_id: int) -> JsonObject:
        """Skip what waits of backfills, and cancel what runs. Raises NotFound."""
        return self._transport.json(Call("DELETE", f"/schedules/{schedule_id}/backfill/", repeatable=True))
