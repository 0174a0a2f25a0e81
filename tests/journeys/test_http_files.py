"""Files over HTTP: uploads, downloads, outputs of executions."""

import hashlib
import io
from pathlib import Path
from typing import Any

import pytest

from scheduler.identity import Role
from tests.support.api import Api, serving
from tests.support.cluster import Cluster

BODY = b"0123456789"
DIGEST = hashlib.sha256(BODY).hexdigest()
RAW = "application/octet-stream"


def upload(api: Api, content: Any = BODY, *, content_type: Any = RAW, **query: Any) -> Any:
    return api.send("POST", "/files/", content, query={"file_name": "f.bin", **query}, content_type=content_type)


def test_a_raw_upload_is_kept_with_its_size_and_digest(api: Api) -> None:
    answer = upload(api, media_type="text/csv", file_name="täst 1.csv")
    assert answer.status_code == 201, answer.text
    file = answer.json
    assert answer.headers["Location"] == f"http://localhost/files/{file['id']}/"
    assert (file["file_name"], file["media_type"], file["file_size"], file["sha256"]) == (
        "täst 1.csv",
        "text/csv",
        10,
        DIGEST,
    )
    assert (file["workspace"]["name"], file["project"], file["is_published"]) == ("local", "default", True)
    assert api.get(f"/files/{file['id']}/").json == file
    content = api.get(f"/files/{file['id']}/content/")
    assert (content.status_code, content.data, content.content_type) == (200, BODY, "text/csv")
    assert content.headers["Content-Disposition"] == "attachment; filename*=UTF-8''t%C3%A4st%201.csv"
    assert "sandbox" in content.headers["Content-Security-Policy"]


def test_a_multipart_upload_brings_its_own_name_and_type(api: Api) -> None:
    secret = api.secrets["submitter"]
    answer = api.app.test_client().post(
        "/files/", data={"file": (io.BytesIO(BODY), "scan.tif", "image/tiff")}, headers={"Authorization": f"Bearer {secret}"}
    )  # fmt: skip
    assert answer.status_code == 201, answer.text
    assert [answer.json[name] for name in ("file_name", "media_type", "file_size", "sha256")] == [
        "scan.tif",
        "image/tiff",
        10,
        DIGEST,
    ]


def test_a_large_upload_and_an_empty_one_are_taken_whole(api: Api) -> None:
    large = b"x" * (5 * 1024 * 1024 + 3)
    file = upload(api, large).json
    assert file["sha256"] == hashlib.sha256(large).hexdigest()
    assert api.get(f"/files/{file['id']}/content/").data == large
    empty = upload(api, b"").json
    assert (empty["file_size"], api.get(f"/files/{empty['id']}/content/").data) == (0, b"")


@pytest.mark.parametrize(
    ("asked", "status", "content", "part"),
    [
        ("bytes=2-4", 206, b"234", "bytes 2-4/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=5-100", 206, b"56789", "bytes 5-9/10"),
        ("bytes=0-0", 206, b"0", "bytes 0-0/10"),
        ("bytes=0-1,4-5", 200, BODY, None),
        ("lines=1-2", 200, BODY, None),
        ("nonsense", 200, BODY, None),
        ("bytes=10-", 416, None, "bytes */10"),
    ],
)
def test_a_range_of_a_file_can_be_read(api: Api, asked: str, status: int, content: Any, part: str | None) -> None:
    file = upload(api).json
    answer = api.with_headers(Range=asked).get(f"/files/{file['id']}/content/")
    assert (answer.status_code, answer.headers.get("Content-Range")) == (status, part)
    assert content is None or answer.data == content


def test_a_file_that_did_not_change_is_not_sent_again(api: Api) -> None:
    file = upload(api).json
    etag = api.get(f"/files/{file['id']}/content/").headers["ETag"]
    assert api.with_headers(If_None_Match=etag).get(f"/files/{file['id']}/content/").status_code == 304


def test_content_that_arrives_damaged_is_refused(api: Api, tmp_path: Path) -> None:
    answer = upload(api, sha256="0" * 64)
    assert (answer.status_code, answer.json["field"]) == (400, "sha256")
    assert upload(api, sha256=DIGEST).status_code == 201
    assert len([path for path in (tmp_path / "files").rglob("*") if path.is_file()]) == 1


