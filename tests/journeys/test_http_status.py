"""The state of the installation over HTTP: status, health, load, metrics, reference."""

import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from api.http import api_runtime
from api.http.db_metrics import DatabaseMetrics
from scheduler.identifiers import Term
from scheduler.identity import Role
from scheduler.leader import load_samples
from scheduler.settings import Settings
from scheduler.store.leader import lease
from tests.journeys.test_http_nodes import a_node, an_execution
from tests.support.api import Api


def lead(api: Api) -> int:
    with api.rt.db.begin() as tx:
        return lease.take_over(tx, "host:1", lease.read(tx)) or 0


def figures(api: Api) -> dict[tuple[str, tuple[str, ...]], float]:
    """All samples of /metrics by name and the values of their labels, read anew."""
    api_runtime.of(api.app).metrics = DatabaseMetrics(api.rt, for_s=0)
    told = api.get("/metrics")
    assert told.status_code == 200
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(told.text)
        for sample in family.samples
    }


def test_status_is_503_with_the_same_body_until_a_scheduler_leads_and_when_it_falls_silent(api: Api) -> None:
    missing = api.get("/status/")
    assert missing.status_code == 503
    assert missing.json["scheduler"]["state"] == "MISSING"
    assert missing.json["warnings"][0].startswith("no scheduler has ever led")
    lead(api)
    ready = api.get("/status/")
    assert (ready.status_code, ready.json["scheduler"]["state"]) == (200, "READY")
    assert ready.json.keys() == missing.json.keys()
    api.change("UPDATE leader SET at = now() - interval '13 seconds'")
    assert api.get("/status/").status_code == 503


def test_status_counts_jobs_nodes_and_what_is_taken(api: Api) -> None:
    lead(api)
    node = a_node(api, "n1")
    a_node(api, "n2")
    api.patch(f"/nodes/{node}/", {"is_paused": True})
    an_execution(api, node, "RUNNING")
    api.a_job(held=True)
    told = api.get("/status/").json
    assert told["nodes"] == {"total": 2, "by_state": {"PAUSED": 1, "READY": 1}}
    assert told["executions"] == {"placed": 1, "running": 1}
    assert (told["resources"]["total"]["cpus"], told["resources"]["free"]["cpus"]) == (8, 7)
    assert told["pools"][0]["scheduled"]["cpus"] == 1
    assert (told["jobs"]["queued"], told["jobs"]["held"]) == (2, 1)
    assert told["dependencies"]["database"]["ok"]
    assert told["dependencies"]["broker"] == {
        "ok": False,
        "latency_ms": None,
        "detail": "this process was not told of one",
    }


def test_status_shows_a_project_only_its_own_jobs(api: Api) -> None:
    lead(api)
    api.a_job()
    api.a_project("p")
    api.a_token("p-viewer", Role.VIEWER, "p")
    told = api.as_("p-viewer").get("/status/").json
    assert told["jobs"]["queued"] == 0
    assert told["scheduler"]["waiting_by_reason"] is None


def test_health_needs_no_token_and_ready_says_what_is_missing(api: Api) -> None:
    nobody = api.as_(None)
    assert nobody.get("/health/live").json["status"] == "ok"
    assert nobody.get("/health/ready").json["status"] == "ok"
    assert nobody.get("/version/").json["version"]
    api.change("UPDATE alembic_version SET version_num = '0000'")
    try:
        told = nobody.get("/health/ready")
        assert told.status_code == 503
        assert "schema" in told.json["description"]
        assert nobody.get("/health/live").status_code == 200
    finally:
        api.change("UPDATE alembic_version SET version_num = :head", head=told.json["description"].rsplit(" ", 1)[1])


def test_a_sample_counts_what_waits_and_runs_and_nothing_else(api: Api) -> None:
    term = lead(api)
    kind = api.a_type("kind", category="tests")
    api.a_job(job_type_id=kind["id"], priority=5)
    api.a_job(not_before="2035-01-01T00:00:00Z")
    api.patch(f"/jobs/{api.a_job()['id']}/", {"status": "CANCELED"})
    assert load_samples.sample(api.rt, Term(term))
    (point,) = api.get("/load/").json["results"]
    assert (point["pending_count"], point["queued_count"], point["running_count"]) == (1, 1, 0)
    for chosen in (
        {"job_type_id": kind["id"]},
        {"job_type_name": "kind"},
        {"job_type_category": "tests"},
        {"priority": 5},
    ):
        (point,) = api.get("/load/", **chosen).json["results"]
        assert (point["pending_count"], point["queued_count"]) == (0, 1), chosen
    (point,) = api.get("/load/", job_type_name="kind", priority=6).json["results"]
    assert point["queued_count"] == 0
    api.a_project("p")
    api.a_token("p-viewer", Role.VIEWER, "p")
    (point,) = api.as_("p-viewer").get("/load/").json["results"]
    assert (point["pending_count"], point["queued_count"]) == (0, 0)


def test_samples_come_once_a_minute_from_the_leader_alone_and_old_ones_go(api: Api) -> None:
    term = lead(api)
    api.a_job()
    assert load_samples.sample(api.rt, Term(term))
    assert not load_samples.sample(api.rt, Term(term))
    api.change("UPDATE load_samples SET at = now() - interval '63 days'")
    assert not load_samples.sample(api.rt, Term(term + 1))
    assert load_samples.sample(api.rt, Term(term))
    assert api.value("SELECT count(*) FROM load_samples") == 1
    assert api.value("SELECT count(DISTINCT sample_id) FROM load_counts") == 1


