"""What the pages show and do, without a browser: every page for every role, empty and full, with hostile words in everything."""

import io
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from api.ui.rooms import ALL
from scheduler.identity import Role
from tests.support.api import Api
from tests.support.browserless import PageReader, signed_in
from tests.support.uploads import awaiting, signing

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
TURNED = "abc\u202edcba"


NOT_SHOWN = {"/ui/live", "/ui/search"}
"""What scripts ask for; they want parameters."""

SHOWN = [route for route in ALL if route.method == "GET" and route.rule not in NOT_SHOWN]


def plain_pages() -> list[str]:
    return sorted({route.rule for route in SHOWN if "<" not in route.rule})


@pytest.fixture
def full(api: Api) -> dict[str, int]:
    """A job of each kind with hostile names, a node, executions with hostile messages."""
    job = api.a_job(name=EVIL, labels={"run": EVIL[:60]}, command=["sh", "-c", EVIL, TURNED])
    api.change(
        """INSERT INTO nodes (name, pool_id, hostname, boot_id, disk_id, cpus, mem, disk)
           VALUES (:name, 1, :name, 'b', 'd', 4000, 1000000, 1000000)""",
        name=EVIL,
    )
    api.change(
        """INSERT INTO executions (job_id, attempt, node_id, node_epoch, status, cpus, mem, disk, lease_s, message)
           VALUES (:id, 1, (SELECT id FROM nodes), 1, 'RUNNING', 1, 1, 1, 90, :message)""",
        id=job["id"],
        message=EVIL,
    )
    execution = api.value("SELECT id FROM executions")
    step = {"command": ["sh", "-c", EVIL]}
    workflow = api.post(
        "/workflows/", {"definition": {"jobs": {"a": step, "b": {**step, "needs": ["a"]}}}, "name": EVIL}
    ).json
    api.change(
        """INSERT INTO output_chunks (execution_id, phase, stream, "offset", at, data)
           VALUES (:id, 'job', 'stdout', 0, now(), :data)""",
        id=execution,
        data=f"{EVIL}\n\x1b[31mred\x1b[0m {TURNED} \x00\n10 %\r20 %\r100 %\n".encode() + b"\xff\xfe\n",
    )
    schedule = api.post("/schedules/", {"name": "nightly", "cron": "@daily", "zone": "UTC", "job": step}).json
    data_set = api.post(
        "/data-sets/", {"name": "ore", "description": EVIL, "grid": {"blocks": [1, 1, 1], "size": [1, 1, 1]}}
    ).json
    return {
        "schedule": schedule["id"],
        "data_set": data_set["data_set"]["id"],
        "workflow": workflow["id"],
        "job": job["id"],
        "node": api.value("SELECT id FROM nodes"),
        "execution": execution,
    }


def filled(rule: str, full: dict[str, int]) -> str:
    known = {"schedule_id": full["schedule"], "data_set_id": full["data_set"], "workflow_id": full["workflow"], "job_id": full["job"], "node_id": full["node"], "execution_id": full["execution"], "name": "default",
             "stream": "stdout", "rest": "x", "version": "1.0", "act": "cancel", "what": "index", "file_id": 1, "operation_id": 1, "token_id": 1}  # fmt: skip
    return re.sub(r"<(?:\w+:)?(\w+)>", lambda found: str(known[found[1]]), rule)


@pytest.mark.parametrize("caller", ["viewer", "submitter", "operator", "admin", "mine"])
def test_every_page_is_there_for_every_role_that_may_see_it(api: Api, full: dict[str, int], caller: str) -> None:
    api.a_project("mine")
    api.a_token("mine", Role.OPERATOR, "mine")
    reader = signed_in(api, caller)
    for route in SHOWN:
        if route.role is None:
            continue
        answer = reader.get(filled(route.rule, full) + (f"?job_id={full['job']}" if "bulk" in route.rule else ""))
        role = Role.OPERATOR if caller == "mine" else Role[caller.upper()]
        bound = caller == "mine" and route.rule == "/ui/audit"
        allowed = (200, 303, 404) if role >= route.role and not bound else (403,)
        assert answer.status_code in allowed, (route.rule, answer.status_code, answer.text[-800:])


@pytest.mark.parametrize("path", plain_pages())
def test_an_empty_installation_has_pages_without_faults(pages: PageReader, path: str) -> None:
    assert pages.get(path).status_code in {200, 303}


