"""`ganger api` before its database is up, on an address that another program has, and told to end while it waits."""

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
from scheduler.store.schema import migrations
from tests.support.servers import connect

WITHIN_S = 60.0


class StartedApi:
    """`ganger api` as a process, and what it has logged."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, url: str) -> None:
        self.process, self._log, self.url = process, log, url

    def text(self) -> str:
        return self._log.read_text()

    def reasons(self) -> list[str]:
        lines = [json.loads(line) for line in self.text().splitlines() if line.startswith("{")]
        return [line["reason"] for line in lines if line["event"] == "database.awaited"]

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
def started(database_url: str, folder: Path, port: int) -> Iterator[StartedApi]:
    environment = {
        **os.environ,
        "GANGER_DATABASE_URL": database_url,
        "GANGER_STATE_DIR": str(folder),
        "GANGER_API_WORKERS": "1",
    }
    log = folder / "api.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "ganger", "api", "--port", str(port)], env=environment, stdout=sink, stderr=sink
        )
        try:
            yield StartedApi(process, log, f"http://127.0.0.1:{port}")
        finally:
            process.kill()
            process.wait()


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_it_waits_for_the_database_and_for_the_schema_and_then_serves(
    servers: ServerSet, tmp_path: Path, port: int
) -> None:
    name = f"late_{secrets.token_hex(4)}"
    url = servers.database_url.replace("/ganger?", f"/{name}?")
    try:
        with started(url, tmp_path, port) as api:
            api.until(api.reasons)
            assert f'database "{name}" does not exist' in api.reasons()[0]
            with connect(servers.database_url) as db:
                db.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            migrations.upgrade(url)
            api.until(api.answers)
            assert len(api.reasons()) == 1
            assert "Traceback" not in api.text()
    finally:
        with connect(servers.database_url) as db:
            db.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def test_it_ends_in_order_while_it_waits(tmp_path: Path, port: int) -> None:
    with started("postgresql://ganger:top-secret@127.0.0.1:1/ganger", tmp_path, port) as api:
        api.until(api.reasons)
        assert "Connection refused" in api.reasons()[0]
        assert "top-secret" not in api.text()
        api.process.send_signal(signal.SIGTERM)
        assert api.process.wait(20) == 0


def test_an_address_that_is_taken_is_named(database_url: str, tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        started(database_url, tmp_path, taken.getsockname()[1]) as api,
    ):
        assert api.process.wait(WITHIN_S) == 2
        assert (
            api.text()
            .splitlines()[-1]
            .endswith("Address already in use; choose another address with --host and --port")
        )
