"""Checks of running trees, made again and again beside the supervisor's own work: disk usage.

The first thread of the supervisor makes them; the other one adds them and reads their results. No tree's checks take
more than a twentieth of a cpu.
"""

import heapq
import math
import os
import threading
import time
from collections.abc import Iterable
from typing import Final, Protocol

_TOGETHER_S: Final = 0.125
_IDLE_FACTOR: Final = 20


class PeriodicCheck(Protocol):
    """One thing that is checked again every `every_s` seconds until `closed` is set."""

    closed: bool
    every_s: float

    def check(self) -> bool:
        """Check it. Returns whether the supervisor has to act now."""


class PeriodicChecks:
    """All checks. `alarm` is an event descriptor: it is written to when the supervisor has to act."""

    def __init__(self, alarm: int) -> None:
        self._alarm = alarm
        self._due: list[tuple[float, int, PeriodicCheck]] = []
        self._added = 0
        self._change = threading.Condition()

    def add(self, checks: Iterable[PeriodicCheck]) -> None:
        """Make these checks from now on."""
        with self._change:
            for check in checks:
                self._push(check, time.monotonic())
            self._change.notify()

    def run(self) -> None:
        """Check for as long as the process lives."""
        while True:
            due = self._next()
            if due.closed:
                continue
            began = time.monotonic()
            if due.check():
                os.eventfd_write(self._alarm, 1)
            now = time.monotonic()
            with self._change:
                self._push(due, now + max(due.every_s, (now - began) * _IDLE_FACTOR))

    def _next(self) -> PeriodicCheck:
        with self._change:
            while True:
                now = time.monotonic()
                if self._due and (self._due[0][0] <= now or self._due[0][2].closed):
                    return heapq.heappop(self._due)[2]
                self._change.wait(self._due[0][0] - now if self._due else None)

    def _push(self, check: PeriodicCheck, due: float) -> None:
        self._added += 1
        together = math.ceil(due / _TOGETHER_S) * _TOGETHER_S  # fewer awakenings, above all for what is over by then
        heapq.heappush(self._due, (together, self._added, check))
