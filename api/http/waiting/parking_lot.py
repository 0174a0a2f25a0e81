"""Parked requests and streams, held by the poller: a wait costs a timer and a socket, never a thread.

Everything here runs on the poller's thread, but for `wake` of a watch, which only defers a call to it. See
`api.http.waiting.parking` for what routes say, and `parking_worker` for the rest of a connection's way.
"""

from __future__ import annotations

import heapq
import itertools
import socket
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import partial
from selectors import EVENT_READ, EVENT_WRITE
from typing import TYPE_CHECKING, Any

from api.http.waiting.parked import AGAIN_AFTER_S, ParkedRequest, ParkedStream

if TYPE_CHECKING:
    from flask import Response
    from gunicorn.workers.gthread import TConn

    from api.http.waiting.parking_worker import ParkingWorker
    from scheduler.feed.change_feed import Watch

STALLED_S = 30.0
MOST_UNSENT = 1024 * 1024
"""Bytes that a stream's client may be behind; beyond, or behind for 30 seconds, it is given up on."""

_BODIES = frozenset({"CONTENT-LENGTH", "TRANSFER-ENCODING"})


@dataclass(slots=True)
class _Timer:
    """A call at a time; None once it is not wanted any more."""

    call: Callable[[], None] | None


@dataclass(slots=True)
class _Fed:
    """A stream and how far its client is behind."""

    conn: TConn
    parked: ParkedStream
    timer: _Timer
    unsent: bytearray = field(default_factory=bytearray)
    watch: Watch | None = None
    fed_at: float = 0.0
    behind_since: float = 0.0
    is_busy: bool = False
    is_over: bool = False
    is_closed: bool = False


