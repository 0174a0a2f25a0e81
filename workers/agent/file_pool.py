"""Threads for work on files, shared so that nobody's work holds up everybody else's, and never waited for in vain.

A few pieces of work go on at once. One that has lasted for some seconds counts no longer among these few: it has to do
with a slow server, or with very much data, and others shall not wait for it. How many of such there may be has limits
as well: for all, for one project, and for the jobs of one type in it. Whose work goes on least has the next turn.

Work that was told to stop and does not (it waits for a server that says nothing) is left behind after a moment: its
end is posted for it, and whatever its thread says later is dropped. The threads are daemons, so none holds up the end
of the agent.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from scheduler.wire import TaskSpec
from workers import log
from workers.events import Event
from workers.paths import ExecutionKey

LONG_S: Final = 3.0
"""Work that lasts longer no longer counts among the few that go on at once."""
_PATIENCE_S: Final = 1.0
"""How long work may go on after it was told to stop."""
_MOST_FACTOR: Final = 4
"""Times the few that go on at once: the most in all, long ones included."""

_Owner = tuple[str, str]


@dataclass(slots=True, eq=False)
class _Work:
    """One piece of work: it returns the event of its end. `given_up` is that event if it was left behind."""

    key: ExecutionKey
    owner: _Owner
    work: Callable[[], Event]
    given_up: Event
    flag: threading.Event = field(default_factory=threading.Event)
    started: float = 0.0
    leave_at: float | None = None


class FilePool:
    """Does work on files in threads of its own, and posts its end. Thread-safe."""

    def __init__(self, name: str, few: int, post: Callable[[Event], None]) -> None:
        """`few` pieces of work go on at once, beside long ones. `post` is called from the pool's threads."""
        self._name, self._few, self._post = name, few, post
        self._most = few * _MOST_FACTOR
        self._waiting: list[_Work] = []
        self._running: list[_Work] = []
        self._change = threading.Condition()
        self._closed = False
        threading.Thread(target=self._turn, name=f"{name}s", daemon=True).start()

    def submit(self, spec: TaskSpec, work: Callable[[threading.Event], Event], given_up: Event) -> None:
        """Do this work when it has its turn. It gets the flag that says that it is to stop."""
        key, owner = (spec.execution_id, spec.attempt), (spec.project, f"{spec.type_name} {spec.type_version}")
        one = _Work(key, owner, lambda: work(one.flag), given_up)
        with self._change:
            if not self._closed:
                self._waiting.append(one)
                self._change.notify()

    def stop(self, key: ExecutionKey) -> None:
        """Give up the work for this execution, if there is any; its event comes in a moment. May be repeated."""
        with self._change:
            for one in (*self._waiting, *self._running):
                if one.key == key and one.leave_at is None:
                    one.flag.set()
                    one.leave_at = time.monotonic() + (_PATIENCE_S if one.started else 0.0)
            self._change.notify()

    def close(self) -> None:
        """Give up everything; nothing more is posted for work that had not begun."""
        with self._change:
            self._closed = True
            for one in (*self._waiting, *self._running):
                one.flag.set()
            self._waiting.clear()
            self._change.notify()

    def _turn(self) -> None:
        """Start what has its turn and leave behind what does not stop, for as long as the pool is open."""
        with self._change:
            while not self._closed:
                now = time.monotonic()
                for one in self._left_behind(now):
                    self._post(one.given_up)
                while (chosen := self._chosen(now)) is not None:
                    self._waiting.remove(chosen)
                    self._running.append(chosen)
                    chosen.started = now
                    threading.Thread(target=self._do, args=(chosen,), name=self._name, daemon=True).start()
                self._change.wait(self._next_due(now))

    def _left_behind(self, now: float) -> list[_Work]:
        late = [one for one in (*self._waiting, *self._running) if one.leave_at is not None and one.leave_at <= now]
        self._waiting = [one for one in self._waiting if one not in late]
        self._running = [one for one in self._running if one not in late]
        return late

    def _chosen(self, now: float) -> _Work | None:
        """Return the work that has the next turn, None if there is none or no room."""
        new = sum(now - one.started < LONG_S for one in self._running)
        if new >= self._few or len(self._running) >= self._most:
            return None
        of_project = Counter(one.owner[0] for one in self._running)
        of_type = Counter(one.owner for one in self._running)
        possible = [
            one
            for one in self._waiting
            if of_project[one.owner[0]] < max(1, self._most * 3 // 4) and of_type[one.owner] < max(1, self._most // 2)
        ]
        return min(possible, key=lambda one: (of_project[one.owner[0]], of_type[one.owner]), default=None)

    def _next_due(self, now: float) -> float | None:
        """Return the seconds until something has its turn by the time alone."""
        due = [one.leave_at for one in self._running if one.leave_at is not None]
        if self._waiting:
            due += [one.started + LONG_S for one in self._running if now - one.started < LONG_S]
        return max(0.0, min(due) - now) if due else None

    def _do(self, one: _Work) -> None:
        event = one.given_up
        try:
            event = one.work()
        except Exception:  # noqa: BLE001  the execution must get an end, whatever it is
            log.logger().exception(log.THREAD_FAILED, execution=one.key[0])
        with self._change:
            if one not in self._running:
                return
            self._running.remove(one)
            self._change.notify()
        self._post(event)
