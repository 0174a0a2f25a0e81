"""Why a job waits, what would help, and what would become of one, over HTTP."""

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from scheduler.explain import dry_run
from tests.support.api import Api
from tests.support.cluster import Cluster


def explained(api: Api, job_id: Any) -> Any:
    answer = api.get(f"/jobs/{job_id}/explain/")
    assert answer.status_code == 200, answer.text
    return answer.json


@pytest.fixture
def fleet(api: Api, cluster: Cluster) -> Any:
    """Three nodes of 4, 4 and 2 cpus, 8000 MiB each; the last one is paused."""
    made = [cluster.a_node("n1"), cluster.a_node("n2"), cluster.a_node("n3", cpus=2000)]
    api.change("UPDATE nodes SET is_paused = true WHERE name = 'n3'")
    return made


def test_all_reasons_are_told_with_the_number_of_nodes_and_what_is_missing(
    api: Api, cluster: Cluster, fleet: Any
) -> None:
    for _ in range(2):
        api.a_job(cpus_required=3, mem_required=0)
    cluster.tick()
    job = api.a_job(cpus_required=4, mem_required=100)
    found = explained(api, job["id"])
    assert [(one["kind"], one["nodes"]) for one in found["reasons"]] == [
        ("no-room-now", 2), ("node-paused", 1), ("node-too-small", 1),
    ]  # fmt: skip
    assert found["summary"] == "It waits: 2 of 3 nodes have no room for it now (short of cpus on 3)."
    assert found["nodes"] == {
        "total": 3, "usable": 0, "failing": {"node-paused": 1, "node-too-small": 1, "no-room-now": 2}, "short_of": {"cpus": 3}, "unmet": {},
    }  # fmt: skip
    assert found["nearest"]["missing"] == {"cpus": 3.0}
    assert found["queue"] == {"position": 0, "ahead": 0}
    assert (found["reservation"]["nodes"][0]["name"], found["never_fits"]) == ("n1", None)
    earliest, latest = (datetime.fromisoformat(found["expected_start"][edge]) for edge in ("earliest", "latest"))
    assert datetime.now(UTC) < earliest <= latest
    (change,) = found["changes"]
    assert (change["fix"], change["subject"], change["to"]) == ("ask-for-less-of", "cpus", 1.0)
    assert change["description"] == "ask for at most 1 cpu"
    assert api.patch(f"/jobs/{job['id']}/", {"status": "CANCELED"}).status_code == 200
    assert explained(api, job["id"])["nodes"] is None


def test_quotas_limits_and_pauses_are_told_by_name(api: Api, cluster: Cluster, fleet: Any) -> None:
    made = api.a_type(max_scheduled=1, mem_required=0)
    first, second = api.a_job(job_type_id=made["id"]), api.a_job(job_type_id=made["id"])
    cluster.tick()
    api.change("""UPDATE projects SET quota = '{"cpus": 1000}', moved_xid = pg_current_xact_id()""")
    api.change("UPDATE job_types SET is_paused = true, pause_reason = 'broken', moved_xid = pg_current_xact_id()")
    found = explained(api, second["id"])
    assert [one["description"] for one in found["reasons"]] == [
        "the job type a-type 1.0 is paused: broken",
        "1 jobs of its type are scheduled, and 1 may be",
        "the project default holds 1 of the 1 cpus that its quota allows, and this would be more",
    ]
    assert [one["description"] for one in found["changes"]] == [
        "resume the job type a-type 1.0",
        "let 2 jobs of the type a-type 1.0 be scheduled at a time",
        "raise the quota of the project default to 2 cpus",
    ]
    assert [(one["fix"], one["to"]) for one in found["changes"]][1:] == [
        ("raise-the-job-types-limit-to", 2), ("raise-the-projects-quota-of", 2.0),
    ]  # fmt: skip
    assert found["share"]["project"] == "default"
    assert found["share"]["share"] > 0
    placed = explained(api, first["id"])
    assert placed["placement"]["why"] == "best fit of 2 nodes with room"
    assert placed["reasons"] == []