@pytest.mark.parametrize(
    ("query", "content_type", "status"),
    [
        ({"file_name": "../etc/passwd"}, RAW, 400), ({"file_name": "a/b"}, RAW, 400), ({"file_name": ".."}, RAW, 400), ({"file_name": ""}, RAW, 400),
        ({"file_name": "a\r\nX: y"}, RAW, 400), ({"file_name": "x" * 256}, RAW, 400), ({"file_name": "a\0"}, RAW, 400), ({"file_name": "\u202egpj"}, RAW, 400),
        ({"media_type": "text"}, RAW, 400), ({"media_type": "a/b\r\n"}, RAW, 400), ({"sha256": "x"}, RAW, 400), ({"workspace_id": "99"}, RAW, 400),
        ({"project": "nowhere"}, RAW, 400), ({}, "application/x-www-form-urlencoded", 415),
    ],
)  # fmt: skip
def test_names_and_types_that_could_do_harm_are_refused(
    api: Api, tmp_path: Path, query: Any, content_type: Any, status: int
) -> None:
    assert upload(api, content_type=content_type, **query).status_code == status
    assert not [path for path in (tmp_path / "files").rglob("*") if path.is_file()]


def test_a_multipart_body_has_exactly_one_file(api: Api) -> None:
    headers = {"Authorization": f"Bearer {api.secrets['admin']}"}
    client = api.app.test_client()
    for data in (
        {},
        {"other": (io.BytesIO(b"x"), "a")},
        {"file": (io.BytesIO(b"x"), "a"), "b": (io.BytesIO(b"x"), "b")},
        {"file": (io.BytesIO(b"x"), "a"), "c": "d"},
    ):
        answer = client.post(
            "/files/",
            data={**data, **({} if data else {"a": "b"})},
            headers=headers,
            content_type="multipart/form-data",
        )
        assert answer.status_code == 400, answer.text
    many = {f"f{n}": (io.BytesIO(b"x"), "a") for n in range(50)}
    assert client.post("/files/", data=many, headers=headers).status_code == 413


def test_a_body_over_the_limit_is_refused_and_leaves_nothing(database_url: str, tmp_path: Path) -> None:
    with serving(database_url, tmp_path, max_upload=1000) as api:
        assert upload(api, b"x" * 1001).status_code == 413
        assert upload(api, b"x" * 1000).status_code == 201
    assert len([path for path in (tmp_path / "files").rglob("*") if path.is_file()]) == 1


def test_files_are_listed_filtered_and_paged(api: Api) -> None:
    made = [
        upload(api, bytes([n]), file_name=f"f{n}", media_type="text/csv" if n % 2 else "image/png").json["id"]
        for n in range(5)
    ]
    assert [one["id"] for one in api.get("/files/").json["results"]] == made
    assert [one["id"] for one in api.get("/files/", media_type="text/csv").json["results"]] == [made[1], made[3]]
    assert [one["id"] for one in api.get("/files/", file_name=["f0", "f4"], order="-id").json["results"]] == [
        made[4],
        made[0],
    ]
    first = api.get("/files/", page_size=3, order="file_name")
    assert [one["id"] for one in api.follow(first.json["next"]).json["results"]] == made[3:]
    assert api.get("/files/", order="path").status_code == 400


def test_a_deleted_file_is_gone_but_not_while_a_job_needs_it(api: Api) -> None:
    api.a_type(interface={"input_data": [{"name": "f", "type": "file"}]})
    file = upload(api).json
    job = api.a_job(job_type={"name": "a-type"}, inputs={"f": file["id"]})
    assert api.delete(f"/files/{file['id']}/").status_code == 409
    api.patch(f"/jobs/{job['id']}/", {"status": "CANCELED"})
    assert api.delete(f"/files/{file['id']}/").status_code == 204
    for path in (f"/files/{file['id']}/", f"/files/{file['id']}/content/"):
        assert api.get(path).status_code == 404
    assert api.delete(f"/files/{file['id']}/").status_code == 404
    assert api.post("/jobs/", {"job_type": {"name": "a-type"}, "inputs": {"f": file["id"]}}).status_code == 400
    assert api.get(f"/jobs/{job['id']}/").json["inputs"][0]["value"]["is_deleted"] is True


def test_media_types_of_inputs_are_held_to_the_interface(api: Api) -> None:
    api.a_type(interface={"input_data": [{"name": "f", "type": "file", "media_types": ["image/png"]}]})
    wrong = upload(api, media_type="text/plain").json
    answer = api.post("/jobs/", {"job_type": {"name": "a-type"}, "inputs": {"f": wrong["id"]}})
    assert (answer.status_code, answer.json["field"]) == (400, "inputs.f")
    right = upload(api, media_type="image/PNG").json
    api.a_job(job_type={"name": "a-type"}, inputs={"f": right["id"]})


# --- outputs ----------------------------------------------------------------------------------------------


