"""The published `evo-compute` client, unmodified, runs tasks on an installation; and what it does not ask is asked by raw HTTP."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.installation import Installation

ROOT = Path(__file__).parents[1]
CLIENTS = Path(sys.prefix) / "clients"
LIBRARIES = [CLIENTS / "evo-compute-0.0.6", CLIENTS / "evo-blockmodels-0.8.0"]
SMALL = {"cpus_required": 0.1, "mem_required": 16, "disk_out_const_required": 1, "max_tries": 1}
ECHO = """
echo GANGER_PROGRESS 50 half of it
sleep 2
printf abc >"$1/made.bin"
printf '{"properties": {"said": {"word": "%s", "many": %s, "nested": %s}}}' "$2" "$3" "$4" >"$1/results.json"
"""
TYPES: list[dict[str, Any]] = [
    {
        "name": "test/echo",
        "command": ["sh", "-c", ECHO, "sh", "${job_output_dir}", "${word}", "${many}", "${nested}"],
        "interface": {
            "input_data": [{"name": "word"}, {"name": "many"}, {"name": "nested"}],
            "output_data": [{"name": "said", "type": "property"}, {"name": "made", "type": "file", "glob": "*.bin"}],
        },
    },
    {
        "name": "test/free",
        "command": ["sh", "-c", 'printf \'{"properties": {"got": %s}}\' "$1" > "$2/results.json"', "sh", "${parameters}", "${job_output_dir}"],
        "interface": {"input_data": [{"name": "parameters"}], "output_data": [{"name": "got", "type": "property"}]},
    },
    {"name": "test/sleep", "command": ["sleep", "60"]},
    {"name": "test/fail", "command": ["sh", "-c", "exit 3"]},
]  # fmt: skip


@pytest.fixture(scope="module")
def place(installation: Installation) -> dict[str, Any]:
    """Who and where the client is."""
    for kind in TYPES:
        made = installation.api.post("/job-types/", json={"version": "1.0", **SMALL, **kind})
        assert made.status_code == 201, made.text
    token = Path(installation.ready["token_file"]).read_text().strip()
    viewer = installation.api.post("/admin/tokens/", json={"name": "viewer", "role": "viewer", "project": "default"})
    org = installation.api.get("/admin/projects/default/").json()["organization"]
    return {"url": installation.ready["url"], "token": token, "viewer": viewer.json()["token"], "org": org}


@pytest.fixture(scope="module")
def outcomes(place: dict[str, Any]) -> Mapping[str, str | None]:
    missing = [str(folder) for folder in LIBRARIES if not folder.is_dir()]
    assert not missing, f"{missing} are missing: ./run test makes them"
    told = subprocess.run(
        [sys.executable, str(ROOT / "clients" / "evo_compute.py"), json.dumps(place)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=110,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, LIBRARIES)), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    return dict(json.loads(line) for line in told.stdout.splitlines())


@pytest.mark.parametrize("scenario", ["results", "all_parameters", "cancelled", "failed", "refused"])
def test_the_real_client_runs_its_tasks(outcomes: Mapping[str, str | None], scenario: str) -> None:
    assert outcomes[scenario] is None, outcomes[scenario]


def test_the_answers_are_those_of_the_documents(installation: Installation, place: dict[str, Any]) -> None:
    api, base = installation.api, f"/compute/orgs/{place['org']}/test"
    made = api.post(f"{base}/free", json={"parameters": {"a": 1}, "whatever": True})
    assert (made.status_code, made.content) == (303, b"")
    address = made.headers["Location"]
    assert address.startswith(f"{base}/free/")
    assert address.endswith("/status")
    done = installation.until(lambda: (found := api.get(address).json())["status"] == "succeeded" and found, "success")
    assert done == {"status": "succeeded", "progress": 100}
    assert api.get(address.removesuffix("/status")).json() == {"status": "succeeded", "results": {"got": {"a": 1}}}
    refused = api.delete(address.removesuffix("/status"))
    assert (refused.status_code, set(refused.json()) >= {"type", "title", "status", "detail"}) == (409, True)
    sleeping = api.post(f"{base}/sleep", json={"parameters": {}}).headers["Location"]
    waiting = api.get(sleeping)
    assert (waiting.status_code, waiting.json()["status"] in {"requested", "in progress"}) == (202, True)
    cancelled = api.delete(sleeping.removesuffix("/status"))
    assert (cancelled.status_code, cancelled.content) == (204, b"")


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/compute/orgs/not-a-uuid/test/free", {"parameters": {}}, 404),
        ("/compute/orgs/{org}/test/none", {"parameters": {}}, 404),
        ("/compute/orgs/{org}/test/free", {}, 400),
        ("/compute/orgs/{org}/test/free", {"parameters": []}, 400),
        ("/compute/orgs/{org}/test/echo", {"parameters": {"word": "x"}}, 400),
        ("/compute/orgs/{org}/test/echo", {"parameters": {"word": "x", "many": 1, "nested": {}, "more": 1}}, 400),
        ("/compute/orgs/{org}/test", {"parameters": {}}, 404),
        ("/compute/anything/else", {}, 404),
    ],
)
def test_wrong_requests_are_told_in_the_dialects_form(
    installation: Installation, place: dict[str, Any], path: str, body: Any, status: int
) -> None:
    refused = installation.api.post(path.format(org=place["org"]), json=body)
    assert (refused.status_code, refused.json()["status"]) == (status, status)
    assert refused.json()["type"].startswith("urn:ganger:problems/")