def test_the_load_is_paged_by_time_within_31_days(api: Api) -> None:
    api.change(
        """INSERT INTO load_samples (at, last_event_id)
           SELECT now() - make_interval(mins => n), 0 FROM generate_series(0, 24) AS n"""
    )
    page = api.get("/load/", page_size=10)
    times = [one["time"] for one in page.json["results"]]
    while page.json["next"]:
        page = api.follow(page.json["next"])
        times += [one["time"] for one in page.json["results"]]
    assert len(times) == 25
    assert times == sorted(times)
    assert api.get("/load/", started="P31D").status_code == 200
    refused = api.get("/load/", started="P32D")
    assert (refused.status_code, refused.json["field"]) == (400, "started")
    middle = datetime.fromisoformat(times[12])
    window = {
        "started": (middle - timedelta(seconds=1)).isoformat(),
        "ended": (middle + timedelta(seconds=1)).isoformat(),
    }
    assert [one["time"] for one in api.get("/load/", **window).json["results"]] == [times[12]]
    assert api.get("/load/", order="priority").status_code == 400


def test_metrics_tell_jobs_nodes_leader_and_requests(api: Api) -> None:
    lead(api)
    node = a_node(api)
    an_execution(api, node, "RUNNING")
    api.a_job(held=True)
    api.get("/jobs/999999/")
    found = figures(api)
    assert found["ganger_jobs", ("QUEUED",)] == 2
    assert found["ganger_jobs", ("RUNNING",)] == 0
    assert found["ganger_jobs_held", ()] == 1
    assert found["ganger_leader_up", ()] == 1
    assert found["ganger_database_up", ()] == 1
    assert found["ganger_nodes", ("default", "ready")] == 1
    assert found["ganger_capacity_cpus", ("default",)] == 4
    assert found["ganger_capacity_memory_bytes", ("default",)] == 8_000 * 1024 * 1024
    assert found["ganger_scheduled_cpus", ("default",)] == 1
    assert found["ganger_jobs_submitted_total", ()] >= 2
    assert found["ganger_http_requests_total", ("GET", "/jobs/{job_id}/", "404")] >= 1
    assert found["ganger_http_request_duration_seconds_count", ("GET", "/jobs/{job_id}/")] >= 1


def test_counted_events_never_fall_and_go_on_over_samples(api: Api) -> None:
    term = lead(api)
    assert load_samples.sample(api.rt, Term(term))
    for _ in range(3):
        api.patch(f"/jobs/{api.a_job()['id']}/", {"status": "CANCELED"})
    name = ("ganger_job_events_total", ("cancel",))
    assert figures(api)[name] == 3
    api.change("UPDATE events SET at = now() - interval '20 seconds'")
    api.change("UPDATE load_samples SET at = now() - interval '2 minutes'")
    assert load_samples.sample(api.rt, Term(term))
    assert api.value("SELECT moves ->> 'CANCEL' FROM load_samples ORDER BY id DESC LIMIT 1") == "3"
    assert figures(api)[name] == 3
    api.patch(f"/jobs/{api.a_job()['id']}/", {"status": "CANCELED"})
    assert figures(api)[name] == 4


def test_no_label_holds_what_a_user_sent(api: Api) -> None:
    api.get("/no/such/place-1/")
    api.send("BREW", "/jobs/")
    api.a_job(name="name-of-a-job", labels={"key-of-a-label": "value"})
    told = api.get("/metrics").text
    assert not re.search("place-1|BREW|name-of-a-job|key-of-a-label", told)


def test_metrics_are_for_whoever_may_see_every_project(api: Api) -> None:
    api.a_project("p")
    api.a_token("p-admin", Role.ADMIN, "p")
    assert api.as_(None).get("/metrics").status_code == 401
    assert api.as_("p-admin").get("/metrics").status_code == 403
    assert api.as_("viewer").get("/metrics").status_code == 200


def test_the_reference_is_one_page_without_script_or_anything_from_elsewhere(api: Api) -> None:
    page = api.as_(None).get("/docs/")
    assert page.status_code == 200
    assert "<script" not in page.text
    assert not re.search(r"(?:src|href)=\"(?!#|\.\./openapi\.json)", page.text)
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "sha256-" in policy
    document = api.get("/openapi.json").json
    for path, operations in document["paths"].items():
        assert path in page.text
        assert all(one["operationId"] in page.text for one in operations.values())
    assert all(name in page.text for name in document["components"]["schemas"])


@pytest.mark.parametrize("field", ["sample_s", "keep_load_days"])
def test_settings_of_the_samples_cannot_be_nothing(field: str) -> None:
    none: dict[str, Any] = {field: 0}
    with pytest.raises(ValueError, match=field):
        Settings(**none)


def test_a_browser_is_led_from_the_root_to_the_page_there_is_and_a_program_finds_nothing(api: Api) -> None:
    browser = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
    led = api.as_(None, **browser).get("/")
    assert (led.status_code, led.headers["Location"], led.headers["Vary"]) == (303, "/ui/", "Accept")
    assert api.as_(None).get("/docs/").status_code == 200
    for accepted in ("application/json", "*/*"):
        found = api.as_(None, Accept=accepted).get("/")
        assert (found.status_code, found.json["kind"]) == (404, "not-found")
