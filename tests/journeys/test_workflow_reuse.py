"""Reuse of results: a step that would do the same with the same inputs is done with what was made before, and is told why where it is not."""

from __future__ import annotations

from typing import Any

import pytest

from ganger.cli.jobs.why import lines
from scheduler.identity import Role
from scheduler.leader import invariants
from scheduler.workflows import lookup, verbs
from tests.journeys.test_workflow_reruns import by_name, run, types
from tests.journeys.test_workflow_runs import ME, a_file
from tests.support.api import Api
from tests.support.cluster import Cluster
from tests.support.followers import end, resolve

TEXT = """
jobs:
  make: {type: make, max_tries: 1, cache: {for: 30d}}
  take: {type: take, max_tries: 1, cache: {for: 30d}, parameters: {n: {job: make, parameter: n}, k: 1}}
"""


def start(api: Api, text: str = TEXT) -> Any:
    found = run(api, {"definition": text})
    resolve(api)
    return found


def finish(api: Api, cluster: Cluster, node: Any, workflow_id: int, n: int = 7, failing: str = "") -> dict[str, Any]:
    while queued := {name: job for name, job in by_name(api, workflow_id).items() if job["status"] == "QUEUED"}:
        for name, job in queued.items():
            facts = {"properties": {"n": n}} if name.startswith("make") else {}
            end(api, cluster, node, job["job_id"], "failed" if name == failing else "completed", **facts)
    return by_name(api, workflow_id)


def detail(api: Api, job: Any) -> Any:
    return api.get(f"/jobs/{job['job_id']}/").json


def why(api: Api, job: Any) -> Any:
    return api.get(f"/jobs/{job['job_id']}/explain/").json


def test_what_was_done_before_is_not_done_again_and_is_shown_as_such(api: Api, cluster: Cluster) -> None:
    types(api)
    node = cluster.a_node()
    first = finish(api, cluster, node, start(api)["id"])
    executions = api.value("SELECT count(*) FROM executions")
    second = start(api)["id"]
    jobs = by_name(api, second)
    assert {name: (job["status"], job["reused_from"]) for name, job in jobs.items()} == {
        name: ("COMPLETED", first[name]["job_id"]) for name in ("make", "take")
    }
    assert api.value("SELECT count(*) FROM executions") == executions
    assert lookup.get(api.rt, ME, second).row.state == "COMPLETED"
    made = detail(api, jobs["make"])
    assert made["cache"]["reused_from"] == first["make"]["job_id"]
    assert (made["num_exes"], made["outputs"][0]["value"]) == (0, 7)
    events = api.get(f"/jobs/{jobs['make']['job_id']}/events/").json["results"]
    assert (events[-1]["event"], events[-1]["reason"]) == (
        "REUSE",
        f"the results of job {first['make']['job_id']} are reused",
    )
    told = why(api, jobs["take"])
    assert told["summary"].startswith(f"It was not run: it has the results of job {first['take']['job_id']}")
    assert invariants.check(api.rt, hours=None) == []
    api.change("UPDATE job_cache SET parts = '{}' WHERE reused_from IS NOT NULL")
    assert {one.number for one in invariants.check(api.rt)} == {"I-W11"}


def test_it_is_off_unless_it_is_asked_for(api: Api, cluster: Cluster) -> None:
    types(api)
    node = cluster.a_node()
    plain = TEXT.replace(", cache: {for: 30d}", "")
    finish(api, cluster, node, start(api, plain)["id"])
    jobs = by_name(api, start(api, plain)["id"])
    assert jobs["make"]["status"] == "QUEUED"
    assert detail(api, jobs["make"])["cache"] is None
    assert why(api, jobs["make"])["reuse"] is None
    assert api.value("SELECT count(*) FROM job_cache") == 0


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("k: 1", "k: 2"), "input 'k' differs (2 against 1) from job"),
        (("type: take,", "type: take, environment: {A: b},"), "environment 'A' is there now from job"),
        (("take, max_tries: 1, cache: {for: 30d", "take, max_tries: 1, cache: {for: 30d, key: v2"), "cache.key is there now from job"),
    ],
)  # fmt: skip
def test_what_differs_is_named(api: Api, cluster: Cluster, change: tuple[str, str], told: str) -> None:
    types(api)
    node = cluster.a_node()
    first = finish(api, cluster, node, start(api)["id"])
    jobs = by_name(api, start(api, TEXT.replace(*change))["id"])
    assert (jobs["make"]["status"], jobs["take"]["status"]) == ("COMPLETED", "QUEUED")
    reason = why(api, jobs["take"])["reuse"]
    assert reason == f"not reused: {told} {first['take']['job_id']}"
    assert detail(api, jobs["take"])["cache"]["missed"] == reason


