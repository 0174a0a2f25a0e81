"""What has ended is kept as long as its project says, and not a day longer; nothing that anybody needs is taken."""

from datetime import UTC, datetime
from typing import Any

import pytest

from scheduler.identifiers import JobId
from scheduler.identity import Role
from scheduler.jobs import bulk, requeue
from scheduler.leader import invariants
from scheduler.retention.sweep import Sweep
from scheduler.store.retention import due, purge
from tests.support.api import Api
from tests.support.cluster import Cluster

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
ENDINGS = {"completed": "COMPLETED", "failed": "FAILED"}


def ended(api: Api, cluster: Cluster, node: Any, outcome: str = "completed", *, days: int = 0, **fields: Any) -> int:
    """A job that has run, printed a line and ended, and was last changed so many days ago."""
    job_id = int(api.a_job(max_tries=1, **fields)["id"])
    if outcome == "canceled":
        assert api.patch(f"/jobs/{job_id}/", {"status": "CANCELED"}).status_code == 200
    else:
        assert cluster.tick() == 1
        ref = cluster.execution_of(job_id)
        assert cluster.claim(node, ref).granted
        api.change(
            """INSERT INTO output_chunks (execution_id, phase, stream, "offset", data)
               VALUES (:id, 'job', 'stdout', 0, CAST('0123456789' AS bytea))""",
            id=ref[0],
        )
        cluster.report(node, ref, outcome)
    grow_old(api, job_id, days)
    return job_id


def grow_old(api: Api, job_id: int, days: int) -> None:
    api.change(
        "UPDATE jobs SET last_modified = now() - make_interval(days => :days) WHERE id = :id", days=days, id=job_id
    )


def keep(api: Api, project: str = "default", **limits: int | None) -> dict[str, Any]:
    answer = api.patch(f"/admin/projects/{project}/", {"retention": limits})
    assert answer.status_code == 200, answer.text
    return dict(answer.json["retention"])


def left(api: Api) -> set[int]:
    return {row.id for row in api.query("SELECT id FROM jobs")}


def test_jobs_go_when_their_project_says_so_by_how_they_ended(api: Api, cluster: Cluster) -> None:
    node = cluster.a_node()
    jobs = {
        (outcome, days): ended(api, cluster, node, outcome, days=days)
        for outcome in ("completed", "failed", "canceled")
        for days in (5, 15, 25)
    }
    waiting, running = api.a_job()["id"], cluster.running(node)[0]
    for job_id in (waiting, running):
        grow_old(api, job_id, 1000)
    keep(api, completed_days=10, failed_days=20, canceled_days=0)
    assert Sweep(api.rt).run()["jobs"] == 3
    gone = {jobs["completed", 15], jobs["completed", 25], jobs["failed", 25]}
    assert left(api) == {*jobs.values(), waiting, running} - gone
    assert invariants.check(api.rt, hours=None) == []
    for table in ("job_specs", "executions", "events"):
        assert not api.query(f"SELECT FROM {table} WHERE job_id = ANY(:ids)", ids=sorted(gone))
    assert Sweep(api.rt).run()["jobs"] == 0, "a sweep may be repeated"


def test_the_event_of_a_submission_goes_with_the_last_of_its_jobs(api: Api) -> None:
    ids = api.post("/jobs/", [{"command": ["true"]}] * 2).json["job_ids"]
    event = api.get(f"/jobs/{ids[0]}/").json["event"]["id"]
    keep(api, canceled_days=1)
    for job_id, events in zip(ids, ([event], []), strict=True):
        api.patch(f"/jobs/{job_id}/", {"status": "CANCELED"})
        grow_old(api, job_id, 5)
        assert Sweep(api.rt).run()["jobs"] == 1
        assert [row.id for row in api.query("SELECT id FROM trigger_events")] == events


def test_a_job_that_is_gone_is_told_apart_from_one_that_never_was(api: Api, cluster: Cluster) -> None:
    node = cluster.a_node()
    api.a_project("maps")
    api.a_token("stranger", Role.VIEWER, "maps")
    job_id = ended(api, cluster, node, days=100)
    Sweep(api.rt).run()
    for path in ("", "events/", "explain/", "executions/"):
        answer = api.get(f"/jobs/{job_id}/{path}")
        assert (answer.status_code, answer.json["kind"]) == (410, "purged"), path
        assert f"job {job_id} has ended, and was purged on " in answer.json["description"]
    assert api.patch(f"/jobs/{job_id}/", {"status": "CANCELED"}).status_code == 410
    assert api.get(f"/jobs/{job_id + 1}/").status_code == 404
    assert api.as_("stranger").get(f"/jobs/{job_id}/").status_code == 404, "another project's past is nobody's business"


