"""Who waits for changes of jobs is told: one thread a process reads the feed, and only while somebody waits.

    database ── NOTIFY ──▶ ChangeFeed ── what changed ──▶ the watches that it concerns ── wake()
             ◀── one read ──┘

A `Watch` is made before the caller looks at the database, so that nothing falls between the look and the wait. It is woken
once. Nudges only make it quicker: the feed looks by itself once a second, reads what changed by position, and so
misses nothing, however many nudges are lost.
"""

from __future__ import annotations

import os
import select
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

import psycopg
from sqlalchemy.exc import SQLAlchemyError

from scheduler.events import FEED_TROUBLE
from scheduler.identifiers import JobId, JobTypeId, ProjectId
from scheduler.log import log
from scheduler.runtime import Runtime
from scheduler.store.feed import changes
from scheduler.store.feed.changes import FeedPosition, MovedJob
from scheduler.store.leader import wake

K = TypeVar("K")

LOOK_AGAIN_S = 1.0
"""The longest time until a change is seen whose nudge was lost."""

READ_AT_ONCE = 5_000
REST = 5.0
"""After a look the feed rests for so many times as long as it took: under load it has at most a sixth of a core."""

LINGER_S = 60.0
"""The feed goes on for so long after the last one who waited; then it lets its connection go."""

TROUBLE_PAUSE_S = 0.5


@dataclass(frozen=True, slots=True)
class FeedInterest:
    """The changes that a watch is woken by; None is any. It may let through more than its owner wants, never less."""

    project_id: ProjectId | None = None
    job_ids: frozenset[JobId] | None = None
    job_type_ids: frozenset[JobTypeId] | None = None
    statuses: frozenset[str] | None = None

    def wants(self, job: MovedJob) -> bool:
        """Whether this change wakes it."""
        return (
            (self.project_id is None or job.project_id == self.project_id)
            and (self.job_ids is None or job.id in self.job_ids)
            and (self.job_type_ids is None or job.job_type_id in self.job_type_ids)
            and (self.statuses is None or job.status in self.statuses)
        )


class Watch:
    """One wait for changes. `is_woken` once a change may concern it; `wake`, if it is set, is called then, on any thread."""

    def __init__(self, interest: FeedInterest, *, early: bool) -> None:
        self.interest, self.early = interest, early
        self.wake: Callable[[], None] | None = None
        self.is_woken = False


