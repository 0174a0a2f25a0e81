"""The API alone as real processes on a database, without scheduler or nodes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2


@contextmanager
def serving(database_url: str, broker_url: str, folder: Path, **settings: str) -> Iterator[str]:
    """Yield the address of an API whose `settings` are environment variables without GANGER_."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {"DATABASE_URL": database_url, "BROKER_URL": broker_url, "STATE_DIR": str(folder), **settings}
    environment = {**os.environ, **{f"GANGER_{name}": value for name, value in own.items()}}
    command = [sys.executable, "-m", "ganger", "api", "--port", str(port)]
    with (folder / "api.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            url = f"http://127.0.0.1:{port}"
            _await_answer(process, url)
            yield url
        finally:
            process.terminate()
            process.wait(20)


def _await_answer(process: subprocess.Popen[bytes], url: str) -> None:
    while process.poll() is None:
        try:
            if httpx2.get(f"{url}/health/live", timeout=5).status_code == 200:
                return
        except httpx2.TransportError:
            time.sleep(0.05)  # nothing tells when a port begins to listen
    raise AssertionError("the API ended before it answered")
