"""What a node sends when: while it has work ahead calls are far apart, and a short job's start goes with its end."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from scheduler import wire
from scheduler.identifiers import Attempt, Epoch, ExecutionId, NodeId
from scheduler.rules.lifecycle.outcome import Outcome
from tests.support.fake_node_api import FakeNodeApi
from workers.api_client import ApiClient
from workers.link.exchange import NodeExchanger

TOKEN = "t" * 16


class Node:
    """An exchanger with its thread, the API that it speaks to, and what that was told."""

    def __init__(self, api: FakeNodeApi) -> None:
        self.api, self.said = api, api.exchanges
        self._client = ApiClient(api.url, "a token")
        self.exchanger = NodeExchanger(self._client, lambda: (NodeId(1), Epoch(1)), lambda _: None)
        self._thread = threading.Thread(target=self.exchanger.run)
        self._thread.start()

    def stop(self) -> None:
        self.exchanger.stop()
        self._thread.join()
        self._client.close()

    def starts(self) -> list[int]:
        return [one.execution_id for message in self.said for one in message.starts]

    def ends(self) -> list[int]:
        return [one.execution_id for message in self.said for one in message.reports]


@pytest.fixture
def node() -> Iterator[Node]:
    api = FakeNodeApi()
    made = Node(api)
    yield made
    made.stop()
    api.close()


def start(number: int) -> wire.ExecutionStart:
    return wire.ExecutionStart(execution_id=ExecutionId(number), attempt=Attempt(1), token=TOKEN, at=1.0)


def end(number: int) -> wire.ExecutionReport:
    return wire.ExecutionReport(
        execution_id=ExecutionId(number), attempt=Attempt(1), token=TOKEN, outcome=Outcome.COMPLETED
    )


def claim(number: int) -> wire.ExecutionClaim:
    return wire.ExecutionClaim(execution_id=ExecutionId(number), attempt=Attempt(1), token=TOKEN)


def test_a_hungry_node_tells_a_start_at_once(node: Node) -> None:
    node.exchanger.put(starts=[start(1)])
    node.api.wait(lambda: node.starts() == [1])
    assert node.said[0].hungry


def test_with_work_ahead_a_start_that_ends_soon_is_told_with_its_end(node: Node) -> None:
    node.exchanger.put(reports=[end(1)], hungry=False)
    node.api.wait(lambda: node.ends() == [1])
    node.exchanger.put(starts=[start(2), start(3)], reports=[end(2)], hungry=False)
    node.api.wait(lambda: node.ends() == [1, 2])
    assert next(one for one in node.said if one.reports == [end(2)]).starts == []
    assert not any(message.hungry for message in node.said)
    node.api.wait(lambda: node.starts() == [3])  # it does not end: the next call tells it


def test_claims_are_sent_at_once_and_do_not_make_a_node_hungry(node: Node) -> None:
    node.exchanger.put(reports=[end(1)], hungry=False)
    node.api.wait(lambda: node.ends() == [1])
    node.exchanger.put(claims=[claim(4)], starts=[start(5)], hungry=False)
    node.api.wait(lambda: any(one.claims for one in node.said))
    claiming = next(one for one in node.said if one.claims)
    assert (claiming.hungry, claiming.starts) == (False, [])
    node.api.wait(lambda: node.starts() == [5])


def test_what_no_answer_came_to_is_sent_again_and_a_hungry_node_stays_so(node: Node) -> None:
    node.api.faults["report"] = ["drop"]
    node.exchanger.put(starts=[start(1)], reports=[end(2)])
    node.api.wait(lambda: len(node.said) == 2)
    assert node.said[0].starts == node.said[1].starts
    assert [message.hungry for message in node.said] == [True, True]
