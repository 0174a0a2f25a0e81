"""The project API asked by plain HTTP: its documented fields, both ways of writing times, errors, links, scopes and tenants."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator
from pathlib import Path
from secrets import token_urlsafe
from typing import Any
from urllib.parse import urlsplit

import pytest

from scheduler import keyring
from scheduler.identity import Role
from tests.support.api import Answer, Api, serving

PAGE = {
    "id", "name", "type", "state", "created", "started", "finished", "error", "inputs", "outputs", "needs", "project_id",
    "workflow_id",
}  # fmt: skip
"""The fields that the published page documents of a job."""
JOB = {*PAGE, "parameters", "meta", "assets"}
ASSET = {"id", "filename", "size", "checksum", "created", "modified", "project_id", "job_id"}
PROJECT = {"id", "user", "name", "access", "created", "modified", "type", "thumbnail", "project", "graph"}
ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00\Z")
RFC1123 = re.compile(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT\Z")


@pytest.fixture
def api(database_url: str, tmp_path: Path) -> Iterator[Api]:
    with serving(database_url, tmp_path, keys=keyring.parse(token_urlsafe(32), "test")) as made:
        yield made


@pytest.fixture
def project(api: Api) -> str:
    return f"/projects/{api.post('/projects', {'name': 'alpha'}).json['id']}"


def upload(api: Api, project: str, content: bytes = b"abc", name: str = "part.stl", **form: Any) -> Answer:
    headers = {"Authorization": f"Bearer {api.secrets[api.caller or '']}"}
    data = form or {"file": (io.BytesIO(content), name)}
    return api.app.test_client().post(f"{project}/assets", data=data, headers=headers)  # type: ignore[no-any-return]


def a_job(api: Api, project: str, **fields: Any) -> str:
    api.a_type(
        "mesh/preprocess", interface={"input_data": [{"name": "message", "type": "property", "required": False}]}
    )
    answer = api.post(f"{project}/jobs", {"type": "mesh/preprocess", **fields})
    assert answer.status_code == 202, answer.text
    return str(answer.json["id"])


FRESH = (
    "attempt = 0, num_exes = 0, result_attempt = NULL, error_id = NULL, started = NULL, ended = NULL, status = 'QUEUED'"
)
STATES = [
    ("status = 'QUEUED'", "pending"),
    ("status = 'PENDING'", "pending"),
    ("status = 'BLOCKED'", "canceled"),
    ("status = 'RUNNING', attempt = 1", "started"),
    ("status = 'QUEUED', attempt = 1, num_exes = 1", "started"),
    ("status = 'COMPLETED', attempt = 1, num_exes = 1, result_attempt = 1, started = now(), ended = now()", "success"),
    ("status = 'FAILED', attempt = 1, num_exes = 1, error_id = 1, started = now(), ended = now()", "failure"),
    ("status = 'CANCELED', ended = now()", "canceled"),
]


def test_a_job_has_all_documented_keys_and_no_unknown_one_in_every_state(api: Api, project: str) -> None:
    job_id = a_job(api, project, name="sample-mesh", parameters={"message": "x"})
    for change, state in STATES:
        force(api, job_id, FRESH)
        force(api, job_id, change)
        check_job(api, project, job_id, state)


def check_job(api: Api, project: str, job_id: str, state: str) -> None:
    job = api.get(f"{project}/jobs/{job_id}").json
    assert set(job) == JOB
    assert (job["state"], job["name"], job["type"], job["id"]) == (state, "sample-mesh", "mesh/preprocess", job_id)
    assert set(job["inputs"]) == set(job["outputs"]) == {"params", "assets"}
    assert (job["inputs"]["params"], job["needs"], job["workflow_id"]) == ({"message": "x"}, [], None)
    assert f"/projects/{job['project_id']}" == project
    assert (job["error"] is not None) == (state == "failure")
    status = api.get(f"{project}/jobs/{job_id}/status")
    assert status.status_code == (202 if state in {"pending", "started"} else 201)
    assert status.json == job
    assert api.get(f"{project}/jobs", q=f"state:{state}").json == [job]
    assert api.get(f"{project}/jobs", q=f"!state:{state}").json == []


def force(api: Api, job_id: str, change: str) -> None:
    """Let a job be as if all that had happened to it."""
    api.change("ALTER TABLE jobs DISABLE TRIGGER guard_job")
    api.change(f"UPDATE jobs SET {change} WHERE id = :id", id=int(job_id))  # noqa: S608 - the text is that of STATES
    api.change("ALTER TABLE jobs ENABLE TRIGGER guard_job")


def test_projects_and_assets_have_exactly_their_keys(api: Api, project: str) -> None:
    assert set(api.get(project).json) == PROJECT
    asset = upload(api, project).json
    assert set(asset) == ASSET
    assert asset["checksum"] == f"sha256:{hashlib.sha256(b'abc').hexdigest()}"
    assert set(api.get(f"{project}/assets/{asset['id']}").json) == ASSET
    assert set(api.get(f"{project}/assets/{asset['id']}", download="true").json) == {*ASSET, "link"}


AGENTS: list[Any] = [
    ("Python/3.11.7", RFC1123), ("Python/3.14.0", RFC1123), ("python-requests/2.32", ISO), ("Python-urllib/3.11", ISO),
    ("curl/8.5", ISO), ("Mozilla/5.0", ISO), ("", ISO), ("xPython/3.11", ISO), ("Python/", ISO),
]  # fmt: skip


def test_times_are_written_as_the_asking_client_reads_them(api: Api, project: str) -> None:
    job_id = a_job(api, project)
    for agent, form in AGENTS:
        asked = api.with_headers(User_Agent=agent)
        for path in (
            "/projects",
            project,
            f"{project}/jobs",
            f"{project}/jobs/{job_id}",
            f"{project}/jobs/{job_id}/status",
        ):
            answer = asked.get(path)
            one = answer.json[0] if isinstance(answer.json, list) else answer.json
            assert form.match(one["created"]), (path, one["created"])
            assert "User-Agent" in answer.headers["Vary"]


@pytest.mark.parametrize(("setting", "form"), [("iso", ISO), ("rfc1123", RFC1123)])
def test_a_setting_forces_either_way_of_writing_times(
    database_url: str, tmp_path: Path, setting: str, form: Any
) -> None:
    with serving(database_url, tmp_path, metafold_dates=setting) as api:
        for agent in ("Python/3.11.7", "curl/8.5"):
            assert form.match(api.with_headers(User_Agent=agent).get("/projects").json[0]["created"])


def test_errors_are_one_object_of_three_keys(api: Api, project: str) -> None:
    nobody = api.as_(None)
    for answer, status in (
        (api.get("/projects/999999"), 404), (api.get(f"{project}/nothing"), 404), (api.get(f"{project}/jobs/x"), 404),
        (api.get(f"{project}/jobs/99999999999999999999999"), 404), (api.get(f"{project}/jobs", q="x"), 400),
        (nobody.get(project), 401), (nobody.get("/projects"), 401), (api.as_("node").get(project), 401),
        (api.post("/projects", {"nom": "x"}), 400), (api.send("POST", "/projects", b"{", content_type="application/json"), 400),
        (api.send("POST", "/projects", b"x", content_type="text/plain"), 415), (api.delete("/projects"), 405),
        (api.post(f"{project}/jobs", {"type": "no/such"}), 400),
    ):  # fmt: skip
        assert answer.status_code == status, answer.text
        assert set(answer.json) == {"code", "name", "description"}
        assert answer.json["code"] == status
        assert answer.json["description"]


def test_a_missing_scope_is_401(api: Api, project: str) -> None:
    viewer = api.as_("viewer")
    assert viewer.get(project).status_code == 200
    assert viewer.post(f"{project}/jobs", {"type": "x"}).status_code == 401
    assert upload(viewer, project).status_code == 401
    assert api.as_("submitter").post("/projects", {"name": "x"}).status_code == 401


def test_ids_of_another_project_are_not_found(api: Api, project: str) -> None:
    asset, job_id = upload(api, project).json["id"], a_job(api, project)
    other = f"/projects/{api.post('/projects', {'name': 'other'}).json['id']}"
    name = api.value("SELECT name FROM projects WHERE title = 'other'")
    api.a_token("theirs", Role.ADMIN, name)
    theirs = api.as_("theirs")
    for path in (project, f"{project}/assets", f"{project}/jobs", f"{project}/assets/{asset}", f"{project}/jobs/{job_id}",
                 f"{other}/assets/{asset}", f"{other}/jobs/{job_id}", f"{other}/jobs/{job_id}/status"):  # fmt: skip
        assert theirs.get(path).status_code == 404, path
    for path in (f"{other}/assets/{asset}", f"{other}/jobs/{job_id}", project):
        assert theirs.delete(path).status_code == 404, path
    assert theirs.patch(project, {"name": "mine"}).status_code == 404
    assert theirs.patch(f"{other}/jobs/{job_id}", {"name": "mine"}).status_code == 404
    assert [one["name"] for one in theirs.get("/projects").json] == ["other"]
    assert [one["id"] for one in api.get(f"{project}/jobs").json] == [job_id]


def test_a_link_needs_no_token_and_is_good_only_as_it_was_given(api: Api, project: str) -> None:
    asset = upload(api, project, b"content", "täst.bin").json["id"]
    link = urlsplit(api.get(f"{project}/assets/{asset}", download="true").json["link"])
    assert (link.scheme, link.netloc) == ("http", "localhost")
    nobody = api.as_(None)
    address = f"{link.path}?{link.query}"
    answer = nobody.get(address)
    assert (answer.status_code, answer.data) == (200, b"content")
    head = nobody.send("HEAD", address)
    assert (head.status_code, head.headers["Content-Length"], head.data) == (200, "7", b"")
    assert nobody.with_headers(Range="bytes=2-3").get(address).data == b"nt"
    other = upload(api, project, b"other").json["id"]
    for wrong in (
        link.path, f"{link.path}?sig=x", f"{address}x", address.replace("sig=", "sig=A"),
        address.replace(f"/assets/{asset}/", f"/assets/{other}/"), re.sub(r"se=\d{4}", "se=2100", address), f"{address}&se=2100",
    ):  # fmt: skip
        refused = nobody.get(wrong)
        assert (refused.status_code, set(refused.json)) == (403, {"code", "name", "description"}), wrong
    api.delete(f"{project}/assets/{asset}")
    assert nobody.get(address).status_code == 404


def test_an_old_link_is_refused(api: Api, project: str) -> None:
    from api.http.links import signed  # noqa: PLC0415 - beside what it is used for

    asset = upload(api, project).json["id"]
    with api.app.test_request_context():
        old = urlsplit(signed.link(api.rt, signed.READ, f"{project}/assets/{asset}/content", good_for_s=-1))
    assert api.as_(None).get(f"{old.path}?{old.query}").status_code == 403


def test_an_asset_gets_another_content_under_its_id(api: Api, project: str) -> None:
    asset = upload(api, project, b"old", "part.stl").json
    address = f"{project}/assets/{asset['id']}"
    changed = replace(api, address, b"newer", "part-2.stl")
    assert changed.status_code == 200, changed.text
    assert set(changed.json) == ASSET
    assert (changed.json["id"], changed.json["filename"], changed.json["size"]) == (asset["id"], "part-2.stl", 5)
    assert changed.json["checksum"] == f"sha256:{hashlib.sha256(b'newer').hexdigest()}"
    assert api.get(address).json == changed.json
    link = urlsplit(api.get(address, download="true").json["link"])
    assert api.as_(None).get(f"{link.path}?{link.query}").data == b"newer"
    forms: list[Any] = [{"other": (io.BytesIO(b"x"), "a")}, {"file": (io.BytesIO(b"x"), "a/b")}]
    for form in forms:
        assert replace(api, address, **form).status_code == 400
    assert replace(api, f"{project}/assets/999999").status_code == 404
    assert replace(api.as_("viewer"), address).status_code == 401
    api.a_type("reads", interface={"input_data": [{"name": "source", "type": "file"}]})
    assert api.post(f"{project}/jobs", {"type": "reads", "parameters": {"source": "part-2.stl"}}).status_code == 202
    assert replace(api, address).status_code == 409, "a job that has not ended reads it"
    assert api.get(address).json == changed.json


def replace(api: Api, address: str, content: bytes = b"abc", name: str = "part.stl", **form: Any) -> Answer:
    headers = {"Authorization": f"Bearer {api.secrets[api.caller or '']}"}
    data = form or {"file": (io.BytesIO(content), name)}
    return api.app.test_client().patch(address, data=data, headers=headers)  # type: ignore[no-any-return]


OTHER_FORMS: list[Any] = [
    {"other": (io.BytesIO(b"x"), "a")},
    {"file": (io.BytesIO(b"x"), "../../etc/passwd\x00")},
    {"file": [(io.BytesIO(b"x"), "a"), (io.BytesIO(b"y"), "b")]},
    {"file": (io.BytesIO(b"x"), "a"), "more": "text"},
]  # fmt: skip


def test_other_forms_are_refused_and_nothing_of_them_is_kept(api: Api, project: str, tmp_path: Path) -> None:
    for form in OTHER_FORMS:
        assert upload(api, project, **form).status_code == 400
        assert api.get(f"{project}/assets").json == []
        assert not [path for path in (tmp_path / "files").rglob("*") if path.is_file()]


BROKEN_FORMS: list[Any] = [
    (b"", "multipart/form-data; boundary=x", 400),
    (b"--x\r\n", "multipart/form-data; boundary=x", 400),
    (b"--y\r\nContent-Disposition: form-data; name=file; filename=a\r\n\r\nabc\r\n--y--\r\n", "multipart/form-data; boundary=x", 400),
    (b"--x\r\nContent-Disposition: form-data; name=file; filename=a\r\n\r\nabc", "multipart/form-data; boundary=x", 400),
    (b"--x\r\n" + b"A" * 3_000_000, "multipart/form-data; boundary=x", 400),
    (b"abc", "multipart/form-data", 415),
    (b"abc", "application/octet-stream", 415),
]  # fmt: skip


def test_broken_forms_are_refused_and_nothing_of_them_is_kept(api: Api, project: str, tmp_path: Path) -> None:
    for body, kind, status in BROKEN_FORMS:
        assert api.send("POST", f"{project}/assets", body, content_type=kind).status_code == status
        assert not [path for path in (tmp_path / "files").rglob("*") if path.is_file()]


def test_lists_are_searched_and_ordered_by_every_field(api: Api, project: str) -> None:
    made = [
        upload(api, project, content, name).json
        for content, name in ((b"333", "b.stl"), (b"1", "C d.stl"), (b"22", "a_x.bin"))
    ]
    ids = [one["id"] for one in made]

    def found(**query: str) -> list[int]:
        return [ids.index(one["id"]) for one in api.get(f"{project}/assets", **query).json]

    assert found() == [2, 1, 0], "the newest first"
    for field, order in (
        ("id", [0, 1, 2]),
        ("filename", [1, 2, 0]),
        ("size", [1, 2, 0]),
        ("created", [0, 1, 2]),
        ("modified", [0, 1, 2]),
    ):
        assert found(sort=f"{field}:1") == order, field
        assert found(sort=f"{field}:-1") == order[::-1], field
    for query, expected in (
        ('filename:"c D.STL"', [1]), ("filename:*.stl", [1, 0]), ("!filename:*.stl", [2]), ("filename:a_x.bin", [2]),
        ("filename:a?x.bin", []), ("filename:%", []), ("filename:axx.bin", []), (f"id:{ids[0]}", [0]),
        (f"!id:{ids[0]} AND filename:*stl", [1]), ('filename:"*" AND !filename:"* *"', [2, 0]), ("", [2, 1, 0]),
        ('filename:"b.stl AND x"', []), ("filename:**b**", [2, 0]),
    ):  # fmt: skip
        assert found(q=query) == expected, query


UNREADABLE: list[Any] = [
    {"q": "filename"}, {"q": "filename:"}, {"q": 'filename:"x'}, {"q": "filename:a filename:b"}, {"q": "filename:a OR filename:b"},
    {"q": "filename:a AND"}, {"q": "AND filename:a"}, {"q": "!!filename:a"}, {"q": "(filename:a)"}, {"q": "size:3"},
    {"q": "filename:a AND " * 21 + "filename:a"}, {"q": "filename:" + "a" * 1001}, {"q": "x" * 5000}, {"sort": "checksum:1"},
    {"sort": "size:2"}, {"sort": "size:"}, {"sort": ""}, {"sort": "size:1,id:1"}, {"sort": "size:--1"}, {"q": "filename:\x00"},
]  # fmt: skip


def test_searches_that_cannot_be_read_are_400(api: Api, project: str) -> None:
    for query in UNREADABLE:
        answer = api.get(f"{project}/assets", **query)
        assert (answer.status_code, set(answer.json)) == (400, {"code", "name", "description"})


def test_a_job_is_renamed_by_a_form_and_by_json(api: Api, project: str) -> None:
    job = f"{project}/jobs/{a_job(api, project, name='before')}"
    form = "application/x-www-form-urlencoded"
    assert api.send("PATCH", job, "name=ünï 1".encode(), content_type=form).json["name"] == "ünï 1"
    assert api.send("PATCH", job, b"", content_type=form).json["name"] == "ünï 1"
    assert api.send("PATCH", job).json["name"] == "ünï 1"
    assert api.patch(job, {"name": "after"}).json["name"] == "after"
    wrong: list[Any] = [{"name": ""}, {"name": 7}, {"name": "x" * 257}, []]
    for body in wrong:
        assert api.patch(job, body).status_code == 400


def test_the_same_request_with_a_key_makes_one_job(api: Api, project: str) -> None:
    api.a_type("once")
    asked = api.with_headers(Idempotency_Key="k1")
    first, again = (asked.post(f"{project}/jobs", {"type": "once"}).json for _ in range(2))
    assert first["id"] == again["id"]
    assert asked.post(f"{project}/jobs", {"type": "once", "name": "other"}).status_code == 409
    assert len(api.get(f"{project}/jobs").json) == 1


def test_a_deleted_project_takes_everything_with_it(api: Api, project: str) -> None:
    upload(api, project)
    job_id = a_job(api, project)
    name = api.value("SELECT name FROM projects WHERE title = 'alpha'")
    api.a_token("member", Role.SUBMITTER, name)
    assert api.delete(project).status_code == 204
    assert api.delete(project).status_code == 404
    for path in (project, f"{project}/assets", f"{project}/jobs", f"{project}/jobs/{job_id}"):
        assert api.get(path).status_code == 404
    assert api.as_("member").get("/projects").status_code == 401
    assert api.post("/jobs/", {"command": ["true"], "project": name}).status_code == 400
    assert name not in [one["name"] for one in api.get("/admin/projects/").json["results"]]
    assert api.delete("/projects/default").status_code == 409


def test_a_token_is_granted_for_client_credentials(api: Api) -> None:
    body = {"client_id": "submitter", "client_secret": api.secrets["submitter"], "grant_type": "client_credentials",
            "audience": "http://localhost", "organization": None}  # fmt: skip
    nobody = api.as_(None)
    granted = nobody.post("/oauth/token", body)
    assert granted.status_code == 200, granted.text
    assert granted.json["expires_in"] > 60
    assert set(granted.json["scope"].split()) == {
        "projects:read",
        "assets:read",
        "assets:write",
        "jobs:read",
        "jobs:write",
    }
    api.secrets["granted"] = granted.json["access_token"]
    assert api.as_("granted").get("/projects").status_code == 200
    for wrong, status in (
        ({**body, "client_secret": "x"}, 401), ({**body, "client_id": "admin"}, 401), ({**body, "grant_type": "password"}, 400),
        ({**body, "client_secret": None}, 401), ({**body, "client_secret": api.secrets["node"], "client_id": "node"}, 401), ([], 400),
    ):  # fmt: skip
        assert nobody.post("/oauth/token", wrong).status_code == status
