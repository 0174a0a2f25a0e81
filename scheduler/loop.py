"""Loops: each repeated duty of a process runs in a loop and a thread of its own.

A step returns the seconds until its next turn; a wake-up makes the next turn come sooner. A step that raises is logged
and tried again, after 0.1 s at first and 3 s at most, whatever wake-ups come: soon enough once a server is back, seldom
enough while it is away. The same error again is logged only when its count has doubled, so that an outage of hours is
a dozen lines.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread

from scheduler.events import LOOP_TROUBLE, LOOP_WELL_AGAIN
from scheduler.log import log

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 3.0


class Loop:
    """One duty in one thread. `wake()` from any thread makes the next turn come at once; `stop()` ends the loop."""

    def __init__(self, name: str, step: Callable[[], float]) -> None:
        self.name = name
        self._step = step
        self._awake = Event()
        self._stopped = Event()
        self._failures, self._logged = 0, ""
        self._thread = Thread(target=self._run, name=name, daemon=True)

    def start(self) -> Loop:
        """Start the thread; return this loop."""
        self._thread.start()
        return self

    def wake(self) -> None:
        """Make the next turn come at once; several calls before it count as one."""
        self._awake.set()

    def stop(self, timeout_s: float = 10.0) -> None:
        """End the loop after its current turn; wait at most `timeout_s` for that."""
        self._stopped.set()
        self._awake.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        pause = _FIRST_PAUSE_S
        while not self._stopped.is_set():
            self._awake.clear()
            try:
                wait_s = self._step()
            except Exception as trouble:  # noqa: BLE001 - nobody is above a loop: log, wait, go on
                self._log(trouble)
                self._stopped.wait(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_S)
                continue
            if self._failures:
                log.info(LOOP_WELL_AGAIN, loop=self.name, failures=self._failures)
            pause, self._failures = _FIRST_PAUSE_S, 0
            if wait_s > 0:
                self._awake.wait(wait_s)

    def _log(self, trouble: Exception) -> None:
        what = _first_line(trouble)
        self._failures += 1
        if what != self._logged or self._failures.bit_count() == 1:
            log.error(LOOP_TROUBLE, loop=self.name, trouble=what, failures=self._failures)
        self._logged = what


def _first_line(trouble: Exception) -> str:
    """Return what the database said, without SQLAlchemy's words around it; else the error's own first line."""
    told = getattr(trouble, "orig", None) or trouble
    return f"{type(trouble).__name__}: {str(told).strip().partition(chr(10))[0]}"
