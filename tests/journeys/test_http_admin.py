"""Tokens and projects over HTTP: made, limited, revoked, and what they bound."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from api.http.serving import shared_epoch
from scheduler.identity import Role
from tests.support.api import Api


def test_a_new_tokens_secret_is_shown_once_and_works_at_once(api: Api) -> None:
    made = api.post("/admin/tokens/", {"name": "ci", "role": "submitter"})
    assert made.status_code == 201
    secret = made.json["token"]
    assert secret.startswith("gu_")
    api.secrets["ci"] = secret
    assert api.as_("ci").post("/jobs/", {"command": ["true"]}).status_code == 201
    assert api.as_("ci").get("/admin/tokens/").status_code == 403
    shown = api.get(f"/admin/tokens/{made.json['id']}/")
    assert shown.json == {name: value for name, value in made.json.items() if name != "token"} | {
        "last_used": shown.json["last_used"]
    }
    assert shown.json["last_used"] is not None
    assert secret not in api.get("/admin/tokens/").text
    assert secret.encode() not in api.value("SELECT sha256 FROM tokens WHERE name = 'ci'")
    assert secret not in str(api.query("SELECT * FROM audit"))


def test_a_revoked_token_is_refused_at_once_and_stays_in_the_list(api: Api) -> None:
    token_id = api.value("SELECT id FROM tokens WHERE name = 'viewer'")
    assert api.as_("viewer").get("/jobs/").status_code == 200
    assert api.delete(f"/admin/tokens/{token_id}/").status_code == 204
    assert api.as_("viewer").get("/jobs/").status_code == 401
    assert api.delete(f"/admin/tokens/{token_id}/").status_code == 204
    gone = api.get("/admin/tokens/", is_valid="false").json["results"]
    assert [(one["name"], one["is_valid"]) for one in gone] == [("viewer", False)]
    assert api.patch(f"/admin/tokens/{token_id}/", {"name": "again"}).status_code == 409
    assert api.value("SELECT count(*) FROM audit WHERE action = 'token.revoke'") == 1


def test_a_token_expires_when_it_was_told_to(api: Api) -> None:
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    made = api.post("/admin/tokens/", {"name": "short", "role": "viewer", "expires": later}).json
    api.secrets["short"] = made["token"]
    assert api.as_("short").get("/jobs/").status_code == 200
    api.change("UPDATE tokens SET expires = now() - interval '1 second' WHERE name = 'short'")
    shared_epoch.advance()  # what changes in the database itself is seen within a second
    assert api.as_("short").get("/jobs/").status_code == 401
    assert api.patch(f"/admin/tokens/{made['id']}/", {"expires": None}).json["is_valid"]
    assert api.as_("short").get("/jobs/").status_code == 200


def test_a_token_does_not_revoke_itself(api: Api) -> None:
    own = api.value("SELECT id FROM tokens WHERE name = 'admin'")
    assert api.delete(f"/admin/tokens/{own}/").status_code == 409
    assert api.get("/jobs/").status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {"name": "x"},
        {"name": "x", "role": "root"},
        {"name": "", "role": "viewer"},
        {"name": "a\r\nb", "role": "viewer"},
        {"name": "x", "role": "viewer", "project": "nowhere"},
        {"name": "x", "role": "viewer", "kind": "node"},
        {"name": "x", "kind": "node", "project": "default"},
        {"name": "x", "role": "viewer", "expires": "2020-01-01T00:00:00Z"},
        {"name": "x", "role": "viewer", "expires": "2030-01-01T00:00:00"},
        {"name": "x", "role": "viewer", "sha256": "00"},
    ],
)
def test_a_wrong_token_is_refused_and_none_is_made(api: Api, body: dict[str, object]) -> None:
    before = api.value("SELECT count(*) FROM tokens")
    assert api.post("/admin/tokens/", body).status_code == 400
    assert api.value("SELECT count(*) FROM tokens") == before


def test_an_administrator_of_one_project_rules_only_its_tokens(api: Api) -> None:
    api.a_project("p")
    api.a_token("p-admin", Role.ADMIN, "p")
    bound = api.as_("p-admin")
    made = bound.post("/admin/tokens/", {"name": "mine", "role": "viewer"})
    assert made.json["project"] == "p"
    assert {one["name"] for one in bound.get("/admin/tokens/").json["results"]} == {"p-admin", "mine"}
    foreign = api.value("SELECT id FROM tokens WHERE name = 'viewer'")
    for answer in (
        bound.get(f"/admin/tokens/{foreign}/"),
        bound.patch(f"/admin/tokens/{foreign}/", {"name": "x"}),
        bound.delete(f"/admin/tokens/{foreign}/"),
        bound.get("/admin/projects/default/"),
    ):
        assert answer.status_code == 404
    assert bound.post("/admin/tokens/", {"name": "x", "role": "viewer", "project": "default"}).status_code == 403
    assert bound.post("/admin/tokens/", {"name": "x", "kind": "node"}).status_code == 403
    assert [one["name"] for one in bound.get("/admin/projects/").json["results"]] == ["p"]
    assert bound.patch("/admin/projects/p/", {"weight": 100}).status_code == 403
    assert bound.post("/admin/projects/", {"name": "q"}).status_code == 403
    assert bound.delete("/admin/projects/p/").status_code == 403


def test_a_project_is_made_changed_part_by_part_and_deleted(api: Api) -> None:
    made = api.post("/admin/projects/", {"name": "maps", "title": "Maps", "quota": {"queued_jobs": 10, "cpus": 2.5}})
    assert made.status_code == 201
    assert made.json["quota"] == {"queued_jobs": 10, "jobs": None, "cpus": 2.5, "mem": None}
    changed = api.patch("/admin/projects/maps/", {"weight": 3, "quota": {"cpus": None, "mem": 512}}).json
    assert (changed["title"], changed["weight"]) == ("Maps", 3)
    assert changed["quota"] == {"queued_jobs": 10, "jobs": None, "cpus": None, "mem": 512}
    paused = api.patch("/admin/projects/maps/", {"is_paused": True, "pause_reason": "unpaid"}).json
    assert paused["pause_reason"] == "unpaid"
    assert api.patch("/admin/projects/maps/", {"is_paused": False}).json["pause_reason"] is None
    assert "tick" in api.nudges
    assert api.post("/admin/projects/", {"name": "maps"}).status_code == 409
    assert api.delete("/admin/projects/maps/").status_code == 204
    assert api.get("/admin/projects/maps/").status_code == 404


def test_a_project_that_something_belongs_to_is_not_deleted(api: Api) -> None:
    api.post("/admin/projects/", {"name": "p"})
    token = api.post("/admin/tokens/", {"name": "t", "role": "submitter", "project": "p"}).json
    assert "tokens" in api.delete("/admin/projects/p/").json["description"]
    api.delete(f"/admin/tokens/{token['id']}/")
    api.a_job(project="p")
    kept = api.delete("/admin/projects/p/")
    assert (kept.status_code, kept.json["kind"]) == (409, "conflict")
    assert api.get(f"/admin/tokens/{token['id']}/").status_code == 200
    assert api.delete("/admin/projects/default/").status_code == 409
    assert api.delete("/admin/projects/nowhere/").status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "other"},
        {"weight": 0},
        {"weight": 1e-9},
        {"weight": -1},
        {"weight": 1e400},
        {"quota": {"gpus": 1}},
        {"quota": {"queued_jobs": -1}},
        {"quota": {"cpus": 0.0001}},
        {"quota": None},
        {"pause_reason": "not paused"},
    ],
)
def test_a_wrong_change_of_a_project_is_refused(api: Api, body: dict[str, object]) -> None:
    before = api.get("/admin/projects/default/").json
    data = b'{"weight": 1e400}' if body.get("weight") == 1e400 else body
    assert api.patch("/admin/projects/default/", data).status_code == 400
    assert api.get("/admin/projects/default/").json == before


def test_submissions_over_the_quota_of_queued_jobs_are_429_and_other_projects_go_on(api: Api) -> None:
    api.post("/admin/projects/", {"name": "p", "quota": {"queued_jobs": 3}})
    api.a_token("p-submitter", Role.SUBMITTER, "p")
    bound = api.as_("p-submitter")
    assert bound.post("/jobs/", [{"command": ["true"]}] * 2).status_code == 201
    over = bound.post("/jobs/", [{"command": ["true"]}] * 2)
    assert (over.status_code, over.json["kind"]) == (429, "over-quota")
    assert int(over.headers["Retry-After"]) >= 1
    assert bound.get("/jobs/").json["count"] == 2
    last = bound.post("/jobs/", {"command": ["true"]})
    assert last.status_code == 201
    assert bound.post("/jobs/", {"command": ["true"]}).status_code == 429
    assert api.post("/jobs/", {"command": ["true"]}).status_code == 201
    bound.patch(f"/jobs/{last.json['id']}/", {"status": "CANCELED"})
    assert bound.post("/jobs/", {"command": ["true"]}).status_code == 201
    api.patch("/admin/projects/p/", {"quota": {"queued_jobs": None}})
    assert bound.post("/jobs/", [{"command": ["true"]}] * 20).status_code == 201


def test_submissions_at_the_same_moment_do_not_pass_the_quota_together(api: Api) -> None:
    api.post("/admin/projects/", {"name": "p", "quota": {"queued_jobs": 5}})
    with ThreadPoolExecutor(8) as pool:
        told = list(
            pool.map(lambda _: api.post("/jobs/", {"command": ["true"], "project": "p"}).status_code, range(20))
        )
    assert sorted(told) == [201] * 5 + [429] * 15
