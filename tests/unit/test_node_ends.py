"""How a node process ends: told to by a signal, at whatever time, or refused by the API."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from scheduler.rules.lifecycle.outcome import Outcome
from tests.support.fake_node_api import FakeNodeApi
from tests.support.keys import FIRST as KEY
from tests.support.node import a_spec
from tests.support.node_process import NodeProcess, command_lines, sleeps, witnessed
from tests.support.servers import state_folder

pytestmark = pytest.mark.slow


@pytest.fixture
def api() -> Iterator[FakeNodeApi]:
    api = FakeNodeApi()
    yield api
    api.close()


@pytest.fixture
def node(api: FakeNodeApi) -> Iterator[NodeProcess]:
    with state_folder() as folder:
        node = NodeProcess(folder, api.url)
        yield node
        node.close()


def supervisors_of(node: NodeProcess) -> list[bytes]:
    return [line for line in command_lines() if b"supervisor" in line and os.fsencode(node.folder) in line]


def test_sigterm_hands_running_work_back_and_signs_off(api: FakeNodeApi, node: NodeProcess) -> None:
    node.start()
    api.place(a_spec(job=witnessed(node, "echo ready; sleep 60"), limits={"grace_s": 1}))
    api.wait(lambda: api.text() == b"ready\n")
    assert node.stop() == 0
    assert api.reports[KEY].outcome == Outcome.RETURNED
    assert api.left


def test_sigusr1_leaves_the_work_running_for_the_next_agent(api: FakeNodeApi, node: NodeProcess) -> None:
    node.start()
    api.place(a_spec(job=witnessed(node, "echo ready; sleep 1; echo done")))
    api.wait(lambda: api.text() == b"ready\n")
    assert node.stop(signal.SIGUSR1, 5) == 0
    node.start()
    assert api.report().outcome == Outcome.COMPLETED
    assert api.text() == b"ready\ndone\n"
    assert node.starts() == ["1.1"]


def test_sigusr2_finishes_first(api: FakeNodeApi, node: NodeProcess) -> None:
    node.start()
    api.place(a_spec(job=witnessed(node, "echo ready; sleep 1")))
    api.wait(lambda: api.text() == b"ready\n")
    assert node.stop(signal.SIGUSR2) == 0
    assert api.reports[KEY].outcome == Outcome.COMPLETED
    assert api.left


def test_a_node_with_a_wrong_token_ends_with_one_clear_line(api: FakeNodeApi, node: NodeProcess) -> None:
    api.status["register"] = 401
    node.start()
    assert node.process is not None
    assert node.process.wait(20) == 2
    assert "ganger: node n1 cannot work: no such token" in node.log.read_text()
    api.wait(lambda: not supervisors_of(node))


def test_a_node_whose_name_is_taken_leaves_no_supervisor(api: FakeNodeApi, node: NodeProcess) -> None:
    api.status["register"] = 409
    node.start()
    assert node.process is not None
    assert node.process.wait(20) == 2
    api.wait(lambda: not supervisors_of(node))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_node_told_to_end_while_it_starts_leaves_no_supervisor(
    api: FakeNodeApi, node: NodeProcess, number: signal.Signals
) -> None:
    node.start()
    while not supervisors_of(node):
        pass  # at once: the agent has not yet reached it
    assert node.stop(number) == 0
    api.wait(lambda: not supervisors_of(node))


def test_a_node_that_is_refused_with_work_at_hand_leaves_its_jobs_to_the_next_agent(
    api: FakeNodeApi, node: NodeProcess
) -> None:
    node.start()
    api.place(a_spec(job=witnessed(node, "echo ready; sleep 892"), limits={"lease_s": 60}))
    api.wait(lambda: api.text() == b"ready\n")
    node.kill()
    api.status["register"] = 401
    node.start()
    assert node.process is not None
    assert node.process.wait(20) == 2
    assert supervisors_of(node)
    assert sleeps(892)
