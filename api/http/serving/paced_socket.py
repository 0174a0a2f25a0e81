"""A connection that waits for its client only as long as the client keeps a pace.

A client may be slow, but not as slow as it likes: for a body, and for an answer, it may keep us waiting a few seconds, and longer
only by what it has sent or taken at the slowest rate that is allowed. The time that we take ourselves does not count.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

STALLED_S = 30.0
"""The longest single wait, however fast the client was before."""

SLOWEST = 10_000
"""Bytes a second that a client sends or takes at least, beyond the grace."""


class TooSlowError(OSError):
    """The client has not kept the pace; its connection is of no more use."""


class Pace:
    """The pace of one direction of one request. `before_wait` is called before the first wait for the client, and may raise.

    `grace_s`, which a process sets once, is the time that a client may keep us waiting however little it sends or takes. With
    `within_s` all of it must be over in so many seconds, waiting or not.
    """

    grace_s = 10.0

    def __init__(
        self,
        before_wait: Callable[[], None] | None = None,
        within_s: float | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._before_wait, self._monotonic = before_wait, monotonic
        self._ends = None if within_s is None else monotonic() + within_s
        self._waited_s, self._bytes = 0.0, 0

    def count(self, size: int) -> None:
        """Note that the client has sent or taken so many bytes."""
        self._bytes += size

    def wait(self, handle: int, event: int) -> None:
        """Wait until the client sends or takes more. Raises TooSlowError."""
        if self._before_wait is not None:
            self._before_wait()
            self._before_wait = None
        began = self._monotonic()
        left = min(STALLED_S, self.grace_s + self._bytes / SLOWEST - self._waited_s)
        if self._ends is not None:
            left = min(left, self._ends - began)
        ready = select.poll()
        ready.register(handle, event)
        if left <= 0 or not ready.poll(left * 1000):
            raise TooSlowError("the client is too slow")
        self._waited_s += self._monotonic() - began


class PacedSocket(socket.socket):
    """A socket that keeps the pace of what it receives and sends, once it is told to."""

    receiving: Pace | None = None
    sending: Pace | None = None
    late = False
    """The body is small and yet did not come with its head: a thread would have to wait for it."""

    wait: object = None
    """The wait of a request that was parked and is looked at once more; see `api.http.waiting.parking`."""

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """Return the next bytes, b"" at the end. Raises TooSlowError."""
        pace = self.receiving
        if pace is None:
            return super().recv(size, flags)
        while True:
            try:
                piece = super().recv(size, flags | socket.MSG_DONTWAIT)
            except BlockingIOError:
                pace.wait(self.fileno(), select.POLLIN)
            else:
                pace.count(len(piece))
                return piece

    def sendall(self, data: ReadableBuffer, flags: int = 0, /) -> None:
        """Send all bytes. Raises TooSlowError."""
        pace = self.sending
        if pace is None:
            super().sendall(data, flags)
            return
        rest = memoryview(data).cast("B")
        while rest:
            try:
                sent = super().send(rest, flags | socket.MSG_DONTWAIT)
            except BlockingIOError:
                pace.wait(self.fileno(), select.POLLOUT)
            else:
                pace.count(sent)
                rest = rest[sent:]