def test_the_newest_so_many_ended_jobs_are_kept(api: Api, cluster: Cluster) -> None:
    node = cluster.a_node()
    jobs = [ended(api, cluster, node, days=days) for days in (5, 4, 3, 2, 1)]
    waiting = api.a_job()["id"]
    keep(api, completed_days=0, jobs=2)
    Sweep(api.rt).run()
    assert left(api) == {*jobs[-2:], waiting}


def test_printed_output_goes_before_its_job_and_the_job_says_so(api: Api, cluster: Cluster) -> None:
    node = cluster.a_node()
    old, young = ended(api, cluster, node, days=40), ended(api, cluster, node, days=10)
    assert Sweep(api.rt).run()["output"] == 1
    assert left(api) == {old, young}
    shown = api.get(f"/jobs/{old}/").json["job_exes"][0]
    assert shown["output_purged"] is not None
    answer = api.get(f"/job-executions/{shown['id']}/logs/stdout/")
    assert (answer.status_code, answer.json["kind"]) == (410, "purged"), answer.text
    kept = api.get(f"/jobs/{young}/").json["job_exes"][0]
    assert kept["output_purged"] is None
    assert "0123456789" in api.get(f"/job-executions/{kept['id']}/logs/stdout/").text


def test_output_is_kept_up_to_a_number_of_bytes_the_newest_first(api: Api, cluster: Cluster) -> None:
    node = cluster.a_node()
    jobs = [ended(api, cluster, node, days=days) for days in (4, 3, 2, 1)]
    keep(api, output_days=0, output_bytes=25)
    assert Sweep(api.rt).run()["output"] == 2
    kept = api.query("SELECT DISTINCT job_id FROM executions x JOIN output_chunks c ON c.execution_id = x.id")
    assert {row.job_id for row in kept} == set(jobs[-2:])


def test_a_pinned_job_stays_with_all_it_has_until_it_is_unpinned(api: Api, cluster: Cluster) -> None:
    node = cluster.a_node()
    job_id, other = (ended(api, cluster, node, days=1) for _ in range(2))
    assert api.as_("submitter").post("/jobs/pin/", {"job_id": job_id, "reason": "the paper"}).status_code == 202
    work_off(api)
    assert api.get(f"/jobs/{job_id}/").json["is_pinned"]
    for each in (job_id, other):
        grow_old(api, each, 1000)
    Sweep(api.rt).run()
    assert left(api) == {job_id}
    assert api.value("SELECT count(*) FROM output_chunks") == 1
    assert api.as_("submitter").post("/jobs/unpin/", {"job_id": job_id}).status_code == 202
    work_off(api)
    Sweep(api.rt).run()
    assert left(api) == {job_id}, "its age counts from the unpinning"
    grow_old(api, job_id, 1000)
    Sweep(api.rt).run()
    assert left(api) == set()


def work_off(api: Api) -> None:
    while bulk.step(api.rt):
        pass


@pytest.mark.parametrize("change", ["requeued", "pinned"])
def test_a_job_that_changes_while_a_sweep_looks_at_it_stays(api: Api, cluster: Cluster, change: str) -> None:
    node = cluster.a_node()
    job_id = ended(api, cluster, node, "failed", days=1000)
    with api.rt.db.begin() as tx:
        project = due.projects(tx)[0].id
        seen = due.jobs(tx, project_id=project, at=LONG_AGO, after=0, before=api.rt.now(), limit=10)
    assert [job.id for job in seen] == [job_id]
    if change == "requeued":
        assert requeue.requeue(api.rt, [JobId(job_id)], actor="me") == [job_id]
    else:
        api.change("UPDATE jobs SET is_pinned = true WHERE id = :id", id=job_id)
    with api.rt.db.begin() as tx:
        assert purge.jobs(tx, project, seen).count == 0
    assert left(api) == {job_id}


