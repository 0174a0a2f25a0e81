"""Named errors and workspaces over HTTP."""

import sys
from pathlib import Path

import pytest

from scheduler.files import object_storage
from scheduler.identity import Role
from scheduler.rules.lifecycle.failures import BUILT_IN
from tests.support.api import Api

NEW = {"name": "bad-projection", "title": "Bad projection", "category": "DATA", "should_be_retried": False}


def test_the_built_in_errors_are_listed_by_name_and_found_by_filter(api: Api) -> None:
    listed = api.get("/errors/").json
    names = [one["name"] for one in listed["results"]]
    assert listed["count"] == len(BUILT_IN)
    assert names == sorted(one.name for one in BUILT_IN)
    only = api.get("/errors/", category=["DATA"], is_builtin="true").json["results"]
    assert only
    assert {one["category"] for one in only} == {"DATA"}
    assert api.get("/errors/", is_builtin="false").json["count"] == 0


def test_an_operator_adds_an_error_and_a_job_type_maps_an_exit_code_to_it(api: Api) -> None:
    made = api.as_("operator").post("/errors/", NEW)
    assert made.status_code == 201
    assert made.headers["Location"].endswith(f"/errors/{made.json['id']}/")
    assert made.json | NEW == made.json
    assert not made.json["is_builtin"]
    assert api.get(f"/errors/{made.json['id']}/").json == made.json
    api.a_type("maps", error_mapping={"exit_codes": {"3": "bad-projection"}})
    assert api.value("SELECT count(*) FROM audit WHERE action = 'error.create'") == 1


def test_changing_an_error_changes_only_what_is_named(api: Api) -> None:
    made = api.post("/errors/", NEW).json
    changed = api.patch(f"/errors/{made['id']}/", {"title": "Other"}).json
    assert changed["title"] == "Other"
    assert {**changed, "title": NEW["title"], "last_modified": made["last_modified"]} == made


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({**NEW, "category": "SYSTEM"}, 400),
        ({**NEW, "category": "OTHER"}, 400),
        ({**NEW, "name": "no blanks"}, 400),
        ({**NEW, "is_builtin": True}, 400),
        ({"name": "x", "category": "DATA"}, 400),
        ({**NEW, "name": "timeout"}, 409),
        ({**NEW, "title": "a\0b"}, 400),
        ([NEW], 400),
    ],
)
def test_a_wrong_error_is_refused_and_nothing_is_stored(api: Api, body: object, status: int) -> None:
    assert api.post("/errors/", body).status_code == status
    assert api.value("SELECT count(*) FROM errors WHERE NOT is_builtin") == 0


@pytest.mark.parametrize(
    "body", [{}, {"name": "other"}, {"category": "SYSTEM"}, {"title": None}, {"is_builtin": False}]
)
def test_a_wrong_change_of_an_error_is_refused(api: Api, body: dict[str, object]) -> None:
    made = api.post("/errors/", NEW).json
    assert api.patch(f"/errors/{made['id']}/", body).status_code == 400
    assert api.get(f"/errors/{made['id']}/").json == made


def test_built_in_errors_cannot_be_changed_and_unknown_ones_are_not_there(api: Api) -> None:
    built_in = api.get("/errors/", name="timeout").json["results"][0]
    refused = api.patch(f"/errors/{built_in['id']}/", {"should_be_retried": False})
    assert refused.status_code == 400
    assert "built in" in refused.json["description"]
    assert api.get(f"/errors/{built_in['id']}/").json == built_in
    assert api.patch("/errors/999999/", {"title": "x"}).status_code == 404
    assert api.get("/errors/999999/").status_code == 404


def test_a_new_workspace_takes_files_once_it_is_the_default(api: Api, tmp_path: Path) -> None:
    folder = tmp_path / "second"
    folder.mkdir()
    made = api.post("/workspaces/", {"name": "second", "url": folder.as_uri()})
    assert made.status_code == 201, made.text
    assert not made.json["is_default"]
    changed = api.patch(f"/workspaces/{made.json['id']}/", {"is_default": True, "title": "Second"})
    assert changed.json["is_default"]
    defaults = [one["name"] for one in api.get("/workspaces/").json["results"] if one["is_default"]]
    assert defaults == ["second"]
    stored = api.send(
        "POST", "/files/", b"bytes", query={"file_name": "a.txt"}, content_type="application/octet-stream"
    )
    assert stored.json["workspace"]["name"] == "second"
    assert any(path.is_file() and path.read_bytes() == b"bytes" for path in folder.rglob("*"))


def test_there_is_always_one_active_default_workspace(api: Api, tmp_path: Path) -> None:
    local = api.get("/workspaces/", name="local").json["results"][0]
    assert api.patch(f"/workspaces/{local['id']}/", {"is_default": False}).status_code == 409
    assert api.patch(f"/workspaces/{local['id']}/", {"is_active": False}).status_code == 409
    (tmp_path / "idle").mkdir()
    idle = {"name": "idle", "url": (tmp_path / "idle").as_uri(), "is_active": False}
    assert api.post("/workspaces/", {**idle, "is_default": True}).status_code == 400
    made = api.post("/workspaces/", idle).json
    assert api.patch(f"/workspaces/{made['id']}/", {"is_default": True}).status_code == 409
    assert api.get(f"/workspaces/{local['id']}/").json == local


@pytest.mark.parametrize(
    "url",
    [
        "s3://bucket/x",
        "file://elsewhere/x",
        "file:relative",
        "/plain/path",
        "file:///dev/null/below",
        "file:///no/such/folder",
        "file:///etc/passwd",
        "file:///a\0b",
        "",
    ],
)
def test_a_workspace_needs_the_url_of_a_folder_that_can_be_written(api: Api, url: str) -> None:
    refused = api.post("/workspaces/", {"name": "w", "url": url})
    assert refused.status_code == 400
    assert api.value("SELECT count(*) FROM workspaces") == 1


def test_an_object_store_without_its_library_names_what_to_install(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    object_storage._client.cache_clear()
    monkeypatch.setitem(sys.modules, "boto3", None)
    refused = api.post("/workspaces/", {"name": "w", "url": "s3://bucket/x"})
    assert (refused.status_code, refused.json["field"]) == (400, "url")
    assert "ganger[s3]" in refused.json["description"]


def test_workspaces_have_one_name_each_and_are_made_by_administrators(api: Api, tmp_path: Path) -> None:
    body = {"name": "local", "url": tmp_path.as_uri()}
    assert api.post("/workspaces/", body).status_code == 409
    assert api.as_("operator").post("/workspaces/", {**body, "name": "x"}).status_code == 403
    api.a_project("p")
    api.a_token("p-admin", Role.ADMIN, "p")
    assert api.as_("p-admin").post("/workspaces/", {**body, "name": "x"}).status_code == 403
    assert api.patch("/workspaces/99/", {"title": "x"}).status_code == 404
    assert api.patch("/workspaces/1/", {}).status_code == 400
