"""Batches of claims and reports on their way to the API: one call at a time, everything that waits goes together."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from scheduler.errors import GangerError
from workers import log
from workers.api_client import JitteredBackoff, ServerRefused, ServerUnreachable

T = TypeVar("T")

_MOST = 1000
"""Items in one call; the API takes five times as many."""
_GATHER_S = 0.008
"""Soon after another, a call waits this long for company: a call costs as much as some thirty items in it."""
_LONGER_S = 0.025
"""And this long when the last one had company."""
_COMPANY = 5
_FEW = 50
_IDLE_S = 0.05


class Batcher(Generic[T]):
    """Sends items in order, repeating each batch until it is answered."""

    def __init__(self, send: Callable[[Sequence[T]], None]) -> None:
        """`send` makes the call, and takes note of the answer."""
        self._send = send
        self._waiting: deque[T] = deque()
        self._change = threading.Condition()
        self._stopped = False

    def put(self, items: Sequence[T]) -> None:
        """Send these, after what waits already."""
        with self._change:
            first = not self._waiting
            self._waiting.extend(items)
            if first or len(self._waiting) >= _FEW:  # in between, gathering is not disturbed
                self._change.notify()

    def clear(self) -> None:
        """Forget what is not sent yet."""
        with self._change:
            self._waiting.clear()

    def stop(self) -> None:
        """Let `run` return; what waits stays unsent."""
        with self._change:
            self._stopped = True
            self._change.notify()

    def run(self) -> None:
        """Send until stopped."""
        backoff, last, gather_s = JitteredBackoff(), 0.0, _GATHER_S
        while True:
            batch = self._take(last + _IDLE_S, gather_s)
            if not batch:
                return
            try:
                self._send(batch)
                backoff.reset()
            except (ServerUnreachable, ServerRefused, GangerError) as trouble:
                if not isinstance(trouble, ServerUnreachable):
                    log.logger().warning(log.API_REFUSED, why=str(trouble), items=len(batch))
                self._put_back(batch, backoff.wait_s())
            last, gather_s = time.monotonic(), _LONGER_S if len(batch) >= _COMPANY else _GATHER_S

    def _take(self, busy_until: float, gather_s: float) -> list[T]:
        with self._change:
            while not self._waiting and not self._stopped:
                self._change.wait()
            busy = time.monotonic() < busy_until
            if busy and len(self._waiting) < _FEW and not self._stopped:
                self._change.wait_for(lambda: self._stopped or len(self._waiting) >= _FEW, gather_s)
            if self._stopped:
                return []
            return [self._waiting.popleft() for _ in range(min(_MOST, len(self._waiting)))]

    def _put_back(self, batch: list[T], wait_s: float) -> None:
        with self._change:
            self._waiting.extendleft(reversed(batch))
            self._change.wait_for(lambda: self._stopped, wait_s)