@pytest.mark.parametrize("reader", ["queued", "pinned", "none"])
def test_output_files_stay_while_somebody_needs_them(api: Api, reader: str) -> None:
    answer = api.send("POST", "/files/", b"content", query={"file_name": "f"}, content_type="application/octet-stream")
    file_id = answer.json["id"]
    api.change(
        "UPDATE files SET job_id = 1, last_modified = now() - make_interval(days => 50) WHERE id = :id", id=file_id
    )
    if reader != "none":
        api.a_type("reader", interface={"input_data": [{"name": "x", "type": "file"}]})
        job_id = api.a_job(job_type={"name": "reader"}, inputs={"x": file_id})["id"]
        if reader == "pinned":
            api.patch(f"/jobs/{job_id}/", {"status": "CANCELED"})
            api.change("UPDATE jobs SET is_pinned = true WHERE id = :id", id=job_id)
    keep(api, files_days=30)
    assert Sweep(api.rt).run()["files"] == (1 if reader == "none" else 0)
    assert api.get(f"/files/{file_id}/content/").status_code == (404 if reader == "none" else 200)


def test_uploads_of_users_are_never_aged_out(api: Api) -> None:
    answer = api.send("POST", "/files/", b"content", query={"file_name": "f"}, content_type="application/octet-stream")
    api.change("UPDATE files SET last_modified = now() - make_interval(days => 5000)")
    keep(api, files_days=1, files_bytes=1)
    Sweep(api.rt).run()
    assert api.get(f"/files/{answer.json['id']}/content/").status_code == 200


def test_a_submission_that_is_repeated_after_the_purge_makes_no_second_job(api: Api, cluster: Cluster) -> None:
    node = cluster.a_node()
    body = {"command": ["true"], "max_tries": 1, "idempotency_key": "once"}
    job_id = api.post("/jobs/", body).json["id"]
    cluster.tick()
    ref = cluster.execution_of(job_id)
    assert cluster.claim(node, ref).granted
    cluster.report(node, ref)
    grow_old(api, job_id, 1000)
    Sweep(api.rt).run()
    again = api.post("/jobs/", body)
    assert (again.status_code, again.json["kind"]) == (410, "purged")
    assert left(api) == set()
    assert invariants.check(api.rt, hours=None) == []
    api.change("UPDATE idempotency SET created = now() - make_interval(days => 8)")
    assert Sweep(api.rt).run()["keys"] == 1
    assert api.post("/jobs/", body).status_code == 201, "the key was kept for its seven days"


def test_projects_say_what_they_keep_and_else_keep_what_the_installation_does(api: Api) -> None:
    defaults = api.get("/admin/projects/default/").json["retention"]
    assert (defaults["completed_days"], defaults["failed_days"], defaults["files_days"]) == (90, 180, 0)
    assert keep(api, completed_days=7, output_bytes=0) == {**defaults, "completed_days": 7, "output_bytes": 0}
    assert keep(api, completed_days=None) == {**defaults, "output_bytes": 0}
    for bad in ({"completed_days": -1}, {"completed_days": 1.5}, {"completed": 3}, {"jobs": "all"}):
        answer = api.patch("/admin/projects/default/", {"retention": bad})
        assert answer.status_code == 400
        assert f"retention.{next(iter(bad))}" in answer.json["description"]


def test_a_dry_run_says_what_a_purge_would_delete_and_deletes_nothing(api: Api, cluster: Cluster) -> None:
    node = cluster.a_node()
    jobs = [ended(api, cluster, node, outcome, days=days) for outcome in ENDINGS for days in (50, 95, 185)]
    answer = api.post("/admin/purge/", {"dry_run": True})
    assert answer.status_code == 200
    found = {(one["what"], one["status"]): (one["count"], one["bytes"]) for one in answer.json["results"]}
    assert found == {("jobs", "COMPLETED"): (2, None), ("jobs", "FAILED"): (1, None), ("output", None): (6, 60)}
    assert left(api) == set(jobs)
    assert api.post("/admin/purge/", {"dry_run": True, "project": "nobody"}).status_code == 404
    assert api.post("/admin/purge/", {"project": "default"}).status_code == 400
    assert api.as_("operator").post("/admin/purge/", {}).status_code == 403
    assert api.post("/admin/purge/", {}).status_code == 202
    assert "purging" in api.nudges
    Sweep(api.rt).run()
    gone = {
        one["what"]: (one["project"], one["count"], one["bytes"]) for one in api.get("/admin/purge/").json["purged"]
    }
    assert gone == {"jobs": ("default", 3, 30), "output": ("default", 3, 30)}
    metrics = api.get("/metrics").text
    assert 'ganger_purged_total{what="jobs"} 3.0' in metrics
    assert 'ganger_purged_bytes_total{what="output"} 30.0' in metrics
