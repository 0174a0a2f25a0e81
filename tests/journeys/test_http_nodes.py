"""Nodes and the scheduler over HTTP: looked at, paused, drained, retired."""

from typing import Any

import pytest

from scheduler import wire
from scheduler.cluster_state import ClusterState
from scheduler.identity import Role
from scheduler.nodes import registration
from scheduler.store.leader import lease
from tests.support.api import Api
from tests.support.cluster import JOINING


def a_node(api: Api, name: str = "n1", **facts: Any) -> int:
    message = {
        "name": name,
        "hostname": name,
        "boot_id": "boot",
        "disk_id": f"disk-{name}",
        "amounts": {"cpus": 4000, "mem": 8_000_000, "disk": 10_000_000},
        **facts,
    }
    return registration.register(api.rt, JOINING, wire.NodeRegistration.model_validate(message)).node_id


def an_execution(api: Api, node_id: int, status: str, *, hours_ago: int = 0, error: str | None = None) -> int:
    """A job with one execution of this status on a node, as it would be after its life up to there."""
    job_id = api.a_job()["id"]
    api.change(
        """INSERT INTO executions (job_id, attempt, node_id, node_epoch, status, error_id, cpus, mem, disk, lease_s,
                                   started, last_modified, released_at)
           VALUES (:job, 1, :node, 1, :status, (SELECT id FROM errors WHERE name = :error), 1000, 0, 0, 90, now(),
                   now() - make_interval(hours => :hours),
                   CASE WHEN :status NOT IN ('QUEUED', 'RUNNING') THEN now() END)""",
        job=job_id, node=node_id, status=status, hours=hours_ago, error=error,
    )  # fmt: skip
    return int(job_id)


def test_pausing_a_node_needs_no_reason_and_going_on_clears_one(api: Api) -> None:
    path = f"/nodes/{a_node(api)}/"
    paused = api.as_("operator").patch(path, {"is_paused": True, "pause_reason": "new disk"})
    assert paused.status_code == 200
    assert (paused.json["is_paused"], paused.json["pause_reason"], paused.json["state"]) == (True, "new disk", "PAUSED")
    assert "tick" in api.nudges
    resumed = api.patch(path, {"is_paused": False}).json
    assert (resumed["is_paused"], resumed["pause_reason"], resumed["state"]) == (False, None, "READY")
    assert api.patch(path, {"is_paused": True}).json["pause_reason"] is None
    told = api.query("SELECT actor, action, reason FROM audit WHERE subject LIKE 'node:%' ORDER BY id")
    assert [tuple(row) for row in told][:1] == [("operator", "node.change", "new disk")]


def test_a_node_out_of_service_is_stamped_and_no_other_change_touches_the_stamp(api: Api) -> None:
    path = f"/nodes/{a_node(api)}/"
    retired = api.patch(path, {"is_active": False}).json
    assert retired["archived"] is not None
    assert retired["state"] == "DEPRECATED"
    assert api.patch(path, {"is_paused": True}).json["archived"] == retired["archived"]
    assert api.patch(path, {"is_active": False}).json["archived"] == retired["archived"]
    assert api.patch(path, {"is_active": True}).json["archived"] is None
    assert api.patch(path, {"is_paused": False}).json["archived"] is None


def test_a_drained_node_gets_its_reason_and_may_stay_after_all(api: Api) -> None:
    path = f"/nodes/{a_node(api)}/"
    drained = api.patch(path, {"is_draining": True, "drain_reason": "moving", "drain_s": 60})
    assert drained.json["state"] == "DRAINING", drained.text
    assert api.query("SELECT drain_reason, drain_by > now() AS ahead FROM nodes")[0] == ("moving", True)
    assert api.patch(path, {"is_draining": False}).json["state"] == "READY"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"hostname": "x"},
        {"is_paused": "yes"},
        {"is_paused": None},
        {"is_paused": False, "pause_reason": "why"},
        {"pause_reason": "not paused"},
        {"drain_s": 5},
        {"is_draining": True, "drain_s": -1},
        [],
        "x",
    ],
)
def test_a_wrong_change_of_a_node_is_refused_and_changes_nothing(api: Api, body: object) -> None:
    path = f"/nodes/{a_node(api)}/"
    before = api.get(path).json
    assert api.patch(path, body).status_code == 400
    assert api.get(path).json == before


def test_only_operators_of_every_project_change_nodes_and_the_scheduler(api: Api) -> None:
    path = f"/nodes/{a_node(api)}/"
    api.a_project("p")
    api.a_token("p-operator", Role.OPERATOR, "p")
    for caller in ("viewer", "submitter", "p-operator", "node"):
        assert api.as_(caller).patch(path, {"is_paused": True}).status_code == 403
        assert api.as_(caller).patch("/scheduler/", {"is_paused": True}).status_code == 403
    assert api.patch("/nodes/999/", {"is_paused": True}).status_code == 404


def test_node_statuses_count_what_ended_in_the_window_and_whatever_runs(api: Api) -> None:
    busy, idle = a_node(api, "busy"), a_node(api, "idle")
    running = an_execution(api, busy, "RUNNING", hours_ago=50)
    an_execution(api, busy, "COMPLETED")
    an_execution(api, busy, "COMPLETED", hours_ago=5)
    an_execution(api, busy, "FAILED", error="checksum")
    found = {one["node"]["id"]: one for one in api.get("/nodes/status/").json["results"]}
    counts = {(one["status"], one["category"]): one["count"] for one in found[busy]["job_exe_counts"]}
    assert counts == {("RUNNING", None): 1, ("COMPLETED", None): 1, ("FAILED", "DATA"): 1}
    assert [one["job"]["id"] for one in found[busy]["job_exes_running"]] == [running]
    assert found[idle]["job_exe_counts"] == []
    assert found[idle]["is_online"]
    longer = api.get("/nodes/status/", started="P1D", name="busy").json["results"]
    assert {one["status"]: one["count"] for one in longer[0]["job_exe_counts"]}["COMPLETED"] == 2
    assert api.get("/nodes/status/", started="yesterday").status_code == 400


