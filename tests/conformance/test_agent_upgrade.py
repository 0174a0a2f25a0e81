"""A new agent on an old supervisor: one of an earlier release is taken over, one that it does not understand left alone."""

from __future__ import annotations

import fcntl
import json
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from scheduler.rules.lifecycle.outcome import Outcome
from tests.support.fake_node_api import FakeNodeApi
from tests.support.keys import a_key
from tests.support.node import a_spec
from tests.support.node_process import ROOT, NodeProcess, witnessed
from tests.support.servers import state_folder
from workers.agent.supervisor_client.client import SupervisorClient
from workers.agent.supervisor_client.connection import OLDEST, SupervisorVersionError
from workers.supervisor.limits import VERSION


@pytest.fixture
def folder() -> Iterator[Path]:
    with state_folder() as folder:
        yield folder


@pytest.fixture
def api() -> Iterator[FakeNodeApi]:
    api = FakeNodeApi()
    yield api
    api.close()


def test_jobs_go_on_under_the_supervisor_of_a_release_whose_files_are_gone(api: FakeNodeApi, folder: Path) -> None:
    old = folder / "old-release"
    for package in ("workers", "scheduler", "tests/support"):
        shutil.copytree(ROOT / package, old / package, ignore=shutil.ignore_patterns("__pycache__", "replay"))
    (old / "tests/__init__.py").touch()
    node = NodeProcess(folder, api.url)
    try:
        node.start(code=old)
        go = node.witness.parent / "go"
        script = f"echo $$; while [ ! -e {go} ]; do sleep 0.05; done; echo $$; exit 6"
        api.place(a_spec(job=witnessed(node, script)))
        api.wait(lambda: api.text() != b"")
        supervisor = node.supervisor_pid()
        node.kill()
        shutil.rmtree(old)
        seen = len(api.registers)
        node.start()
        api.wait(lambda: len(api.registers) > seen)
        api.place(a_spec(a_key(2, 1), job=witnessed(node, "echo new")))  # what the old one is asked for, it still does
        assert api.report(a_key(2, 1)).outcome == Outcome.COMPLETED
        go.touch()
        report = api.report()
        assert (report.phases["job"].exit_code, len(set(api.text().split()))) == (6, 1)
        assert sorted(node.starts()) == ["1.1", "2.1"]
        assert node.supervisor_pid() == supervisor
        assert str(old) in " ".join(psutil.Process(supervisor).cmdline())
    finally:
        node.close()


class Stranger:
    """Answers as a supervisor of another release would, and holds the folder as one does."""

    def __init__(self, folder: Path, version: int) -> None:
        folder.mkdir(exist_ok=True)
        self._lock = (folder / "supervisor.lock").open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(folder / "supervisor.sock"))
        self._socket.listen()
        self.greeted, self.heard = 0, b""
        self._hello = json.dumps({"hello": "ganger supervisor", "version": version, "pid": 4711}).encode() + b"\n"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                self.greeted += 1
                connection.sendall(self._hello)
                self.heard += connection.recv(4096)

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._lock.close()


@pytest.mark.parametrize("version", [OLDEST - 1, VERSION + 1])
def test_a_supervisor_of_another_protocol_is_named_at_once_and_left_alone(folder: Path, version: int) -> None:
    stranger = Stranger(folder, version)
    with pytest.raises(
        SupervisorVersionError, match=rf"process 4711 speaks version {version} .* {OLDEST} to {VERSION};"
    ):
        SupervisorClient(folder)
    assert (stranger.greeted, stranger.heard) == (1, b"")
    stranger.close()


def test_the_agent_ends_with_one_line_that_says_what_to_do(api: FakeNodeApi, folder: Path) -> None:
    stranger = Stranger(folder / "node", VERSION + 1)
    node = NodeProcess(folder, api.url).start()
    assert node.process is not None
    assert node.process.wait(60) == 2
    told = node.log.read_text()
    assert "of another release: process 4711 speaks version" in told
    assert "drain the node with the release that it belongs to" in told
    assert (stranger.greeted, api.registers) == (1, [])
    stranger.close()
