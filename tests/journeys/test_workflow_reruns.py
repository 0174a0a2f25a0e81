"""Runs made from older ones, saved definitions with revisions, handlers at a restart, and a run's own events."""

from __future__ import annotations

from typing import Any

from ganger.cli.jobs.why import lines
from tests.support.api import Api
from tests.support.cluster import Cluster
from tests.support.followers import end, resolve

TEXT = """
jobs:
  make: {type: make}
  each: {command: ["true"], needs: [make], for_each: [a, b], max_tries: 1}
  take: {type: take, parameters: {n: {job: make, parameter: n}, k: 1}, needs: [each], max_tries: 1}
  told: {command: ["true"], needs: [{job: take, after: any}]}
  last: {command: ["true"], finally: true}
"""


def types(api: Api) -> None:
    number = {"name": "n", "type": "property"}
    api.a_type("make", interface={"version": "1.0", "output_data": [number]})
    api.a_type("take", interface={"version": "1.0", "input_data": [number, {"name": "k", "type": "property"}]})


def run(api: Api, body: dict[str, Any], path: str = "/workflows/", status: int = 201) -> Any:
    answer = api.post(path, body)
    assert answer.status_code == status, answer.text
    return answer.json


def by_name(api: Api, workflow_id: int) -> dict[str, Any]:
    return {
        job["job"] if job["member"] is None else f"{job['job']}[{job['member']}]": job
        for job in api.get(f"/workflows/{workflow_id}/jobs/").json["results"]
        if job["superseded_by"] is None
    }


def finish(api: Api, cluster: Cluster, node: Any, workflow_id: int, failing: str = "") -> None:
    """Bring a run to its end, one job after the other; the job of this name fails."""
    resolve(api)
    while queued := {name: job for name, job in by_name(api, workflow_id).items() if job["status"] == "QUEUED"}:
        for name, job in queued.items():
            facts = {"properties": {"n": 7}} if name == "make" else {}
            end(api, cluster, node, job["job_id"], "failed" if name == failing else "completed", **facts)


def rows(api: Api, workflow_id: int) -> Any:
    """All that is stored of a run and of its jobs."""
    return [
        api.query(f"SELECT * FROM {table} WHERE {key} ORDER BY 1, 2", id=workflow_id)  # noqa: S608 - our own tables
        for table, key in (
            ("workflows", "id = :id"), ("jobs", "workflow_id = :id"), ("workflow_jobs", "workflow_id = :id"), ("workflow_events", "workflow_id = :id"),
            ("job_specs", "job_id IN (SELECT id FROM jobs WHERE workflow_id = :id)"), ("job_needs", "job_id IN (SELECT id FROM jobs WHERE workflow_id = :id)"),
            ("group_members", "job_id IN (SELECT id FROM jobs WHERE workflow_id = :id)"), ("executions", "job_id IN (SELECT id FROM jobs WHERE workflow_id = :id)"),
        )
    ]  # fmt: skip


def test_a_rerun_borrows_what_comes_before_and_changes_no_row_of_the_old_run(api: Api, cluster: Cluster) -> None:
    """I-W7, of reruns."""
    node = cluster.a_node()
    types(api)
    old = run(api, {"definition": TEXT, "labels": {"run": "7"}})["id"]
    refused = api.post(f"/workflows/{old}/rerun/", {"from": ["take"]})
    assert (refused.status_code, "each of workflow" in refused.text) == (409, True)
    finish(api, cluster, node, old, failing="take")
    assert api.get(f"/workflows/{old}/").json["state"] == "FAILED"
    before = rows(api, old)
    body = {"from": ["take"], "parameters": {"take.k": 2}}
    wrong = api.post(f"/workflows/{old}/rerun/", {"from": ["nobody"]})
    assert (wrong.status_code, wrong.json["faults"][0]["field"]) == (400, "from")
    borrowed = api.post(f"/workflows/{old}/rerun/", {"from": ["take"], "parameters": {"make.x": 1}})
    assert (borrowed.status_code, "is borrowed" in borrowed.text) == (400, True)
    new = run(api, body, f"/workflows/{old}/rerun/")
    assert (new["rerun_of"], new["borrowed"], new["labels"], new["counts"]["total"]) == (old, ["each", "make"], {"run": "7"}, 3)  # fmt: skip
    resolve(api)
    take = api.get(f"/jobs/{by_name(api, new['id'])['take']['job_id']}/").json
    assert (take["status"], {one["name"]: one["value"] for one in take["inputs"]}) == ("QUEUED", {"n": 7, "k": 2})
    finish(api, cluster, node, new["id"])
    assert api.get(f"/workflows/{new['id']}/").json["state"] == "COMPLETED"
    assert rows(api, old) == before
    again = run(api, {"from": ["told"]}, f"/workflows/{new['id']}/rerun/")
    assert (again["counts"]["total"], again["borrowed"]) == (2, ["each", "make", "take"])
    finish(api, cluster, node, again["id"])
    assert api.get(f"/workflows/{again['id']}/").json["state"] == "COMPLETED"


