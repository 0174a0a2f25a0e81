"""Workflows over HTTP: checked, run, listed, drawn, cancelled, restarted, by those who may."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.identity import Role
from scheduler.store.retention import purge
from scheduler.store.retention.due import ChangedJob
from tests.support.api import Api
from tests.support.cluster import Cluster
from tests.support.followers import end, resolve

TEXT = """
name: three
jobs:
  split: {command: ["true"], max_tries: 1}
  measure: {command: ["true"], needs: [split], for_each: [a, b]}
  merge: {command: ["true"], needs: [measure]}
"""


def run(api: Api, text: Any = TEXT, **facts: Any) -> dict[str, Any]:
    answer = api.post("/workflows/", {"definition": text, **facts})
    assert answer.status_code == 201, answer.text
    return dict(answer.json)


def test_a_workflow_is_run_listed_shown_and_drawn(api: Api) -> None:
    made = run(api, labels={"run": "7"})
    assert (made["name"], made["state"], made["counts"]["total"], made["percent"]) == ("three", "PENDING", 4, 0.0)
    assert made["definition"] == TEXT
    assert api.get("/workflows/", state="PENDING", label="run:7").json["count"] == 1
    assert api.get("/workflows/", state=["RUNNING", "FAILED"]).json["count"] == 0
    jobs = api.get(f"/workflows/{made['id']}/jobs/").json
    assert [(job["job"], job["member"]) for job in jobs["results"]] == [("split", None), ("measure", 0), ("measure", 1), ("merge", None)]  # fmt: skip
    first = api.get(f"/workflows/{made['id']}/jobs/", limit=3).json
    assert [job["job"] for job in api.get(f"/workflows/{made['id']}/jobs/", after=first["next_after"]).json["results"]] == ["merge"]  # fmt: skip
    drawn = api.get(f"/workflows/{made['id']}/graph/").json
    assert [(box["name"], box["level"], box["counts"]) for box in drawn["boxes"]] == [
        ("split", 0, {"QUEUED": 1}), ("measure", 1, {"PENDING": 2}), ("merge", 2, {"PENDING": 1}),
    ]  # fmt: skip
    ids = {job["job"]: job["job_id"] for job in reversed(jobs["results"])}
    assert [box["job_id"] for box in drawn["boxes"]] == [ids["split"], ids["measure"], ids["merge"]]
    assert [job["member"] for job in api.get(f"/workflows/{made['id']}/jobs/", job="measure").json["results"]] == [0, 1]
    assert [job["job"] for job in api.get(f"/workflows/{made['id']}/jobs/", status="QUEUED").json["results"]] == [
        "split"
    ]
    assert api.get(f"/workflows/{made['id']}/jobs/", status="ODD").status_code == 400
    assert drawn["arrows"] == [{"source": "split", "target": "measure"}, {"source": "measure", "target": "merge"}]
    assert api.get("/jobs/", workflow_id=made["id"]).json["count"] == 4


def test_a_check_makes_nothing_and_tells_the_order(api: Api) -> None:
    found = api.post("/workflows/validate/", {"definition": TEXT})
    assert (found.status_code, found.json["jobs"], found.json["order"]) == (200, 4, ["split", "measure", "merge"])
    assert api.get("/workflows/").json["count"] == 0
    wrong = api.post("/workflows/validate/", {"definition": "jobs: {a: {command: [b], needs: [c], cpus: x}, d: {}}"})
    assert wrong.status_code == 400
    assert [fault["field"] for fault in wrong.json["faults"]] == ["definition.jobs.a.cpus", "definition.jobs.d"]


def test_a_definition_may_be_json(api: Api) -> None:
    made = run(api, {"jobs": {"a": {"command": ["true"]}, "b": {"command": ["true"], "needs": ["a"]}}})
    assert made["counts"]["total"] == 2
    again = run(api, '{"jobs": {"a": {"command": ["true"]}}}')
    assert again["counts"]["total"] == 1


def test_what_failed_is_named_and_a_restart_repairs_it(api: Api, cluster: Cluster) -> None:
    node = cluster.a_node()
    made = run(api)
    ids = [job["job_id"] for job in api.get(f"/workflows/{made['id']}/jobs/").json["results"]]
    end(api, cluster, node, ids[0], "failed")
    failed = api.get(f"/workflows/{made['id']}/").json
    assert (failed["state"], failed["counts"]["blocked"], failed["culprit"]["job"]) == ("FAILED", 3, "split")
    assert api.get("/workflows/", state="FAILED").json["count"] == 1
    assert api.post(f"/workflows/{made['id']}/restart/", {}).json["state"] == "RUNNING"
    resolve(api)
    for job_id in ids:
        end(api, cluster, node, job_id)
    assert api.get(f"/workflows/{made['id']}/").json["state"] == "COMPLETED"
    assert api.post(f"/workflows/{made['id']}/restart/", {}).status_code == 409
    assert api.post(f"/workflows/{made['id']}/cancel/", {}).status_code == 409
    assert api.delete(f"/workflows/{made['id']}/").status_code == 204
    assert api.get(f"/workflows/{made['id']}/").status_code == 404
    assert api.get(f"/jobs/{ids[0]}/").status_code == 410


def test_a_job_that_is_said_to_be_done_lets_its_followers_go_on(api: Api, cluster: Cluster) -> None:
    node = cluster.a_node()
    api.a_type("make", max_tries=1, interface={"version": "1.0", "output_data": [{"name": "n", "type": "property"}]})
    api.a_type("take", interface={"version": "1.0", "input_data": [{"name": "n", "type": "property"}]})
    made = run(api, "jobs: {a: {type: make}, b: {type: take, parameters: {n: {job: a, parameter: n}}}}")
    first, second = (job["job_id"] for job in api.get(f"/workflows/{made['id']}/jobs/").json["results"])
    assert api.post(f"/jobs/{first}/done/", {"outputs": {"n": 3}}).status_code == 409
    end(api, cluster, node, first, "failed")
    wrong = api.post(f"/jobs/{first}/done/", {"outputs": {"m": 3}})
    assert (wrong.status_code, {fault["field"] for fault in wrong.json["faults"]}) == (400, {"outputs.m", "outputs.n"})
    assert api.as_("submitter").post(f"/jobs/{first}/done/", {"outputs": {"n": 3}}).status_code == 403
    done = api.post(f"/jobs/{first}/done/", {"outputs": {"n": 3}, "reason": "by hand"})
    assert (done.json["status"], done.json["forced_by"], done.json["outputs"][0]["value"]) == ("COMPLETED", "admin", 3)
    resolve(api)
    assert api.get(f"/jobs/{second}/").json["inputs"][0]["value"] == 3
    assert api.get(f"/jobs/{second}/").json["status"] == "QUEUED"


def test_a_workflow_of_another_project_is_not_there(api: Api) -> None:
    api.a_project("mine")
    api.a_token("operator of mine", Role.OPERATOR, "mine")
    theirs = run(api)["id"]
    attacker = api.as_("operator of mine")
    assert attacker.get("/workflows/").json["count"] == 0
    for method, path in (
        ("GET", ""), ("GET", "jobs/"), ("GET", "graph/"), ("POST", "cancel/"), ("POST", "restart/"), ("DELETE", ""),
    ):  # fmt: skip
        answer = attacker.send(method, f"/workflows/{theirs}/{path}", {} if method == "POST" else None)
        assert answer.status_code == 404, path
    assert attacker.post(f"/workflows/{theirs}/hold/", {"held": True}).status_code == 404
    assert attacker.post("/workflows/", {"definition": TEXT, "project": "default"}).status_code == 403
    assert run(attacker)["project"] == "mine"


def test_hold_keeps_all_that_has_not_started(api: Api) -> None:
    made = run(api)
    assert api.post(f"/workflows/{made['id']}/hold/", {"held": True, "reason": "later"}).json["is_held"]
    held = [job["is_held"] for job in api.get("/jobs/", workflow_id=made["id"]).json["results"]]
    assert held == [True] * 4
    assert not api.post(f"/workflows/{made['id']}/hold/", {"held": False}).json["is_held"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"definition": 3},
        {"definition": ""},
        {"definition": "\x00"},
        {"definition": "jobs: {a: {command: [b]}}", "parameters": {"nodot": 1}},
        {"definition": "jobs: {a: {command: [b]}}", "assets": {"a.b": "text"}},
        {"definition": "jobs: {a: {command: [b]}}", "colour": "red"},
        {"definition": {"jobs": {"a": {"command": "b"}}}},
        {"definition": {"jobs": {"a": 3}}},
        {"definition": "a: " + "{a: " * 18 + "1" + "}" * 18},
        {"definition": "jobs: {? [a] : b}"},
        {"definition": "jobs: {a: {command: [b], parameters: {x: 1e999}}}"},
        {"definition": "\u2028jobs"},
        {"definition": "%YAML 1.2\n%TAG ! x\n---\njobs: 3"},
    ],
)
def test_a_wrong_body_is_refused_in_words(api: Api, body: Any) -> None:
    answer = api.post("/workflows/", body)
    assert answer.status_code == 400, answer.text
    assert answer.json["description"]


def test_retention_takes_no_job_of_a_live_run_and_the_run_goes_with_the_last_of_them(
    api: Api, cluster: Cluster
) -> None:
    node = cluster.a_node()
    made = run(api, "jobs: {a: {command: ['true']}, b: {command: ['true']}}")
    ids = [job["job_id"] for job in api.get(f"/workflows/{made['id']}/jobs/").json["results"]]

    def purged() -> int:
        rows = api.query("SELECT id, status, last_modified FROM jobs WHERE id = ANY(:ids)", ids=ids)
        project = api.query("SELECT id FROM projects WHERE name = 'default'")[0][0]
        with api.rt.db.begin() as tx:
            return purge.jobs(tx, project, [ChangedJob(*row) for row in rows]).count

    end(api, cluster, node, ids[0])
    assert purged() == 0
    end(api, cluster, node, ids[1])
    assert purged() == 2
    assert api.get(f"/workflows/{made['id']}/").status_code == 404