def test_another_value_of_a_parent_and_another_revision_are_not_the_same(api: Api, cluster: Cluster) -> None:
    types(api)
    node = cluster.a_node()
    finish(api, cluster, node, start(api)["id"])
    found = api.get("/job-types/", name="make").json["results"][0]
    assert api.patch(f"/job-types/{found['id']}/", {"command": ["another"]}).status_code == 200
    again = start(api)["id"]
    jobs = by_name(api, again)
    assert jobs["make"]["status"] == "QUEUED"
    assert "job type differs" in why(api, jobs["make"])["reuse"]
    jobs = finish(api, cluster, node, again, n=8)
    assert jobs["take"]["reused_from"] is None
    assert "input 'n' differs (8 against 7)" in why(api, jobs["take"])["reuse"]


def test_old_results_forgotten_ones_and_a_refresh_run_anew(api: Api, cluster: Cluster) -> None:
    types(api)
    node = cluster.a_node()
    finish(api, cluster, node, start(api)["id"])
    api.change("UPDATE jobs SET ended = ended - interval '31 days'")
    aged = start(api)["id"]
    assert "longer ago than cache.for" in why(api, by_name(api, aged)["make"])["reuse"]
    fresh = finish(api, cluster, node, aged)
    renewed = start(api, TEXT.replace("cache: {for: 30d}", "cache: refresh", 1))["id"]
    assert by_name(api, renewed)["make"]["status"] == "QUEUED"
    jobs = finish(api, cluster, node, renewed)
    assert jobs["take"]["reused_from"] == fresh["take"]["job_id"]
    assert by_name(api, start(api)["id"])["make"]["reused_from"] == jobs["make"]["job_id"], "the newest replaces"
    assert api.delete("/cache/?job_type=make").json["count"] > 0
    last = by_name(api, start(api)["id"])
    assert last["make"]["status"] == "QUEUED"


def test_a_result_whose_file_is_deleted_or_purged_is_none(api: Api, cluster: Cluster) -> None:
    api.a_type("geo", interface={"version": "1.0", "output_data": [{"name": "part", "type": "file"}]})
    text = "jobs: {geo: {type: geo, cache: {for: 1d}}}"
    node = cluster.a_node()
    job = by_name(api, start(api, text)["id"])["geo"]["job_id"]
    cluster.tick()
    file_id = a_file(api, cluster, job, size=10)
    end(api, cluster, node, job, outputs=[{"name": "part", "file_id": file_id}])
    jobs = by_name(api, start(api, text)["id"])
    assert detail(api, jobs["geo"])["products"][0]["id"] == file_id
    api.change("UPDATE files SET is_deleted = true, is_published = false WHERE id = :id", id=file_id)
    again = by_name(api, start(api, text)["id"])["geo"]
    assert again["status"] == "QUEUED"
    assert why(api, again)["reuse"] == f"not reused: job {job} did the same, but a file that it made is deleted"


def test_nothing_is_reused_across_projects(api: Api, cluster: Cluster) -> None:
    text = "jobs: {a: {command: ['true'], cache: {for: 1d}}}"
    node = cluster.a_node()
    finish(api, cluster, node, start(api, text)["id"])
    api.a_project("mine")
    api.a_token("mine", Role.SUBMITTER, "mine")
    mine = api.as_("mine")
    found = run(mine, {"definition": text})
    resolve(api)
    assert by_name(mine, found["id"])["a"]["status"] == "QUEUED"
    assert mine.delete("/cache/").status_code == 403, "forgetting is an operator's"
    api.a_token("their operator", Role.OPERATOR, "mine")
    assert api.as_("their operator").delete("/cache/").json["count"] == 1
    assert api.value("SELECT count(*) FROM job_cache") == 1, "what another project has stays"


def test_secrets_count_by_name_and_a_changed_one_makes_older_results_useless(api: Api, cluster: Cluster) -> None:
    text = "jobs: {a: {command: ['true'], secrets: [TOKEN], cache: {for: 1d}}}"
    node = cluster.a_node()
    api.change(
        "INSERT INTO secrets (project_id, name, value) SELECT id, 'TOKEN', 'first' FROM projects WHERE name = 'default'"
    )
    finish(api, cluster, node, start(api, text)["id"])
    assert by_name(api, start(api, text)["id"])["a"]["status"] == "COMPLETED"
    api.change("UPDATE secrets SET value = 'second', last_modified = now()")
    again = by_name(api, start(api, text)["id"])["a"]
    assert (again["status"], "the secret TOKEN was changed since" in why(api, again)["reuse"]) == ("QUEUED", True)
    assert "first" not in str(api.query("SELECT parts FROM job_cache"))


@pytest.mark.parametrize(("outcome", "status"), [("completed", "COMPLETED"), ("failed", "QUEUED")])
def test_the_second_of_two_equal_jobs_waits_for_the_first(
    api: Api, cluster: Cluster, outcome: str, status: str
) -> None:
    text = "jobs: {a: {command: ['true'], max_tries: 1, cache: {for: 1d}}}"
    node = cluster.a_node()
    first, second = (by_name(api, start(api, text)["id"])["a"] for _ in range(2))
    assert (first["status"], second["status"]) == ("QUEUED", "PENDING")
    assert f"job {first['job_id']}" in why(api, second)["summary"]
    end(api, cluster, node, first["job_id"], outcome)
    found = detail(api, second)
    assert found["status"] == status
    assert found["cache"]["reused_from"] == (first["job_id"] if status == "COMPLETED" else None)


