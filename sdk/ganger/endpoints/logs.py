"""The output of programs: whole, in part, followed while they run, and searched; and what programs use."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, TypeAlias, cast

import httpx2

from ganger import paging
from ganger.answers import LogIndexView, LogView, UsageView
from ganger.errors import ServerTrouble, Unreachable
from ganger.records import LogHit, LogPiece
from ganger.transport import Call, Transport

Stream: TypeAlias = Literal["stdout", "stderr", "combined"]

Part: TypeAlias = paging.Filter
"""One parameter that says which part."""

# A stream without news sends comments; a stream that is silent for longer has a dead connection.
SILENCE_S = 60.0
RECONNECT_PAUSE_S = 0.5
RECONNECTS_MAX = 60


@dataclass(frozen=True, slots=True)
class LogsEndpoint:
    """The output of executions, and what they use."""

    _transport: Transport

    def read(self, execution_id: int, *, stream: Stream = "combined", phase: str | None = None, **part: Part) -> str:
        """Return the output so far, of one phase or of all in their order; an empty text if there is none.

        `part` is `tail_lines`, `tail` (bytes), `offset`, `limit`, or `started`: what was printed since a time.
        """
        return self.content(execution_id, stream=stream, phase=phase, **part).decode("utf-8", "replace")

    def content(
        self, execution_id: int, *, stream: Stream = "combined", phase: str | None = None, **part: Part
    ) -> bytes:
        """Return likewise the very bytes, which need not be text."""
        query = paging.params({"phase": phase, **part})
        call = Call("GET", _path(execution_id, stream), params=query, headers={"Accept": "text/plain"})
        return self._transport.send(call).content

    def document(
        self, execution_id: int, *, stream: Stream = "combined", phase: str | None = None, **part: Part
    ) -> LogView | None:
        """Return the output so far as the API's JSON; None if there is none."""
        call = Call("GET", _path(execution_id, stream), params=paging.params({"phase": phase, **part}))
        return cast("LogView | None", self._transport.json_or_none(call))

    def index(self, execution_id: int, *, stream: Stream = "combined", phase: str | None = None) -> LogIndexView:
        """Return where each thousandth line of the output so far begins, and when that was printed."""
        call = Call("GET", f"{_path(execution_id, stream)}index/", params=paging.params({"phase": phase}))
        while True:
            found = cast("LogIndexView", self._transport.json(call))
            if found["is_complete"]:
                return found

    def search(
        self,
        execution_id: int,
        q: str,
        *,
        stream: Stream = "combined",
        phase: str | None = None,
        regex: bool = False,
        any_case: bool = True,
        started: datetime | None = None,
    ) -> Iterator[LogHit]:
        """Yield the lines of an output that hold a text, or match a pattern, in order. Raises Refused for a pattern that is none."""
        asked: dict[str, Part] = {"q": q, "regex": regex, "any_case": any_case, "phase": phase, "started": started}
        return self._hits(f"{_path(execution_id, stream)}search/", asked, ("offset", "line"))

    def search_job(
        self,
        job_id: int,
        q: str,
        *,
        stream: Stream = "combined",
        phase: str | None = None,
        regex: bool = False,
        any_case: bool = True,
        started: datetime | None = None,
        attempt: Sequence[int] = (),
    ) -> Iterator[LogHit]:
        """Yield likewise the lines of all tries and members of a job, or of some tries: the newest first."""
        asked: dict[str, Part] = {
            "q": q,
            "regex": regex,
            "any_case": any_case,
            "phase": phase,
            "started": started,
            "attempt": attempt,
        }
        return self._hits(f"/jobs/{job_id}/logs/{stream}/search/", asked, ("execution_id", "offset", "line"))

    def _hits(self, path: str, asked: Mapping[str, Part], place: Sequence[str]) -> Iterator[LogHit]:
        query = dict(asked)
        while True:
            answer = self._transport.json(Call("GET", path, params=paging.params(query)))
            yield from (LogHit.read(hit) for hit in answer["hits"])
            if answer["next_offset"] is None:
                return
            query |= {name: answer[f"next_{name}"] for name in place}

    def usage(self, execution_id: int) -> UsageView:
        """Return what an execution uses over time of cpus, memory and disk, beside what it asked for. Raises NotFound."""
        return cast("UsageView", self._transport.json(Call("GET", f"/job-executions/{execution_id}/usage/")))

    def follow(
        self, execution_id: int, *, stream: Stream = "combined", phase: str | None = None, **part: Part
    ) -> Iterator[LogPiece]:
        """Yield the output, old and new, until the execution ends, each byte once.

        With `tail_lines` or `started` of the old only that. A broken connection is made again, and goes on where it broke.
        Raises Unreachable when that fails for long.
        """
        call = Call(
            "GET",
            _path(execution_id, stream),
            params=paging.params({"phase": phase, "follow": "true", **part}),
            headers={"Accept": "text/event-stream"},
        )
        failures = 0
        while True:
            try:
                for event in self._events(call):
                    failures = 0
                    if event.event == "end":
                        return
                    if event.event == "log":
                        yield LogPiece.read(json.loads(event.data))
                    if event.id:
                        call = replace(call, headers={**call.headers, "Last-Event-ID": event.id})
            except (Unreachable, ServerTrouble):
                failures += 1
                if failures > RECONNECTS_MAX:
                    raise
            time.sleep(RECONNECT_PAUSE_S)

    def _events(self, call: Call) -> Iterator[httpx2.ServerSentEvent]:
        process = os.getpid()
        with self._transport.stream(call, read_timeout_s=SILENCE_S) as response:
            for event in httpx2.EventSource(response):
                yield event
                self._transport.check_process(process)  # in a forked one: connect again, and go on from there


def _path(execution_id: int, stream: Stream) -> str:
    return f"/job-executions/{execution_id}/logs/{stream}/"
