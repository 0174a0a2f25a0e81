"""Many small outputs in one request of a node: taken whole or not at all, in order, and safe to repeat."""

import hashlib
from pathlib import Path
from typing import Any

import orjson
import pytest

from scheduler.wire import MAX_BULK_FILES
from tests.support.api import Api
from tests.support.cluster import TOKEN, Cluster

RAW = "application/octet-stream"
CONTENTS = {f"{number}.txt": b"%d" % number * number for number in range(40)}


@pytest.fixture
def running(api: Api, cluster: Cluster) -> Any:
    """A job with an output of many files that runs: (job id, (execution id, attempt), node)."""
    node = cluster.a_node()
    made = api.a_type(mem_required=0, interface={"output_data": [{"name": "out", "type": "files", "glob": "*"}]})
    job = api.a_job(job_type_id=made["id"])
    cluster.tick()
    ref = cluster.execution_of(job["id"])
    cluster.claim(node, ref)
    return job["id"], ref, node


def bring(api: Api, ref: Any, contents: dict[str, bytes], body: bytes | None = None, **changes: Any) -> Any:
    files = [
        {
            "output": "out",
            "file_name": name,
            "media_type": "text/plain",
            "sha256": digest(content),
            "size": len(content),
        }
        for name, content in contents.items()
    ]
    said = orjson.dumps({"execution_id": ref[0], "attempt": ref[1], "token": TOKEN, "files": files, **changes})
    content = b"".join(contents.values()) if body is None else body
    return api.as_("node").send(
        "POST", "/node/files/bulk/", said + content, query={"described": len(said)}, content_type=RAW
    )


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def stored(tmp_path: Path) -> int:
    return len([path for path in (tmp_path / "files").rglob("*") if path.is_file()])


def test_files_of_a_bulk_are_the_job_s_once_its_attempt_was_accepted(
    api: Api, cluster: Cluster, running: Any, tmp_path: Path
) -> None:
    job_id, ref, node = running
    answer = bring(api, ref, CONTENTS)
    assert answer.status_code == 201, answer.text
    ids = answer.json["file_ids"]
    assert bring(api, ref, CONTENTS).json["file_ids"] == ids
    assert stored(tmp_path) == len(CONTENTS)
    assert api.get("/files/").json["count"] == 0
    cluster.report(node, ref, "completed", outputs=[{"name": "out", "file_ids": ids}])
    assert [api.get(f"/files/{one}/content/").data for one in ids] == list(CONTENTS.values())
    assert api.get("/files/", job_id=job_id).json["count"] == len(CONTENTS)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"token": "not-this-token-but-another"}, 409),
        ({"attempt": 9}, 409),
        ({"execution_id": 999}, 404),
        ({"files": [{"output": "../x", "file_name": "f", "media_type": "a/b", "sha256": digest(b""), "size": 0}]}, 400),
        ({"files": [{"output": "out", "file_name": "a/b", "media_type": "a/b", "sha256": digest(b""), "size": 0}]}, 400),
        ({"files": [{"output": "out", "file_name": "f", "media_type": "a/b", "sha256": digest(b"x"), "size": 0}]}, 400),
        ({"files": [{"output": "out", "file_name": "f", "media_type": "a/b", "sha256": digest(b""), "size": 1}]}, 400),
        ({"files": [{"output": "out", "file_name": "f", "media_type": "a/b", "sha256": digest(b""), "size": -1}]}, 400),
        (
            {"files": [{"output": "out", "file_name": str(n), "media_type": "a/b", "sha256": digest(b""), "size": 0}
                       for n in range(MAX_BULK_FILES + 1)]},
            400,
        ),
        ({"files": "x"}, 400),
    ],
)  # fmt: skip
def test_only_the_live_attempt_brings_files_and_only_as_it_says(
    api: Api, running: Any, tmp_path: Path, change: dict[str, Any], status: int
) -> None:
    assert bring(api, running[1], {}, **change).status_code == status
    assert stored(tmp_path) == 0


def test_other_content_of_the_same_output_is_refused_and_not_kept(api: Api, running: Any, tmp_path: Path) -> None:
    ref = running[1]
    assert bring(api, ref, {"a": b"1", "b": b"2"}).status_code == 201
    assert bring(api, ref, {"a": b"1", "b": b"3"}).status_code == 409
    assert stored(tmp_path) == 2


@pytest.mark.parametrize("body", [b"", b"{", b"\xff" * 100, b"[]" * 50])
def test_a_description_that_is_none_is_refused(api: Api, running: Any, body: bytes) -> None:
    answer = api.as_("node").send(
        "POST", "/node/files/bulk/", body, query={"described": max(2, len(body))}, content_type=RAW
    )
    assert answer.status_code == 400


def test_a_workspace_that_takes_no_files_is_refused_when_the_job_is_submitted(api: Api) -> None:
    """By its place: the program would run for nothing."""
    made = api.a_type(
        interface={"output_data": [{"name": "out", "type": "files", "glob": "*"}, {"name": "log", "type": "file"}]}
    )
    (local,) = api.get("/workspaces/", name="local").json["results"]
    web = api.post("/workspaces/", {"name": "web", "url": "https://example.org/data"}).json
    closed = api.post("/workspaces/", {"name": "closed", "url": "https://example.org/old", "is_active": False}).json
    for wrong in (999, web["id"], closed["id"]):
        places = [{"name": "out", "workspace_id": local["id"]}, {"name": "log", "workspace_id": wrong}]
        answer = api.post("/jobs/", {"job_type_id": made["id"], "data": {"output_data": places}})
        assert (answer.status_code, answer.json["field"]) == (400, "data.output_data[1].workspace_id"), answer.text
        many = api.post(
            "/jobs/", [{"job_type_id": made["id"]}, {"job_type_id": made["id"], "data": {"output_data": places}}]
        )
        assert "[1].data.output_data[1].workspace_id" in many.text
    assert api.get("/jobs/").json["count"] == 0


@pytest.mark.parametrize("token", ["", TOKEN, "x"])
def test_nobody_brings_outputs_for_an_execution_that_is_not_claimed(api: Api, cluster: Cluster, token: str) -> None:
    cluster.a_node()
    made = api.a_type(mem_required=0, interface={"output_data": [{"name": "out", "type": "files", "glob": "*"}]})
    job = api.a_job(job_type_id=made["id"])
    assert cluster.tick() == 1
    answer = bring(api, cluster.execution_of(job["id"]), {"a": b"planted"}, token=token)
    assert answer.status_code == (409 if token else 400), answer.text
    assert api.value("SELECT count(*) FROM files") == 0
