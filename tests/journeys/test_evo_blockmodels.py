"""The published `evo-blockmodels` client, unmodified, drives an installation: each scenario is a way through its calls."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support import tls_relay
from tests.support.installation import Installation

FILE_HOST = "127.77.14.9"
SETTINGS = {"GANGER_PUBLIC_FILE_URL": f"https://{FILE_HOST}"}
ROOT = Path(__file__).parents[2]
LIBRARIES = Path(sys.prefix) / "clients" / "evo-blockmodels-0.8.0"
SCENARIOS = (
    "health_and_lists",
    "tables_of_every_kind",
    "columns_change",
    "wrong_files",
    "two_at_once",
    "a_large_table",
    "who_may",
    "what_is_not_kept",
)


@pytest.fixture(scope="module")
def place(installation: Installation) -> dict[str, Any]:
    """Who and where the client is."""
    api = installation.api
    project = api.get("/admin/projects/default/").json()
    other = api.post("/admin/projects/", json={"name": "other"}).json()
    secrets = {
        name: api.post("/admin/tokens/", json={"name": name, "role": role, "project": project_name}).json()["token"]
        for name, role, project_name in (
            ("editor", "submitter", "default"),
            ("viewer", "viewer", "default"),
            ("stranger", "admin", "other"),
        )
    }
    return {
        "url": installation.ready["url"],
        "token": secrets["editor"],
        "token_name": "editor",
        "viewer": secrets["viewer"],
        "stranger": secrets["stranger"],
        "org": project["organization"],
        "workspace": project["uuid"],
        "other": other["uuid"],
        "cache": str(installation.shared("cache")),
    }


@pytest.fixture(scope="module")
def outcomes(installation: Installation, place: dict[str, Any]) -> Mapping[str, str | None]:
    """What went wrong in each scenario; files go to the plain port by a transport of the test's."""
    return _run({**place, "files": installation.ready["url"]})


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_real_client_goes_its_way(outcomes: Mapping[str, str | None], scenario: str) -> None:
    assert outcomes[scenario] is None, outcomes[scenario]


def test_the_real_client_moves_files_by_https_to_port_443(installation: Installation, place: dict[str, Any]) -> None:
    port = int(installation.ready["url"].rsplit(":", 1)[1])
    with tls_relay.open_at(FILE_HOST, port) as opened:
        if not opened:
            pytest.skip("this machine does not let us listen on port 443 of a loopback address")
        told = _run({**place, "files": None, "scenarios": ["tables_of_every_kind", "a_large_table"]})
    assert told == {"tables_of_every_kind": None, "a_large_table": None}


def _run(settings: Mapping[str, Any]) -> dict[str, str | None]:
    assert LIBRARIES.is_dir(), f"{LIBRARIES} is missing: ./run test makes it"
    told = subprocess.run(
        [sys.executable, "-m", "tests.clients.evo_blockmodels", json.dumps(settings)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=110,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(LIBRARIES), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    return dict(json.loads(line) for line in told.stdout.splitlines())
