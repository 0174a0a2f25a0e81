"""What a job needs may change while it waits, and it may bear waiting only so long; both are judged by the needs that it has now."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.identifiers import JobId
from scheduler.identity import Role
from scheduler.jobs import requeue
from scheduler.resolver import expiry
from tests.journeys.test_http_needs import many, run, shown, statuses
from tests.support.api import Api
from tests.support.cluster import Cluster
from tests.support.followers import resolve


def change(api: Api, job_id: int, needs: list[Any], status: int = 200) -> Any:
    answer = api.patch(f"/jobs/{job_id}/", {"needs": needs, "reason": "because"})
    assert answer.status_code == status, answer.text
    resolve(api)
    return answer.json


def parents(api: Api, job_id: int) -> list[tuple[int, str]]:
    return [(one["job"], one["after"]) for one in shown(api, job_id)["needs"]]


def age(api: Api, job_id: int, seconds: int) -> None:
    """Let a job have waited so long."""
    api.change(
        "UPDATE jobs SET last_status_change = last_status_change - make_interval(secs => :s) WHERE id = :id", s=seconds, id=job_id,
    )  # fmt: skip
    api.change("UPDATE need_deadlines SET due = due - make_interval(secs => :s) WHERE job_id = :id", s=seconds, id=job_id)  # fmt: skip


def test_needs_are_added_and_dropped_and_the_job_is_judged_anew(api: Api, cluster: Cluster) -> None:
    node = cluster.a_node()
    first, second, third = many(api, {"max_tries": 1}, {}, {})
    (job,) = many(api, {"needs": [first]})
    change(api, job, [second, {"job": third, "after": "ANY"}])
    assert parents(api, job) == [(second, "OK"), (third, "ANY")]
    run(api, cluster, node, second)
    assert shown(api, job)["status"] == "PENDING"
    change(api, job, [second])
    assert shown(api, job)["status"] == "QUEUED", "what it needs now has ended well already"
    assert "PENDING or BLOCKED" in change(api, job, [third], 409)["description"]
    (entry,) = api.get("/audit/", action="job.edit-needs").json["results"][:1]
    assert (entry["reason"], entry["detail"]["after"]) == ("because", [{"job": second, "after": "OK"}])


def test_a_blocked_job_is_repaired_by_dropping_what_is_broken(api: Api, cluster: Cluster) -> None:
    node = cluster.a_node()
    broken, other = many(api, {"max_tries": 1}, {})
    job, follower = many(api, {"needs": [broken]}, {"needs": ["@0"]})
    run(api, cluster, node, broken, "failed")
    assert statuses(api, [job, follower]) == ["BLOCKED", "BLOCKED"]
    change(api, job, [other])
    assert statuses(api, [job, follower]) == ["PENDING", "PENDING"]
    change(api, job, [])
    assert statuses(api, [job, follower]) == ["QUEUED", "PENDING"]
    change(api, follower, [{"job": broken, "after": "FAIL"}, job])
    assert shown(api, follower)["status"] == "PENDING"
    change(api, follower, [{"job": broken, "after": "FAIL"}])
    assert shown(api, follower)["status"] == "QUEUED"


def test_what_it_takes_outputs_of_stays_needed(api: Api, cluster: Cluster) -> None:
    number = {"name": "n", "type": "property"}
    api.a_type("make", interface={"version": "1.0", "output_data": [number]})
    api.a_type("take", interface={"version": "1.0", "input_data": [number]})
    (other,) = many(api, {})
    make = api.post("/jobs/", {"job_type": {"name": "make"}}).json["id"]
    wired = {"job_type": {"name": "take"}, "inputs": {"n": {"from": {"job": make, "output": "n"}}}, "needs": [other]}
    take = api.post("/jobs/", wired).json["id"]
    change(api, take, [])
    assert parents(api, take) == [(make, "OK")]
    change(api, take, [other])
    assert sorted(parents(api, take)) == sorted([(make, "OK"), (other, "OK")])


@pytest.mark.parametrize(
    ("needs", "status", "field"),
    [
        (["@0"], 400, "needs[0].job"), (["=a"], 400, "needs[0].job"), ([99_999], 404, "needs[0].job"), ([True], 400, "needs[0]"),
        ([1, {"group": "none"}], 404, "needs[1].group"), ([{"any_of": [99_999]}], 404, "needs[0].any_of"), ([{"job": 1, "after": "SOON"}], 400, "needs[0]"),
    ],
)  # fmt: skip
def test_needs_that_cannot_be_are_refused_and_nothing_changes(
    api: Api, needs: list[Any], status: int, field: str
) -> None:
    (parent,) = many(api, {})
    (job,) = many(api, {"needs": [parent]})
    found = change(api, job, needs, status)
    assert found["field"].startswith(field), found
    assert parents(api, job) == [(parent, "OK")]


def test_a_later_job_is_never_needed_nor_that_of_another_project(api: Api) -> None:
    (parent,) = many(api, {})
    job, later = many(api, {"needs": [parent]}, {})
    assert change(api, job, [later], 404)["field"] == "needs[0].job"
    assert change(api, job, [job], 404)["field"] == "needs[0].job"
    api.a_project("mine")
    api.a_token("mine", Role.SUBMITTER, "mine")
    mine = api.as_("mine")
    assert mine.patch(f"/jobs/{job}/", {"needs": []}).status_code == 404
    assert api.patch(f"/jobs/{job}/", {"needs": [], "status": "CANCELED"}).status_code == 400
    assert api.patch(f"/jobs/{job}/", {}).status_code == 400


def test_a_job_that_waits_too_long_for_its_needs_fails_and_says_for_what(api: Api, cluster: Cluster) -> None:
    node = cluster.a_node()
    (parent,) = many(api, {})
    job, follower = many(api, {"needs": [parent], "needs_within": 60}, {"needs": ["@0"]})
    assert shown(api, job)["needs_within"] == 60
    age(api, job, 59)
    assert expiry.expire(api.rt) == 0
    age(api, job, 2)
    assert expiry.expire(api.rt) == 1
    assert expiry.expire(api.rt) == 0
    resolve(api)
    found = shown(api, job)
    assert (found["status"], found["error"]["name"]) == ("FAILED", "needs-timeout")
    assert found["message"] == f"within 60 s it did not get what it needs: it waited for job {parent}, which is QUEUED"
    assert shown(api, follower)["status"] == "BLOCKED"
    run(api, cluster, node, parent)
    assert shown(api, job)["status"] == "FAILED", "what comes too late does not help"


def test_the_time_begins_anew_with_a_new_round_and_with_a_repair(api: Api, cluster: Cluster) -> None:
    node = cluster.a_node()
    parent, broken = many(api, {}, {"max_tries": 1})
    (job,) = many(api, {"needs": [parent], "needs_within": 60})
    age(api, job, 61)
    expiry.expire(api.rt)
    requeue.requeue(api.rt, [JobId(job)], actor="me")
    resolve(api)
    assert shown(api, job)["status"] == "PENDING"
    age(api, job, 59)
    assert expiry.expire(api.rt) == 0
    change(api, job, [parent, broken])
    run(api, cluster, node, broken, "failed")
    assert shown(api, job)["status"] == "BLOCKED"
    age(api, job, 1000)
    assert (expiry.expire(api.rt), shown(api, job)["status"]) == (0, "BLOCKED"), "who is blocked waits for a repair"
    requeue.requeue(api.rt, [JobId(broken)], actor="me")
    resolve(api)
    assert (shown(api, job)["status"], expiry.expire(api.rt)) == ("PENDING", 0)
    age(api, job, 61)
    assert expiry.expire(api.rt) == 1


def test_only_a_job_that_needs_others_waits_for_them(api: Api, cluster: Cluster) -> None:
    node = cluster.a_node()
    answer = api.post("/jobs/", {"command": ["true"], "needs_within": 5})
    assert (answer.status_code, answer.json["field"]) == (400, "needs_within")
    (parent,) = many(api, {})
    (job,) = many(api, {"needs": [parent], "needs_within": 60})
    run(api, cluster, node, parent)
    age(api, job, 61)
    assert (expiry.expire(api.rt), shown(api, job)["status"]) == (0, "QUEUED"), "in the queue it waits for room"
    text = "jobs:\n  a: {command: ['true']}\n  b: {command: ['true'], needs: [a], needs_within: 1h}\n"
    made = api.post("/workflows/", {"definition": text}).json["id"]
    late = api.get(f"/workflows/{made}/jobs/", job="b").json["results"][0]["job_id"]
    age(api, late, 3_601)
    assert expiry.expire(api.rt) == 1
    wrong = api.post("/workflows/", {"definition": "jobs:\n  a: {command: ['true'], needs_within: 1h}\n"})
    assert (wrong.status_code, wrong.json["field"]) == (400, "definition.jobs.a.needs_within")