def test_what_others_wrote_is_text_everywhere(api: Api, pages: PageReader, full: dict[str, int]) -> None:
    api.change("UPDATE nodes SET labels = jsonb_build_object('zone', CAST(:label AS text))", label=EVIL)
    for route in SHOWN:
        if route.role is not None:
            answer = pages.get(filled(route.rule, full))
            if answer.mimetype != "text/html":
                continue
            assert "<script>alert" not in answer.text, route.rule
            assert "<img" not in answer.text, route.rule
            assert "\u202e" not in answer.text, route.rule
    assert "<script>alert" not in pages.get("/ui/jobs?q=%22%3Cscript%3Ealert(1)%3C/script%3E%22").text


def test_output_is_shown_as_a_terminal_would_have_left_it(pages: PageReader, full: dict[str, int]) -> None:
    text = pages.get(f"/ui/jobs/{full['job']}").text
    assert "100 %" in text
    assert "20 %" not in text.replace("100 %", "")
    assert "\x1b" not in text
    raw = pages.get(f"/ui/executions/{full['execution']}/logs/stdout?download=1")
    assert raw.mimetype == "text/plain"
    assert "sandbox" in raw.headers["Content-Security-Policy"]
    assert raw.headers["Content-Disposition"].startswith("attachment")
    assert b"\x1b[31mred" in raw.data


def test_another_projects_things_are_not_there(api: Api, full: dict[str, int]) -> None:
    api.a_project("mine")
    api.a_token("mine", Role.OPERATOR, "mine")
    reader = signed_in(api, "mine")
    for path in (f"/ui/jobs/{full['job']}", f"/ui/executions/{full['execution']}/logs/stdout"):
        assert reader.get(path).status_code == 404
    assert reader.post(f"/ui/jobs/{full['job']}/cancel").status_code == 404
    assert EVIL[:20] not in reader.get("/ui/jobs").text
    assert api.get(f"/jobs/{full['job']}/").json["status"] == "QUEUED"


def test_who_may_only_look_sees_no_button(api: Api) -> None:
    job = api.a_job()["id"]
    expected = {"viewer": 0, "submitter": 1, "operator": 1, "admin": 1}
    for caller, some in expected.items():
        reader = signed_in(api, caller)
        text = reader.get(f"/ui/jobs/{job}").text
        assert bool(re.search(rf'action="/ui/jobs/{job}/', text)) == bool(some), caller
        assert (f'action="/ui/jobs/{job}/hold"' in text) == (caller in {"operator", "admin"}), caller
        refused = reader.post(f"/ui/jobs/{job}/hold").status_code
        assert refused == (303 if caller in {"operator", "admin"} else 403), caller
        reader.post(f"/ui/jobs/{job}/release")


def test_a_job_is_held_released_cancelled_and_run_again(api: Api, pages: PageReader) -> None:
    job = api.a_job()["id"]
    for act, status, held in (
        ("hold", "QUEUED", True),
        ("release", "QUEUED", False),
        ("cancel", "CANCELED", False),
        ("requeue", "QUEUED", False),
    ):
        answer = pages.post(f"/ui/jobs/{job}/{act}", {"reason": "because"})
        assert answer.headers["Location"] == f"/ui/jobs/{job}?done={act}"
        now = api.get(f"/jobs/{job}/").json
        assert (now["status"], now["is_held"]) == (status, held)
    assert "because" in pages.get(f"/ui/jobs/{job}").text
    assert pages.post(f"/ui/jobs/{job}/explode").status_code == 404


def test_the_address_restores_the_list_and_pages_follow_each_other(api: Api, pages: PageReader) -> None:
    ids = [api.a_job(name=f"job {number}")["id"] for number in range(120)]
    first = pages.get("/ui/jobs?page_size=50&status=QUEUED,PENDING")
    onward = re.search(r'rel="next" class="button" href="([^"]+)"', first.text)
    assert onward is not None
    second = pages.get(onward[1].replace("&amp;", "&"))
    shown = [int(found) for found in re.findall(r'id="job-(\d+)"', first.text + second.text)]
    assert shown == ids[::-1][:100]
    other = signed_in(pages.api, "admin")
    assert other.get(onward[1].replace("&amp;", "&")).status_code == 400


def test_a_number_in_the_search_leads_to_the_job_and_a_wrong_word_says_what_is_right(
    api: Api, pages: PageReader
) -> None:
    job = api.a_job()["id"]
    assert pages.get(f"/ui/jobs?q={job}").headers["Location"] == f"/ui/jobs/{job}"
    wrong = pages.get("/ui/jobs?q=statsu:failed")
    assert wrong.status_code == 400
    assert "is no word of the search" in wrong.text
    assert pages.get("/ui/jobs?q=status:odd").status_code == 400
    assert pages.get("/ui/jobs?order=odd").status_code == 400
    assert pages.get("/ui/jobs?page=99999").status_code == 404


