"""A hundred deaths of the agent in a row under load: nothing lost, nothing started twice, no process exchanged."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.support.fake_node_api import FakeNodeApi
from tests.support.keys import a_key
from tests.support.node import a_spec
from tests.support.node_process import NodeProcess, witnessed
from tests.support.servers import state_folder
from tests.support.warm_node import WarmNode

DEATHS = int(os.environ.get("GANGER_TEST_DEATHS", "100"))
LONG = range(1, 6)
LIMIT_S = 200


@pytest.fixture
def api() -> Iterator[FakeNodeApi]:
    api = FakeNodeApi(beat_s=0.1)
    yield api
    api.close()


@pytest.fixture
def node(api: FakeNodeApi) -> Iterator[NodeProcess]:
    with state_folder() as folder:
        node = WarmNode(folder, api.url)
        yield node
        node.close()


@pytest.mark.timeout(LIMIT_S + 60)
def test_a_hundred_deaths_of_the_agent_under_load(api: FakeNodeApi, node: NodeProcess) -> None:
    began = time.monotonic()
    node.start()
    go = node.witness.parent / "go"
    waits = f'echo $$; while [ ! -e {go} ]; do sleep 0.1; done; echo $$; exit "$GANGER_EXECUTION_ID"'
    api.place(*[a_spec(a_key(number, 1), job=witnessed(node, waits)) for number in LONG])
    api.wait(lambda: all(api.text(a_key(number, 1)) for number in LONG))
    supervisor = node.supervisor_pid()
    for death in range(DEATHS):
        seen = len(api.registers)
        api.place(*[a_spec(a_key(1000 + 2 * death + n, 1), job=witnessed(node, "echo done")) for n in range(2)])
        node.kill()
        node.start()
        api.wait(lambda: len(api.registers) > seen)  # noqa: B023  called right here
        assert time.monotonic() - began < LIMIT_S, f"only {death} deaths in {LIMIT_S} s"
    go.touch()
    short = range(1000, 1000 + 2 * DEATHS)
    for number in (*LONG, *short):
        report = api.report(a_key(number, 1), timeout=60)
        assert report.phases["job"].exit_code == (number if number in LONG else 0), report
    for number in LONG:
        first, second = api.text(a_key(number, 1)).split()
        assert first == second, "another process went on"
    assert Counter(node.starts()) == dict.fromkeys((f"{number}.1" for number in (*LONG, *short)), 1)
    assert node.supervisor_pid() == supervisor
    api.wait(lambda: not node.leftovers())