def test_equal_members_of_one_step_run_once(api: Api, cluster: Cluster) -> None:
    text = "jobs: {a: {command: ['true'], for_each: [x, x, y], environment: {}, cache: {for: 1d}}}"
    api.a_type("item", interface={"version": "1.0", "input_data": [{"name": "item", "type": "property"}]})
    node = cluster.a_node()
    workflow_id = start(api, text.replace("command: ['true']", "type: item"))["id"]
    stands = {name: job["status"] for name, job in by_name(api, workflow_id).items()}
    assert stands == {"a[0]": "QUEUED", "a[1]": "PENDING", "a[2]": "QUEUED"}
    jobs = finish(api, cluster, node, workflow_id)
    assert jobs["a[1]"]["reused_from"] == jobs["a[0]"]["job_id"]


def test_what_an_operator_said_is_done_and_a_copy_are_no_results(api: Api, cluster: Cluster) -> None:
    text = "jobs: {a: {command: ['true'], max_tries: 1, cache: {for: 1d}}}"
    node = cluster.a_node()
    workflow_id = start(api, text)["id"]
    jobs = finish(api, cluster, node, workflow_id, failing="a")
    assert api.post(f"/jobs/{jobs['a']['job_id']}/done/", {}).status_code == 200
    assert by_name(api, start(api, text)["id"])["a"]["status"] == "QUEUED"


def test_an_image_without_a_digest_is_never_the_same(api: Api, cluster: Cluster) -> None:
    cluster.a_node()
    text = (
        "jobs: {a: {command: ['true'], runner: container, options: {image: 'registry.example/a:1'}, cache: {for: 1d}}}"
    )
    job = by_name(api, start(api, text)["id"])["a"]
    assert "has no digest" in why(api, job)["reuse"]


def test_a_restart_looks_once_more(api: Api, cluster: Cluster) -> None:
    types(api)
    node = cluster.a_node()
    broken = start(api, TEXT.replace("k: 1", "k: 5"))["id"]
    finish(api, cluster, node, broken, failing="take")
    done = finish(api, cluster, node, start(api, TEXT.replace("k: 1", "k: 5"))["id"])
    verbs.restart(api.rt, ME, broken)
    resolve(api)
    assert by_name(api, broken)["take"]["reused_from"] == done["take"]["job_id"]


def test_wrong_words_are_refused_by_their_place(api: Api) -> None:
    for given in ("yes", "{for: never}", "{until: 3d}", "{for: 3d, key: [1]}", "{for: 900d}", "3d"):
        answer = api.post("/workflows/", {"definition": f"jobs:\n  a:\n    command: ['true']\n    cache: {given}\n"})
        assert answer.status_code == 400, given
        assert answer.json["field"].startswith("definition.jobs.a.cache"), given
        assert "line 4" in answer.json["description"]


@pytest.mark.parametrize("before", [None, "staging"])
def test_a_result_that_a_job_could_not_have_as_it_was_made_is_made_anew(
    api: Api, cluster: Cluster, before: str | None
) -> None:
    part = [{"name": "part", "type": "file"}]
    api.a_type("geo", interface={"version": "1.0", "output_data": part})
    api.a_type("use", interface={"version": "1.0", "input_data": part})
    text = "jobs: {geo: {type: geo, cache: {for: 1d}}, use: {type: use, max_tries: 1, assets: {part: geo}}}"
    node = cluster.a_node()

    def made(workflow_id: int) -> int:
        job = int(by_name(api, workflow_id)["geo"]["job_id"])
        while detail(api, {"job_id": job})["status"] == "QUEUED":
            assert cluster.tick()
        end(api, cluster, node, job, outputs=[{"name": "part", "file_id": a_file(api, cluster, job, f"{job}.kml", 10)}])
        return job

    first = made(start(api, text)["id"])
    if before is not None:  # that says nothing of the file: the environment could not be made, say
        jobs = by_name(api, start(api, text)["id"])
        end(api, cluster, node, jobs["use"]["job_id"], "failed", error=before)
    jobs = by_name(api, start(api, text)["id"])
    assert jobs["geo"]["reused_from"] == first
    end(api, cluster, node, jobs["use"]["job_id"], "failed", error="checksum")
    third = start(api, text)["id"]
    again = by_name(api, third)["geo"]
    assert again["status"] == "QUEUED"
    told = f"not reused: job {first} did the same, but job {jobs['use']['job_id']} could not have a file as it made it"
    assert why(api, again)["reuse"] == told
    assert told in list(lines(why(api, again)))
    fresh = made(third)
    assert by_name(api, start(api, text)["id"])["geo"]["reused_from"] == fresh