class ChangeFeed:
    """The watches of one process, and the thread that wakes them."""

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt
        self._lock = threading.Lock()
        self._by_job: dict[JobId, set[Watch]] = {}
        self._others: dict[FeedInterest, set[Watch]] = {}
        self._count = 0
        self._position: FeedPosition | None = None
        self._thread: threading.Thread | None = None
        self._wanted_until = 0.0
        self._poke_read, self._poke_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        weakref.finalize(self, _close, self._poke_read, self._poke_write)

    def passed(self, watch: Watch) -> FeedPosition | None:
        """Return the position up to which nothing has concerned this watch; None if something has, or that is not known."""
        with self._lock:
            return None if watch.is_woken or watch.early else self._position

    def watch(self, interest: FeedInterest) -> Watch:
        """Return a watch that is woken by changes that commit from now on. End it with `end`."""
        with self._lock:
            made = Watch(interest, early=self._position is None)
            for watches in self._places(interest):
                watches.add(made)
            self._count += 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="change-feed", daemon=True)
                self._thread.start()
        return made

    def end(self, watch: Watch) -> None:
        """Forget a watch; safe to repeat."""
        with self._lock:
            self._forget(watch)

    def when_woken(self, watch: Watch, wake_: Callable[[], None]) -> None:
        """Call this when the watch is woken, at once if it is already."""
        with self._lock:
            watch.wake = wake_
            woken = watch.is_woken
        if woken:
            wake_()

    def hearing(self, nudge: Callable[[str], None]) -> Callable[[str], None]:
        """Return a nudge that this feed hears at once, without the way through the database."""

        def both(topic: str) -> None:
            nudge(topic)
            if topic in wake.OF_JOBS:
                self.poke()

        return both

    def poke(self) -> None:
        """Look now: something was committed here. Costs nothing while nobody waits."""
        if self._count:
            with suppress(BlockingIOError):  # it is being told already
                os.write(self._poke_write, b"!")

    def _places(self, interest: FeedInterest) -> Iterable[set[Watch]]:
        if interest.job_ids is None:
            return (self._others.setdefault(interest, set()),)
        return [self._by_job.setdefault(one, set()) for one in interest.job_ids]

    def _forget(self, watch: Watch) -> None:
        interest = watch.interest
        if interest.job_ids is None:
            self._count -= _discard(self._others, (interest,), watch)
        else:
            self._count -= _discard(self._by_job, interest.job_ids, watch)

    def _run(self) -> None:
        while True:
            try:
                if not self._follow():
                    return
            except (psycopg.Error, SQLAlchemyError, OSError) as trouble:
                log.warning(FEED_TROUBLE, trouble=type(trouble).__name__)
                time.sleep(TROUBLE_PAUSE_S)  # on this thread nobody is kept waiting

    def _follow(self) -> bool:
        """Wake whoever is concerned, on one connection; False when nobody has waited for long, and the thread ends."""
        self._wanted_until = time.monotonic() + LINGER_S
        with wake.listening(self._rt.db.url) as connection:
            while True:
                began = time.monotonic()
                is_all = self._look()
                took_s = time.monotonic() - began
                if self._count:
                    self._wanted_until = began + LINGER_S
                elif began > self._wanted_until and self._ended():
                    return False
                if is_all:
                    time.sleep(took_s * REST)
                    self._await_news(connection)

    def _await_news(self, connection: psycopg.Connection) -> None:
        """Return when the feed should look: a topic of jobs was nudged, something happened here, or a second is over."""
        until = time.monotonic() + LOOK_AGAIN_S
        while (left := until - time.monotonic()) > 0:
            looks = select.poll()  # not select(), which knows no descriptor beyond 1,023
            for descriptor in (connection.fileno(), self._poke_read):
                looks.register(descriptor, select.POLLIN)
            ready = [descriptor for descriptor, _ in looks.poll(left * 1000)]
            if self._poke_read in ready:
                os.read(self._poke_read, 4096)
                return
            if ready and any(note.payload in wake.OF_JOBS for note in connection.notifies(timeout=0)):
                return

    def _look(self) -> bool:
        """Read what changed and wake whom it concerns; False when there is more to read."""
        with self._rt.keyed.connect() as connection:
            if self._position is None:
                position = changes.now(connection)
                woken = self._begin(position)
                is_all = True
            else:
                found = changes.read(connection, self._position, READ_AT_ONCE)
                woken, is_all = self._concerned(found.jobs, found.position), found.is_all
        for watch in woken:
            if watch.wake is not None:
                watch.wake()
        return is_all

    def _begin(self, position: FeedPosition) -> list[Watch]:
        """Begin here. What changed before is not read: whoever began to watch before this looks once more."""
        with self._lock:
            self._position = position
            every = {one for watches in (*self._by_job.values(), *self._others.values()) for one in watches}
            return self._woken([one for one in every if one.early])

    def _concerned(self, jobs: list[MovedJob], position: FeedPosition) -> list[Watch]:
        with self._lock:
            found: dict[Watch, None] = {}
            for job in jobs:
                found |= dict.fromkeys(one for one in self._by_job.get(job.id, ()) if one.interest.wants(job))
            for interest, watches in self._others.items():
                if any(interest.wants(job) for job in jobs):
                    found |= dict.fromkeys(watches)
            self._position = position
            return self._woken(found)

    def _woken(self, watches: Iterable[Watch]) -> list[Watch]:
        woken = list(watches)
        for watch in woken:
            watch.is_woken = True
            self._forget(watch)
        return woken

    def _ended(self) -> bool:
        """End the thread unless somebody has come meanwhile."""
        with self._lock:
            if self._count:
                return False
            self._thread, self._position = None, None
            return True


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _discard(index: dict[K, set[Watch]], keys: Iterable[K], watch: Watch) -> bool:
    """Take a watch out of an index; tell whether it was there."""
    found = False
    for key in keys:
        watches = index.get(key)
        if watches is not None and watch in watches:
            found = True
            watches.discard(watch)
            if not watches:
                del index[key]
    return found
