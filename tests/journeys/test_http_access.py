"""Who may do what: every route for every role, and nothing of another project."""

import re
from typing import Any

import pytest

from api.application import ROUTES, with_dialects
from api.http.app import bare_app
from api.ui.rooms import ALL as PAGES
from scheduler.identity import Role
from tests.support.api import Api

CALLERS = (None, "node", "viewer", "submitter", "operator", "admin")
BODIES: dict[str, dict[str, int]] = {
    **{f"/jobs/{kind}/": {"job_id": 999_999} for kind in ("cancel", "requeue", "pin", "unpin")},
    "/token/rotation/": {"overlap_s": -1},
}
"""Where an empty body would ask for more than the route's own role gives, or take the token away that asks."""

SIGNED = {"/projects/<id:project>/assets/<id:asset>/content", "/blobs/<blob>"}
"""Addresses that are their own credential: see test_metafold_http.py and test_http_blobs.py."""


def address(route: Any) -> Any:
    filled = re.sub(r"<id:\w+>", "999999", route.rule)
    return re.sub(r"<(?:words:)?\w+>", "nothing", filled)


def allowed(needs: Any, caller: Any) -> Any:
    if needs == "public":
        return True
    if caller is None or caller == "node" or needs == "node":
        return caller == "node" and needs == "node"
    return Role[caller.upper()] >= needs


def test_every_address_that_is_served_was_declared_with_a_role() -> None:
    declared = {(route.method, route.rule) for route in ROUTES}
    app = with_dialects(bare_app())
    served = {
        (method, rule.rule)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert served == declared
    assert all(isinstance(route.role, Role) or route.role in {"node", "public"} for route in ROUTES)
    assert {route.rule for route in ROUTES if route.role == "public"} <= {
        "/version/", "/health/live", "/health/ready", "/openapi.json", "/docs/", "/docs/<name>", "/metrics",
        "/oauth/token", "/connect/token", "/blockmodel/health_check", *SIGNED,
    }  # fmt: skip


def test_every_page_says_which_role_it_needs_and_only_that_for_signing_in_needs_none() -> None:
    assert {route.rule for route in PAGES if route.role is None} == {"/ui/login"}
    assert all(route.rule.startswith("/ui/") for route in PAGES)


def test_every_route_lets_in_who_may_and_nobody_else(api: Api) -> None:
    wrong = []
    for route in (route for route in ROUTES if route.rule not in SIGNED):
        for caller in CALLERS:
            body = BODIES.get(route.rule, {}) if route.method in {"POST", "PATCH"} else None
            status = api.as_(caller).send(route.method, address(route), body).status_code
            expected = {401} if caller is None or route.rule.startswith("/projects") else {403}
            let_in = status not in {401, 403}
            if (
                let_in != allowed(route.role, caller)
                or (not let_in and status not in expected)
                or status not in {503, *range(500)}
            ):
                wrong.append((route.method, route.rule, caller, status))
    assert not wrong


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer x",
        "Basic YWRtaW46YWRtaW4=",
        "bearer " + "x" * 300,
        "Bearer \u00fc",
        "Token x",
        "Bearer a b",
    ],
)
def test_a_token_that_is_none_is_answered_alike(api: Api, header: Any) -> None:
    answer = api.as_(None, Authorization=header).get("/jobs/")
    assert (answer.status_code, answer.json["kind"]) == (401, "unauthorized")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert api.as_(None).get(f"/jobs/?token={api.secrets['admin']}").status_code == 401


def test_revoked_and_expired_tokens_are_not_valid(api: Api) -> None:
    api.a_token("gone", Role.ADMIN)
    api.change("UPDATE tokens SET revoked = now() WHERE name = 'gone'")
    api.a_token("old", Role.ADMIN)
    api.change("UPDATE tokens SET expires = now() - interval '1 s' WHERE name = 'old'")
    assert [api.as_(name).get("/jobs/").status_code for name in ("gone", "old")] == [401, 401]


