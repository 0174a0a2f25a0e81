"""Who goes next, how projects stand, what a change would bring, and the proof that what was cancelled is dead."""

from __future__ import annotations

import re

from scheduler.identity import Role
from scheduler.jobs import bulk
from scheduler.leader import load_samples
from tests.support.api import Api
from tests.support.browserless import signed_in
from tests.support.cluster import Cluster

NODE = """INSERT INTO nodes (name, pool_id, hostname, boot_id, disk_id, cpus, mem, disk)
          VALUES ('n1', 1, 'n1', 'b', 'd', 2000, 8000000, 8000000)"""
SMALL = {"cpus_required": 1, "mem_required": 100, "disk_out_required": 1}


def test_the_head_of_the_queue_is_in_the_order_of_priority_and_share_and_says_what_becomes_of_each(api: Api) -> None:
    api.change(NODE)
    api.a_project("mine")
    api.a_token("mine", Role.VIEWER, "mine")
    first = [api.a_job(**SMALL)["id"] for _ in range(3)]
    other = api.a_job(project="mine", **SMALL)["id"]
    urgent = api.a_job(priority=1, **SMALL)["id"]
    big = api.a_job(cpus_required=64, mem_required=100, disk_out_required=1)["id"]
    held = api.a_job(held=True, **SMALL)["id"]
    found = api.get("/queue/head/").json["results"]
    order = [one["job"]["id"] for one in found]
    assert order[0] == urgent
    assert held not in order
    assert set(order) == {*first, other, urgent, big}
    assert order.index(other) < order.index(first[1]), "projects take turns"
    assert [one["position"] for one in found] == list(range(1, 7))
    by_id = {one["job"]["id"]: one for one in found}
    assert (by_id[urgent]["would"], by_id[urgent]["nodes"][0]["name"]) == ("start", "n1")
    assert (by_id[big]["would"], by_id[big]["nodes"], by_id[big]["reason"]) == ("wait", [], "never-fits")
    assert [one["job"]["id"] for one in api.get("/queue/head/", limit=2).json["results"]] == order[:2]
    assert [one["job"]["id"] for one in api.as_("mine").get("/queue/head/").json["results"]] == [other]
    standing = api.get("/queue/balance/").json["results"]
    assert {one["project"]: one["waiting"] for one in standing} == {"default": 5, "mine": 1}
    assert [one["project"] for one in api.as_("mine").get("/queue/balance/").json["results"]] == ["mine"]
    page = signed_in(api, "viewer").get("/ui/queue").text
    assert [int(one) for one in re.findall(r'id="w-(\d+)"', page)] == order


def test_a_change_is_tried_without_a_trace_and_then_made(api: Api) -> None:
    api.change(NODE)
    api.change("UPDATE nodes SET is_paused = true")
    job = api.a_job(held=True, hold_reason="new data", **SMALL)["id"]
    why = api.get(f"/jobs/{job}/explain/").json
    assert {one["fix"] for one in why["changes"]} == {"release-the-hold", "resume-the-node"}
    path = f"/jobs/{job}/explain/trial/"
    released = api.post(path, {"changes": [{"fix": "release-the-hold"}]}).json
    assert released["would"] == "wait"
    assert [one["fix"] for one in released["changes"]] == ["resume-the-node"]
    both = api.post(path, {}).json
    assert (both["would"], both["node"]["name"]) == ("start", "n1")
    assert api.get(f"/jobs/{job}/explain/").json["changes"] == why["changes"], "nothing was changed"
    wrong = api.post(path, {"changes": [{"fix": "resume-the-pool", "subject": "default"}]})
    assert (wrong.status_code, "release-the-hold" in wrong.json["description"]) == (400, True)
    assert api.as_("viewer").post(path, {}).status_code == 403
    assert api.post("/jobs/999999/explain/trial/", {}).status_code == 404
    operator, viewer = signed_in(api, "operator"), signed_in(api, "viewer")
    seen = viewer.get(f"/ui/jobs/{job}").text
    assert "What would let it start" in seen
    assert "/trial" not in seen
    assert "/fix" not in seen
    assert viewer.post(f"/ui/jobs/{job}/fix", {"fix": "release-the-hold"}).status_code == 403
    shown = operator.get(f"/ui/jobs/{job}/trial").text
    assert "Starts now" in shown
    assert operator.post(f"/ui/jobs/{job}/fix", {"fix": "resume-the-node", "subject": "n1"}).status_code == 303
    assert operator.post(f"/ui/jobs/{job}/fix", {"fix": "resume-the-node", "subject": "n1"}).status_code == 409
    assert operator.post(f"/ui/jobs/{job}/fix", {"fix": "release-the-hold"}).status_code == 303
    assert api.post("/jobs/", {"command": ["true"], **SMALL}, dry_run="true").json["results"][0]["would"] == "start"
    assert api.get(f"/jobs/{job}/").json["is_held"] is False
    api.patch(f"/jobs/{job}/", {"status": "CANCELED"})
    assert api.post(path, {}).status_code == 409


