"""What somebody tries who may submit jobs to one project, and can write into a workspace's folder: to read everything else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from scheduler.identity import Role
from tests.support.api import Api, serving

RAW = "application/octet-stream"


@pytest.fixture
def shared(api: Api, tmp_path: Path) -> tuple[int, Path]:
    """A workspace whose folder jobs can write, and a secret beside it."""
    folder = tmp_path / "shared"
    folder.mkdir()
    (tmp_path / "token").write_text("the admin's token")
    (tmp_path / "tokens").mkdir()
    (tmp_path / "tokens/admin").write_text("the admin's token")
    made = api.post("/workspaces/", {"name": "shared", "url": folder.as_uri(), "register_role": "submitter"})
    assert made.status_code == 201, made.text
    return made.json["id"], folder


def registered(api: Api, workspace: int, path: str) -> tuple[int, str]:
    answer = api.send("POST", "/files/", query={"workspace_id": workspace, "path": path})
    return answer.status_code, answer.text


@pytest.mark.parametrize("path", ["link", "folder/admin", "folder-up/token", "pipe", "near", "sub", "proc/1/environ"])
def test_a_link_or_a_pipe_in_a_workspace_is_never_registered(api: Api, shared: tuple[int, Path], path: str) -> None:
    workspace, folder = shared
    (folder / "link").symlink_to("../token")
    (folder / "folder").symlink_to("../tokens")
    (folder / "folder-up").symlink_to("..")
    (folder / "proc").symlink_to("/proc")
    (folder / "data").write_text("data")
    (folder / "near").symlink_to("data")
    (folder / "sub").mkdir()
    os.mkfifo(folder / "pipe")
    status, text = registered(api.as_("submitter"), workspace, path)
    assert status == 404, text
    assert registered(api.as_("submitter"), workspace, "data")[0] == 201


@pytest.mark.parametrize("path", ["../token", "a/../../token", "/etc/passwd", "", "a//b", ".", "a/\0"])
def test_a_path_that_leads_out_is_refused(api: Api, shared: tuple[int, Path], path: str) -> None:
    status, text = registered(api, shared[0], path)
    assert status == 400, text


def test_a_registered_file_that_becomes_a_link_or_a_pipe_is_read_no_more(api: Api, shared: tuple[int, Path]) -> None:
    workspace, folder = shared
    (folder / "data").write_text("data")
    made = api.send("POST", "/files/", query={"workspace_id": workspace, "path": "data"}).json
    (folder / "data").unlink()
    (folder / "data").symlink_to("../token")
    assert api.get(f"/files/{made['id']}/content/").status_code == 404
    (folder / "data").unlink()
    os.mkfifo(folder / "data")
    assert api.get(f"/files/{made['id']}/content/").status_code == 404


def test_to_register_is_a_right_of_its_own_and_never_reaches_what_ganger_stored(api: Api, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/x").write_text("x")
    made = api.post("/workspaces/", {"name": "data", "url": (tmp_path / "data").as_uri()}).json
    assert made["register_role"] == "operator"
    assert registered(api.as_("submitter"), made["id"], "x")[0] == 403
    assert registered(api.as_("operator"), made["id"], "x")[0] == 201
    api.a_project("theirs")
    theirs = api.send("POST", "/files/", b"theirs", query={"file_name": "t", "project": "theirs"}, content_type=RAW)
    path = api.value("SELECT path FROM files WHERE id = :id", id=theirs.json["id"])
    refused = api.send("POST", "/files/", query={"workspace_id": 1, "path": path})
    assert (refused.status_code, "already" in refused.text) == (403, True), refused.text


def test_a_workspace_of_some_projects_does_not_exist_for_the_others(api: Api, tmp_path: Path) -> None:
    for name in ("ours", "theirs"):
        api.a_project(name)
        api.a_token(name, Role.OPERATOR, name)
    (tmp_path / "own").mkdir()
    (tmp_path / "own/x").write_text("x")
    body = {"name": "own", "url": (tmp_path / "own").as_uri(), "projects": ["ours"]}
    assert api.post("/workspaces/", {**body, "projects": ["ours", "nobody"]}).json["field"] == "projects[1]"
    made = api.post("/workspaces/", body).json
    assert made["projects"] == ["ours"]
    theirs, ours = api.as_("theirs"), api.as_("ours")
    assert [one["name"] for one in theirs.get("/workspaces/").json["results"]] == ["local"]
    assert theirs.get(f"/workspaces/{made['id']}/").status_code == 404
    assert ours.get(f"/workspaces/{made['id']}/").status_code == 200
    for query in ({"file_name": "f"}, {"path": "x"}):
        for caller, status in ((theirs, 400), (ours, 201)):
            sent = caller.send("POST", "/files/", b"f", query={**query, "workspace_id": made["id"]}, content_type=RAW)
            assert sent.status_code == status, sent.text
    assert api.patch("/workspaces/1/", {"projects": ["ours"]}).status_code == 409
    assert api.patch(f"/workspaces/{made['id']}/", {"projects": None}).json["projects"] is None
    assert theirs.get(f"/workspaces/{made['id']}/").status_code == 200


@pytest.fixture
def rooted(database_url: str, tmp_path: Path) -> Iterator[Api]:
    (tmp_path / "root/inner").mkdir(parents=True)
    (tmp_path / "tokens").mkdir()
    (tmp_path / "root/led").symlink_to(tmp_path / "tokens")
    with serving(database_url, tmp_path / "state", workspace_roots=(tmp_path / "root",)) as made:
        yield made


@pytest.mark.parametrize("place", ["", "tokens", "state", "root/../tokens", "root/led", "root-beside"])
def test_a_folder_outside_the_roots_is_no_workspace(rooted: Api, tmp_path: Path, place: str) -> None:
    (tmp_path / "root-beside").mkdir()
    refused = rooted.post("/workspaces/", {"name": "w", "url": f"file://{tmp_path}/{place}"})
    assert (refused.status_code, refused.json["field"]) == (400, "url"), refused.text


def test_two_workspaces_never_share_a_folder(rooted: Api, tmp_path: Path) -> None:
    inner = (tmp_path / "root/inner").as_uri()
    made = rooted.post("/workspaces/", {"name": "inner", "url": inner})
    assert made.status_code == 201, made.text
    for url in (inner, f"{inner}/", (tmp_path / "root").as_uri()):
        assert rooted.post("/workspaces/", {"name": "other", "url": url}).status_code == 409
    assert rooted.patch(f"/workspaces/{made.json['id']}/", {"url": inner}).status_code == 200


def test_a_sparse_file_is_refused_by_its_length(api: Api, shared: tuple[int, Path]) -> None:
    workspace, folder = shared
    with (folder / "huge").open("wb") as file:
        file.truncate(2**42)
    assert registered(api, workspace, "huge")[0] == 413
