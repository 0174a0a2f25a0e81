"""The published `evo-blockmodels` client, unmodified, drives an installation: each scenario is a way through its calls."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from tests.support import tls_relay
from tests.support.installation import Installation

FILE_HOST = "127.77.14.9"
SETTINGS = {"GANGER_PUBLIC_FILE_URL": f"https://{FILE_HOST}"}
ROOT = Path(__file__).parents[2]
CLIENTS = Path(sys.prefix) / "clients"
LIBRARIES = [CLIENTS / "evo-blockmodels-0.8.0", CLIENTS / "evo-compute-0.0.6"]
"""The client, and pandas, which its classes for data frames need."""
SCENARIOS = (
    "health_and_lists",
    "tables_of_every_kind",
    "columns_change",
    "wrong_files",
    "two_at_once",
    "a_large_table",
    "who_may",
    "columns_in_groups",
    "reports_by_the_generated_calls",
    "models_as_data_frames",
    "what_versions_changed",
    "what_clients_leave_out",
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
    missing = [str(folder) for folder in LIBRARIES if not folder.is_dir()]
    assert not missing, f"{missing} are missing: ./run test makes them"
    told = subprocess.run(
        [sys.executable, "-m", "tests.clients.evo_blockmodels", json.dumps(settings)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=110,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, LIBRARIES)), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    return dict(json.loads(line) for line in told.stdout.splitlines())


class Raw:
    """Block models by raw HTTP, as the page describes them."""

    def __init__(self, installation: Installation, place: Mapping[str, Any]) -> None:
        self.installation, self.url = installation, place["url"]
        self.base = f"/blockmodel/orgs/{place['org']}/workspaces/{place['workspace']}/block-models"
        self.client = httpx2.Client(
            base_url=place["url"], headers={"Authorization": f"Bearer {place['token']}"}, timeout=30
        )

    def call(self, method: str, path: str, status: int, body: Any = None) -> Any:
        answer = self.client.request(method, self.base + path, **({} if body is None else {"json": body}))
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    def a_model(self) -> str:
        body = {
            "name": f"raw {uuid4().hex[:8]}",
            "model_origin": {"x": 0, "y": 0, "z": 0},
            "block_rotation": [],
            "size_options": {
                "model_type": "regular",
                "n_blocks": {"nx": 4, "ny": 3, "nz": 2},
                "block_size": {"x": 1, "y": 1, "z": 1},
            },
        }
        made = self.call("POST", "", 201, body)
        job = str(made["job_url"]).rsplit("/", 1)[1]
        assert made["job_url"].startswith(f"{self.url}{self.base}/{made['bm_uuid']}/jobs/")
        self.ended(made["bm_uuid"], job)
        return str(made["bm_uuid"])

    def an_update(self, model: str, **said: Any) -> Any:
        columns = {"new": [{"title": "v", "data_type": "Int32"}], "update": [], "delete": [], "rename": []}
        return self.call(
            "PATCH", f"/{model}/blocks", 202, {"columns": columns, "input_options": {"file_format": "csv"}, **said}
        )

    def upload(self, asked: Any, content: bytes) -> None:
        link = asked["upload_url"].split("/", 3)[3]
        assert httpx2.put(f"{self.url}/{link}", content=content).status_code == 201

    def job(self, model: str, job: str) -> Any:
        return self.call("GET", f"/{model}/jobs/{job}", 200)

    def ended(self, model: str, job: str) -> Any:
        return self.installation.until(
            lambda: found if (found := self.job(model, job))["job_status"] in {"COMPLETE", "FAILED"} else None,
            f"the end of job {job}",
        )

    def versions(self, model: str) -> list[int]:
        return [one["version_id"] for one in self.call("GET", f"/{model}/versions", 200)["results"]]


@pytest.fixture
def raw(installation: Installation, place: dict[str, Any]) -> Raw:
    return Raw(installation, place)


def test_every_word_of_the_page_is_in_the_answers_of_an_update(raw: Raw, installation: Installation) -> None:
    model = raw.a_model()
    asked = raw.an_update(model, comment="said")
    job = asked["job_uuid"]
    pending = raw.job(model, job)
    assert pending["job_status"] == "PENDING_UPLOAD"
    assert pending["payload"]["upload_url"] != ""
    assert asked["changes"]["columns"]["new"][0]["title"] == "v"
    raw.upload(asked, b"i,j,k,v\n1,2,0,5\n")
    installation.api.patch("/scheduler/", json={"is_paused": True, "pause_reason": "a look at a queued job"})
    for _ in range(2):
        told = raw.call("POST", f"/{model}/jobs/{job}/uploaded", 201)
        assert told == {"job_url": asked["job_url"]}
    assert raw.job(model, job) == {"job_status": "QUEUED"}
    installation.api.patch("/scheduler/", json={"is_paused": False})
    done = raw.ended(model, job)
    payload = done["payload"]
    assert done["job_status"] == "COMPLETE"
    created = datetime.fromisoformat(payload.pop("created_at"))
    assert created.tzinfo is not None
    column = payload["mapping"]["columns"][0]
    assert UUID(column.pop("col_id"))
    assert UUID(payload["created_by"].pop("id"))
    assert payload == {
        "base_version_id": 1,
        "bbox": {"i_minmax": {"min": 1, "max": 1}, "j_minmax": {"min": 2, "max": 2}, "k_minmax": {"min": 0, "max": 0}},
        "bm_uuid": model,
        "comment": "said",
        "created_by": {"email": None, "name": "editor"},
        "geoscience_version_id": None,
        "mapping": {"columns": [{"title": "v", "data_type": "Int32", "unit_id": None}], "groups": []},
        "parent_version_id": 1,
        "version_id": 2,
        "version_uuid": asked["version_uuid"],
    }


def test_a_canceled_update_is_failed_with_a_problem_and_makes_no_version(raw: Raw, installation: Installation) -> None:
    model = raw.a_model()
    asked = raw.an_update(model)
    number = next(
        one["id"] for one in installation.api.get("/jobs/").json()["results"] if one["uuid"] == asked["job_uuid"]
    )
    installation.api.patch(f"/jobs/{number}/", json={"status": "CANCELED"})
    told = raw.job(model, asked["job_uuid"])
    assert told["job_status"] == "FAILED"
    assert (told["payload"]["status"], told["payload"]["type"]) == (409, "urn:ganger:problems/canceled")
    assert {"title", "detail"} <= told["payload"].keys()
    assert raw.versions(model) == [1]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/{model}/jobs/{other}", None, 404),
        ("GET", "/{model}/jobs/word", None, 404),
        ("GET", "/{other}", None, 404),
        ("GET", "/{model}/versions/{other}", None, 404),
        ("GET", "/{model}/nothing", None, 404),
        ("PUT", "/{model}", {}, 405),
        ("POST", "", {"name": "x"}, 400),
        ("POST", "/{model}", None, 400),
        ("PATCH", "/{model}", {"name": "a/b"}, 400),
        ("PATCH", "/{model}", {"name": None}, 400),
        ("PATCH", "/{model}/blocks", {"columns": {"new": [], "update": [], "delete": [], "rename": []}}, 400),
        ("PATCH", "/{model}/blocks", {"columns": {"new": [{"title": "i", "data_type": "Int8"}]}}, 400),
        ("PATCH", "/{model}/blocks", {"columns": {"new": [{"title": "v", "data_type": "Int9"}]}}, 400),
        ("PATCH", "/{model}/blocks", {"columns": {"delete": ["nothing"]}}, 400),
        ("PATCH", "/{model}/blocks", {"columns": {"new": []}, "geometry_change": True}, 400),
        ("POST", "/{model}/blocks", {"columns": ["nothing"]}, 400),
        ("POST", "/{model}/blocks", {"columns": "*"}, 400),
        ("POST", "/{model}/blocks", {"columns": ["*"], "bbox": {"i_minmax": {"min": 0, "max": 9}}}, 400),
        ("POST", "/{model}/blocks", {"columns": ["*"], "version_uuid": "{other}"}, 404),
        ("POST", "/{model}/report-specifications", {}, 400),
        ("GET", "/{model}/report-specifications/{other}", None, 404),
        ("GET", "/{model}/report-specifications/{other}/comparisons", None, 400),
        ("GET", "?limit=1000", None, 400),
        ("GET", "?order_by=size", None, 400),
    ],
)
def test_whatever_is_wrong_is_told_as_a_problem_of_four_parts(
    raw: Raw, model: str, method: str, path: str, body: Any, status: int
) -> None:
    words = {"model": model, "other": str(uuid4())}
    text = json.dumps(body).replace('"{other}"', f'"{words["other"]}"')
    told = raw.call(method, path.format(**words), status, None if body is None else json.loads(text))
    assert {"type", "title", "status", "detail"} <= told.keys()
    assert told["status"] == status


@pytest.fixture(scope="module")
def model(installation: Installation, place: dict[str, Any]) -> str:
    return Raw(installation, place).a_model()


@pytest.mark.parametrize("role", ["agent", "api", "scheduler"])
def test_a_role_that_dies_within_an_update_leaves_a_whole_version(
    raw: Raw, installation: Installation, role: str
) -> None:
    model = raw.a_model()
    asked = raw.an_update(model)
    rows = "".join(f"{n % 4},{n // 4 % 3},{n // 12},{n}\n" for n in range(24))
    raw.upload(asked, f"i,j,k,v\n{rows}".encode())
    raw.call("POST", f"/{model}/jobs/{asked['job_uuid']}/uploaded", 201)
    for process in installation.processes(role):
        process.kill()

    def look() -> Any:
        found = raw.job(model, asked["job_uuid"])
        versions = raw.versions(model)
        assert versions == ([2, 1] if found["job_status"] == "COMPLETE" else [1])
        return found if found["job_status"] in {"COMPLETE", "FAILED"} else None

    assert installation.until(look, "the end of the update", 60)["job_status"] == "COMPLETE"
