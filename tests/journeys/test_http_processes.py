"""The API as several processes behind one port: they count together."""

import os
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from scheduler import tokens

ALLOWED = 30


@pytest.fixture
def url(database_url: str, broker_url: str, tmp_path: Path) -> Iterator[str]:
    """An API of three processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "GANGER_DATABASE_URL": database_url,
        "GANGER_BROKER_URL": broker_url,
        "GANGER_STATE_DIR": str(tmp_path),
        "GANGER_API_WORKERS": "3",
        "GANGER_API_THREADS": "2",
        "GANGER_LIMIT_REQUESTS": "true",
        "GANGER_REQUESTS_PER_TOKEN": str(ALLOWED),
    }
    command = [sys.executable, "-m", "api.cli", "api", "--port", str(port)]
    process = subprocess.Popen(command, env=environment, stderr=(tmp_path / "log").open("wb"))
    try:
        yield _answering(process, f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait(20)


def _answering(process: subprocess.Popen[bytes], url: str) -> str:
    while process.poll() is None:
        try:
            if httpx2.get(f"{url}/health/live", timeout=5).status_code == 200:
                return url
        except httpx2.TransportError:
            time.sleep(0.05)  # nothing tells when a port begins to listen
    raise AssertionError("the API ended before it answered")


def test_metrics_add_up_and_limits_are_shared_over_all_processes(url: str, database_url: str, tmp_path: Path) -> None:
    folder = tmp_path
    secrets = [
        tokens.ensure(database_url, kind="user", role="viewer", project=None, name=name, path=folder / name)
        for name in ("limited", "other")
    ]
    began = time.monotonic()
    told = Counter(_get(f"{url}/errors/", secrets[0]).status_code for _ in range(ALLOWED + 20))
    regained = (time.monotonic() - began) * ALLOWED / 60
    assert ALLOWED <= told[200] <= ALLOWED + regained + 1
    assert told.total() == told[200] + told[429]
    metrics = _get(f"{url}/metrics", secrets[1])
    counted = {
        sample.labels["status"]: sample.value
        for family in text_string_to_metric_families(metrics.text)
        for sample in family.samples
        if sample.name == "ganger_http_requests_total" and sample.labels["route"] == "/errors/"
    }
    assert counted == {"200": told[200], "429": told[429]}
    assert len(list((folder / "metrics").rglob("counter_*.db"))) >= 2
    status = _get(f"{url}/status/", secrets[1])
    assert status.json()["dependencies"]["broker"]["ok"]


def _get(address: str, secret: str) -> httpx2.Response:
    """Ask over a new connection, so that whichever process is free answers."""
    return httpx2.get(address, headers={"Authorization": f"Bearer {secret}", "Accept": "application/json"}, timeout=20)
