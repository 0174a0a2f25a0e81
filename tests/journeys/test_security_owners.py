"""An operator of one project tries to change what another project's jobs do, and to get at its secrets."""

from collections.abc import Iterator
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

import pytest

from scheduler import keyring
from scheduler.identity import Role
from tests.support.api import Api, serving

STEALING = {"command": ["sh", "-c", "cat $GANGER_SECRETS_DIR/password"], "shell": False}


@pytest.fixture
def api(database_url: str, tmp_path: Path) -> Iterator[Api]:
    with serving(database_url, tmp_path, keys=keyring.parse(token_urlsafe(32), "test")) as made:
        yield made


@pytest.fixture
def attacker(api: Api) -> Any:
    """An operator of project `mine`; project `maps` has a secret and a type that reads it."""
    for project in ("maps", "mine"):
        api.a_project(project)
        api.a_token(f"operator of {project}", Role.OPERATOR, project)
        api.a_token(f"admin of {project}", Role.ADMIN, project)
    assert api.post("/admin/projects/maps/secrets/", {"name": "password", "value": "open sesame"}).status_code == 201
    made = api.as_("operator of maps").post(
        "/job-types/", {"name": "render", "version": "1.0", "command": ["render"], "secrets": ["password"]}
    )
    assert (made.status_code, made.json["project"]) == (201, "maps"), made.text
    return api.as_("operator of mine")


def test_the_command_of_another_projects_type_is_not_changed(api: Api, attacker: Api) -> None:
    kind = api.get("/job-types/render/1.0/", project="maps").json
    assert attacker.patch(f"/job-types/{kind['id']}/", STEALING).status_code == 404
    assert attacker.patch("/job-types/render/1.0/", STEALING).status_code == 404
    assert attacker.patch("/job-types/render/1.0/", STEALING, project="maps").status_code == 404
    assert attacker.get("/job-types/", name="render").json["count"] == 0
    assert api.get(f"/job-types/{kind['id']}/").json == kind


def test_a_newer_version_under_a_foreign_name_runs_in_its_own_project_only(api: Api, attacker: Api) -> None:
    newer = attacker.post("/job-types/", {"name": "render", "version": "9.0", **STEALING})
    assert (newer.status_code, newer.json["project"]) == (201, "mine")
    theirs = api.as_("operator of maps").post("/jobs/", {"job_type": {"name": "render"}}).json
    assert (theirs["job_type"]["version"], theirs["project"]) == ("1.0", "maps")
    by_id = api.post("/jobs/", {"job_type_id": newer.json["id"], "project": "maps"})
    assert (by_id.status_code, by_id.json["field"]) == (400, "job_type_id")
    own = attacker.post("/jobs/", {"job_type": {"name": "render"}}).json
    assert (own["job_type"]["version"], own["project"]) == ("9.0", "mine")


def test_two_projects_may_have_types_and_errors_of_one_name(api: Api, attacker: Api) -> None:
    assert attacker.post("/job-types/", {"name": "render", "version": "1.0", "command": ["mine"]}).status_code == 201
    assert attacker.post("/job-types/", {"name": "render", "version": "1.0", "command": ["mine"]}).status_code == 409
    assert attacker.get("/job-types/render/1.0/").json["command"] == ["mine"]
    assert api.as_("operator of maps").get("/job-types/render/1.0/").json["command"] == ["render"]
    hint = api.get("/job-types/render/1.0/")
    assert (hint.status_code, "parameter project" in hint.json["description"]) == (404, True)
    for caller in ("operator of maps", "operator of mine", "operator"):
        body = {"name": "odd", "title": caller, "category": "DATA"}
        assert api.as_(caller).post("/errors/", body).status_code == 201, caller
        assert api.as_(caller).post("/errors/", body).status_code == 409, caller
    assert [one["title"] for one in attacker.get("/errors/", name="odd", order="id").json["results"]] == [
        "operator of mine", "operator",
    ]  # fmt: skip


def test_a_built_in_type_is_paused_for_everybody_by_nobody_of_one_project(api: Api, attacker: Api) -> None:
    for change in ({"is_paused": True}, {"max_scheduled": 1}, {"is_active": False}):
        refused = attacker.patch("/job-types/command/1.0/", change)
        assert refused.status_code == 403
        assert "hold your project's jobs" in refused.json["description"]
    assert api.as_("operator").patch("/job-types/command/1.0/", {"is_paused": True}).status_code == 200


def test_the_name_of_what_is_built_in_is_not_taken(attacker: Api) -> None:
    assert attacker.post("/job-types/", {"name": "command", "version": "1.0", "command": ["x"]}).status_code == 409
    assert attacker.post("/job-types/", {"name": "command", "version": "7", "command": ["x"]}).status_code == 409
    assert attacker.post("/errors/", {"name": "timeout", "title": "T", "category": "DATA"}).status_code == 409


def test_a_type_means_its_owners_errors_and_the_installations(api: Api, attacker: Api) -> None:
    theirs = {"name": "theirs", "title": "T", "category": "DATA"}
    assert api.as_("operator of maps").post("/errors/", theirs).status_code == 201
    body = {"name": "t", "version": "1", "command": ["x"], "error_mapping": {"exit_codes": {"3": "theirs"}}}
    assert attacker.post("/job-types/", body).status_code == 400
    assert api.post("/job-types/", body).status_code == 400
    assert api.post("/job-types/", {**body, "project": "maps"}).status_code == 201
    error = api.get("/errors/", name="theirs").json["results"][0]
    assert attacker.patch(f"/errors/{error['id']}/", {"should_be_retried": False}).status_code == 404
    assert attacker.get("/errors/", name="theirs").json["count"] == 0


def test_a_type_of_the_installation_gets_a_projects_secrets_only_by_its_leave(api: Api, attacker: Api) -> None:
    """Whoever may change the installation's types would else read every project's secrets."""
    api.a_type("backup", secrets=["password"])
    job = {"job_type": {"name": "backup"}}
    refused = api.as_("operator of maps").post("/jobs/", job)
    assert (refused.status_code, refused.json["field"]) == (403, "job_type")
    assert "secret_types" in refused.json["description"]
    assert api.post("/jobs/", {**job, "project": "maps"}).status_code == 403
    assert api.post("/jobs/", {**job, "project": "maps"}, dry_run=True).status_code == 403
    for caller, status in (("admin of mine", 404), ("operator of maps", 403), ("admin of maps", 200)):
        assert api.as_(caller).patch("/admin/projects/maps/", {"secret_types": ["backup"]}).status_code == status
    assert api.as_("operator of maps").post("/jobs/", job).status_code == 201
    assert api.post("/admin/projects/mine/secrets/", {"name": "password", "value": "mine"}).status_code == 201
    assert attacker.post("/jobs/", job).status_code == 403, "the leave is of one project"


def test_the_job_itself_may_name_secrets_of_its_project(api: Api, attacker: Api) -> None:
    mine = api.as_("operator of maps").post("/jobs/", {"command": ["true"], "secrets": ["password"]})
    assert mine.status_code == 201, mine.text
    theirs = attacker.post("/jobs/", {"command": ["true"], "secrets": ["password"]})
    assert (theirs.status_code, theirs.json["field"]) == (400, "secrets")
