"""Usage: what running executions use of cpus, memory and disk, as the supervisor samples it, sent with heartbeats.

Samples wait here for a heartbeat that goes anyhow, and most heartbeats carry none: they go together, as often as they are
taken. A sample of a command counts from that command's start; what the phases before it used is added here.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from scheduler.wire import MAX_SAMPLES, UsageSample
from workers.paths import ExecutionKey

_MOST_WAITING: Final = 40 * MAX_SAMPLES
"""While the API is away the oldest samples are dropped beyond so many: an hour and a half of twenty executions."""


class UsageTracker:
    """The samples that have not been sent yet. Thread-safe."""

    def __init__(
        self, claim_token: Callable[[ExecutionKey], str], every_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Samples are sent at most every `every_s` seconds."""
        self._claim_token, self._every_s, self._clock = claim_token, every_s, clock
        self._lock = threading.Lock()
        self._before: dict[ExecutionKey, tuple[float, float]] = {}
        self._waiting: deque[UsageSample] = deque(maxlen=_MOST_WAITING)
        self._sent_at = -every_s

    def note_phases(self, key: ExecutionKey, phases: Mapping[str, Mapping[str, Any]]) -> None:
        """Note what the phases of an execution that are over have used; `phases` are unfinished phase reports."""
        over = [phase["usage"] for phase in phases.values() if "usage" in phase]
        before = sum(used.get("seconds", 0.0) for used in over), sum(used.get("cpu_s", 0.0) for used in over)
        with self._lock:
            self._before[key] = before

    def sample(self, key: ExecutionKey, found: Mapping[str, Any]) -> None:
        """Keep one sample of the supervisor's. One of an execution whose phases are not known yet would count too little."""
        with self._lock:
            before = self._before.get(key)
            token = self._claim_token(key)
            if before is None or not token:
                return
            cpu_s = found["cpu_s"]
            self._waiting.append(
                UsageSample(
                    execution_id=key[0],
                    attempt=key[1],
                    token=token,
                    at=found["at"],
                    seconds=before[0] + found["seconds"],
                    cpu_s=None if cpu_s is None else before[1] + cpu_s,
                    mem_mib=found["mem_mib"],
                    disk_mib=found["disk_mib"],
                )
            )

    def drop(self, key: ExecutionKey) -> None:
        """Forget an execution; its samples are still sent."""
        with self._lock:
            self._before.pop(key, None)

    def take(self) -> list[UsageSample]:
        """Return the samples for the next heartbeat, the oldest first; none where some were sent just now."""
        with self._lock:
            now = self._clock()
            if not self._waiting or now - self._sent_at < self._every_s:
                return []
            taken = [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_SAMPLES))]
            self._sent_at = self._sent_at if self._waiting else now  # what is left goes with the very next heartbeat
            return taken

    def put_back(self, taken: list[UsageSample]) -> None:
        """Return these with the next call again: they could not be sent."""
        with self._lock:
            if not taken:
                return
            room = _MOST_WAITING - len(self._waiting)
            self._waiting.extendleft(reversed(taken[max(0, len(taken) - room) :] if room else []))
            self._sent_at = self._clock() - self._every_s
