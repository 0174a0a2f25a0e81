"""What the API refuses to whoever has no business with it: tokens, roles, verbs, hosts, proxies, headers."""

import io
from dataclasses import replace
from typing import Any

import pytest
import structlog

from api.application import create_app
from scheduler.identity import Role
from scheduler.settings import Settings
from tests.support.api import Api


def test_every_kind_of_bad_token_gets_the_same_answer(api: Api) -> None:
    api.a_token("revoked", Role.ADMIN)
    api.a_token("expired", Role.ADMIN)
    api.change("UPDATE tokens SET revoked = now() WHERE name = 'revoked'")
    api.change("UPDATE tokens SET expires = now() WHERE name = 'expired'")
    api.secrets |= {"unknown": "gu_" + "x" * 43, "cut": api.secrets["admin"][:-1], "empty": "", "long": "g" * 10_000}
    told = [api.as_(name).get("/jobs/") for name in ("revoked", "expired", "unknown", "cut")]
    assert {(one.status_code, one.json["description"]) for one in told} == {(401, "the token is not valid")}
    assert all(one.headers["WWW-Authenticate"].startswith("Bearer") for one in told)
    for name in (None, "empty", "long"):
        assert api.as_(name).get("/jobs/").status_code == 401
    nobody = api.as_(None)
    assert nobody.with_headers(Authorization="Basic YWRtaW46YWRtaW4=").get("/jobs/").status_code == 401


def test_a_token_in_the_address_or_a_cookie_is_not_looked_at(api: Api) -> None:
    nobody = api.as_(None)
    assert nobody.get("/jobs/", token=api.secrets["admin"], access_token=api.secrets["admin"]).status_code == 401
    assert nobody.with_headers(Cookie=f"token={api.secrets['admin']}").get("/jobs/").status_code == 401


def test_no_log_line_holds_a_token(api: Api, capfd: pytest.CaptureFixture[str]) -> None:
    with structlog.testing.capture_logs() as lines:
        api.get("/jobs/")
        api.patch("/scheduler/", {"is_paused": False})
        api.as_(None).get("/jobs/", token=api.secrets["admin"])
    told = capfd.readouterr()
    for secret in api.secrets.values():
        assert secret not in str(lines) + told.out + told.err


@pytest.mark.parametrize("kind", ["jobs", "files"])
def test_things_of_another_project_are_as_if_they_were_not_there(api: Api, kind: str) -> None:
    if kind == "jobs":
        found = api.a_job()["id"]
    else:
        sent: dict[str, Any] = {"query": {"file_name": "a"}, "content_type": "application/octet-stream"}
        found = api.send("POST", "/files/", b"x", **sent).json["id"]
    api.a_project("other")
    api.a_token("stranger", Role.ADMIN, "other")
    stranger = api.as_("stranger")
    there, nowhere = stranger.get(f"/{kind}/{found}/"), stranger.get(f"/{kind}/{found + 1000}/")
    assert there.status_code == nowhere.status_code == 404
    assert there.json["description"].replace(str(found), "N") == nowhere.json["description"].replace(
        str(found + 1000), "N"
    )
    assert stranger.get(f"/{kind}/").json["count"] == 0


def test_a_token_of_one_project_never_reaches_what_concerns_all(api: Api) -> None:
    api.a_project("p")
    api.a_token("p-admin", Role.ADMIN, "p")
    for method, path, body in (
        ("PATCH", "/scheduler/", {"is_paused": True}),
        ("PATCH", "/nodes/999999999/", {"is_paused": True}),
        ("POST", "/pools/", {"name": "x"}),
        ("PATCH", "/pools/default/", {"is_paused": True}),
        ("POST", "/workspaces/", {"name": "x", "url": "file:///tmp"}),
        ("PATCH", "/workspaces/1/", {"title": "x"}),
        ("POST", "/admin/projects/", {"name": "x"}),
        ("PATCH", "/admin/projects/p/", {"weight": 2}),
        ("DELETE", "/admin/projects/p/", None),
        ("GET", "/metrics", None),
    ):
        assert api.as_("p-admin").send(method, path, body).status_code == 403, (method, path)


