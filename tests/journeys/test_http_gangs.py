"""Gangs over HTTP: what may be asked for, what is told before, while and after they are placed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.api import Api
from tests.support.cluster import Cluster
from tests.support.keys import a_key

GANG = {"count": 4, "together": True, "cpus_required": 1, "mem_required": 0}


def _explained(api: Api, job_id: int) -> dict[str, Any]:
    answer = api.get(f"/jobs/{job_id}/explain/")
    assert answer.status_code == 200, answer.text
    return dict(answer.json)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"count": 3}, "for separate jobs send an array of them"),
        ({"count": 3, "together": False}, "needs together: true"),
        ({"together": True}, "say with count how many"),
        ({"count": 0, "together": True}, "greater than or equal to 1"),
        ({"count": 1001, "together": True}, "less than or equal to 1000"),
        ({"count": "3", "together": True}, "count"),
        ({"count": 3, "together": None}, "together"),
    ],
)
def test_what_is_no_gang_is_refused_with_what_to_do(api: Api, fields: dict[str, Any], sentence: str) -> None:
    answer = api.post("/jobs/", {"command": ["true"], **fields})
    assert answer.status_code == 400
    assert sentence in answer.text


def test_a_job_of_one_shows_that_it_is_one(api: Api) -> None:
    for fields in ({}, {"count": 1}, {"count": 1, "together": True}, {"together": False}):
        job = api.a_job(**fields)
        assert (job["count"], job["together"]) == (1, False)
    options = api.query("SELECT DISTINCT options FROM shapes")
    assert all("count" not in row.options for row in options)


def test_a_gang_is_one_job_in_lists_and_each_member_an_execution(api: Api, cluster: Cluster) -> None:
    nodes = {node.node_id: node for node in (cluster.a_node(cpus=2000), cluster.a_node(cpus=2000))}
    made = api.a_job(**GANG)
    assert (made["count"], made["together"], made["cpus_required"]) == (4, True, 1)
    cluster.tick()
    (listed,) = api.get("/jobs/").json["results"]
    assert (listed["count"], listed["status"], listed["attempt"]) == (4, "RUNNING", 1)
    shown = api.get(f"/jobs/{made['id']}/").json
    assert [one["member"] for one in shown["job_exes"]] == [0, 1, 2, 3]
    assert {one["attempt"] for one in shown["job_exes"]} == {1}
    assert shown["node"] == shown["job_exes"][0]["node"]
    of_job = api.get(f"/jobs/{made['id']}/executions/").json
    assert (of_job["count"], [one["member"] for one in of_job["results"]]) == (4, [0, 1, 2, 3])
    (latest,) = api.get("/jobs/executions/").json["results"]
    assert latest["latest_job_exe"]["member"] == 0
    told = _explained(api, made["id"])
    assert [(one["member"], one["node"]["id"] in nodes) for one in told["members"]] == [(n, True) for n in range(4)]
    assert told["summary"].startswith("Its 4 members have their places on ")


def test_a_gang_that_waits_is_told_how_many_places_are_free(api: Api, cluster: Cluster) -> None:
    for _ in range(2):
        cluster.a_node(cpus=2000)
    api.a_job(cpus_required=1, mem_required=0)
    cluster.tick()
    job_id = api.a_job(**GANG)["id"]
    told = _explained(api, job_id)
    assert told["summary"] == "It waits: it needs 4 places at once; 3 are free."
    assert told["never_fits"] is None
    assert [change["description"] for change in told["changes"]] == ["ask for at most 3 members"]
    assert told["members"] == []


def test_a_gang_larger_than_the_fleet_is_told_so_at_submission(api: Api, cluster: Cluster) -> None:
    cluster.a_node(cpus=3000)
    job = api.a_job(**GANG)
    sentence = "it needs 4 places at once, and all nodes together have 3, even empty"
    assert [one["description"] for one in job["warnings"]] == [sentence]
    assert sentence in _explained(api, job["id"])["summary"]
    refused = api.post("/jobs/", {"command": ["true"], **GANG}, strict="true")
    assert (refused.status_code, sentence in refused.text) == (400, True)
    cluster.a_node(cpus=1000)
    assert api.post("/jobs/", {"command": ["true"], **GANG}, strict="true").status_code == 201


def test_members_kept_apart_need_as_many_nodes(api: Api, cluster: Cluster) -> None:
    for _ in range(3):
        cluster.a_node(cpus=8000)
    refused = api.post("/jobs/", {"command": ["true"], **GANG, "apart": "node"}, strict="true")
    assert "it needs 4 places at once, and all nodes together have 3" in refused.text
    cluster.a_node(cpus=8000)
    job_id = api.a_job(**GANG, apart="node")["id"]
    cluster.tick()
    assert len({row.node for row in cluster.members_of(job_id)}) == 4


def test_a_dry_run_says_where_each_member_would_start(api: Api, cluster: Cluster) -> None:
    for name in ("n1", "n2"):
        cluster.a_node(name, cpus=2000)
    (told,) = api.post("/jobs/", [{"command": ["true"], **GANG}], dry_run="true").json["results"]
    assert told["would"] == "start"
    assert sorted(node["name"] for node in told["nodes_of_members"]) == ["n1", "n1", "n2", "n2"]
    assert told["node"] == told["nodes_of_members"][0]
    assert told["summary"].startswith("It would start on 4 places, of its members in turn: ")
    (told,) = api.post("/jobs/", [{"command": ["true"], **GANG, "count": 5}], dry_run="true").json["results"]
    assert (told["would"], told["nodes_of_members"]) == ("wait", [])
    assert api.query("SELECT id FROM jobs") == []


def test_a_failed_gang_is_explained_by_the_member_that_broke_it(api: Api, cluster: Cluster) -> None:
    node = cluster.a_node(cpus=4000)
    job_id = api.a_job(**GANG, max_tries=1)["id"]
    cluster.tick()
    rows = cluster.members_of(job_id)
    cluster.claim(node, *[(row.id, row.attempt) for row in rows])
    cluster.report(node, a_key(rows[2].id, 1), "failed", error="disk-full", message="no space left")
    stopping = "Member 2 is FAILED on node n1; the 3 that are left are being stopped."
    assert _explained(api, job_id)["summary"] == stopping
    for n in (0, 1, 3):
        cluster.report(node, a_key(rows[n].id, 1), "returned")
    told = _explained(api, job_id)
    assert (told["failure"]["error"], told["placement"]["member"]) == ("disk-full", 2)
    assert [one["job_exe"]["status"] for one in told["members"]] == ["CANCELED", "CANCELED", "FAILED", "CANCELED"]
    shown = api.get(f"/jobs/{job_id}/").json
    assert shown["error"]["name"] == "disk-full"
    assert [one["cancel_requested"] for one in shown["job_exes"]] == ["gang", "gang", None, "gang"]


def test_a_large_gang_is_shown_whole(api: Api, cluster: Cluster) -> None:
    cluster.a_node(cpus=200_000)
    job_id = api.a_job(**{**GANG, "count": 150})["id"]
    cluster.tick()
    assert [one["member"] for one in api.get(f"/jobs/{job_id}/").json["job_exes"]] == list(range(150))


def test_a_requeue_with_another_priority_leaves_a_gang_a_gang(api: Api, cluster: Cluster) -> None:
    job_id = api.a_job(**GANG)["id"]
    api.patch(f"/jobs/{job_id}/", {"status": "CANCELED"})
    assert api.post("/jobs/requeue/", {"job_id": [job_id], "priority": 7}).status_code in {200, 202}
    options = api.value("SELECT s.options FROM jobs j JOIN shapes s ON s.id = j.shape_id WHERE j.id = :id", id=job_id)
    assert options["count"] == 4
