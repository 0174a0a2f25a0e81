"""Jobs that await their input: links to send it to, what is checked, and that a job is queued once, whatever is said how often."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scheduler.identity import Role
from scheduler.jobs import bulk, requeue
from scheduler.resolver import resolver
from scheduler.uploads import sweep
from tests.support.api import Api, serving
from tests.support.uploads import (
    awaiting,
    listed,
    look,
    put,
    put_block,
    put_list,
    send,
    sha256,
    signing,
    stored,
    tell,
    url_of,
)

CSV = b"a,b\n1,2\n"


@pytest.fixture
def api(database_url: str, tmp_path: Path) -> Iterator[Api]:
    with signing(database_url, tmp_path, max_upload=1_000_000) as made:
        yield made


def test_a_job_waits_for_its_upload_and_goes_on_when_it_is_told(api: Api) -> None:
    job = awaiting(api)
    assert (job["status"], job["queued"], job["inputs"][0]["value"]) == ("PENDING_UPLOAD", None, None)
    assert (look(api, job)["awaits"][0]["size"], put(api, url_of(job), CSV).status_code) == (None, 201)
    told = look(api, job)["awaits"][0]
    assert (told["size"], told["received"] is not None, told["file_id"]) == (len(CSV), True, None)
    queued = tell(api, job)
    assert (queued["status"], queued["queued"] is not None) == ("QUEUED", True)
    file = queued["inputs"][0]["value"]
    assert (file["file_size"], file["sha256"], file["media_type"]) == (len(CSV), sha256(CSV), "text/csv")
    assert api.get(f"/files/{file['id']}/content/").data == CSV
    assert queued["awaits"][0]["upload_url"] is None
    assert queued["disk_in_required"] == 1
    assert [one["event"] for one in api.get(f"/jobs/{job['id']}/events/").json["results"]] == [
        "SUBMIT",
        "RECEIVE",
        "READY",
    ]


def test_every_look_shows_a_fresh_link_and_older_ones_stay_good(api: Api) -> None:
    job = awaiting(api)
    again = look(api, job)
    assert put(api, url_of(job), b"old").status_code == put(api, url_of(again), CSV).status_code == 201
    assert tell(api, job)["inputs"][0]["value"]["sha256"] == sha256(CSV)


def test_who_may_only_look_gets_no_link(api: Api) -> None:
    job = awaiting(api)
    assert url_of(look(api.as_("viewer"), job)) == "None"
    assert api.as_("viewer").post(f"/jobs/{job['id']}/uploaded/").status_code == 403
    assert look(api, job)["status"] == "PENDING_UPLOAD"


def test_saying_it_again_changes_nothing(api: Api) -> None:
    job = awaiting(api)
    put(api, url_of(job), CSV)
    first, events = tell(api, job), f"/jobs/{job['id']}/events/"
    before = api.get(events).json["count"]
    assert [tell(api, job)["status"] for _ in range(3)] == ["QUEUED"] * 3
    assert api.get(events).json["count"] == before
    assert look(api, job)["inputs"] == first["inputs"]
    assert put(api, url_of(job), b"other").status_code == 409
    plain = api.a_job()
    assert api.post(f"/jobs/{plain['id']}/uploaded/").status_code == 409


@pytest.mark.parametrize(
    ("asked", "sent", "said", "error"),
    [
        ({}, None, "the input 'table' was not uploaded", "input-missing"),
        ({"sha256": "0" * 64}, CSV, "sha256", "input-refused"),
        ({"media_type": "text/csv"}, (CSV, "application/pdf"), "came as application/pdf", "input-refused"),
        ({}, (CSV, "image/png"), "it takes text/csv", "input-refused"),
    ],
)
def test_what_is_missing_or_wrong_fails_the_job_and_is_named(
    api: Api, asked: Any, sent: Any, said: str, error: str
) -> None:
    job = awaiting(api, {"name": "table", **asked})
    if sent is not None:
        body, kind = sent if isinstance(sent, tuple) else (sent, None)
        assert put(api, url_of(job), body, kind).status_code == 201
    failed = tell(api, job)
    assert (failed["status"], failed["error"]["name"], failed["error"]["category"]) == ("FAILED", error, "DATA")
    assert said in failed["message"]
    assert tell(api, job)["status"] == "FAILED"
    assert "table" in api.get(f"/jobs/{job['id']}/explain/").json["summary"]


def test_all_that_is_asked_for_may_be_right(api: Api) -> None:
    asked = {
        "name": "table",
        "file_name": "grid.csv",
        "media_type": "text/csv",
        "max_size": len(CSV),
        "sha256": sha256(CSV),
    }
    job = awaiting(api, asked, {"name": "extra", "optional": True})
    assert put(api, url_of(job), CSV, "text/csv; charset=utf-8").status_code == 201
    queued = tell(api, job)
    assert (queued["status"], queued["inputs"][0]["value"]["file_name"]) == ("QUEUED", "grid.csv")
    assert queued["inputs"][1]["value"] in (None, [])


def test_several_inputs_are_awaited_and_all_of_them_checked(api: Api) -> None:
    job = awaiting(api, "table", "extra", inputs={"word": "x"})
    put(api, url_of(job, "extra"), b"more", "application/zip")
    assert "'table' was not uploaded" in tell(api, job)["message"]
    job = awaiting(api, "table", "extra", inputs={"word": "x"})
    put(api, url_of(job, "extra"), b"more", "application/zip")
    put(api, url_of(job), CSV)
    named = {one["name"]: one["value"] for one in tell(api, job)["inputs"]}
    assert ([one["file_size"] for one in named["extra"]], named["word"]) == ([4], "x")


@pytest.mark.parametrize(
    ("awaits", "field"),
    [
        (["nothing"], "awaits[0].name"),
        (["word"], "awaits[0].name"),
        (["table", "table"], "awaits[1].name"),
        ([{"name": "table", "optional": True}], "awaits[0].name"),
        ([{"name": "table", "media_type": "image/png"}], "awaits[0].name"),
        ([{"name": "table", "sha256": "x"}], "awaits[0].sha256"),
        ([{"name": "table", "max_size": -1}], "awaits[0].max_size"),
        ([{"name": "table", "size": 1}], "awaits[0].size"),
        ([], "awaits"),
        ("table", "awaits"),
        ([7], "awaits[0]"),
    ],
)
def test_what_cannot_be_awaited_is_refused_by_its_place(api: Api, awaits: Any, field: str) -> None:
    refused = api.post("/jobs/", {"job_type": {"name": "takes-files"}, "awaits": awaits})
    assert (refused.status_code, refused.json["field"]) == (400, field)
    assert not api.get("/jobs/").json["count"]


def test_an_input_is_given_or_awaited_and_never_both(api: Api) -> None:
    file = api.send("POST", "/files/", CSV, query={"file_name": "f"}, content_type="text/csv").json
    refused = api.post(
        "/jobs/", {"job_type": {"name": "takes-files"}, "awaits": ["table"], "inputs": {"table": file["id"]}}
    )
    assert (refused.status_code, refused.json["field"]) == (400, "awaits[0].name")
    assert api.post("/jobs/", {"command": ["true"], "awaits": ["table"]}).status_code == 400


def test_a_batch_may_await_and_a_repeated_request_makes_no_second_one(api: Api) -> None:
    body = [{"job_type": {"name": "takes-files"}, "awaits": ["table"]}] * 3 + [{"command": ["true"]}]
    keyed = api.with_headers(Idempotency_Key="once")
    ids = keyed.post("/jobs/", body).json["job_ids"]
    assert keyed.post("/jobs/", body).json["job_ids"] == ids
    assert api.value("SELECT count(*) FROM uploads") == 3
    assert len({url_of(look(api, {"id": one})) for one in ids[:3]}) == 3


def test_without_a_key_nothing_can_be_awaited(database_url: str, tmp_path: Path) -> None:
    with serving(database_url, tmp_path) as api:
        api.a_type("t", interface={"input_data": [{"name": "table", "type": "file"}]})
        refused = api.post("/jobs/", {"job_type": {"name": "t"}, "awaits": ["table"]})
        assert (refused.status_code, "GANGER_SECRETS_KEY" in refused.json["description"]) == (503, True)
        assert not api.get("/jobs/").json["count"]


def test_a_waiting_job_can_be_held_cancelled_and_begun_anew(api: Api) -> None:
    job = awaiting(api, held=True)
    put(api, url_of(job), CSV)
    assert api.patch(f"/jobs/{job['id']}/", {"status": "CANCELED"}).json["status"] == "CANCELED"
    assert put(api, url_of(job), CSV).status_code == 409
    assert tell(api, job)["status"] == "CANCELED"
    sweep.sweep(api.rt)
    api.post("/jobs/requeue/", {"job_id": job["id"]})
    assert bulk.step(api.rt)
    again = look(api, job)
    assert (again["status"], again["is_held"], again["awaits"][0]["size"]) == ("PENDING_UPLOAD", True, None)
    put(api, url_of(again), CSV)
    assert tell(api, again)["status"] == "QUEUED"


def test_a_job_that_failed_for_its_input_awaits_it_again_when_it_is_requeued(api: Api) -> None:
    job = awaiting(api)
    assert tell(api, job)["status"] == "FAILED"
    assert requeue.requeue(api.rt, [job["id"]], actor="o") == [job["id"]]
    again = look(api, job)
    assert (again["status"], again["message"], again["error"], again["round"]) == ("PENDING_UPLOAD", None, None, 2)
    put(api, url_of(again), CSV)
    assert tell(api, again)["status"] == "QUEUED"


def test_a_job_whose_time_is_still_to_come_waits_for_it_after_the_upload(api: Api) -> None:
    job = awaiting(api, not_before="2030-01-01T00:00:00Z")
    put(api, url_of(job), CSV)
    assert (look(api, job)["status"], tell(api, job)["status"]) == ("PENDING_UPLOAD", "PENDING")


def test_what_is_never_uploaded_ends_the_job_in_time(api: Api, tmp_path: Path) -> None:
    late, other = awaiting(api, "table", "extra"), awaiting(api)
    put(api, url_of(late), CSV)
    put_block(api, url_of(late, "extra"), 1, b"x")
    before = stored(tmp_path)
    api.change("UPDATE uploads SET expires = now() WHERE job_id = :id", id=late["id"])
    assert sweep.sweep(api.rt) == 2
    failed = look(api, late)
    assert (failed["status"], failed["error"]["name"]) == ("FAILED", "input-missing")
    assert "'table', 'extra'" in failed["message"]
    assert look(api, other)["status"] == "PENDING_UPLOAD"
    assert (len(before), stored(tmp_path)) == (2, set())


def test_amounts_follow_the_size_of_what_came_unless_the_job_says_its_own(api: Api) -> None:
    body = b"x" * 900_000
    own = awaiting(api, "extra", mem_required=10, inputs={"table": a_file(api)})
    put(api, url_of(own, "extra"), body)
    plain = awaiting(api, "extra", inputs={"table": a_file(api)})
    put(api, url_of(plain, "extra"), body)
    assert (tell(api, own)["mem_required"], tell(api, plain)["mem_required"] - plain["mem_required"]) == (10, 0)
    assert look(api, plain)["disk_in_required"] == 1
    bigger = awaiting(api, "table", "extra")
    put(api, url_of(bigger), b"x" * 999_000)
    put(api, url_of(bigger, "extra"), b"x" * 999_000)
    grown = tell(api, bigger)
    assert (grown["disk_in_required"], grown["mem_required"] - bigger["mem_required"]) == (2, 2)


def a_file(api: Api) -> int:
    return int(api.send("POST", "/files/", CSV, query={"file_name": "f"}, content_type="text/csv").json["id"])


def test_jobs_of_another_project_are_not_found(api: Api) -> None:
    api.a_project("other")
    api.a_token("foreign", Role.ADMIN, "other")
    job = awaiting(api)
    assert api.as_("foreign").post(f"/jobs/{job['id']}/uploaded/").status_code == 404
    assert api.post("/jobs/999999/uploaded/").status_code == 404
    assert (look(api, job)["status"], listed([])[:5], put_list(api, url_of(job), []).status_code) == (
        "PENDING_UPLOAD",
        b"<?xml",
        201,
    )
    assert send(api, "GET", url_of(job)).status_code == 403


def test_an_explanation_names_what_is_awaited_until_when_and_how_it_is_sent(api: Api) -> None:
    job = awaiting(api, "table", {"name": "extra", "optional": True})
    path, until = f"/jobs/{job['id']}/explain/", job["awaits"][0]["expires"][:19]
    first = api.get(path).json
    assert [one["kind"] for one in first["reasons"]] == ["awaiting-upload"]
    assert "the input 'table' has not been uploaded; it is awaited until" in first["summary"]
    assert until in first["summary"]
    assert f"ganger upload {job['id']} table=FILE" in first["summary"]
    assert put(api, url_of(job), CSV).status_code == 201
    told = [one["description"] for one in api.get(path).json["reasons"]]
    assert "nobody has said yet that all is uploaded" in told[0]
    assert told[1].startswith("the input 'extra' may be uploaded until")
    tell(api, job)
    assert "awaiting-upload" not in [one["kind"] for one in api.get(path).json["reasons"]]


def test_a_dry_run_says_what_a_job_would_await(api: Api) -> None:
    body = {"job_type": {"name": "takes-files"}, "awaits": ["table"]}
    (tried,) = api.post("/jobs/", body, dry_run="true").json["results"]
    assert tried["would"] == "wait"
    assert tried["reasons"][0]["kind"] == "awaiting-upload"
    assert tried["summary"].startswith("It would wait: it awaits the input 'table', for 24 h, until 20")


@pytest.mark.parametrize("is_need_first", [False, True])
def test_a_job_that_needs_another_and_awaits_an_input_goes_on_when_both_are_there(
    api: Api, is_need_first: bool
) -> None:
    need = api.a_job(command=["true"])
    job = awaiting(api, needs=[{"job": need["id"], "after": "ANY"}])
    reasons = api.get(f"/jobs/{job['id']}/explain/").json["reasons"]
    assert [one["kind"] for one in reasons] == ["awaiting-upload", "needs"]
    assert f"job {need['id']}" in reasons[1]["description"]
    assert put(api, url_of(job), CSV).status_code == 201
    steps = [lambda: api.patch(f"/jobs/{need['id']}/", {"status": "CANCELED"}), lambda: tell(api, job)]
    for step in steps if is_need_first else reversed(steps):
        assert look(api, job)["status"] in {"PENDING_UPLOAD", "PENDING"}
        step()
        resolver.resolve(api.rt)
    assert look(api, job)["status"] == "QUEUED"