class ParkingLot:
    """What one worker has parked."""

    def __init__(self, worker: ParkingWorker) -> None:
        self._worker = worker
        self._timers: list[tuple[float, int, _Timer]] = []
        self._numbers = itertools.count()
        self._requests: dict[TConn, tuple[ParkedRequest, _Timer]] = {}
        self._streams: dict[TConn, _Fed] = {}

    def hold(self, conn: TConn, parked: ParkedRequest) -> None:
        """Keep a request until its watch is woken, its wait is over, or its client has gone."""
        conn.sock.settimeout(0)
        timer = self._at(parked.wait.left_s, partial(self._over, conn, parked))
        self._requests[conn] = parked, timer
        self._worker.poller.register(conn.sock, EVENT_READ, partial(self._spoken, conn, parked))
        parked.feed.when_woken(parked.watch, lambda: self._worker.method_queue.defer(self._look_again, conn, parked))

    def feed(self, conn: TConn, parked: ParkedStream) -> None:
        """Keep a stream for as long as it and its client last."""
        conn.sock.settimeout(0)
        stream = _Fed(conn, parked, _Timer(None), bytearray(_head(parked.head, keep=False)))
        self._streams[conn] = stream
        self._worker.poller.register(conn.sock, EVENT_READ, partial(self._ready, stream))
        self._send(stream, b"")
        self._more(stream)

    def next_s(self, longest_s: float) -> float:
        """Return the seconds until something is due here, at most `longest_s`."""
        return max(0.0, min(longest_s, self._timers[0][0] - time.monotonic())) if self._timers else longest_s

    def run_due(self) -> None:
        """Do what is due."""
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            _, _, timer = heapq.heappop(self._timers)
            if timer.call is not None:
                timer.call()

    def clear(self) -> None:
        """Answer every request and end every stream: the worker stops."""
        for conn, (parked, _) in [*self._requests.items()]:
            self._over(conn, parked)
        for stream in [*self._streams.values()]:
            self._close(stream)

    def _at(self, left_s: float, call: Callable[[], None]) -> _Timer:
        timer = _Timer(call)
        heapq.heappush(self._timers, (time.monotonic() + left_s, next(self._numbers), timer))
        return timer

    def _look_again(self, conn: TConn, parked: ParkedRequest) -> None:
        if self._released(conn, parked):
            conn.sock.wait = parked.wait
            self._worker.look_again(conn)

    def _over(self, conn: TConn, parked: ParkedRequest) -> None:
        """Send the answer for a wait that is over; a client that does not take it at once gets a thread."""
        if not self._released(conn, parked):
            return
        parked.wait.settle()
        body = parked.otherwise()
        keep = self._worker.alive and not conn.request.should_close() and not _BODIES.intersection(_names(conn))
        rest = _head(parked.head, keep=keep, length=len(body)) + body
        parked.count()
        try:
            rest = rest[conn.sock.send(rest, socket.MSG_DONTWAIT) :]
        except BlockingIOError:
            pass
        except OSError:
            keep, rest = False, b""
        if rest:
            self._worker.send_rest(conn, rest, keep=keep)
        else:
            done: Future[object] = Future()
            done.set_result(keep)
            self._worker.finish_request(conn, done)

    def _spoken(self, conn: TConn, parked: ParkedRequest, _client: Any) -> None:  # noqa: ANN401 - a socket
        """The client has gone, and whoever has only ended his own side gets his answer; or the next request waits its turn."""
        try:
            has_gone = not conn.sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:
            has_gone = True
        if has_gone:
            self._over(conn, parked)
        else:
            self._worker.poller.unregister(conn.sock)

    def _released(self, conn: TConn, parked: ParkedRequest) -> bool:
        """Take a request out; False when that was done before."""
        held = self._requests.get(conn)
        if held is None or held[0] is not parked:
            return False
        del self._requests[conn]
        held[1].call = None
        parked.feed.end(parked.watch)
        with suppress(KeyError, ValueError):
            self._worker.poller.unregister(conn.sock)
        return True

    def _more(self, stream: _Fed) -> None:
        """Let a thread say what comes next."""
        if stream.is_busy or stream.is_over or stream.is_closed:
            return
        stream.timer.call = None
        if stream.watch is not None:
            stream.parked.feed.end(stream.watch)
        stream.is_busy, stream.fed_at = True, time.monotonic()
        stream.watch = stream.parked.feed.watch(stream.parked.stream.interest)
        asked = self._worker.tpool.submit(stream.parked.stream.more)
        asked.add_done_callback(lambda done: self._worker.method_queue.defer(self._said, stream, done))

    def _said(self, stream: _Fed, done: Future[bytes | None]) -> None:
        stream.is_busy = False
        if stream.is_closed:
            return
        said = None if done.exception() is not None else done.result()
        if said is None:
            stream.is_over = True
        self._send(stream, b"" if said is None else said or stream.parked.stream.beat)
        if stream.is_closed or stream.is_over:
            return
        stream.timer = self._at(stream.parked.stream.every_s, partial(self._more, stream))
        if stream.watch is not None:
            stream.parked.feed.when_woken(
                stream.watch, lambda: self._worker.method_queue.defer(self._news, stream, stream.watch)
            )

    def _news(self, stream: _Fed, watch: Watch) -> None:
        if stream.watch is not watch or stream.is_busy or stream.is_closed:
            return
        stream.timer.call = None
        stream.timer = self._at(stream.fed_at + AGAIN_AFTER_S - time.monotonic(), partial(self._more, stream))

    def _ready(self, stream: _Fed, _client: Any) -> None:  # noqa: ANN401 - a socket
        try:
            while said := stream.conn.sock.recv(4096, socket.MSG_DONTWAIT):
                del said  # nothing that a client says changes a stream
        except BlockingIOError:
            if stream.unsent:
                self._send(stream, b"")
            return
        except OSError:
            pass
        self._close(stream)

    def _send(self, stream: _Fed, data: bytes) -> None:
        """Send what the client takes, and keep the rest."""
        was_behind = bool(stream.unsent)
        stream.unsent += data
        try:
            if stream.unsent:
                del stream.unsent[: stream.conn.sock.send(stream.unsent, socket.MSG_DONTWAIT)]
        except BlockingIOError:
            pass
        except OSError:
            self._close(stream)
            return
        now = time.monotonic()
        if not was_behind:
            stream.behind_since = now
        is_late = stream.unsent and (len(stream.unsent) > MOST_UNSENT or now - stream.behind_since > STALLED_S)
        if is_late or (stream.is_over and not stream.unsent):
            self._close(stream)
        elif bool(stream.unsent) != was_behind:
            events = EVENT_READ | EVENT_WRITE if stream.unsent else EVENT_READ
            self._worker.poller.modify(stream.conn.sock, events, partial(self._ready, stream))

    def _close(self, stream: _Fed) -> None:
        if stream.is_closed:
            return
        stream.is_closed, stream.timer.call = True, None
        del self._streams[stream.conn]
        if stream.watch is not None:
            stream.parked.feed.end(stream.watch)
        stream.parked.share.give_back()
        with suppress(KeyError, ValueError, OSError):
            self._worker.poller.unregister(stream.conn.sock)
        self._worker.nr_conns -= 1
        stream.conn.close(graceful=stream.is_over)


def _names(conn: TConn) -> set[str]:
    return {name.upper() for name, _ in conn.request.headers}


def _head(head: Response, *, keep: bool, length: int | None = None) -> bytes:
    """Return the head of an answer as it goes over the network."""
    lines = [f"HTTP/1.1 {head.status}", f"Date: {formatdate(usegmt=True)}"]
    lines.append(f"Connection: {'keep-alive' if keep else 'close'}")
    lines += [f"{name}: {value}" for name, value in head.headers.items() if name.lower() != "content-length"]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
