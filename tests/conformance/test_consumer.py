"""The Celery side of a node against a real broker: rung at once, deaf to everything else, replaced when silent."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from scheduler.broker_protocol import PLACEMENT_TASK, RING_TASK, queue_name
from scheduler.rules.lifecycle.outcome import Outcome
from scheduler.servers import broker_client
from tests.support.fake_node_api import FakeNodeApi
from tests.support.keys import FIRST, a_key
from tests.support.node import a_spec
from tests.support.node_process import NodeProcess, witnessed
from tests.support.servers import state_folder
from tests.support.waiting import readable
from workers.link import celery_app
from workers.paths import ExecutionKey


@pytest.fixture
def api() -> Iterator[FakeNodeApi]:
    api = FakeNodeApi()
    api.beats_tell = False  # whatever is heard is heard by the queue
    yield api
    api.close()


@pytest.fixture
def publisher(broker_url: str) -> Celery:
    return celery_app.make("n1", broker_url, "")


@pytest.fixture
def node(api: FakeNodeApi, broker_url: str) -> Iterator[NodeProcess]:
    with state_folder() as folder:
        node = NodeProcess(folder, api.url, broker_url=broker_url, canary_s=0.4)
        try:
            node.start()
            api.wait(lambda: api.beats)
            yield node
        finally:
            node.close()


def publish(publisher: Celery, *keys: ExecutionKey, epoch: int = 1, task: str = PLACEMENT_TASK) -> None:
    publisher.send_task(task, args=[epoch, [list(key) for key in keys]], queue=celery_app.node_queue("n1"))


def place(api: FakeNodeApi, node: NodeProcess, *keys: ExecutionKey) -> None:
    api.place(*[a_spec(key, job=witnessed(node, "")) for key in keys])


def consumers(node: NodeProcess) -> list[int]:
    return [line["pid"] for line in node.said() if line["event"] == "consumer.started"]


def until_new_consumer(node: NodeProcess, api: FakeNodeApi, before: list[int]) -> None:
    with api.change:
        for _ in range(200):
            if len(consumers(node)) > len(before):
                return
            api.change.wait(0.1)  # the node's log is a file: nobody tells of a new line
    raise AssertionError(node.log.read_text())


def test_a_message_starts_all_its_placements(api: FakeNodeApi, node: NodeProcess, publisher: Celery) -> None:
    keys = [a_key(number, 1) for number in range(1, 21)]
    place(api, node, *keys)
    publish(publisher, *keys)
    for key in keys:
        assert api.report(key).outcome == Outcome.COMPLETED
    assert len(node.starts()) == 20


@pytest.mark.parametrize(
    ("task", "arguments"), [(RING_TASK, []), (PLACEMENT_TASK, [0, []])], ids=["ring", "ring-of-an-earlier-release"]
)
def test_a_ring_makes_the_node_send_a_heartbeat_at_once(
    publisher: Celery, broker_url: str, task: str, arguments: list[Any]
) -> None:
    api = FakeNodeApi(beat_s=300.0, lease_s=3600.0)
    with state_folder() as folder:
        node = NodeProcess(folder, api.url, broker_url=broker_url, canary_s=0.4)
        node.start()
        try:
            until_new_consumer(node, api, [])
            before = len(api.beats)
            publisher.send_task(task, args=arguments, queue=celery_app.node_queue("n1"))
            api.wait(lambda: len(api.beats) > before)
        finally:
            node.close()
            api.close()


def test_a_message_that_comes_twice_or_late_starts_nothing(
    api: FakeNodeApi, node: NodeProcess, publisher: Celery
) -> None:
    place(api, node, FIRST, a_key(2, 1))
    publish(publisher, FIRST, epoch=99)
    publish(publisher, a_key(2, 1))
    publish(publisher, a_key(2, 1))
    assert api.report(a_key(2, 1)).outcome == Outcome.COMPLETED
    assert (1, 1) not in api.reports
    assert node.starts() == ["2.1"]


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"not json",
        b'{"body": "cGlja2xl", "content-type": "application/x-python-serialize", "properties": {}, "headers": {}}',
        b'["a list"]',
    ],
)
def test_garbage_in_the_queue_does_not_deafen_the_node(
    api: FakeNodeApi, node: NodeProcess, publisher: Celery, broker_url: str, garbage: bytes
) -> None:
    client: Any = broker_client.connect(broker_url)
    client.lpush(queue_name("n1"), garbage)
    client.close()
    publish(publisher, FIRST, task="os.system")
    place(api, node, FIRST)
    publish(publisher, FIRST)
    assert api.report().outcome == Outcome.COMPLETED


def test_a_consumer_that_is_killed_is_replaced_and_hears_what_came_meanwhile(
    api: FakeNodeApi, node: NodeProcess, publisher: Celery
) -> None:
    until_new_consumer(node, api, [])
    before = consumers(node)
    os.kill(before[-1], signal.SIGKILL)
    place(api, node, FIRST)
    publish(publisher, FIRST)
    assert api.report().outcome == Outcome.COMPLETED
    until_new_consumer(node, api, before)


def test_a_consumer_that_stands_still_is_replaced(api: FakeNodeApi, node: NodeProcess, publisher: Celery) -> None:
    place(api, node, FIRST)
    publish(publisher, FIRST)
    api.report()
    before = consumers(node)
    os.kill(before[-1], signal.SIGSTOP)
    until_new_consumer(node, api, before)
    place(api, node, a_key(2, 1))
    publish(publisher, a_key(2, 1))
    assert api.report(a_key(2, 1)).outcome == Outcome.COMPLETED


def test_without_a_broker_the_node_says_so_once_and_works_by_its_beats(tmp_path: Path) -> None:
    api = FakeNodeApi()
    with state_folder() as folder:
        node = NodeProcess(folder, api.url, broker_url=f"redis+socket://{tmp_path}/nobody.sock", canary_s=0.2).start()
        try:
            place(api, node, FIRST)
            assert api.report().outcome == Outcome.COMPLETED
            with api.change:
                for _ in range(100):
                    if any(line["event"] == "broker.unreachable" for line in node.said()):
                        break
                    api.change.wait(0.1)  # likewise
            assert node.stop() == 0
        finally:
            node.close()
            api.close()
        assert [line["event"] for line in node.said()].count("broker.unreachable") == 1


def test_the_consumer_ends_with_its_agent(api: FakeNodeApi, node: NodeProcess) -> None:
    until_new_consumer(node, api, [])
    watched = os.pidfd_open(consumers(node)[-1])
    node.kill()
    assert readable([watched], 10)
    os.close(watched)