def test_what_a_job_asks_for_is_changed_in_the_form_of_the_same_job(api: Api) -> None:
    api.change(NODE)
    job = api.a_job(**{**SMALL, "cpus_required": 3})["id"]
    submitter = signed_in(api, "submitter")
    link = re.search(
        r'href="(/ui/submit\?again=[^"]+)"[^>]*>.{0,120}Again, with this', submitter.get(f"/ui/jobs/{job}").text
    )
    assert link is not None
    assert 'name="cpus_required" inputmode="decimal" value="2"' in submitter.get(link[1].replace("&amp;", "&")).text


def test_a_cancel_is_proven_once_nothing_runs_any_more(api: Api, cluster: Cluster) -> None:
    node = cluster.a_node()
    job = api.a_job(**SMALL)["id"]
    assert cluster.tick()
    ref = cluster.execution_of(job)
    cluster.claim(node, ref)
    asked = api.post("/jobs/cancel/", {"job_id": job, "reason": "a mistake"}).json["id"]
    reader = signed_in(api, "viewer")
    reader.get(f"/ui/jobs/{job}")
    while api.get(f"/operations/{asked}/").json["status"] == "RUNNING":
        bulk.step(api.rt)
    assert {**api.get(f"/operations/{asked}/processes/").json, "last": None} == {
        "told": 1,
        "dead": 0,
        "left": 1,
        "last": None,
    }
    assert "Being stopped" in reader.get(f"/ui/jobs/{job}").text
    cluster.report(node, ref, "failed")
    told = api.get(f"/operations/{asked}/processes/").json
    assert (told["dead"], told["left"]) == (1, 0)
    assert api.get(f"/jobs/{job}/executions/").json["results"][0]["released"] == told["last"]
    text = reader.get(f"/ui/jobs/{job}").text
    assert "0 processes left" in text
    assert "a mistake" in text
    assert "1 proven dead" in reader.get(f"/ui/operations/{asked}").text


def test_how_projects_stood_is_sampled_with_the_load_and_drawn(api: Api) -> None:
    for name in ("mine", "even"):
        api.a_project(name)
    api.a_token("mine", Role.VIEWER, "mine")
    term = api.value("UPDATE leader SET term = term + 1 RETURNING term")
    for owed_s in (0.0, 120.0, 60.0):
        api.change(
            """INSERT INTO usage (project_id, share, lag_s)
               SELECT id, 0.25, CASE name WHEN 'mine' THEN CAST(:owed AS float8) ELSE -:owed END FROM projects WHERE name <> 'even'
               ON CONFLICT (project_id) DO UPDATE SET lag_s = excluded.lag_s""",
            owed=owed_s,
        )
        api.change("UPDATE load_samples SET at = at - interval '30 min'")
        assert load_samples.sample(api.rt, term)
    found = api.get("/queue/balance/history/").json["results"]
    assert {one["project"]: [point["owed_s"] for point in one["points"]] for one in found} == {
        "mine": [0, 120, 60], "default": [0, -120, -60],
    }  # fmt: skip
    assert found[0]["points"][0]["share"] == 0.25
    own = api.as_("mine").get("/queue/balance/history/").json["results"]
    assert [one["project"] for one in own] == ["mine"]
    short = api.get("/queue/balance/history/", hours=1, limit=1).json["results"]
    assert [len(one["points"]) for one in short] == [2]
    page = signed_in(api, "viewer").get("/ui/queue").text
    assert page.count('class="line c') == 2
    assert re.search(r'<path class="line c[01]" d="M0.0,60.0 L300.0,0.0 L600.0,30.0"/>', page)
    api.change("DELETE FROM load_samples")
    assert api.get("/queue/balance/history/").json["results"] == []
    assert "<h3>The last day" not in signed_in(api, "viewer").get("/ui/queue").text
