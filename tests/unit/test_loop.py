"""A duty that fails is tried again, and says so without filling the log."""

import queue
import threading

import pytest
from structlog.testing import capture_logs

from scheduler import loop
from scheduler.loop import Loop


def test_the_same_trouble_again_is_told_at_every_doubling_and_its_end_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_FIRST_PAUSE_S", 0.0)
    well, turns = threading.Event(), iter(range(1000))

    def step() -> float:
        if next(turns) < 100:
            raise OSError("the server is away")
        well.set()
        return 60.0

    with capture_logs() as said:
        duty = Loop("duty", step).start()
        assert well.wait(10)
        duty.stop()
    assert [line["failures"] for line in said] == [1, 2, 4, 8, 16, 32, 64, 100]
    assert said[-1]["event"] == "loop.well-again"


def test_another_trouble_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_FIRST_PAUSE_S", 0.0)
    well, troubles = threading.Event(), iter(["one", "one", "one", "two"])

    def step() -> float:
        trouble = next(troubles, None)
        if trouble is not None:
            raise OSError(trouble)
        well.set()
        return 60.0

    with capture_logs() as said:
        duty = Loop("duty", step).start()
        assert well.wait(10)
        duty.stop()
    assert [line["trouble"][-3:] for line in said if line["event"] == "loop.trouble"] == ["one", "one", "two"]


def test_a_wake_up_makes_the_next_turn_come_at_once() -> None:
    turns = queue.Queue[None]()

    def step() -> float:
        turns.put(None)
        return 600.0

    duty = Loop("duty", step).start()
    turns.get(timeout=10)
    duty.wake()
    turns.get(timeout=10)
    duty.stop()