def test_a_job_that_no_node_could_hold_is_told_at_submission_in_the_explanation_and_refused_when_strict(
    api: Api, fleet: Any
) -> None:
    bodies = [{"command": ["true"]}, *({"command": ["true"], "cpus_required": 40} for _ in range(2))]
    made = api.post("/jobs/", bodies)
    sentence = "it asks for more than any node has, so it cannot be placed; even empty, n1 lacks 36 cpus"
    (warning,) = made.json["warnings"]
    assert (warning["entry"], warning["count"], warning["kind"]) == (1, 2, "never-fits")
    assert warning["description"] == sentence
    found = explained(api, made.json["job_ids"][1])
    assert (found["summary"], found["never_fits"]["description"]) == (f"It waits: {sentence}.", sentence)
    refused = api.post("/jobs/", bodies, strict="true")
    assert (refused.status_code, refused.json["field"]) == (400, "[1].cpus_required")
    assert sentence in refused.json["description"]
    single = api.post("/jobs/", bodies[1])
    assert single.json["warnings"][0]["description"] == sentence
    assert "warnings" not in api.post("/jobs/", bodies[0]).json


def test_a_job_that_its_quota_can_never_allow_is_told_at_submission_and_refused_when_strict(
    api: Api, fleet: Any
) -> None:
    api.change("""UPDATE projects SET quota = '{"mem": 100000, "jobs": 2}'""")
    fits = {"command": ["true"], "cpus_required": 1, "mem_required": 100}
    large = {**fits, "mem_required": 5000}
    (warning,) = api.post("/jobs/", [fits, large, large]).json["warnings"]
    sentence = (
        "it cannot be placed: the quota of the project default allows at most 100 MiB of mem, and it asks for 5000"
    )
    assert (warning["entry"], warning["count"], warning["kind"]) == (1, 2, "never-allowed")
    assert (warning["description"], warning["nearest"]) == (sentence, None)
    refused = api.post("/jobs/", large, strict="true")
    assert (refused.status_code, refused.json["description"]) == (400, sentence)
    gang = {**fits, "mem_required": 40, "count": 3, "together": True}
    (warning,) = api.post("/jobs/", gang).json["warnings"]
    assert warning["description"].endswith(
        "at most 100 MiB of mem, and it asks for 120; 2 executions, and it asks for 3"
    )
    assert "warnings" not in api.post("/jobs/", fits, strict="true").json


def test_what_a_pool_would_start_counts_for_whether_a_job_could_ever_be_placed(api: Api, fleet: Any) -> None:
    body = {"command": ["true"], "cpus_required": 40}
    assert api.post("/jobs/", body, strict="true").status_code == 400
    api.post("/pools/", {"name": "big", "min": 0, "max": 2, "template": {"cpus": 64, "mem": 100_000, "disk": 100_000}})
    assert api.post("/jobs/", body, strict="true").status_code == 201


def test_before_its_pool_has_any_node_a_job_waits_for_one_to_be_started(api: Api, cluster: Cluster) -> None:
    template = {"cpus": 4, "mem": 8000, "disk": 100_000}
    api.patch("/pools/default/", {"min": 0, "max": 2, "template": template})
    body = {"command": ["true"], "cpus_required": 3, "mem_required": 0}
    (told,) = api.post("/jobs/", [body], dry_run="true").json["results"]
    assert (told["would"], [one["kind"] for one in told["reasons"]]) == ("wait", ["no-nodes"])
    found = explained(api, api.a_job(**body)["id"])
    assert found["summary"] == "It waits: there is no node now; one that could take it may come back or be started."
    gang = {**body, "count": 3, "together": True}
    sentence = "it needs 3 places at once, and all nodes that there are or may be together have 2, even empty"
    refused = api.post("/jobs/", gang, strict="true")
    assert (refused.status_code, sentence in refused.text) == (400, True)
    assert [one["description"] for one in api.post("/jobs/", gang).json["warnings"]] == [sentence]
    (told,) = api.post("/jobs/", [gang], dry_run="true").json["results"]
    assert [one["description"] for one in told["reasons"]] == [sentence]


def test_a_job_whose_time_has_not_come_is_told_all_the_same(api: Api, fleet: Any) -> None:
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    found = explained(api, api.a_job(not_before=later, cpus_required=40)["id"])
    assert [one["kind"] for one in found["reasons"]][:2] == ["not-before", "node-too-small"]
    assert found["changes"][0]["fix"] == "wait-until"


def test_a_job_with_room_says_who_goes_first(api: Api, cluster: Cluster, fleet: Any) -> None:
    job = api.a_job()
    assert explained(api, job["id"])["reasons"][0]["kind"] == "next-tick"


# --- dry runs ---------------------------------------------------------------------------------------------


