"""Signing in to the pages: what begins a session, what ends it, and what it opens."""

from typing import Any

import pytest

from scheduler.identity import Role
from tests.support.api import Api
from tests.support.browserless import PageReader, signed_in


def cookie(answer: Any) -> str:
    return str(answer.headers["Set-Cookie"])


def test_a_token_begins_a_session_whose_cookie_only_the_server_reads(api: Api) -> None:
    reader = PageReader(api, api.app.test_client())
    answer = reader.post("/ui/login", {"token": api.secrets["viewer"], "next": "/ui/jobs?q=x"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/ui/jobs?q=x")
    kept = cookie(answer)
    assert "HttpOnly" in kept
    assert "SameSite=Lax" in kept
    assert "Path=/ui/" in kept
    assert api.secrets["viewer"] not in kept
    assert reader.get("/ui/").status_code == 200
    stored = str(api.query("SELECT * FROM sessions"))
    assert kept.split("=", 1)[1].split(";")[0] not in stored


def test_behind_tls_the_cookie_is_bound_to_the_host(api: Api) -> None:
    answer = api.app.test_client().post(
        "https://localhost/ui/login", data={"token": api.secrets["viewer"]}, base_url="https://localhost"
    )
    assert cookie(answer).startswith("__Host-ganger=")
    assert "Secure" in cookie(answer)
    assert "Path=/;" in cookie(answer) + ";"


@pytest.mark.parametrize("shown", ["", "gu_nobody", "gl_nobody", "x" * 500, "\u00fc", "node"])
def test_what_is_no_token_of_a_person_begins_nothing(api: Api, shown: str) -> None:
    answer = PageReader(api, api.app.test_client()).post("/ui/login", {"token": api.secrets.get(shown, shown)})
    assert answer.status_code == 401
    assert "Set-Cookie" not in answer.headers
    assert 'role="alert"' in answer.text


def test_a_one_time_code_signs_in_once_with_the_rights_of_its_token(api: Api) -> None:
    made = api.as_("operator").post("/me/login-codes/", {}).json
    assert made["url"] == f"http://localhost/ui/login#{made['code']}"
    first, second = (PageReader(api, api.app.test_client()).post("/ui/login", {"token": made["code"]}) for _ in "12")
    assert [first.status_code, second.status_code] == [303, 401]
    assert "has been used" in second.text
    late = api.post("/me/login-codes/", {"valid_s": 600}).json["code"]
    api.change("UPDATE login_codes SET expires = now() - interval '1 s'")
    assert PageReader(api, api.app.test_client()).post("/ui/login", {"token": late}).status_code == 401
    assert api.post("/me/login-codes/", {"valid_s": 601}).status_code == 400


def test_a_code_of_a_token_that_was_revoked_or_changed_signs_nobody_in(api: Api) -> None:
    api.a_token("gone", Role.ADMIN)
    code = api.as_("gone").post("/me/login-codes/", {}).json["code"]
    api.change("UPDATE tokens SET revoked = now() WHERE name = 'gone'")
    assert PageReader(api, api.app.test_client()).post("/ui/login", {"token": code}).status_code == 401


def test_the_session_opens_the_pages_and_nothing_else(api: Api, pages: PageReader) -> None:
    kept = pages.client.get_cookie("ganger-session-80", path="/ui/")
    assert kept is not None
    secret = kept.value
    assert pages.client.get("/jobs/").status_code == 401
    assert api.as_(None, Authorization=f"Bearer {secret}").get("/jobs/").status_code == 401
    forged = api.app.test_client()
    forged.set_cookie("ganger-session-80", api.secrets["admin"], path="/ui/")
    assert forged.get("/ui/").status_code == 303


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE tokens SET revoked = now() WHERE name = 'admin'",
        "UPDATE tokens SET expires = now() - interval '1 s' WHERE name = 'admin'",
        "UPDATE sessions SET ends = now()",
        "UPDATE sessions SET seen = now() - interval '13 hours'",
    ],
)
def test_a_session_ends_with_its_token_and_by_time(api: Api, pages: PageReader, sql: str) -> None:
    assert pages.get("/ui/jobs").status_code == 200
    api.change(sql)
    led = pages.get("/ui/jobs?q=x")
    assert (led.status_code, led.headers["Location"].split("&")[0]) == (303, "/ui/login?next=%2Fui%2Fjobs%3Fq%3Dx")
    assert pages.live("/ui/jobs").status_code == 401