def test_only_digests_of_tokens_are_stored(api: Api) -> None:
    stored = str(api.query("SELECT * FROM tokens"))
    assert all(secret not in stored for secret in api.secrets.values())


@pytest.fixture
def theirs(api: Api) -> Any:
    """A job with a file and an execution in project `other`, and a token for project `mine`."""
    api.a_project("other")
    api.a_project("mine")
    api.a_token("mine", Role.OPERATOR, "mine")
    file = api.send(
        "POST", "/files/", b"x", query={"file_name": "f", "project": "other"}, content_type="text/plain"
    ).json
    job = api.a_job(project="other")
    api.change(
        """INSERT INTO nodes (name, pool_id, hostname, boot_id, disk_id, cpus, mem, disk) VALUES ('n', 1, 'n', 'b', 'd', 1, 1, 1)"""
    )
    api.change(
        """INSERT INTO executions (job_id, attempt, node_id, node_epoch, status, cpus, mem, disk, lease_s)
           VALUES (:id, 1, (SELECT id FROM nodes), 1, 'RUNNING', 1, 1, 1, 90)""",
        id=job["id"],
    )
    operation = api.post("/jobs/hold/", {"job_id": job["id"]}).json
    execution = api.value("SELECT id FROM executions")
    return {"job": job["id"], "file": file["id"], "execution": execution, "operation": operation["id"]}


def test_another_projects_things_are_not_found(api: Api, theirs: Any) -> None:
    mine = api.as_("mine")
    for path in (
        f"/jobs/{theirs['job']}/", f"/jobs/{theirs['job']}/executions/", f"/jobs/{theirs['job']}/events/", f"/jobs/{theirs['job']}/explain/",
        f"/job-executions/{theirs['execution']}/", f"/job-executions/{theirs['execution']}/logs/stdout/",
        f"/job-executions/{theirs['execution']}/logs/combined/?follow=true", f"/files/{theirs['file']}/", f"/files/{theirs['file']}/content/",
        f"/operations/{theirs['operation']}/", f"/job-executions/{theirs['execution']}/usage/",
    ):  # fmt: skip
        assert mine.get(path).status_code == 404, path
        assert api.get(path.replace("?follow=true", "")).status_code in {200, 204}, path
    assert mine.patch(f"/jobs/{theirs['job']}/", {"status": "CANCELED"}).status_code == 404
    assert mine.delete(f"/files/{theirs['file']}/").status_code == 404
    assert api.get(f"/jobs/{theirs['job']}/").json["status"] == "QUEUED"


def test_lists_and_bulk_actions_end_at_the_projects_border(api: Api, theirs: Any) -> None:
    mine = api.as_("mine")
    own = mine.post("/jobs/", {"command": ["true"]}).json
    assert own["project"] == "mine"
    for path in ("/jobs/", "/jobs/updates/", "/jobs/executions/"):
        assert [one["id"] for one in mine.get(path).json["results"]] == [own["id"]]
        assert mine.get(path, project="other").json["count"] == 0
    for path in ("/job-executions/", "/files/"):
        assert mine.get(path).json["count"] == 0
    assert [one["count"] for one in mine.get("/queue/status/").json["results"]] == [1]
    assert mine.post("/jobs/cancel/", {"all": True, "dry_run": True}).json["count"] == 1
    assert mine.post("/queue/requeue-jobs/", {"job_ids": [theirs["job"]]}).status_code == 404


def test_a_token_of_one_project_cannot_name_another(api: Api, theirs: Any) -> None:
    mine = api.as_("mine")
    answer = mine.post("/jobs/", {"command": ["true"], "project": "other"})
    assert (answer.status_code, answer.json["field"]) == (403, "project")
    api.change("UPDATE jobs SET status = 'CANCELED' WHERE id = :id", id=theirs["job"])
    api.a_type(interface={"input_data": [{"name": "f", "type": "file"}]})
    stolen = mine.post("/jobs/", {"job_type": {"name": "a-type"}, "inputs": {"f": theirs["file"]}})
    assert (stolen.status_code, stolen.json["field"]) == (400, "inputs.f")