def test_a_page_that_has_not_changed_is_not_sent_again(api: Api, pages: PageReader) -> None:
    api.a_job(held=True)
    api.change(
        "UPDATE jobs SET created = now() - interval '1 hour', queued = now() - interval '1 hour', last_modified = now() - interval '1 hour'"
    )
    first = pages.live("/ui/jobs")
    assert first.status_code == 200
    assert "<html" not in first.text
    assert pages.live("/ui/jobs", first.headers["ETag"]).status_code in {200, 304}


def test_a_node_is_paused_and_drained_only_by_operators_of_all_projects(api: Api, full: dict[str, int]) -> None:
    operator, viewer = signed_in(api, "operator"), signed_in(api, "viewer")
    assert viewer.post(f"/ui/nodes/{full['node']}/pause").status_code == 403
    assert operator.post(f"/ui/nodes/{full['node']}/pause", {"reason": "new disk"}).status_code == 303
    assert "new disk" in operator.get(f"/ui/nodes/{full['node']}").text
    assert operator.post(f"/ui/nodes/{full['node']}/drain", {"drain_min": "x"}).status_code == 400
    assert operator.post("/ui/pools/default", {"size": "x"}).status_code == 400


def test_choices_are_kept_by_the_browser_and_times_are_in_its_zone(api: Api, pages: PageReader) -> None:
    api.a_job()
    api.change("UPDATE jobs SET created = '2026-03-08 10:30:00+00'")
    chosen = {"theme": "dark", "zone": "America/New_York", "clock": "12", "density": "roomy", "keys": "off"}
    assert pages.post("/ui/me", chosen).status_code == 303
    job: Any = api.get("/jobs/").json["results"][0]["id"]
    text = pages.get(f"/ui/jobs/{job}").text
    assert 'data-theme="dark"' in text
    assert "2026-03-08 06:30:00 AM America/New_York" in text, "summer time began there that day"
    assert pages.post("/ui/me", {"zone": "Nowhere/Else", "theme": "<x>"}).status_code == 303
    assert 'data-theme="system"' in pages.get("/ui/").text


def test_a_slash_too_much_leads_to_the_page(pages: PageReader) -> None:
    led = pages.get("/ui/jobs/?q=status:failed")
    assert (led.status_code, led.headers["Location"]) == (308, "/ui/jobs?q=status:failed")
    assert pages.get("/ui/nothing/").headers["Location"] == "/ui/nothing"
    assert pages.get("/ui/nothing").status_code == 404


def test_projects_their_quota_and_secrets_and_workspaces_are_changed_in_the_page(api: Api, pages: PageReader) -> None:
    assert pages.post("/ui/admin/projects", {"name": "maps", "title": "Maps"}).status_code == 303
    changed = {"title": "All maps", "weight": "2.5", "queued_jobs": "100", "jobs": "", "cpus": "8", "mem": ""}
    assert pages.post("/ui/admin/projects/maps", changed).status_code == 303
    project = api.get("/admin/projects/maps/").json
    assert (project["title"], project["weight"]) == ("All maps", 2.5)
    assert project["quota"] == {"queued_jobs": 100, "jobs": None, "cpus": 8, "mem": None}
    assert pages.post("/ui/admin/projects/maps", {**changed, "cpus": "many"}).status_code == 400
    assert pages.post("/ui/admin/projects/maps", {"is_paused": "true", "reason": "moving"}).status_code == 303
    assert "moving" in pages.get("/ui/admin/projects/maps").text
    assert pages.get("/ui/admin/workspaces").status_code == 200
    assert pages.post("/ui/admin/workspaces", {"name": "w", "url": "nowhere"}).status_code == 400
    token = api.post("/admin/tokens/", {"name": "old", "role": "viewer"}).json
    assert pages.post(f"/ui/admin/tokens/{token['id']}/rename", {"name": "newer"}).status_code == 303
    rotated = pages.post(f"/ui/admin/tokens/{token['id']}/rotate", {})
    assert "only time" in rotated.text
    assert token["token"] not in rotated.text
    assert "newer" in pages.get("/ui/admin").text


def test_all_that_a_job_printed_is_searched_from_its_page(pages: PageReader, full: dict[str, int]) -> None:
    found = pages.get(f"/ui/jobs/{full['job']}/find?q=red").text
    assert f"/ui/executions/{full['execution']}/log#L2" in found
    assert "1 line found" in found
    assert "0 lines found" in pages.get(f"/ui/jobs/{full['job']}/find?q=nothing+such").text
    assert "no pattern" in pages.get(f"/ui/jobs/{full['job']}/find?q=(&regex=1").text