def test_another_verb_cannot_be_smuggled_in(api: Api) -> None:
    job = api.a_job()
    for header in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
        tricked = api.with_headers(**{header: "PATCH"}).post(f"/jobs/{job['id']}/", {"status": "CANCELED"})
        assert tricked.status_code == 405
    tricked = api.patch("/errors/1/", None, _method="DELETE")
    assert tricked.status_code in {400, 415}
    assert api.get(f"/jobs/{job['id']}/").json["status"] == "QUEUED"
    for verb in ("TRACE", "CONNECT", "PUT"):
        assert api.send(verb, "/jobs/").status_code == 405
    asked = api.as_(None).send("OPTIONS", "/jobs/")
    assert asked.status_code == 200
    assert "Access-Control-Allow-Origin" not in asked.headers


def test_only_the_hosts_of_the_settings_are_answered(api: Api) -> None:
    made = Settings(state_dir=api.rt.settings.state_dir, trusted_hosts=["ganger.example", ".inner.example"])
    here = replace(api, app=create_app(replace(api.rt, settings=made), background=False))
    assert here.with_headers(Host="ganger.example:8470").get("/version/").status_code == 200
    assert here.with_headers(Host="a.inner.example").get("/version/").status_code == 200
    assert here.with_headers(Host="evil.example").get("/version/").status_code == 400


@pytest.mark.parametrize(("proxies", "named"), [(0, "http://localhost/"), (1, "https://ganger.example/")])
def test_forwarded_headers_count_only_behind_a_trusted_proxy(api: Api, proxies: int, named: str) -> None:
    made = Settings(state_dir=api.rt.settings.state_dir, proxies=proxies, trusted_hosts=["localhost", "ganger.example"])
    here = replace(api, app=create_app(replace(api.rt, settings=made), background=False))
    for _ in range(2):
        here.a_job()
    forwarded = {"X-Forwarded-Host": "ganger.example", "X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.1"}
    page = here.with_headers(**forwarded).get("/jobs/", page_size=1)
    assert page.json["next"].startswith(named)


def test_line_breaks_in_names_reach_no_header(api: Api) -> None:
    sent: dict[str, Any] = {"query": {"file_name": 'a"b\u00fc; x=y.txt'}, "content_type": "application/octet-stream"}
    stored = api.send("POST", "/files/", b"x", **sent).json
    told = api.get(f"/files/{stored['id']}/content/").headers["Content-Disposition"]
    assert "\n" not in told
    assert "\r" not in told
    broken: dict[str, Any] = {"query": {"file_name": "a\r\nX-Evil: 1"}, "content_type": "application/octet-stream"}
    assert api.send("POST", "/files/", b"x", **broken).status_code == 400
    echoed = api.with_headers(**{"X-Request-Id": "a b<script>"}).get("/version/").headers["X-Request-Id"]
    assert "<" not in echoed


def test_every_answer_forbids_framing_sniffing_and_caching(api: Api) -> None:
    for path in ("/jobs/", "/docs/", "/no-such-place/", "/health/live", "/metrics"):
        headers = api.get(path).headers
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"], path
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] in {"no-store", "no-cache"}


def test_a_body_that_stops_coming_is_refused_and_nothing_is_stored(api: Api) -> None:
    class Stalled(io.BytesIO):
        def read(self, _size: int | None = -1) -> bytes:
            raise BlockingIOError

        def readinto(self, _buffer: object) -> int:
            raise BlockingIOError

    headers = {"Authorization": f"Bearer {api.secrets['admin']}", "Accept": "application/json"}
    for path, kind in (("/jobs/", "application/json"), ("/files/?file_name=a", "application/octet-stream")):
        told = api.app.test_client().post(path, input_stream=Stalled(b"x" * 100), headers=headers, content_type=kind)
        assert (told.status_code, told.json["kind"]) == (400, "incomplete-body"), told.text
    assert api.query("SELECT FROM jobs UNION ALL SELECT FROM files") == []


def test_markup_in_what_users_send_is_only_text_in_the_reference_and_in_answers(api: Api) -> None:
    evil = "<script>alert(1)</script>"
    refused = api.with_headers(Accept="text/html").get(f"/{evil}/")
    assert refused.status_code == 404
    assert refused.content_type.startswith(("application/json", "text/plain"))
    job = api.with_headers(Accept="text/html").post("/jobs/", {"command": ["true"], "name": evil})
    assert job.content_type == "application/json"
    assert evil not in api.get("/docs/").text
