"""Cancel, requeue, hold and release over HTTP: one job, and every job that matches."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from scheduler.jobs import bulk
from scheduler.store.jobs import operations
from tests.support.api import Api, serving
from tests.support.cluster import Cluster


def finish(api: Api, operation: Any) -> Any:
    while bulk.step(api.rt):
        pass
    return api.get(f"/operations/{operation.json['id']}/").json


def put(api: Api, job_id: Any, status: Any) -> None:
    api.change(
        """UPDATE jobs SET status = :status,
                           error_id = CASE WHEN :status = 'FAILED' THEN (SELECT id FROM errors WHERE name = 'timeout') END,
                           result_attempt = CASE WHEN :status = 'COMPLETED' THEN 1 END
           WHERE id = :id""",
        id=job_id,
        status=status,
    )


@pytest.mark.parametrize("status", ["PENDING_UPLOAD", "PENDING", "BLOCKED", "QUEUED", "RUNNING", "FAILED"])
def test_a_job_that_has_not_ended_well_is_cancelled_at_once(api: Api, status: str) -> None:
    job = api.a_job()
    put(api, job["id"], status)
    answer = api.patch(f"/jobs/{job['id']}/", {"status": "CANCELED"})
    assert (answer.status_code, answer.json["status"], answer.json["error"]) == (200, "CANCELED", None)
    assert answer.json["ended"]
    assert answer.json["last_status_change"] > job["last_status_change"]


def test_cancelling_twice_changes_nothing_and_a_completed_job_stays(api: Api) -> None:
    job = api.a_job()
    first = api.patch(f"/jobs/{job['id']}/", {"status": "CANCELED"})
    again = api.patch(f"/jobs/{job['id']}/", {"status": "CANCELED"})
    assert (again.status_code, again.json) == (200, first.json)
    done = api.a_job()
    put(api, done["id"], "COMPLETED")
    answer = api.patch(f"/jobs/{done['id']}/", {"status": "CANCELED"})
    assert (answer.status_code, answer.json["kind"]) == (409, "conflict")
    assert api.get(f"/jobs/{done['id']}/").json["status"] == "COMPLETED"


@pytest.mark.parametrize(
    "body",
    [
        {}, {"status": "canceled"}, {"status": "CANCELLED"}, {"status": None}, {"status": "QUEUED"}, {"status": ["CANCELED"]},
        {"status": "CANCELED", "priority": 1}, {"priority": 1}, [], [{"status": "CANCELED"}], "CANCELED", None, 7,
        b"", b"{", b'{"status": "CANCELED", "status": "CANCELED"}',
    ],
)  # fmt: skip
def test_any_other_body_is_refused_and_the_job_untouched(
    api: Api, body: bytes | dict[str, Any] | int | list[Any] | str | None
) -> None:
    job = api.a_job()
    answer = api.send("PATCH", f"/jobs/{job['id']}/", body if body is not None else b"null")
    assert answer.status_code == 400, answer.text
    assert api.get(f"/jobs/{job['id']}/").json == job


def test_what_stands_in_the_query_of_a_write_counts_for_nothing(api: Api) -> None:
    job = api.a_job()
    assert api.patch(f"/jobs/{job['id']}/", {"status": "QUEUED"}, status="CANCELED").status_code == 400
    assert api.patch(f"/jobs/{job['id']}/", None, status="CANCELED").status_code == 400
    assert api.patch(f"/jobs/{job['id']}/", None).status_code == 415
    assert api.get(f"/jobs/{job['id']}/").json["status"] == "QUEUED"


@pytest.mark.parametrize(
    "path", ["/jobs/999/", "/jobs/abc/", "/jobs/-1/", "/jobs/99999999999999999999/", "/jobs/0/", "/jobs/1.5/"]
)
def test_an_unknown_job_is_not_found(api: Api, path: str) -> None:
    assert api.patch(path, {"status": "CANCELED"}).status_code == 404
    assert api.get(path).status_code == 404


def test_a_running_job_shows_canceled_while_its_execution_is_asked_to_stop(api: Api, cluster: Cluster) -> None:
    node = cluster.a_node("n1")
    job = api.a_job(mem_required=0)
    cluster.tick()
    ref = cluster.execution_of(job["id"])
    cluster.claim(node, ref)
    shown = api.patch(f"/jobs/{job['id']}/", {"status": "CANCELED"}).json
    assert shown["status"] == "CANCELED"
    assert (shown["job_exes"][0]["status"], shown["job_exes"][0]["cancel_requested"]) == ("RUNNING", "canceled")
    assert "node:n1" in api.nudges
    cluster.report(node, ref, "completed")
    assert api.get(f"/jobs/{job['id']}/").json["status"] == "CANCELED"


# --- many -------------------------------------------------------------------------------------------------


def test_a_bulk_cancel_can_be_tried_and_then_followed_to_its_end(api: Api) -> None:
    api.post("/jobs/", [{"command": ["true"], "labels": {"batch": "7"}}] * 1_201)
    other = api.a_job()
    dry = api.post("/jobs/cancel/", {"label": "batch:7", "dry_run": True})
    assert (dry.status_code, dry.json["count"]) == (200, 1_201)
    begun = api.post("/jobs/cancel/", {"label": "batch:7", "reason": "wrong input"})
    assert (begun.status_code, begun.json["status"], begun.json["matched"], begun.json["done"]) == (
        202,
        "RUNNING",
        1_201,
        0,
    )
    assert begun.headers["Location"] == f"http://localhost/operations/{begun.json['id']}/"
    bulk.step(api.rt)
    assert api.get(f"/operations/{begun.json['id']}/").json["done"] == 500
    ended = finish(api, begun)
    assert (ended["status"], ended["matched"], ended["done"], ended["skipped"]) == ("COMPLETED", 1_201, 1_201, 0)
    assert ended["ended"]
    assert ended["created_by"] == "admin"
    assert api.get("/jobs/", status="QUEUED").json["results"][0]["id"] == other["id"]
    cancelled = api.get("/jobs/", status="CANCELED", page_size=1).json["results"][0]["id"]
    assert api.get(f"/jobs/{cancelled}/events/").json["results"][-1]["reason"] == "wrong input"


def test_an_empty_filter_needs_to_be_meant(api: Api) -> None:
    api.a_job()
    for path in ("cancel", "requeue", "hold", "release"):
        refused = api.post(f"/jobs/{path}/", {})
        assert (refused.status_code, refused.json["field"]) == (400, "all")
        assert api.post(f"/jobs/{path}/", {"dry_run": True}).status_code == 400
    assert finish(api, api.post("/jobs/cancel/", {"all": True}))["done"] == 1


def test_jobs_submitted_after_a_bulk_action_are_not_part_of_it(api: Api) -> None:
    api.a_job()
    begun = api.post("/jobs/cancel/", {"status": "QUEUED"})
    later = api.a_job()
    assert finish(api, begun)["done"] == 1
    assert api.get(f"/jobs/{later['id']}/").json["status"] == "QUEUED"


def test_requeue_takes_failed_and_canceled_jobs_and_skips_the_others(api: Api) -> None:
    ids = api.post("/jobs/", [{"command": ["true"], "max_tries": 2}] * 4).json["job_ids"]
    for job_id, status in zip(ids, ("FAILED", "CANCELED", "COMPLETED", "QUEUED"), strict=True):
        put(api, job_id, status)
    api.change("UPDATE jobs SET num_exes = 2, attempt = 2 WHERE id = :id", id=ids[0])
    ended = finish(api, api.post("/jobs/requeue/", {"job_id": ids, "priority": 1}))
    assert (ended["done"], ended["skipped"]) == (2, 2)
    jobs = {job_id: api.get(f"/jobs/{job_id}/").json for job_id in ids}
    assert [jobs[job_id]["status"] for job_id in ids] == ["QUEUED", "QUEUED", "COMPLETED", "QUEUED"]
    assert (jobs[ids[0]]["max_tries"], jobs[ids[0]]["error"], jobs[ids[0]]["ended"], jobs[ids[0]]["round"]) == (
        4,
        None,
        None,
        2,
    )
    assert [jobs[job_id]["priority"] for job_id in ids] == [1, 1, 100, 100]
    priorities = api.query("SELECT s.priority FROM shapes s JOIN jobs j ON j.shape_id = s.id ORDER BY j.id")
    assert [row.priority for row in priorities] == [1, 1, 100, 100]


def test_held_jobs_are_not_placed_until_they_are_released(api: Api, cluster: Cluster) -> None:
    cluster.a_node()
    job = api.a_job(mem_required=0)
    assert finish(api, api.post("/jobs/hold/", {"job_id": job["id"], "reason": "wait for data"}))["done"] == 1
    assert api.get(f"/jobs/{job['id']}/").json["hold_reason"] == "wait for data"
    assert cluster.tick() == 0
    assert finish(api, api.post("/jobs/release/", {"all": True}))["done"] == 1
    assert cluster.tick() == 1
    assert [one["event"] for one in api.get(f"/jobs/{job['id']}/events/").json["results"]] == [
        "SUBMIT",
        "HOLD",
        "RELEASE",
        "PLACE",
    ]


def test_an_operation_that_a_crash_left_behind_is_taken_up_where_it_stopped(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.post("/jobs/", [{"command": ["true"]}] * 1_100)
    begun = api.post("/jobs/cancel/", {"all": True})
    bulk.step(api.rt)
    genuine = operations.advance

    def crash(*given: Any, **named: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(operations, "advance", crash)
    with pytest.raises(KeyboardInterrupt):
        bulk.step(api.rt)
    monkeypatch.setattr(operations, "advance", genuine)
    ended = finish(api, begun)
    assert (ended["status"], ended["done"] + ended["skipped"]) == ("COMPLETED", 1_100)
    assert api.value("SELECT count(*) FROM jobs WHERE status = 'CANCELED'") == 1_100
    assert api.value("SELECT count(*) FROM events WHERE event = 'CANCEL'") == 1_100


def test_two_walkers_never_walk_the_same_operation_at_once(api: Api) -> None:
    api.post("/jobs/", [{"command": ["true"]}] * 2_000)
    begun = api.post("/jobs/hold/", {"all": True})
    walkers = [threading.Thread(target=finish, args=(api, begun)) for _ in range(4)]
    for walker in walkers:
        walker.start()
    for walker in walkers:
        walker.join()
    ended = finish(api, begun)
    assert (ended["status"], ended["done"], ended["skipped"]) == ("COMPLETED", 2_000, 0)
    assert api.value("SELECT count(*) FROM events WHERE event = 'HOLD'") == 2_000


def test_the_thread_of_a_server_walks_what_it_finds(database_url: str, tmp_path: Path) -> None:
    with serving(database_url, tmp_path, background=True) as api:
        api.a_job()
        begun = api.post("/jobs/cancel/", {"all": True})
        for _ in range(400):
            if api.get(f"/operations/{begun.json['id']}/").json["status"] == "COMPLETED":
                break
            time.sleep(0.05)  # the thread tells nobody when it is done
        else:
            raise AssertionError("nobody walked the operation")
        assert api.get(f"/operations/{begun.json['id']}/").json["done"] == 1


@pytest.mark.parametrize(
    "body",
    [
        {"status": "BOGUS"}, {"status": ["QUEUED", 1]}, {"job_id": "1"}, {"job_id": [1, "2"]}, {"job_id": 0}, {"unknown": 1},
        {"label": "no-colon"}, {"started": "yesterday"}, {"started": 5}, {"all": "true"}, {"dry_run": 1}, {"job_id": True},
        {"started": "PT1H", "ended": "PT2H"}, {"job_id": [1] * 10_001}, {"reason": ""}, {"reason": "a\nb"},
    ],
)  # fmt: skip
def test_malformed_filters_are_refused_and_nothing_is_done(api: Api, body: Any) -> None:
    job = api.a_job()
    answer = api.post("/jobs/cancel/", {**body, **({} if "all" in body else {"all": True})})
    assert answer.status_code == 400, answer.text
    assert api.value("SELECT count(*) FROM operations") == 0
    assert api.get(f"/jobs/{job['id']}/").json["status"] == "QUEUED"


def test_a_submitter_acts_on_named_jobs_an_operator_on_any_filter(api: Api) -> None:
    job = api.a_job()
    submitter = api.as_("submitter")
    assert submitter.post("/jobs/cancel/", {"job_id": [job["id"]]}).status_code == 202
    assert submitter.post("/jobs/cancel/", {"status": "QUEUED"}).status_code == 403
    assert submitter.post("/jobs/cancel/", {"all": True}).status_code == 403
    assert submitter.post("/jobs/hold/", {"job_id": [job["id"]]}).status_code == 403
    assert api.as_("operator").post("/jobs/requeue/", {"status": "FAILED"}).status_code == 202


def test_the_older_form_requeues_at_once_and_answers_all_that_matched(api: Api) -> None:
    ids = api.post("/jobs/", [{"command": ["true"]}] * 3).json["job_ids"]
    for job_id, status in zip(ids, ("FAILED", "CANCELED", "COMPLETED"), strict=True):
        put(api, job_id, status)
    answer = api.post("/queue/requeue-jobs/", {"job_ids": ids, "priority": 5})
    assert answer.status_code == 200
    assert {one["id"]: (one["status"], one["priority"]) for one in answer.json["results"]} == {
        ids[0]: ("QUEUED", 5), ids[1]: ("QUEUED", 5), ids[2]: ("COMPLETED", 100),
    }  # fmt: skip
    assert api.post("/queue/requeue-jobs/", {"job_ids": [999]}).status_code == 404
    assert api.post("/queue/requeue-jobs/", {}).status_code == 400
    assert api.post("/queue/requeue-jobs/", {"status": "FAILED", "other": 1}).status_code == 400
