"""Waking a sleeping loop in another process: NOTIFY after a commit, polling behind it.

PostgreSQL orders notifying commits by one lock, so no transaction that does work notifies: a thread of its own does,
and many nudges that come together are one.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from threading import Thread

import psycopg
from sqlalchemy import URL

from scheduler.store import address_words

CHANNEL = "ganger"

OF_JOBS = frozenset({"tick", "jobs"})
"""The topics that are nudged when jobs have changed."""

VANISHED = {
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""Driver options: a machine that is gone without a word is noticed in some ten seconds, not a quarter of an hour."""

_LISTEN_S = 1.0
"""How often a listener looks whether it is to go on."""

_GATHER_S = 0.001
"""A notification that follows another one so soon waits that long for more; the first after a quiet moment waits for nothing."""


class Nudger:
    """`nudge(topic)` tells every listener, soon, once; it never waits and never raises."""

    def __init__(self, url: URL) -> None:
        self._conninfo = conninfo(url)
        self._topics: SimpleQueue[str | None] = SimpleQueue()
        self._connection: psycopg.Connection | None = None
        self._sent = 0.0
        self._thread = Thread(target=self._run, name="nudger", daemon=True)
        self._thread.start()

    def nudge(self, topic: str) -> None:
        """Wake whoever waits for this topic."""
        self._topics.put(topic)

    def stop(self, timeout_s: float = 2.0) -> None:
        """End after what is waiting has been sent."""
        self._topics.put(None)
        self._thread.join(timeout_s)

    def _run(self) -> None:
        go_on = True
        while go_on:
            topics, go_on = self._gather()
            # A connection that was lost while nothing was sent is found out only now.
            if not self._send(topics):
                self._send(topics)
        if self._connection is not None:
            self._connection.close()

    def _gather(self) -> tuple[set[str], bool]:
        """Wait for a topic and collect what comes with it; False when asked to end."""
        topic = self._topics.get()
        topics: set[str] = set()
        now = time.monotonic()
        until = now + _GATHER_S if now < self._sent + _GATHER_S else now
        while topic is not None:
            topics.add(topic)
            left = until - time.monotonic()
            try:
                if left <= 0:
                    return topics, True
                topic = self._topics.get(timeout=left)
            except Empty:
                return topics, True
        return topics, False

    def _send(self, topics: set[str]) -> bool:
        if not topics:
            return True
        try:
            if self._connection is None or self._connection.closed:
                self._connection = psycopg.connect(self._conninfo, autocommit=True, connect_timeout=2)
                self._connection.execute("SET synchronous_commit = off")  # a nudge is nothing that a disk need keep
            for topic in topics:
                self._connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, topic))
            self._sent = time.monotonic()
        except psycopg.Error:
            self._connection = None  # whoever was to be woken polls
            return False
        return True


def listen(url: URL, hear: Callable[[str], None], go_on: Callable[[], bool]) -> None:
    """Call `hear` with each topic nudged, while `go_on()`; raises when the connection is lost (call again)."""
    with listening(url) as connection:
        hear("tick")  # what was nudged while nobody listened
        news = select.poll()  # the driver's own wait looks ten times a second
        news.register(connection.fileno(), select.POLLIN)
        while go_on():
            if not news.poll(_LISTEN_S * 1000):
                continue
            for note in connection.notifies(timeout=0):
                hear(note.payload)


@contextmanager
def listening(url: URL) -> Iterator[psycopg.Connection]:
    """Give a connection that receives every nudge. Raises psycopg.Error."""
    with psycopg.connect(conninfo(url), autocommit=True, connect_timeout=5) as connection:
        connection.execute(f"LISTEN {CHANNEL}")
        yield connection


def conninfo(url: URL) -> str:
    """Return the URL as the driver itself takes it, with what finds out a server that has vanished."""
    return address_words.words(url, **{name: str(value) for name, value in VANISHED.items()})
