"""The output of programs: whole, or followed while they run."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, cast

import httpx2

from ganger.answers import LogView
from ganger.errors import ServerTrouble, Unreachable
from ganger.records import LogPiece
from ganger.transport import Call, Transport

Stream: TypeAlias = Literal["stdout", "stderr", "combined"]

# A stream without news sends comments; a stream that is silent for longer has a dead connection.
SILENCE_S = 60.0
RECONNECT_PAUSE_S = 0.5
RECONNECTS_MAX = 60


@dataclass(frozen=True, slots=True)
class LogsEndpoint:
    """The output of executions."""

    _transport: Transport

    def read(self, execution_id: int, *, stream: Stream = "combined", phase: str | None = None) -> str:
        """Return the output so far, of one phase or of all in their order; an empty text if there is none."""
        return self.content(execution_id, stream=stream, phase=phase).decode("utf-8", "replace")

    def content(self, execution_id: int, *, stream: Stream = "combined", phase: str | None = None) -> bytes:
        """Return likewise the very bytes, which need not be text."""
        call = Call("GET", _path(execution_id, stream), params=_query(phase), headers={"Accept": "text/plain"})
        return self._transport.send(call).content

    def document(self, execution_id: int, *, stream: Stream = "combined", phase: str | None = None) -> LogView | None:
        """Return the output so far as the API's JSON; None if there is none."""
        answer = self._transport.json_or_none(Call("GET", _path(execution_id, stream), params=_query(phase)))
        return cast("LogView | None", answer)

    def follow(self, execution_id: int, *, stream: Stream = "combined", phase: str | None = None) -> Iterator[LogPiece]:
        """Yield the output, old and new, until the execution ends, each byte once.

        A broken connection is made again, and goes on where it broke. Raises Unreachable when that fails for long.
        """
        call = Call(
            "GET",
            _path(execution_id, stream),
            params=(*_query(phase), ("follow", "true")),
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


def _query(phase: str | None) -> tuple[tuple[str, str], ...]:
    return (("phase", phase),) if phase else ()