def everything(api: Api) -> Any:
    """All rows of all tables, as a digest each; tokens say when they were last used."""
    names = [row.tablename for row in api.query("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    return {
        name: api.value(f"SELECT md5(string_agg(t::text, ' ' ORDER BY t::text)) FROM {name} t")  # noqa: S608 - our tables
        for name in names
        if name != "tokens"
    }


def test_a_dry_run_says_what_the_next_tick_would_do_and_writes_nothing(api: Api, cluster: Cluster, fleet: Any) -> None:
    api.a_job()
    before = everything(api)
    new = {"command": ["true"], "cpus_required": 3, "mem_required": 0, "priority": 7}
    answer = api.post("/jobs/", [new, new, new], dry_run="true")
    assert answer.status_code == 200, answer.text
    found = answer.json
    assert (found["dry_run"], found["count"]) == (True, 3)
    assert [one["would"] for one in found["results"]] == ["start", "start", "wait"]
    assert {one["node"]["name"] for one in found["results"][:2]} == {"n1", "n2"}
    assert found["results"][0]["summary"].startswith("It would start on node n")
    assert found["results"][2]["reasons"][0]["kind"] == "no-room-now", "the other two take the room"
    assert everything(api) == before
    assert api.nudges == ["tick"], "nobody is woken for it"
    single = api.post("/jobs/", new, dry_run="true").json["results"][0]
    assert (single["entry"], single["would"]) == (0, "start")


def test_the_jobs_of_a_dry_run_wait_because_of_those_before_them(api: Api, cluster: Cluster) -> None:
    cluster.a_node("n1", cpus=900)
    body = {"command": ["true"], "cpus_required": 0.5, "mem_required": 0, "timeout": 60}
    first, *others = api.post("/jobs/", [body] * 5, dry_run="true").json["results"]
    assert first["would"] == "start"
    assert {one["summary"] for one in others} == {
        "It would wait: the only node has no room for it now (short of cpus on 1)."
    }
    assert [one["nearest"]["missing"] for one in others] == [{"cpus": 0.1}] * 4
    assert [one["queue"]["position"] for one in others] == [0, 1, 2, 3], "the one that starts is not before them"
    assert all(datetime.fromisoformat(one["expected_start"]["earliest"]) > datetime.now(UTC) for one in others)
    limited = api.a_type("limited", max_scheduled=1, cpus_required=0.1, mem_required=0)["id"]
    _, second = api.post("/jobs/", [{"job_type_id": limited}] * 2, dry_run="true").json["results"]
    assert second["summary"] == "It would wait: 1 jobs of its type are scheduled, and 1 may be."


def test_a_dry_run_says_what_a_strict_submission_would_refuse(api: Api, fleet: Any) -> None:
    large, small = ({"command": ["true"], "cpus_required": cpus} for cpus in (99, 1))
    for bodies in (large, [small, large]):
        real = api.post("/jobs/", bodies, strict="true").json
        tried = api.post("/jobs/", bodies, strict="true", dry_run="true").json["results"]
        assert {one["would"] for one in tried} == {"refuse"}, "all or nothing"
        assert tried[0]["refusal"] == {"description": real["description"], "field": real["field"]}
        assert tried[0]["summary"] == f"It would be refused: {real['description']}."
        assert tried[0]["node"] is None
    tried = api.post("/jobs/", [small, large], dry_run="true").json["results"]
    assert [(one["would"], one["refusal"]) for one in tried] == [("start", None), ("wait", None)]
    assert api.post("/jobs/", small, strict="true", dry_run="true").json["results"][0]["would"] == "start"
    api.change("""UPDATE projects SET quota = '{"cpus": 500}'""")
    real = api.post("/jobs/", small, strict="true").json
    tried = api.post("/jobs/", small, strict="true", dry_run="true").json["results"][0]
    assert "quota" in tried["refusal"]["description"] == real["description"]


def test_a_dry_run_refuses_what_a_submission_would_refuse(api: Api, fleet: Any) -> None:
    assert api.post("/jobs/", {"job_type": {"name": "nothing"}}, dry_run="true").status_code == 400
    wrong = api.post("/jobs/", [{"command": ["true"]}, {"command": ["true"], "pool": ""}], dry_run="true")
    assert wrong.status_code == 400
    many = [{"command": ["true"]}] * (dry_run.MOST + 1)
    assert api.post("/jobs/", many, dry_run="true").status_code == 413
    assert api.as_("viewer").post("/jobs/", {"command": ["true"]}, dry_run="true").status_code == 403


@pytest.mark.parametrize("seed", range(12))
def test_dry_runs_agree_with_the_next_tick(api: Api, cluster: Cluster, seed: Any) -> None:
    chance = Random(seed)
    for _ in range(chance.randint(1, 4)):
        cluster.a_node(cpus=chance.choice([1000, 2000, 4000]))
    for _ in range(chance.randint(0, 6)):
        api.a_job(
            cpus_required=chance.choice([0.5, 1, 3]), priority=chance.choice([50, 100]), held=chance.random() < 0.2
        )
    if chance.random() < 0.5:
        cluster.tick()
    new = [
        {"command": ["true"], "cpus_required": chance.choice([0.5, 1, 2, 8]), "mem_required": chance.choice([0, 9000, 100]),
         "priority": chance.choice([10, 100, 200]), "held": chance.random() < 0.2}
        for _ in range(chance.randint(1, 8))
    ]  # fmt: skip
    told = api.post("/jobs/", new, dry_run="true").json["results"]
    ids = api.post("/jobs/", new).json["job_ids"]
    cluster.tick()
    started = [api.get(f"/jobs/{one}/").json["status"] == "RUNNING" for one in ids]
    assert [one["would"] == "start" for one in told] == started


# --- what a job says of its nodes -------------------------------------------------------------------------


def test_a_job_goes_where_it_prefers_and_away_from_its_kind(api: Api, cluster: Cluster) -> None:
    for name, zone in (("n1", "a"), ("n2", "b")):
        cluster.a_node(name, labels={"zone": zone})
    liked = {"label": "zone", "value": "b", "weight": 5}
    first = api.a_job(preferences=[liked], apart="zone")
    assert (first["preferences"], first["apart"], first["preemptible"]) == (
        [{"label": "zone", "op": "=", "value": "b", "weight": 5.0}], "zone", False,
    )  # fmt: skip
    second, third = (api.a_job(preferences=[liked], apart="zone") for _ in range(2))
    cluster.tick()
    nodes = {one["node"]["name"] for one in (api.get(f"/jobs/{job['id']}/").json for job in (first, second))}
    assert nodes == {"n1", "n2"}
    assert api.get(f"/jobs/{first['id']}/").json["node"]["name"] == "n2", "the older one goes where it likes"
    found = explained(api, third["id"])
    assert (found["reasons"][0]["kind"], found["reasons"][0]["nodes"]) == ("kept-apart", 2)
    assert found["changes"][0]["description"] == "do not keep apart by zone"


def test_a_type_says_it_for_its_jobs_and_a_job_over_it(api: Api) -> None:
    made = api.a_type(spread="rack", preemptible=True)
    assert (made["spread"], made["preemptible"]) == ("rack", True)
    assert api.a_job(job_type_id=made["id"])["spread"] == "rack"
    assert api.a_job(job_type_id=made["id"], spread=None, preemptible=False)["preemptible"] is False
    options = api.query("SELECT options - 'timeout_s' AS own FROM shapes ORDER BY id")
    assert [row.own for row in options] == [{"spread": "rack", "preemptible": True}, {}]


@pytest.mark.parametrize(
    "wrong",
    [
        {"preferences": [{"label": "zone"}]}, {"preferences": [{"label": "z", "value": "a", "weight": 1e9}]},
        {"apart": ""}, {"spread": 7}, {"preemptible": None}, {"preferences": [{"label": "z", "op": ">", "value": "x"}]},
        {"count": 3}, {"together": True},
    ],
)  # fmt: skip
def test_nonsense_about_nodes_is_refused(api: Api, wrong: dict[str, Any]) -> None:
    assert api.post("/jobs/", {"command": ["true"], **wrong}).status_code == 400


def test_metrics_tell_what_the_leader_tells(api: Api) -> None:
    api.change("""UPDATE leader SET status = '{"waiting_by_reason": {"no-room-now": 7}, "tick_ms": 20, "placed": 9, "lost": 2,
                                               "reserved": 1, "prediction_error": 0.25}'""")
    text = api.get("/metrics").text
    for line in (
        'ganger_waiting_jobs{reason="no-room-now"} 7.0',
        "ganger_tick_duration_seconds 0.02",
        "ganger_placements_total 9.0",
        "ganger_placements_lost_total 2.0",
        "ganger_reservations 1.0",
        "ganger_prediction_error 0.25",
    ):
        assert line in text
