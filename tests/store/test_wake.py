"""Nudges: heard soon, however many there are, and after the database was away."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import make_url

from scheduler.store.leader import wake
from tests.support.servers import connect


@pytest.fixture
def heard(database_url: str) -> Iterator[queue.SimpleQueue[str]]:
    topics: queue.SimpleQueue[str] = queue.SimpleQueue()
    go_on = [True]
    thread = threading.Thread(target=wake.listen, args=(make_url(database_url), topics.put, lambda: go_on[0]))
    thread.start()
    assert topics.get(timeout=10) == "tick"
    yield topics
    go_on[0] = False
    thread.join()


def test_a_nudge_is_heard_while_others_never_cease(heard: queue.SimpleQueue[str], database_url: str) -> None:
    nudger = wake.Nudger(make_url(database_url))
    over = threading.Event()

    def nudge_on() -> None:
        while not over.is_set():
            nudger.nudge("scaling")

    thread = threading.Thread(target=nudge_on)
    thread.start()
    try:
        assert heard.get(timeout=5) == "scaling"
    finally:
        over.set()
        thread.join()
        nudger.stop()


def test_a_nudger_told_to_stop_sends_what_waits_and_ends(heard: queue.SimpleQueue[str], database_url: str) -> None:
    nudger = wake.Nudger(make_url(database_url))
    nudger.nudge("one")
    nudger.stop()
    assert heard.get(timeout=5) == "one"
    assert not nudger._thread.is_alive()


def test_the_first_nudge_after_a_lost_connection_is_heard(heard: queue.SimpleQueue[str], database_url: str) -> None:
    nudger = wake.Nudger(make_url(database_url))
    nudger.nudge("before")
    assert heard.get(timeout=5) == "before"
    assert nudger._connection is not None
    with connect(database_url) as db:
        db.execute("SELECT pg_terminate_backend(%s, 5000)", (nudger._connection.info.backend_pid,))
    nudger.nudge("after")
    assert heard.get(timeout=5) == "after"
    nudger.stop()
