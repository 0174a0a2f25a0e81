"""Preemption as both sides see it: whose try was stopped for whom, and what an urgent job waits for."""

from __future__ import annotations

from typing import Any

import pytest

from ganger.cli.jobs.why import lines
from scheduler import wire
from scheduler.jobs import cancel
from tests.support.api import Api
from tests.support.cluster import Cluster


@pytest.fixture
def node(api: Api, cluster: Cluster) -> wire.Registered:
    """A node of 4 cpus where preemption is on."""
    assert api.patch("/scheduler/", {"preemption": True}).json["preemption"]
    return cluster.a_node("vm")


def explained(api: Api, job_id: int) -> dict[str, Any]:
    return dict(api.get(f"/jobs/{job_id}/explain/").json)


def test_both_sides_of_a_preemption_say_for_whom_it_was(api: Api, cluster: Cluster, node: wire.Registered) -> None:
    low, ref = cluster.running(node, cpus=4000, priority=200, preemptible=True)
    urgent = cluster.a_job(cpus=4000, priority=1)
    assert cluster.tick() == 0
    summary = explained(api, low)["summary"]
    assert summary.startswith(f"It is being stopped on node vm to make room for the more urgent job {urgent}")
    waits = explained(api, urgent)
    assert waits["reasons"][0]["kind"] == "room-being-cleared"
    assert waits["summary"] == f"It waits: room is being cleared for it by stopping 1 execution of job {low}."
    cluster.report(node, ref, "returned", phases={"job": {"exit_code": 0}})
    told = explained(api, low)
    assert told["placement"]["preempted_for"] == urgent
    said = list(lines(told))
    assert f"its last try was stopped to make room for the more urgent job {urgent}; that try is not charged" in said
    assert "tries: 0 of 3, and 1 that is not charged" in said
    (event,) = [one for one in api.get(f"/jobs/{low}/events/").json["results"] if one["event"] == "GIVE_BACK"]
    assert event["reason"] == f"preempted: room was made for job {urgent}"
    assert cluster.tick() == 1
    assert explained(api, urgent)["summary"] == "It runs on node vm."


def test_a_dry_run_names_the_jobs_that_would_be_stopped(api: Api, cluster: Cluster, node: wire.Registered) -> None:
    low, _ = cluster.running(node, cpus=4000, priority=200, preemptible=True)
    body = {"command": ["true"], "cpus_required": 4, "mem_required": 0, "priority": 1}
    (tried,) = api.post("/jobs/", body, dry_run=True).json["results"]
    assert (tried["would"], tried["stops"]) == ("make-room", [low])
    assert tried["summary"].endswith(f"1 execution of the less urgent job {low} would be stopped for it.")


def test_a_try_stopped_because_its_node_is_drained_says_so(api: Api, cluster: Cluster, node: wire.Registered) -> None:
    job_id, ref = cluster.running(node)
    cluster.change("UPDATE executions SET cancel_requested = 'preempted' WHERE id = :id", id=ref[0])
    cluster.report(node, ref, "returned")
    events = api.get(f"/jobs/{job_id}/events/").json["results"]
    assert [one["reason"] for one in events if one["event"] == "GIVE_BACK"] == ["its node is drained"]


def test_a_cancelled_job_says_by_whom_it_was_when_and_why(api: Api) -> None:
    first, second = api.a_job(), api.a_job()
    cancel.cancel(api.rt, [first["id"]], actor="operator", reason="wrong input")
    told = explained(api, first["id"])["summary"]
    assert told.startswith("It was cancelled by operator at 20")
    assert told.endswith(": wrong input.")
    api.patch(f"/jobs/{second['id']}/", {"status": "CANCELED"})
    told = explained(api, second["id"])["summary"]
    assert told.startswith("It was cancelled by admin at ")
    assert told.endswith(", who gave no reason.")