def test_an_operator_says_in_the_page_that_a_failed_job_is_done(api: Api, pages: PageReader) -> None:
    job = api.a_job()["id"]
    api.change("UPDATE jobs SET status = 'FAILED', error_id = (SELECT min(id) FROM errors) WHERE id = :id", id=job)
    assert "Mark as done" in pages.get(f"/ui/jobs/{job}").text
    assert "Mark as done" not in signed_in(api, "submitter").get(f"/ui/jobs/{job}").text
    assert pages.post(f"/ui/jobs/{job}/done", {"outputs": "{"}).status_code == 400
    assert pages.post(f"/ui/jobs/{job}/done", {"reason": "seen by hand"}).status_code == 303
    assert api.get(f"/jobs/{job}/").json["status"] == "COMPLETED"


def test_a_job_says_where_its_wait_went(api: Api, pages: PageReader) -> None:
    job = api.a_job()["id"]
    assert "Where the wait went" not in pages.get(f"/ui/jobs/{job}").text, "of a short wait nothing is said"
    api.change("UPDATE jobs SET created = now() - interval '100 s', queued = now() - interval '100 s'")
    api.change(
        """INSERT INTO wait_spans (shape_id, number, reason, began, ended)
           SELECT shape_id, 1, 'project-quota', created, created + interval '30 s' FROM jobs
           UNION ALL SELECT shape_id, 2, 'no-room-now', created + interval '30 s', NULL FROM jobs"""
    )
    page = pages.get(f"/ui/jobs/{job}").text
    assert "most of it because no node had room for it" in page
    assert '<rect class="limits"' in page
    assert '<rect class="lack"' in page


def test_the_list_of_jobs_is_taken_along_as_a_file_with_its_search(api: Api, pages: PageReader) -> None:
    api.a_job(name="one")
    kept = api.a_job(name="=two")["id"]
    page = pages.get("/ui/jobs?q=text:two").text
    address = re.search(r'href="([^"]*jobs/export[^"]*format=csv[^"]*)"', page)
    assert address is not None
    answer = pages.get(address[1].replace("&amp;", "&"))
    lines = answer.data.decode("utf-8-sig").splitlines()
    assert [line.split(",")[:2] for line in lines[1:]] == [[str(kept), "'=two"]]


def test_a_schedule_is_made_in_the_page_after_a_look_at_its_times(api: Api, pages: PageReader) -> None:
    assert 'href="/ui/schedules/new"' in pages.get("/ui/schedules").text
    assert 'href="/ui/schedules/new"' not in signed_in(api, "viewer").get("/ui/schedules").text
    assert signed_in(api, "viewer").get("/ui/schedules/new").status_code == 403
    form = {
        "name": "nightly",
        "cron": "30 2 * * *",
        "zone": "Europe/Berlin",
        "overlap": "queue",
        "command": "backup 'a b'",
    }
    looked = pages.post("/ui/schedules/new", {**form, "try": "1"})
    assert looked.status_code == 200
    assert looked.text.count("<li>") == 5
    assert "02:30" in looked.text
    assert "cron" in pages.post("/ui/schedules/new", {**form, "cron": "at night", "try": "1"}).text
    assert api.get("/schedules/").json["count"] == 0
    wrong = pages.post("/ui/schedules/new", {**form, "cron": "at night", "command": "it's"})
    assert (wrong.status_code, 'value="at night"' in wrong.text, "it&#39;s" in wrong.text) == (400, True, True)
    made = pages.post("/ui/schedules/new", {**form, "cpus_required": "2", "paused": "1"})
    [schedule] = api.get("/schedules/").json["results"]
    assert made.headers["Location"] == f"/ui/schedules/{schedule['id']}?done=create"
    assert (schedule["name"], schedule["zone"], schedule["overlap"], schedule["is_paused"]) == (
        "nightly",
        "Europe/Berlin",
        "queue",
        True,
    )
    assert schedule["job"] == {"command": ["backup", "a b"], "cpus_required": 2.0}
    twice = pages.post("/ui/schedules/new", {**form})
    assert (twice.status_code, "nightly" in twice.text) in {(400, True), (409, True)}


