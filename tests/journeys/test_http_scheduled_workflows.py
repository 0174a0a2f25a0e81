"""Schedules that run saved workflows: each time once, with what it is given, and overlap looks at the run as a whole."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from scheduler.identity import Role
from scheduler.jobs import requeue
from scheduler.schedules import firing, workflow_runs
from scheduler.store.schedules import firings
from scheduler.workflows import upkeep
from tests.journeys.test_http_schedules import due, history, turn
from tests.support.api import Api
from tests.support.followers import resolve

DEFINITION = """
name: nightly numbers
inputs: {limit: {type: property, default: 3}}
jobs:
  make: {command: ["true"], environment: {OWN: "1"}}
  check: {command: ["true"], needs: [make]}
  tell: {command: ["true"], finally: true}
"""


def save(api: Api, name: str = "numbers", definition: str = DEFINITION) -> Any:
    answer = api.post("/workflow-types/", {"name": name, "definition": definition})
    assert answer.status_code == 201, answer.text
    return answer.json


def make(api: Api, name: str = "nightly", **fields: Any) -> Any:
    body = {"name": name, "cron": "30 2 * * *", "workflow": {"type": "numbers"}, **fields}
    answer = api.post("/schedules/", body)
    assert answer.status_code == 201, answer.text
    return answer.json


def jobs(api: Api, workflow_id: int) -> dict[str, Any]:
    rows = api.get(f"/workflows/{workflow_id}/jobs/").json["results"]
    return {row["job"]: row for row in rows}


def cancel(api: Api, workflow_id: int) -> None:
    """Let a run end, what it runs finally too."""
    for _ in range(2):
        assert api.post(f"/workflows/{workflow_id}/cancel/", {}).status_code == 200
    resolve(api)
    upkeep.turn(api.rt)


def test_what_is_due_runs_the_workflow_whose_jobs_all_know_their_time(api: Api) -> None:
    save(api)
    made = make(api, workflow={"type": "numbers", "inputs": {"limit": 5}, "labels": {"a": "b"}, "name": "by night"})
    assert (made["job"], made["workflow"]["type"], made["workflow"]["inputs"]) == (None, "numbers", {"limit": 5})
    due(api, made)
    turn(api)
    turn(api)
    (one,) = history(api, made)
    assert (one["kind"], one["outcome"], one["job"], one["status"]) == ("REGULAR", "LIVE", None, "PENDING")
    run = api.get(f"/workflows/{one['workflow']}/").json
    assert (run["name"], run["labels"], run["inputs"], run["type"]) == ("by night", {"a": "b"}, {"limit": 5}, "numbers")
    for name, row in jobs(api, run["id"]).items():
        environment = api.get(f"/jobs/{row['job_id']}/").json["environment"]
        assert environment["GANGER_SCHEDULE"] == "nightly"
        assert environment["GANGER_NOMINAL_TIME"][:19] == one["nominal"][:19]
        assert environment.get("OWN") == ("1" if name == "make" else None)
    (event,) = api.get(f"/workflows/{run['id']}/events/").json["results"]
    assert event["reason"].startswith("the schedule nightly, for 20")


def test_a_run_has_the_newest_revision_of_its_time_unless_one_is_named(api: Api) -> None:
    saved = save(api)
    newest, first = make(api, "newest"), make(api, "first", workflow={"type": "numbers:1"})
    api.post(f"/workflow-types/{saved['id']}/revisions/", {"definition": DEFINITION.replace("check:", "look:")})
    for one in (newest, first):
        due(api, one)
    turn(api)
    assert set(jobs(api, history(api, newest)[0]["workflow"])) == {"make", "look", "tell"}
    assert set(jobs(api, history(api, first)[0]["workflow"])) == {"make", "check", "tell"}


def test_two_leaders_run_each_time_once(api: Api) -> None:
    save(api)
    several = [make(api, f"s{number}") for number in range(12)]
    for one in several:
        due(api, one)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: firing.step(api.rt), range(8)))
    assert api.value("SELECT count(*) FROM workflows") == 12
    assert api.value("SELECT count(*) FROM schedule_firings WHERE outcome = 'LIVE'") == 12


def test_a_crash_leaves_the_time_waiting_and_the_next_turn_runs_it(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    save(api)
    made = make(api)
    due(api, made)
    for module, name in ((workflow_runs, "make_one"), (firings, "run")):
        with monkeypatch.context() as patched:

            def broken(*_: Any) -> Any:
                raise RuntimeError("the process ends here")

            patched.setattr(module, name, broken)
            with pytest.raises(RuntimeError):
                firing.step(api.rt)
        assert api.value("SELECT count(*) FROM workflows") == api.value("SELECT count(*) FROM jobs") == 0
        assert [row["outcome"] for row in history(api, made)] == ["WAITING"]
    turn(api)
    assert api.value("SELECT count(*) FROM workflows") == 1


@pytest.mark.parametrize(
    ("word", "outcomes"),
    [("skip", ["SKIPPED", "LIVE"]), ("queue", ["WAITING", "LIVE"]), ("queue_all", ["WAITING", "LIVE"]), ("allow", ["LIVE", "LIVE"])],
)  # fmt: skip
def test_overlap_looks_at_the_run_and_not_at_its_jobs(api: Api, word: str, outcomes: list[str]) -> None:
    save(api)
    made = make(api, overlap=word)
    due(api, made, "10 second")
    turn(api)
    due(api, made, "2 second")
    turn(api)
    assert [row["outcome"] for row in history(api, made)] == outcomes
    if word.startswith("queue"):
        cancel(api, history(api, made)[1]["workflow"])
        turn(api)
        assert [(row["outcome"], row["status"]) for row in history(api, made)] == [("LIVE", "PENDING"), ("ENDED", "CANCELED")]  # fmt: skip


def test_a_live_run_is_cancelled_for_a_newer_one_which_waits_for_what_runs_finally(api: Api) -> None:
    save(api)
    made = make(api, overlap="cancel")
    due(api, made, "10 second")
    turn(api)
    due(api, made, "2 second")
    turn(api)
    old = history(api, made)[1]["workflow"]
    states = {name: row["status"] for name, row in jobs(api, old).items()}
    assert (states["make"], states["check"]) == ("CANCELED", "CANCELED")
    turn(api)
    assert [row["outcome"] for row in history(api, made)] == ["WAITING", "LIVE"]
    assert jobs(api, old)["tell"]["status"] != "CANCELED", "what runs finally runs, however often the schedule looks"
    assert api.post(f"/workflows/{old}/cancel/", {}).status_code == 200
    resolve(api)
    upkeep.turn(api.rt)
    turn(api)
    assert [row["outcome"] for row in history(api, made)] == ["LIVE", "ENDED"]


def test_a_run_that_is_restarted_is_live_again(api: Api) -> None:
    save(api)
    made = make(api)
    due(api, made, "10 second")
    turn(api)
    run = history(api, made)[0]["workflow"]
    cancel(api, run)
    assert history(api, made)[0]["outcome"] == "ENDED"
    assert api.post(f"/workflows/{run}/restart/", {}).status_code == 200
    due(api, made, "2 second")
    turn(api)
    assert [row["outcome"] for row in history(api, made)] == ["SKIPPED", "LIVE"]


def test_a_job_that_is_requeued_is_live_again(api: Api) -> None:
    made = api.post("/schedules/", {"name": "jobs", "every": "1h", "job": {"command": ["true"]}}).json
    due(api, made, "10 second")
    turn(api)
    job = history(api, made)[0]["job"]
    api.patch(f"/jobs/{job}/", {"status": "CANCELED"})
    assert history(api, made)[0]["outcome"] == "ENDED"
    assert requeue.requeue(api.rt, [job], actor="me") == [job]
    due(api, made, "2 second")
    turn(api)
    assert [row["outcome"] for row in history(api, made)] == ["SKIPPED", "LIVE"]


def test_downtime_by_hand_and_the_past(api: Api) -> None:
    save(api)
    made = make(api, cron=None, every="1h", catch_up="all", overlap="queue_all")
    due(api, made, "3 hours 30 minutes")
    turn(api)
    assert [(row["kind"], row["outcome"]) for row in history(api, made)] == [*[("CATCH_UP", "WAITING")] * 3, ("CATCH_UP", "LIVE")]  # fmt: skip
    other = make(api, "by-hand")
    path = f"/schedules/{other['id']}"
    first = api.post(f"{path}/trigger/", {})
    assert (first.status_code, first.json["kind"], first.json["outcome"]) == (201, "TRIGGER", "LIVE")
    assert first.json["workflow"] is not None
    assert api.post(f"{path}/trigger/", {}).status_code == 409
    assert api.post(f"{path}/trigger/", {"force": True}).status_code == 201
    span = {"from": "2026-01-01T00:00:00Z", "to": "2026-01-04T12:00:00Z", "max_live": 2}
    assert api.post(f"{path}/backfill/", span).json["count"] == 4
    turn(api)
    turn(api)
    filled = [row for row in history(api, other) if row["kind"] == "BACKFILL"]
    assert [row["outcome"] for row in filled] == ["WAITING", "WAITING", "LIVE", "LIVE"]
    assert api.delete(f"{path}/backfill/").json == {"count": 4}
    assert api.get(f"/workflows/{filled[-1]['workflow']}/").json["canceled"] is not None


def test_a_target_that_is_refused_is_told_and_pauses_after_so_many(api: Api) -> None:
    saved = save(api)
    made = make(api, pause_after_failures=2)
    api.delete(f"/workflow-types/{saved['id']}/")
    for ago in ("30 second", "20 second", "10 second"):
        due(api, made, ago)
        turn(api)
    rows = history(api, made)
    assert [row["outcome"] for row in rows] == ["FAILED", "FAILED"]
    assert "there is no workflow type 'numbers'" in rows[0]["reason"]
    assert api.get(f"/schedules/{made['id']}/").json["is_paused"] is True


def test_a_schedule_of_a_workflow_that_cannot_be_is_refused_by_its_field(api: Api) -> None:
    save(api)
    for workflow, field in (
        ({"type": "none"}, "workflow.type"),
        ({"type": "numbers:7"}, "workflow.type"),
        ({}, "workflow.type"),
        ({"type": "numbers", "inputs": {"other": 1}}, "workflow.definition.inputs"),
        ({"type": "numbers", "parameters": {"make.seed": 1}}, "workflow.definition.jobs.make"),
    ):
        answer = api.post("/schedules/", {"name": "x", "cron": "@daily", "workflow": workflow})
        assert (answer.status_code, answer.json["field"]) == (400, field), answer.text
    both = {"name": "x", "cron": "@daily", "workflow": {"type": "numbers"}, "job": {"command": ["true"]}}
    assert api.post("/schedules/", both).status_code == 400
    assert api.post("/schedules/", {"name": "x", "cron": "@daily"}).status_code == 400
    assert api.value("SELECT count(*) FROM schedules") == 0
    made = make(api)
    assert api.patch(f"/schedules/{made['id']}/", {"workflow": {"type": "none"}}).status_code == 400
    changed = api.patch(f"/schedules/{made['id']}/", {"job": {"command": ["true"]}}).json
    assert (changed["workflow"], changed["job"]["command"]) == (None, ["true"])


def test_a_workflow_belongs_to_the_project_of_its_schedule(api: Api) -> None:
    api.a_project("mine")
    api.a_token("mine", Role.SUBMITTER, "mine")
    save(api)
    mine = api.as_("mine")
    wanted = {"name": "x", "cron": "@daily", "workflow": {"type": "numbers"}}
    assert mine.post("/schedules/", wanted).status_code == 400, "the name is another project's"
    elsewhere = {**wanted, "workflow": {"type": "numbers", "project": "default"}}
    assert mine.post("/schedules/", elsewhere).status_code == 403
    save(mine)
    made = make(mine)
    due(api, made)
    turn(api)
    assert api.get(f"/workflows/{history(api, made)[0]['workflow']}/").json["project"] == "mine"