def test_why_tells_of_each_borrowed_step_whose_it_is_and_how_it_stands(api: Api, cluster: Cluster) -> None:
    node = cluster.a_node()
    types(api)
    old = run(api, {"definition": TEXT})["id"]
    finish(api, cluster, node, old, failing="take")
    before = by_name(api, old)
    new = run(api, {"from": ["take"]}, f"/workflows/{old}/rerun/")["id"]
    resolve(api)
    jobs = by_name(api, new)
    told = api.get(f"/jobs/{jobs['take']['job_id']}/explain/").json
    assert {one["step"]: (one["job"], one["workflow"], one["status"]) for one in told["borrowed"]} == {
        "make": (before["make"]["job_id"], old, "COMPLETED"), "each": (before["each[1]"]["job_id"], old, "COMPLETED"),
    }  # fmt: skip
    sentences = [
        f"it borrows make of workflow {old} (job {before['make']['job_id']}, COMPLETED), and does not run it again",
        f"it borrows each of workflow {old} (the jobs up to {before['each[1]']['job_id']}, COMPLETED), and does not run it again",
    ]
    assert sorted(one["description"] for one in told["borrowed"]) == sorted(sentences)
    assert [line for line in lines(told) if "borrows" in line] == [one["description"] for one in told["borrowed"]]
    for other in (jobs["told"], before["take"]):
        assert api.get(f"/jobs/{other['job_id']}/explain/").json["borrowed"] == [], "nothing of another run"


def test_a_restart_starts_nothing_that_is_completed_and_gives_handlers_a_fresh_copy(api: Api, cluster: Cluster) -> None:
    """I-W7, of restarts."""
    node = cluster.a_node()
    types(api)
    made = run(api, {"definition": TEXT})["id"]
    finish(api, cluster, node, made, failing="each[1]")
    before = by_name(api, made)
    stands = {name: job["status"] for name, job in before.items()}
    assert stands == {"make": "COMPLETED", "each[0]": "COMPLETED", "each[1]": "FAILED", "take": "BLOCKED", "told": "COMPLETED", "last": "COMPLETED"}  # fmt: skip
    started = {job["job_id"]: job["started"] for job in before.values() if job["status"] == "COMPLETED"}
    assert api.post(f"/workflows/{made}/restart/", {"reason": "mended"}).json["state"] == "RUNNING"
    resolve(api)
    now = by_name(api, made)
    assert {name: job["status"] for name, job in now.items()} == {
        "make": "COMPLETED", "each[0]": "COMPLETED", "each[1]": "QUEUED", "take": "PENDING", "told": "PENDING", "last": "PENDING",
    }  # fmt: skip
    assert [now[name]["job_id"] == before[name]["job_id"] for name in ("make", "take", "told", "last")] == [True, True, False, False]  # fmt: skip
    finish(api, cluster, node, made)
    assert api.get(f"/workflows/{made}/").json["state"] == "COMPLETED"
    shown = api.get(f"/workflows/{made}/jobs/").json["results"]
    assert all(job["started"] == started[job["job_id"]] for job in shown if job["job_id"] in started)
    assert [job["superseded_by"] for job in shown if job["job_id"] == before["told"]["job_id"]] == [by_name(api, made)["told"]["job_id"]]  # fmt: skip
    events = api.get(f"/workflows/{made}/events/").json["results"]
    assert [(one["event"], one["state"], one["reason"]) for one in events] == [
        ("RUN", None, None), ("END", "FAILED", None), ("RESTART", None, "mended"), ("END", "COMPLETED", None),
    ]  # fmt: skip


def test_a_saved_definition_is_run_by_name_and_a_run_keeps_its_revision(api: Api) -> None:
    text = "jobs: {a: {command: ['true']}}"
    saved = run(api, {"name": "one", "definition": text}, "/workflow-types/")
    assert (saved["revision"], saved["definition"]) == (1, text)
    assert api.post("/workflow-types/", {"name": "one", "definition": text}).status_code == 409
    wrong = api.post("/workflow-types/", {"name": "two", "definition": "jobs: {a: {type: nothing}}"})
    assert (wrong.status_code, wrong.json["faults"][0]["field"]) == (400, "definition.jobs.a.type")
    first = run(api, {"type": "one"})
    where = f"/workflow-types/{saved['id']}/"
    same = api.post(f"{where}revisions/", {"definition": text}).json
    more = api.post(f"{where}revisions/", {"definition": text.replace("}}", "}, b: {command: ['true']}}")}).json
    assert (same["revision"], more["revision"], more["definition_revision"]) == (1, 2, 2)
    second, third = run(api, {"type": "one"}), run(api, {"type": "one:1"})
    shown = [api.get(f"/workflows/{one['id']}/").json for one in (first, second, third)]
    assert [(one["type"], one["revision"], one["counts"]["total"]) for one in shown] == [("one", 1, 1), ("one", 2, 2), ("one", 1, 1)]  # fmt: skip
    assert [one["revision"] for one in api.get(f"{where}revisions/").json["results"]] == [2, 1]
    assert api.get(f"{where}revisions/1/").json["definition"] == text
    assert api.get(f"{where}revisions/3/").status_code == 404
    assert api.delete(where).status_code == 204
    assert api.get("/workflow-types/").json["count"] == 0
    assert api.get("/workflow-types/", archived="true").json["count"] == 1
    gone = api.post("/workflows/", {"type": "one"})
    assert (gone.status_code, gone.json["faults"][0]["field"]) == (400, "type")
    assert run(api, {"name": "one", "definition": text}, "/workflow-types/")["revision"] == 3
    for body in ({"type": "one", "definition": text}, {"type": "none"}, {"type": "one:9"}, {}):
        assert api.post("/workflows/", body).status_code == 400