def test_changing_a_token_for_another_ends_its_sessions(api: Api) -> None:
    reader = signed_in(api, "viewer")
    assert api.as_("viewer").post("/token/rotation/", {}).status_code == 200
    assert reader.get("/ui/").status_code == 303


def test_signing_out_ends_this_session_and_everywhere_ends_all(api: Api) -> None:
    first, second, third = (signed_in(api, "viewer") for _ in range(3))
    assert len(api.as_("viewer").get("/me/sessions/").json["results"]) == 3
    assert first.post("/ui/logout").status_code == 303
    assert [one.get("/ui/").status_code for one in (first, second)] == [303, 200]
    assert second.post("/ui/logout/everywhere").status_code == 303
    assert third.get("/ui/").status_code == 303
    fourth = signed_in(api, "viewer")
    assert api.as_("viewer").delete("/me/sessions/").status_code == 204
    assert fourth.get("/ui/").status_code == 303


def test_a_form_of_another_site_or_session_changes_nothing(api: Api, pages: PageReader) -> None:
    job = api.a_job()["id"]
    other = signed_in(api, "admin").word
    tries = [
        {"word": ""}, {"word": "x"}, {"word": other}, {"Sec_Fetch_Site": "cross-site"}, {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "none"},
    ]  # fmt: skip
    for kinds in tries:
        assert pages.post(f"/ui/jobs/{job}/cancel", **kinds).status_code == 403, kinds  # type: ignore[arg-type]  # words of one kind
    plain = pages.client.post(
        f"/ui/jobs/{job}/cancel", data={"csrf": pages.word}, headers={"Origin": "http://evil.example"}
    )
    assert plain.status_code == 403
    login = api.app.test_client().post("/ui/login", data={"token": api.secrets["admin"]}, headers={"Origin": "null"})
    assert login.status_code == 403
    assert api.get(f"/jobs/{job}/").json["status"] == "QUEUED"
    assert pages.get(f"/ui/jobs/{job}/cancel").status_code in {404, 405}


def test_the_word_of_forms_is_another_one_in_every_answer(pages: PageReader) -> None:
    words = {(pages.get("/ui/me"), pages.word)[1] for _ in range(3)}
    assert len(words) == 3
    for word in words:
        assert pages.post("/ui/me", {"theme": "dark"}, word=word).status_code == 303


@pytest.mark.parametrize(
    "back", ["//evil.example", "https://evil.example", "/jobs/", "/ui/\\evil", "/ui/logout", "/ui//x", "javascript:x"]
)
def test_signing_in_leads_to_our_own_pages_only(api: Api, back: str) -> None:
    answer = PageReader(api, api.app.test_client()).post("/ui/login", {"token": api.secrets["viewer"], "next": back})
    assert answer.headers["Location"] == "/ui/"


def test_guessing_is_slowed(api: Api) -> None:
    reader = PageReader(api, api.app.test_client())
    address = {"REMOTE_ADDR": "203.0.113.9"}
    answers = [
        reader.client.post("/ui/login", data={"token": "gu_x"}, environ_overrides=address).status_code
        for _ in range(25)
    ]
    assert set(answers) == {401, 429}


def test_pages_carry_a_policy_without_exceptions_and_are_kept_by_nobody(pages: PageReader) -> None:
    for path in ("/ui/", "/ui/login", "/ui/nothing", "/ui/jobs/999999"):
        answer = pages.get(path)
        policy = answer.headers["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert "no-store" in answer.headers["Cache-Control"]


def test_the_client_signs_browsers_in_and_out(api: Api) -> None:
    me = api.as_("submitter").get("/me/").json
    assert (me["name"], me["role"], me["project"]) == ("submitter", "submitter", None)
    assert api.as_("node").get("/me/").status_code == 403
