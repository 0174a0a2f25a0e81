"""The output of a program as server-sent events, as it is written, until its execution has ended.

event: log      id: where to go on (also as Last-Event-ID)      data: {phase, stream, offset, text, base64}
event: end      data: {status, exit_code}
event: error    data: {kind, description}      the token was revoked or has expired, or the execution was deleted

`base64` has the very bytes, where these are not UTF-8 text by themselves; it is left out otherwise.
"""

from __future__ import annotations

import base64
import codecs
import time
from collections.abc import Callable, Iterator

from flask import Response, request

from api.http.answers import dump
from api.http.serving.thread_shares import KindOfShare
from scheduler.errors import GangerError, InvalidInput, ServiceUnavailable
from scheduler.executions.output import OutputPiece, OutputSoFar

FIRST_LOOK_S = 0.1
LAST_LOOK_S = 1.0
"""How long to wait before looking again: at first this, then ever longer while nothing comes."""

SIGN_OF_LIFE_S = 15.0
"""An idle stream sends a comment this often, so that nobody in between closes it."""


class StreamLimit:
    """A limit on the streams that one process holds open: each takes a request thread, and the other threads must stay free."""

    def __init__(self, free: KindOfShare) -> None:
        self._free = free

    def respond(self, read: Callable[[int], OutputSoFar], start: int) -> Response:
        """Return the stream of what `read(start)` returns, read again and again; raises ServiceUnavailable when all are taken."""
        start = _resumed(start)
        first = read(start)  # what is wrong with the request is said before the stream begins
        if not self._free.acquire():
            raise ServiceUnavailable("as many streams as this server holds are open; read without follow, or try again")
        response = Response(events(read, first, start), content_type="text/event-stream; charset=utf-8")
        response.headers["X-Accel-Buffering"] = "no"
        response.call_on_close(self._free.release)
        return response


def events(read: Callable[[int], OutputSoFar], output: OutputSoFar, start: int) -> Iterator[bytes]:
    """Yield the stream, beginning with `output`, which was read from `start` on."""
    decoders: dict[tuple[str, str], codecs.IncrementalDecoder] = {}
    pause, silent_since = FIRST_LOOK_S, time.monotonic()
    yield b": open\n\n"  # the headers go out with the first bytes, not with the first output
    while True:
        for piece in output.pieces:
            yield _log(piece, decoders)
            start = piece.end
        if output.finished:
            yield b"event: end\ndata: " + dump({"status": output.status, "exit_code": output.exit_code}) + b"\n\n"
            return
        if output.pieces:
            pause, silent_since = FIRST_LOOK_S, time.monotonic()
        elif time.monotonic() - silent_since > SIGN_OF_LIFE_S:
            yield b": still here\n\n"
            silent_since = time.monotonic()
        time.sleep(pause)
        pause = min(pause * 1.5, LAST_LOOK_S)
        try:
            output = read(start)
        except GangerError as error:
            yield b"event: error\ndata: " + dump({"kind": error.kind, "description": str(error)}) + b"\n\n"
            return


def _log(piece: OutputPiece, decoders: dict[tuple[str, str], codecs.IncrementalDecoder]) -> bytes:
    """A character that is cut by the end of a piece goes out with the next one."""
    decoder = decoders.setdefault((piece.phase, piece.stream), codecs.getincrementaldecoder("utf-8")("replace"))
    text = decoder.decode(piece.data)
    data = {"phase": piece.phase, "stream": piece.stream, "offset": piece.offset, "text": text}
    if text.encode() != piece.data:
        data["base64"] = base64.b64encode(piece.data).decode()
    return b"event: log\nid: %d\ndata: %s\n\n" % (piece.end, dump(data))


def _resumed(start: int) -> int:
    given = request.headers.get("Last-Event-ID", "").strip()
    if not given:
        return start
    if not (given.isascii() and given.isdigit() and len(given) < 19):  # noqa: PLR2004 - digits of a 64-bit number
        raise InvalidInput("Last-Event-ID is not one of this stream", field="Last-Event-ID")
    return int(given)
