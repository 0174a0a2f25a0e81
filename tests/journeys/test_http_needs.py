"""Needs over HTTP: asked for in every form, refused with their place, explained, repaired, purged only when nobody waits."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.api import Api
from tests.support.cluster import Cluster
from tests.support.followers import resolve


def shown(api: Api, job_id: int) -> dict[str, Any]:
    return dict(api.get(f"/jobs/{job_id}/").json)


def many(api: Api, *bodies: dict[str, Any], status: int = 201) -> list[int]:
    answer = api.post("/jobs/", [{"command": ["true"], **body} for body in bodies])
    assert answer.status_code == status, answer.text
    return list(answer.json["job_ids"]) if status == 201 else []


def run(api: Api, cluster: Cluster, node: Any, job_id: int, outcome: str = "completed") -> None:
    """Bring a job of the API to its end, whatever else is queued."""
    while shown(api, job_id)["status"] == "QUEUED":
        assert cluster.tick()
    ref = cluster.execution_of(job_id)
    assert cluster.claim(node, ref).granted
    cluster.report(node, ref, outcome)
    resolve(api)


def statuses(api: Api, ids: list[int]) -> list[str]:
    return [shown(api, one)["status"] for one in ids]


def test_needs_in_every_form_make_the_edges_that_they_say(api: Api) -> None:
    parents = many(api, {}, {}, {})
    ids = many(
        api,
        {"key": "split", "needs": [parents[0]]},
        {"group": "shards", "needs": ["=split", {"job": parents[1], "after": "ANY"}]},
        {"group": "shards", "needs": ["@0"]},
        {"group": "checks", "needs": [{"group": "shards", "pairwise": True}]},
        {"needs": [{"group": "shards", "tolerate": "50%"}, {"any_of": [parents[0], parents[2], "=split"]}]},
    )
    assert statuses(api, ids) == ["PENDING"] * 5
    needs = [shown(api, one)["needs"] for one in ids]
    assert [(n["job"], n["after"]) for n in needs[1]] == [(ids[0], "OK"), (parents[1], "ANY")]
    assert [n["job"] for n in needs[3]] == [ids[1]]
    group, alternatives = needs[4]
    assert (group["group_name"], group["tolerate"], group["any_member"]) == ("shards", 1, False)
    assert (alternatives["job"], alternatives["any_member"]) == (None, True)
    assert shown(api, ids[2])["group"] == "shards"
    (later,) = many(api, {"needs": [{"group": "shards"}]})
    assert shown(api, later)["needs"][0]["group"] == group["group"]


@pytest.mark.parametrize(
    ("needs", "status", "field", "words"),
    [
        ([999999], 404, "[1].needs[0].job", "there is no job 999999"),
        (["@1"], 400, "[1].needs[0].job", "is the job itself"),
        (["@7"], 400, "[1].needs[0].job", "comes later"),
        (["=nobody"], 400, "[1].needs[0].job", "no job of the batch has the key 'nobody'"),
        ([{"group": "none"}], 404, "[1].needs[0].group", "there is no group 'none'"),
        ([{"group": "own"}], 400, "[1].needs[0].group", "later in the batch, or this job itself"),
        ([{"group": "first", "pairwise": True}], 404, "[1].needs[0].group", "give it a group"),
        ([{"any_of": ["@0", 999999]}], 404, "[1].needs[0].any_of", "there is no job 999999"),
        ([{"job": 1, "group": "x"}], 400, None, "one of job, group and any_of"),
        ([{"job": 1, "tolerate": 3}], 400, None, "are for groups"),
        ([{"job": 1, "after": "on"}], 400, None, "OK"),
        ([{"group": "x", "tolerate": "101%"}], 400, None, ""),
        (["yes"], 400, None, ""),
        ([True], 400, None, ""),
        ([None], 400, None, ""),
    ],
)
def test_a_wrong_need_is_refused_by_its_place_and_nothing_is_made(
    api: Api, needs: Any, status: int, field: str | None, words: str
) -> None:
    group = {"group": "own"} if needs == [{"group": "own"}] else {}
    body = [{"command": ["true"], "group": "first"}, {"command": ["true"], "needs": needs, **group}]
    answer = api.post("/jobs/", body)
    assert answer.status_code == status, answer.text
    assert words in answer.text
    assert field is None or answer.json.get("field") == field, answer.text
    assert api.query("SELECT count(*) FROM jobs")[0][0] == 0
    assert api.query("SELECT count(*) FROM job_groups")[0][0] == 0


def test_a_job_of_another_project_cannot_be_needed(api: Api) -> None:
    api.a_project("other")
    theirs = api.a_job(project="other")["id"]
    answer = api.post("/jobs/", {"command": ["true"], "needs": [theirs]})
    assert (answer.status_code, answer.json["field"]) == (404, "needs[0].job")


def test_needs_for_jobs_that_have_ended_are_settled_at_once(api: Api, cluster: Cluster) -> None:
    node = cluster.a_node()
    done, failed = api.a_job()["id"], api.a_job(max_tries=1)["id"]
    run(api, cluster, node, done)
    run(api, cluster, node, failed, "failed")
    ids = many(
        api,
        {"needs": [done]},
        {"needs": [failed]},
        {"needs": [{"job": done, "after": "FAIL"}]},
        {"needs": [{"any_of": [failed, done]}]},
        {"needs": [done, failed, {"job": done, "after": "FAIL"}]},
    )
    assert api.nudges[-1] == "tick"
    resolve(api)
    assert statuses(api, ids) == ["QUEUED", "BLOCKED", "CANCELED", "QUEUED", "CANCELED"]
    assert [shown(api, one)["is_skipped"] for one in ids] == [False, False, True, False, True]


def test_a_repeat_with_the_same_key_makes_no_second_need(api: Api) -> None:
    body = [{"command": ["true"]}, {"command": ["true"], "needs": ["@0"]}]
    keyed = api.with_headers(Idempotency_Key="once")
    first, second = (keyed.post("/jobs/", body).json["job_ids"] for _ in range(2))
    assert first == second
    assert len(shown(api, first[1])["needs"]) == 1


def test_why_names_what_a_job_waits_for_and_the_culprit_with_what_helps(api: Api, cluster: Cluster) -> None:
    node = cluster.a_node()
    ids = many(
        api,
        {"name": "split", "max_tries": 1},
        {"name": "measure", "needs": ["@0"]},
        {"name": "merge", "needs": ["@1"]},
        {"name": "mourn", "needs": [{"job": "@0", "after": "FAIL"}]},
    )
    explained = api.get(f"/jobs/{ids[1]}/explain/").json
    assert explained["reasons"][0]["kind"] == "needs"
    assert "job " + str(ids[0]) + " (split), which is QUEUED, to end well" in explained["summary"]
    run(api, cluster, node, ids[0], "failed")
    explained = api.get(f"/jobs/{ids[2]}/explain/").json
    assert explained["blocked_by"]["job"] == {"id": ids[0], "name": "split"}
    assert explained["blocked_by"]["steps"] == 2
    assert [one["verb"] for one in explained["blocked_by"]["helps"]] == ["requeue", "done"]
    assert f"job {ids[0]} (split)" in explained["summary"]
    assert shown(api, ids[3])["status"] == "QUEUED"
    answer = api.post("/jobs/requeue/", {"job_id": [ids[0]]})
    assert answer.status_code == 202


def test_a_parent_is_purged_only_when_nobody_waits_for_it(api: Api, cluster: Cluster) -> None:
    from scheduler.store.retention import purge  # noqa: PLC0415
    from scheduler.store.retention.due import ChangedJob  # noqa: PLC0415

    node = cluster.a_node()
    parent = api.a_job()["id"]
    group = many(api, {"group": "g"})[0]
    (follower,) = many(api, {"needs": [parent, {"group": "g"}], "held": True})
    for one in (parent, group):
        run(api, cluster, node, one)

    def purged(*ids: int) -> int:
        rows = api.query("SELECT id, status, last_modified FROM jobs WHERE id = ANY(:ids)", ids=list(ids))
        with api.rt.db.begin() as tx:
            return purge.jobs(tx, api.query("SELECT id FROM projects WHERE name = 'default'")[0][0], [ChangedJob(*row) for row in rows]).count  # fmt: skip

    assert purged(parent, group) == 0
    api.patch(f"/jobs/{follower}/", {"status": "CANCELED"})
    assert purged(parent, group, follower) == 3
    assert api.query("SELECT count(*) FROM job_needs")[0][0] == 0
    assert api.query("SELECT count(*) FROM job_groups")[0][0] == 0
