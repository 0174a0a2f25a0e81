"""What a job submits in its own name is cancelled with it: jobs, runs of workflows, and what these submit in their turn."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from sqlalchemy import text

from scheduler.identifiers import JobId
from scheduler.identity import Role
from scheduler.jobs import cancel
from scheduler.resolver import resolver
from scheduler.store.retention import purge
from scheduler.store.retention.due import ChangedJob
from tests.journeys.test_http_needs import many, run, shown, statuses
from tests.support.api import Api
from tests.support.cluster import Cluster
from tests.support.followers import resolve

TEXT = """
jobs:
  a: {command: [sleep, "60"]}
  b: {command: ["true"], needs: [a]}
  tell: {command: ["true"], finally: true}
"""


def stop(api: Api, job_id: int) -> None:
    assert api.patch(f"/jobs/{job_id}/", {"status": "CANCELED"}).status_code == 200
    resolve(api)


def a_run(api: Api, parent: int, definition: str = TEXT, status: int = 201) -> Any:
    answer = api.post("/workflows/", {"definition": definition, "parent_job_id": parent})
    assert answer.status_code == status, answer.text
    return answer.json


def test_a_cancel_takes_along_what_the_job_submitted_down_to_the_last_of_it(api: Api, cluster: Cluster) -> None:
    node = cluster.a_node()
    parent, stranger = many(api, {}, {})
    child = api.post("/jobs/", {"command": ["true"], "parent_job_id": parent}).json
    assert child["parent_job_id"] == parent
    grandchild, waiting = many(api, {"parent_job_id": child["id"]}, {"parent_job_id": child["id"], "needs": ["@0"]})
    while shown(api, child["id"])["status"] == "QUEUED":
        assert cluster.tick()
    ref = cluster.execution_of(child["id"])
    assert cluster.claim(node, ref).granted
    stop(api, parent)
    assert statuses(api, [child["id"], grandchild, waiting]) == ["CANCELED"] * 3
    assert shown(api, stranger)["status"] != "CANCELED"
    assert [one.execution_id for one in cluster.beat(node).cancels] == [ref[0]], "what runs is stopped"
    (told,) = [one for one in api.get(f"/jobs/{child['id']}/events/").json["results"] if one["event"] == "CANCEL"]
    assert (told["actor"], told["reason"]) == ("scheduler", "the job that submitted it was cancelled")


def test_other_ends_of_the_parent_leave_its_children_be(api: Api, cluster: Cluster) -> None:
    node = cluster.a_node()
    done, failed = many(api, {}, {"max_tries": 1})
    children = many(api, {"parent_job_id": done, "held": True}, {"parent_job_id": failed, "held": True})
    run(api, cluster, node, done)
    run(api, cluster, node, failed, "failed")
    assert statuses(api, [done, failed]) == ["COMPLETED", "FAILED"]
    assert statuses(api, children) == ["QUEUED", "QUEUED"]
    assert many(api, {"parent_job_id": done}), (
        "a job that has ended may still be named: its last call may be on its way"
    )


def test_a_run_goes_with_the_job_that_runs_it_and_still_cleans_up(api: Api) -> None:
    (parent,) = many(api, {})
    made = a_run(api, parent)
    assert made["parent_job_id"] == parent
    inner = api.get(f"/workflows/{made['id']}/jobs/").json["results"][0]["job_id"]
    nested = a_run(api, inner)["id"]
    stop(api, parent)
    for one in (made["id"], nested):
        found = api.get(f"/workflows/{one}/").json
        assert (found["canceled_by"], found["cancel_reason"]) == (
            "scheduler",
            "the job that submitted it was cancelled",
        )
        jobs = {job["job"]: job["status"] for job in api.get(f"/workflows/{one}/jobs/").json["results"]}
        assert jobs == {"a": "CANCELED", "b": "CANCELED", "tell": "QUEUED"}


def test_cancelling_a_workflow_takes_along_what_its_jobs_submitted(api: Api) -> None:
    made = api.post("/workflows/", {"definition": TEXT}).json["id"]
    first = api.get(f"/workflows/{made}/jobs/").json["results"][0]["job_id"]
    (child,) = many(api, {"parent_job_id": first})
    assert api.post(f"/workflows/{made}/cancel/", {}).status_code == 200
    resolve(api)
    assert shown(api, child)["status"] == "CANCELED"


@pytest.mark.parametrize(("of", "status", "words"), [("nobody", 404, "there is no job"), ("canceled", 409, "was cancelled"), ("other", 404, "there is no job"), ("itself", 404, "there is no job")])  # fmt: skip
def test_a_parent_that_cannot_be_is_refused_by_its_field_and_nothing_is_made(
    api: Api, of: str, status: int, words: str
) -> None:
    (parent,) = many(api, {})
    stop(api, parent)
    api.a_project("mine")
    api.a_token("mine", Role.SUBMITTER, "mine")
    (foreign,) = many(api.as_("mine"), {})
    named = {"nobody": 999_999, "canceled": parent, "other": foreign, "itself": foreign + 1}[of]
    before = api.value("SELECT count(*) FROM jobs")
    single = api.post("/jobs/", {"command": ["true"], "parent_job_id": named})
    assert (single.status_code, single.json["field"]) == (status, "parent_job_id"), single.text
    assert words in single.json["description"]
    batch = api.post("/jobs/", [{"command": ["true"]}, {"command": ["true"], "parent_job_id": named}])
    assert (batch.status_code, batch.json["field"]) == (status, "[1].parent_job_id"), batch.text
    assert a_run(api, 999_999 if of == "itself" else named, status=status)["field"] == "parent_job_id"
    assert api.value("SELECT count(*) FROM jobs") == before
    assert api.value("SELECT count(*) FROM workflows") == 0
    assert api.value("SELECT count(*) FROM job_parents") == 0


def test_a_schedule_has_no_parent(api: Api) -> None:
    (parent,) = many(api, {})
    body = {"name": "s", "every": "1h", "job": {"command": ["true"], "parent_job_id": parent}}
    answer = api.post("/schedules/", body)
    assert (answer.status_code, "parent_job_id" in answer.text) == (400, True), answer.text


def test_a_cancel_and_a_submission_at_once_leave_no_child_behind(api: Api) -> None:
    for _ in range(8):
        (parent,) = many(api, {})
        begin = threading.Barrier(2)
        codes: list[int] = []

        def submit(parent: int = parent, begin: threading.Barrier = begin, codes: list[int] = codes) -> None:
            begin.wait()
            codes.append(api.post("/jobs/", {"command": ["true"], "parent_job_id": parent}).status_code)

        other = threading.Thread(target=submit)
        other.start()
        begin.wait()
        cancel.cancel(api.rt, [JobId(parent)], actor="me")
        other.join()
        resolve(api)
        assert codes[0] in {201, 409}
        assert api.value(f"SELECT count(*) FROM job_parents c JOIN jobs j ON j.id = c.job_id WHERE c.parent_job_id = {parent} AND j.status <> 'CANCELED'") == 0  # noqa: S608  # fmt: skip


def test_more_children_than_one_round_takes_are_all_cancelled(api: Api) -> None:
    (parent,) = many(api, {})
    ids = many(api, *[{"parent_job_id": parent}] * 1_500)
    stop(api, parent)
    assert api.value("SELECT count(*) FROM jobs WHERE status = 'CANCELED'") == len(ids) + 1


def test_one_turn_of_the_resolver_cancels_a_thousand_at_most(api: Api) -> None:
    (parent,) = many(api, {})
    many(api, *[{"parent_job_id": parent}] * 1_500)
    api.patch(f"/jobs/{parent}/", {"status": "CANCELED"})
    assert resolver.resolve(api.rt)
    assert api.value("SELECT count(*) FROM jobs WHERE status = 'CANCELED'") == 1_001
    while resolver.resolve(api.rt):
        pass
    assert api.value("SELECT count(*) FROM jobs WHERE status = 'CANCELED'") == 1_501


def test_a_run_that_somebody_works_on_keeps_nobody_waiting_and_is_cancelled_in_a_later_turn(api: Api) -> None:
    (parent,) = many(api, {})
    made = a_run(api, parent)["id"]
    (child,) = many(api, {"parent_job_id": parent})
    api.patch(f"/jobs/{parent}/", {"status": "CANCELED"})
    with api.rt.db.begin() as tx:
        tx.execute(text("SELECT FROM workflows WHERE id = :id FOR UPDATE"), {"id": made})
        assert resolver.resolve(api.rt)
        assert shown(api, child)["status"] == "CANCELED"
    resolve(api)
    assert api.get(f"/workflows/{made}/").json["canceled_by"] == "scheduler"


def test_who_its_parent_was_goes_with_the_child(api: Api) -> None:
    (parent,) = many(api, {})
    (child,) = many(api, {"parent_job_id": parent})
    stop(api, parent)
    rows = api.query("SELECT id, status, last_modified FROM jobs WHERE id = :id", id=child)
    project = api.value("SELECT id FROM projects WHERE name = 'default'")
    with api.rt.db.begin() as tx:
        assert purge.jobs(tx, project, [ChangedJob(*row) for row in rows]).count == 1
    assert api.value("SELECT count(*) FROM job_parents") == 0