def test_node_statuses_show_only_the_callers_projects(api: Api) -> None:
    an_execution(api, a_node(api), "RUNNING")
    api.a_project("p")
    api.a_token("p-viewer", Role.VIEWER, "p")
    (seen,) = api.as_("p-viewer").get("/nodes/status/").json["results"]
    assert (seen["job_exe_counts"], seen["job_exes_running"]) == ([], [])


def test_the_scheduler_is_missing_then_ready_then_stale(api: Api) -> None:
    assert api.get("/scheduler/").json["state"] == "MISSING"
    with api.rt.db.begin() as tx:
        lease.take_over(tx, "host:1", lease.read(tx))
    ready = api.get("/scheduler/").json
    assert (ready["state"], ready["leader"]["holder"], ready["leader"]["term"]) == ("READY", "host:1", 1)
    assert 0 <= ready["leader"]["age_s"] < 10
    api.change("UPDATE leader SET at = now() - interval '13 seconds'")
    stale = api.get("/scheduler/").json
    assert stale["state"] == "STALE"
    assert stale["leader"]["age_s"] >= 13


def test_the_scheduler_is_paused_with_a_reason_and_takes_its_queue_mode_in_any_case(api: Api) -> None:
    with api.rt.db.begin() as tx:
        lease.take_over(tx, "host:1", lease.read(tx))
    paused = api.as_("operator").patch(
        "/scheduler/", {"is_paused": True, "pause_reason": "upgrade", "queue_mode": "lifo"}
    )
    assert paused.status_code == 200
    assert {name: paused.json[name] for name in ("state", "pause_reason", "queue_mode")} == {
        "state": "PAUSED",
        "pause_reason": "upgrade",
        "queue_mode": "LIFO",
    }
    assert "tick" in api.nudges
    resumed = api.patch("/scheduler/", {"is_paused": False}).json
    assert (resumed["state"], resumed["pause_reason"], resumed["queue_mode"]) == ("READY", None, "LIFO")
    assert api.value("SELECT count(*) FROM audit WHERE subject = 'scheduler'") == 2


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"queue_mode": "SJF"},
        {"queue_mode": None},
        {"queue_mode": 1},
        {"term": 9},
        {"pause_reason": "x"},
        {"is_paused": 1},
    ],
)
def test_a_wrong_change_of_the_scheduler_is_refused(api: Api, body: dict[str, object]) -> None:
    before = api.get("/scheduler/").json
    assert api.patch("/scheduler/", body).status_code == 400
    assert api.get("/scheduler/").json == before


def test_a_node_that_is_avoided_says_so_everywhere_until_it_is_resumed(api: Api) -> None:
    path = f"/nodes/{a_node(api)}/"
    assert (api.get(path).json["launch_failures"], api.get(path).json["avoided_until"]) == (0, None)
    api.change("UPDATE nodes SET launch_failures = 3, launch_failed_at = '2035-01-01T00:00:00Z'")
    until = "2035-01-01T00:01:00Z"
    for node in (
        api.get(path).json,
        api.get("/nodes/").json["results"][0],
        api.get("/nodes/status/").json["results"][0],
    ):
        assert (node["state"], node["launch_failures"], node["avoided_until"]) == ("AVOIDED", 3, until)
    status = api.get("/status/").json
    assert status["nodes"]["by_state"] == {"AVOIDED": 1}
    assert "nodes that are AVOIDED for failing to start jobs: 1; see `ganger nodes`" in status["warnings"]
    metrics = api.get("/metrics").text
    assert 'ganger_nodes{pool="default",state="avoided"} 1.0' in metrics
    assert 'ganger_launch_failures{pool="default"} 3.0' in metrics
    resumed = api.as_("operator").patch(path, {"is_paused": False}).json
    assert (resumed["state"], resumed["launch_failures"], resumed["avoided_until"]) == ("READY", 0, None)


def test_preemption_and_reservations_are_shown_and_switched_where_the_queue_mode_is(api: Api) -> None:
    seen = api.get("/scheduler/").json
    assert (seen["preemption"], seen["reservations"]) == (False, 4)
    changed = api.as_("operator").patch("/scheduler/", {"preemption": True, "reservations": 0}).json
    assert (changed["preemption"], changed["reservations"], changed["queue_mode"]) == (True, 0, "FIFO")
    assert api.get("/status/").json["scheduler"]["preemption"] is True
    state = ClusterState(api.rt.settings)
    for body, preemption, reservations in (({}, True, 0), ({"preemption": None, "reservations": 7}, False, 7)):
        if body:
            api.patch("/scheduler/", body)
        with api.rt.db.begin() as tx:
            state.refresh(tx)
        assert (state.policy.preemption, state.policy.reservations) == (preemption, reservations)
    assert api.patch("/scheduler/", {"reservations": -1}).status_code == 400


def test_what_the_leader_s_own_settings_say_of_preemption_is_shown_by_any_process(api: Api) -> None:
    api.change("""UPDATE leader SET term = 1, status = '{"preemption": true, "reservations": 2}'""")
    seen = api.get("/scheduler/").json
    assert (seen["preemption"], seen["reservations"]) == (True, 2)
