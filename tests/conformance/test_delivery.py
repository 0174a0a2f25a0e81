"""Deliveries over a real broker: what ails it is nobody's trouble for long."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from scheduler.leader.dispatch import DispatchBatch, Dispatcher
from scheduler.servers import broker_client

PLACED = [(7, 1)]


@pytest.fixture
def clock() -> list[float]:
    return [0.0]


@pytest.fixture
def dispatcher(broker_url: str, clock: list[float]) -> Iterator[Dispatcher]:
    made = Dispatcher(broker_url, monotonic=lambda: clock[0])
    yield made
    made.stop()


def test_a_message_reaches_the_queue_of_its_node(dispatcher: Dispatcher, broker_url: str) -> None:
    dispatcher.deliver(DispatchBatch({("alpha", 1): PLACED}))
    assert broker_client.connect(broker_url).brpop(["node.alpha"], timeout=10)


def test_a_broker_that_refuses_is_left_alone_and_used_again(
    dispatcher: Dispatcher, broker_url: str, clock: list[float]
) -> None:
    client = broker_client.connect(broker_url)
    client.set("node.odd", "not a list")
    dispatcher.deliver(DispatchBatch({("odd", 1): PLACED}))
    for clock[0] in range(1, 100):
        dispatcher.ring("alpha")
        if client.brpop(["node.alpha"], timeout=1):
            break
    else:
        raise AssertionError("nothing is delivered any more")


def test_what_was_handed_over_is_published_before_the_end(broker_url: str) -> None:
    dispatcher = Dispatcher(broker_url)
    for _ in range(20):
        dispatcher.ring("alpha")
    dispatcher.stop()
    assert broker_client.connect(broker_url).llen("node.alpha") == 20
