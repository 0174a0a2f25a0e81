"""What programs write: whole, or followed while they run."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import httpx2

from api.client.errors import Unreachable
from api.client.records import LogPiece
from api.client.transport import Call, Transport

Stream: TypeAlias = Literal["stdout", "stderr", "combined"]

# A stream with nothing to tell sends comments; one that is silent for longer has a dead connection.
SILENCE_S = 60.0
RECONNECT_PAUSE_S = 0.5
RECONNECTS_MAX = 60


@dataclass(frozen=True, slots=True)
class Logs:
    """The output of executions."""

    _transport: Transport

    def read(self, execution_id: int, *, stream: Stream = "combined", phase: str | None = None) -> str:
        """Return what was written so far, an empty text if nothing; of one phase, or of all in their order."""
        call = Call("GET", _path(execution_id, stream), params=_query(phase), headers={"Accept": "text/plain"})
        return self._transport.send(call).text

    def document(self, execution_id: int, *, stream: Stream = "combined", phase: str | None = None) -> Any:
        """Return what was written so far as the API's JSON; None if nothing."""
        return self._transport.json(Call("GET", _path(execution_id, stream), params=_query(phase)))

    def follow(self, execution_id: int, *, stream: Stream = "combined", phase: str | None = None) -> Iterator[LogPiece]:
        """Yield what was written and what is being written, to the end of the execution, each byte once.

        A broken connection is made again where it broke. Raises Unreachable when that fails for long.
        """
        seen = _Seen()
        failures = 0
        while True:
            try:
                for piece in self._connected(execution_id, stream, phase, seen):
                    failures = 0
                    yield piece
            except Unreachable:
                failures += 1
                if failures > RECONNECTS_MAX:
                    raise
            if seen.ended:
                return
            time.sleep(RECONNECT_PAUSE_S)

    def _connected(self, execution_id: int, stream: Stream, phase: str | None, seen: _Seen) -> Iterator[LogPiece]:
        call = Call(
            "GET",
            _path(execution_id, stream),
            params=(*_query(phase), ("follow", "true")),
            headers={"Accept": "text/event-stream"},
        )
        with self._transport.stream(call, read_timeout_s=SILENCE_S) as response:
            for event in httpx2.EventSource(response):
                if event.event == "end":
                    seen.ended = True
                    return
                if event.event == "log" and (piece := seen.fresh(LogPiece.read(json.loads(event.data)))):
                    yield piece


@dataclass(slots=True)
class _Seen:
    """How far each phase's stream has been given out."""

    ended: bool = False
    _next: dict[tuple[str, str], int] = field(default_factory=dict)

    def fresh(self, piece: LogPiece) -> LogPiece | None:
        """Return the part of a piece that is new, None if there is none."""
        key = (piece.phase, piece.stream)
        known = self._next.get(key, 0)
        content = piece.text.encode()
        self._next[key] = max(known, piece.offset + len(content))
        if piece.offset >= known:
            return piece
        with suppress(UnicodeDecodeError):
            rest = content[known - piece.offset :].decode()
            if rest:
                return piece.model_copy(update={"offset": known, "text": rest})
        return None


def _path(execution_id: int, stream: Stream) -> str:
    return f"/job-executions/{execution_id}/logs/{stream}/"


def _query(phase: str | None) -> tuple[tuple[str, str], ...]:
    return (("phase", phase),) if phase else ()