def test_a_schedule_is_paused_run_and_let_go_on_in_the_page(api: Api, pages: PageReader) -> None:
    body = {"name": "nightly", "cron": "@daily", "zone": "UTC", "job": {"command": ["true"]}}
    schedule = api.post("/schedules/", body).json["id"]
    assert "nightly" in pages.get("/ui/schedules").text
    base = f"/ui/schedules/{schedule}"
    pages.get(base)
    assert pages.post(f"{base}/pause", {"reason": "the disk is full"}).status_code == 303
    page = pages.get(base).text
    assert "the disk is full" in page
    assert "Go on" in page
    assert pages.post(f"{base}/trigger").status_code == 303
    run = api.get(f"/schedules/{schedule}/firings/").json["results"][0]
    assert f"job {run['job']}" in pages.get(base).text
    assert pages.post(f"{base}/resume", {"catch_up": "1"}).status_code == 303
    assert not api.get(f"/schedules/{schedule}/").json["is_paused"]
    made = pages.post(f"{base}/backfill", {"from": "2026-01-01T00:00", "to": "2026-01-03T00:00"})
    assert made.status_code == 303, made.text
    assert api.get(f"/schedules/{schedule}/firings/").json["count"] > 2
    assert pages.post(f"{base}/backfill", {"from": "soon", "to": ""}).status_code == 400
    assert pages.post(f"{base}/end-backfill").status_code == 303
    assert pages.post(f"{base}/nothing").status_code == 404
    assert pages.as_("viewer").post(f"{base}/pause").status_code == 403
    assert pages.post(f"{base}/delete").headers["Location"].startswith("/ui/schedules?")
    assert pages.get(base).status_code == 404


def test_a_data_set_is_deleted_and_restored_in_the_page(api: Api, pages: PageReader) -> None:
    made = api.post("/data-sets/", {"name": "ore", "grid": {"blocks": [1, 1, 1], "size": [1, 1, 1]}}).json["data_set"]
    base = f"/ui/data-sets/{made['id']}"
    assert "ore" in pages.get("/ui/data-sets").text
    pages.get(base)
    assert pages.post(f"{base}/delete").status_code == 303
    assert "Restore" in pages.get(base).text
    assert "No data set" in pages.get("/ui/data-sets").text
    assert "ore" in pages.get("/ui/data-sets?deleted=true").text
    assert pages.post(f"{base}/restore").status_code == 303
    assert api.get(f"/data-sets/{made['id']}/").json["deleted"] is None


def test_what_a_job_awaits_is_sent_from_its_page_and_then_it_begins(database_url: str, tmp_path: Path) -> None:
    with signing(database_url, tmp_path) as api:
        pages = signed_in(api, "admin")
        job = awaiting(api)["id"]
        base = f"/ui/jobs/{job}"
        assert "What it waits to be sent" in pages.get(base).text
        assert "All has come" not in pages.get(base).text
        sent = pages.post(f"{base}/upload", {"input": "table", "file": (io.BytesIO(b"a,b"), "t.csv", "text/csv")})
        assert sent.status_code == 303, sent.text
        assert "All has come" in pages.get(base).text
        assert pages.post(f"{base}/upload", {"input": "other", "file": (io.BytesIO(b""), "t")}).status_code == 404
        assert pages.post(f"{base}/upload", {"input": "table"}).status_code == 400
        assert pages.as_("viewer").post(f"{base}/upload", {"input": "table"}).status_code == 403
        assert pages.post(f"{base}/uploaded").status_code == 303
        assert api.get(f"/jobs/{job}/").json["status"] in {"PENDING", "QUEUED"}
        assert api.get(f"/jobs/{job}/").json["awaits"][0]["size"] == 3


def test_types_say_since_when_very_many_jobs_are_counted(api: Api) -> None:
    api.a_job()
    answer = api.get("/job-types/status/").json
    assert answer["counted_since"] is None
    assert "There are very many jobs" not in signed_in(api, "admin").get("/ui/types").text
    for part in range(10):  # each is far from the time limit of a statement
        api.change(
            """INSERT INTO jobs (project_id, job_type_id, revision_id, shape_id, status, max_tries, priority, cpus, mem, queued, last_modified)
               SELECT project_id, job_type_id, revision_id, shape_id, 'QUEUED', 3, 100, cpus, mem, queued, last_modified - n * interval '1 ms'
               FROM jobs, generate_series(:part * 5010 + 1, :part * 5010 + 5010) AS n
               WHERE id = (SELECT min(id) FROM jobs)""",
            part=part,
        )
    answer = api.get("/job-types/status/").json
    assert [[count["count"] for count in one["job_counts"]] for one in answer["results"] if one["job_counts"]] == [
        [50_000]
    ]
    oldest = api.value("SELECT last_modified FROM jobs ORDER BY last_modified DESC OFFSET 49999 LIMIT 1")
    assert datetime.fromisoformat(answer["counted_since"]) == oldest
    assert "There are very many jobs" in signed_in(api, "admin").get("/ui/types").text
