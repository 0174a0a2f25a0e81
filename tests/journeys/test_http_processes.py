"""The API as several processes behind one port: they count together."""

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from scheduler.admin import tokens
from tests.support.api_process import serving

ALLOWED = 30


@pytest.fixture
def url(database_url: str, broker_url: str, tmp_path: Path) -> Iterator[str]:
    """An API of three processes with limits."""
    limits = {"LIMIT_REQUESTS": "true", "REQUESTS_PER_TOKEN": str(ALLOWED)}
    with serving(database_url, broker_url, tmp_path, API_WORKERS="3", API_THREADS="2", **limits) as url:
        yield url


def test_metrics_add_up_and_limits_are_shared_over_all_processes(url: str, database_url: str, tmp_path: Path) -> None:
    secrets = [
        tokens.ensure(database_url, kind="user", role="viewer", project=None, name=name, path=tmp_path / name)
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
    assert len(list((tmp_path / "metrics").rglob("counter_*.db"))) >= 2
    status = _get(f"{url}/status/", secrets[1])
    assert status.json()["dependencies"]["broker"]["ok"]


def _get(address: str, secret: str) -> httpx2.Response:
    """Ask over a new connection, so that whichever process is free answers."""
    return httpx2.get(address, headers={"Authorization": f"Bearer {secret}", "Accept": "application/json"}, timeout=20)