@pytest.fixture
def running(api: Api, cluster: Cluster) -> Any:
    node = cluster.a_node()
    made = api.a_type(mem_required=0, interface={"output_data": [{"name": "out", "type": "file"}]})
    job = api.a_job(job_type_id=made["id"])
    cluster.tick()
    ref = cluster.execution_of(job["id"])
    cluster.claim(node, ref)
    return job["id"], ref, node


def bring(api: Api, ref: Any, content: bytes = b"result", **changes: Any) -> Any:
    query = {
        "execution_id": ref[0], "attempt": ref[1], "token": "token-of-sixteen-or-more", "output": "out", "file_name": "out.txt",
        "media_type": "text/plain", **changes,
    }  # fmt: skip
    return api.as_("node").send("POST", "/node/files/", content, query=query, content_type=RAW)


def test_an_output_is_seen_only_once_its_attempt_was_accepted(api: Api, cluster: Cluster, running: Any) -> None:
    job_id, ref, node = running
    file_id = bring(api, ref).json["file_id"]
    assert api.get(f"/files/{file_id}/").status_code == 404
    assert api.get("/files/").json["count"] == 0
    cluster.report(node, ref, "completed", outputs=[{"name": "out", "file_id": file_id}])
    shown = api.get(f"/jobs/{job_id}/").json["outputs"][0]["value"]
    assert (shown["id"], shown["job"]["id"], shown["job_exe"]["id"], shown["output"]) == (
        file_id,
        job_id,
        ref[0],
        "out",
    )
    assert api.get(f"/files/{file_id}/content/").data == b"result"


def test_bringing_an_output_again_is_harmless_and_other_content_is_not(api: Api, running: Any, tmp_path: Path) -> None:
    _, ref, _ = running
    first, again = bring(api, ref), bring(api, ref)
    assert (first.status_code, again.json) == (201, first.json)
    assert bring(api, ref, sha256=hashlib.sha256(b"result").hexdigest()).json == first.json
    changed = bring(api, ref, b"other", sha256=hashlib.sha256(b"other").hexdigest())
    assert changed.status_code == 409
    assert len([path for path in (tmp_path / "files").rglob("*") if path.is_file()]) == 1


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"token": "not-this-token-but-another"}, 409),
        ({"attempt": 9}, 409),
        ({"execution_id": 999}, 404),
        ({"output": "../x"}, 400),
        ({"file_name": "a/b"}, 400),
    ],
)
def test_only_the_live_attempt_with_its_token_brings_outputs(
    api: Api, running: Any, change: dict[str, Any], status: int
) -> None:
    _, ref, _ = running
    assert bring(api, ref, **change).status_code == status


def test_an_attempt_that_has_ended_brings_nothing_more(api: Api, cluster: Cluster, running: Any) -> None:
    _, ref, node = running
    cluster.report(node, ref, "failed", error="launch")
    assert bring(api, ref).status_code == 409


def test_nodes_read_inputs_over_their_own_protocol(api: Api, cluster: Cluster) -> None:
    file = upload(api).json
    cluster.running(cluster.a_node())
    data = f'{{"input_data": [{{"name": "f", "file_id": {file["id"]}}}]}}'
    cluster.change("UPDATE job_specs SET data = CAST(:data AS jsonb)", data=data)
    node = api.as_("node", Range="bytes=8-")
    answer = node.get(f"/node/files/{file['id']}/content/")
    assert (answer.status_code, answer.data) == (206, b"89")
    assert node.get(f"/files/{file['id']}/content/").status_code == 403
    assert api.get(f"/node/files/{file['id']}/content/").status_code == 403


def test_uploads_belong_to_a_project(api: Api) -> None:
    api.a_project("other")
    api.a_token("theirs", Role.SUBMITTER, "other")
    file = upload(api.as_("theirs")).json
    assert file["project"] == "other"
    assert upload(api.as_("theirs"), project="default").status_code == 403
    assert api.get("/files/", project="other").json["count"] == 1


def test_a_node_shows_no_files_of_other_projects_as_its_outputs(api: Api, cluster: Cluster) -> None:
    api.a_project("maps")
    theirs = upload(api, project="maps", file_name="payroll.csv").json
    node = cluster.a_node()
    job_id, ref = cluster.running(node)
    cluster.report(
        node, ref, outputs=[{"name": "x", "file_id": theirs["id"]}, {"name": "y", "file_ids": [theirs["id"]]}]
    )
    for path in (f"/jobs/{job_id}/", "/jobs/updates/", f"/jobs/{job_id}/executions/"):
        answer = api.get(path)
        assert answer.status_code == 200, answer.text
        assert "payroll" not in answer.text
