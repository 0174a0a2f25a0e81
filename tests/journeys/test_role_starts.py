"""Roles before their database is up, on an address that another program has, and told to end while they wait."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from psycopg import sql

from api.up.embedded.servers import ServerSet
from tests.support.servers import connect

WITHIN_S = 60.0


class StartedRole:
    """A role as a process, and what it has logged."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, url: str) -> None:
        self.process, self._log, self.url = process, log, url

    def text(self) -> str:
        return self._log.read_text()

    def reasons(self) -> list[str]:
        lines = [json.loads(line) for line in self.text().splitlines() if line.startswith("{")]
        return [line["reason"] for line in lines if line["event"] == "database.awaited"]

    def leads(self) -> bool:
        return '"scheduler.leads"' in self.text()

    def answers(self) -> bool:
        try:
            return httpx2.get(f"{self.url}/health/ready", timeout=5).status_code in {200, 503}
        except httpx2.TransportError:
            return False

    def until(self, reached: Callable[[], object]) -> None:
        end = time.monotonic() + WITHIN_S
        while not reached():
            assert self.process.poll() is None, self.text()
            assert time.monotonic() < end, self.text()
            time.sleep(0.05)  # another process's log and port: nothing tells when they change


@contextmanager
def started(database_url: str, folder: Path, *words: str, port: int = 0) -> Iterator[StartedRole]:
    environment = {
        **os.environ,
        "GANGER_DATABASE_URL": database_url,
        "GANGER_BROKER_URL": "redis://127.0.0.1:1/0",
        "GANGER_STATE_DIR": str(folder),
        "GANGER_API_WORKERS": "1",
    }
    log = folder / f"{words[0]}.log"
    with log.open("wb") as sink:
        process = subprocess.Popen([sys.executable, "-m", "ganger", *words], env=environment, stdout=sink, stderr=sink)
        try:
            yield StartedRole(process, log, f"http://127.0.0.1:{port}")
        finally:
            process.kill()
            process.wait()


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def of_the_api(port: int) -> tuple[str, ...]:
    return "api", "--port", str(port)


def test_api_and_scheduler_wait_for_the_database_and_for_the_schema_and_then_work(
    servers: ServerSet, tmp_path: Path, port: int
) -> None:
    """The address begins with `postgres://`, as many platforms write it."""
    name = f"late_{secrets.token_hex(4)}"
    url = servers.database_url.replace("/ganger?", f"/{name}?").replace("postgresql://", "postgres://")
    try:
        with (
            started(url, tmp_path, *of_the_api(port), port=port) as api,
            started(url, tmp_path, "scheduler") as scheduler,
        ):
            for role in (api, scheduler):
                role.until(role.reasons)
                assert f'database "{name}" does not exist' in role.reasons()[0]
            with connect(servers.database_url) as db:
                db.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            told = subprocess.run(
                [sys.executable, "-m", "ganger", "setup"],
                env={**os.environ, "GANGER_DATABASE_URL": url},
                capture_output=True,
                text=True,
                check=False,
            )
            assert told.returncode == 0, told.stderr
            api.until(api.answers)
            scheduler.until(scheduler.leads)
            for role in (api, scheduler):
                assert len(role.reasons()) == 1
                assert "Traceback" not in role.text()
                assert "loop.trouble" not in role.text()
    finally:
        with connect(servers.database_url) as db:
            db.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.mark.parametrize("role", ["api", "scheduler"])
def test_it_ends_in_order_while_it_waits(role: str, tmp_path: Path) -> None:
    with started("postgresql://ganger:top-secret@127.0.0.1:1/ganger", tmp_path, role) as waiting:
        waiting.until(waiting.reasons)
        assert "Connection refused" in waiting.reasons()[0]
        assert "top-secret" not in waiting.text()
        waiting.process.send_signal(signal.SIGTERM)
        assert waiting.process.wait(20) == 0


def test_a_node_says_once_why_api_and_broker_cannot_be_reached(tmp_path: Path) -> None:
    words = (
        "worker",
        "--name",
        "alone",
        "--api-url",
        "http://127.0.0.1:1",
        "--cpus",
        "1",
        "--mem",
        "64",
        "--disk",
        "64",
    )
    token = tmp_path / "token"
    token.write_text("gn_none")
    with started("postgresql://127.0.0.1:1/none", tmp_path, *words, "--token-file", str(token)) as node:
        node.until(lambda: '"broker.unreachable"' in node.text() and '"api.unreachable"' in node.text())
        node.process.send_signal(signal.SIGTERM)
        assert node.process.wait(60) == 0
        assert node.text().count("unreachable") == 2
        assert "Connection refused" in node.text()
        assert all(line.startswith("{") for line in node.text().splitlines()), node.text()


def test_a_command_that_reads_the_database_gives_its_reason_in_one_line() -> None:
    environment = {**os.environ, "GANGER_DATABASE_URL": "postgresql://127.0.0.1:1/ganger"}
    told = subprocess.run(
        [sys.executable, "-m", "ganger", "check"], env=environment, capture_output=True, text=True, check=False
    )
    assert told.returncode == 2
    assert told.stderr.startswith("ganger: the database: ")
    assert "Connection refused" in told.stderr
    assert len(told.stderr.splitlines()) == 1


def test_an_address_that_is_taken_is_named(database_url: str, tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        started(database_url, tmp_path, *of_the_api(taken.getsockname()[1])) as api,
    ):
        assert api.process.wait(WITHIN_S) == 2
        assert (
            api.text()
            .splitlines()[-1]
            .endswith("Address already in use; choose another address with --host and --port")
        )
