"""Schedules over HTTP, and the leader's turns: what is due fires once, whoever looks and however often."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest

from scheduler.identity import Role
from scheduler.schedules import firing
from tests.support.api import Api

JOB = {"command": ["true"]}


def make(api: Api, **fields: Any) -> Any:
    body = {"name": "nightly", "cron": "30 2 * * *", "job": JOB, **fields}
    answer = api.post("/schedules/", body)
    assert answer.status_code == 201, answer.text
    return answer.json


def due(api: Api, made: Any, ago: str = "1 second") -> None:
    """Let the next time of a schedule have been so long ago."""
    api.change(
        "UPDATE schedules SET next_nominal = date_trunc('second', now()) - CAST(:ago AS interval), next_at = now() - CAST(:ago AS interval) WHERE id = :id",
        ago=ago, id=made["id"],
    )  # fmt: skip


def turn(api: Api) -> None:
    firing.step(api.rt)


def history(api: Api, made: Any) -> list[Any]:
    return list(api.get(f"/schedules/{made['id']}/firings/").json["results"])


def end_job(api: Api, job_id: int, status: str = "CANCELED") -> None:
    assert status == "CANCELED"
    assert api.patch(f"/jobs/{job_id}/", {"status": status}).status_code == 200


def test_a_schedule_shows_its_next_times_on_both_clocks_and_what_a_change_of_clocks_does(api: Api) -> None:
    made = make(api, zone="Europe/Berlin")
    assert len(made["next"]) == 5
    first = made["next"][0]
    assert first["local"][11:16] == "02:30"
    assert first["local"][-6:] in {"+01:00", "+02:00"}
    assert (made["project"], made["created_by"], made["job"]["command"]) == ("default", "admin", ["true"])
    told = api.post(
        "/schedules/preview/", {"cron": "30 2 * * *", "zone": "Europe/Berlin", "start": "2027-03-27T12:00:00Z"}
    ).json
    assert told["next"][0]["utc"].startswith("2027-03-28T01:00:00")
    assert "2027-03-28 01:00 UTC clocks go forward by 1 h" in told["clock_change"]
    assert "first moment after the gap" in told["clock_change"]
    assert api.post("/schedules/preview/", {"every": "1h"}).json["clock_change"] is None
    assert api.get("/schedules/", name="nightly").json["results"] == [api.get(f"/schedules/{made['id']}/").json]


def test_what_is_due_every_so_long_shows_the_times_at_which_it_fires_whenever_it_is_asked(api: Api) -> None:
    made = make(api, every="1h", cron=None)
    path = f"/schedules/{made['id']}/"
    first = datetime.fromisoformat(made["next"][0]["utc"])
    assert first.microsecond == 0
    assert api.get(path).json["next"] == api.get(path).json["next"] == made["next"]
    assert api.value("SELECT next_nominal FROM schedules") == first
    api.change("UPDATE schedules SET next_nominal = next_nominal - interval '90 minutes', next_at = next_at - interval '90 minutes'")  # fmt: skip
    shown = [datetime.fromisoformat(one["utc"]) for one in api.get(path).json["next"]]
    assert shown == [first - timedelta(minutes=30) + n * timedelta(hours=1) for n in range(5)]
    turn(api)
    assert api.value("SELECT next_nominal FROM schedules") == shown[0]


def test_what_is_due_makes_a_job_that_knows_its_time(api: Api) -> None:
    made = make(
        api, job={"command": ["true"], "name": "of the schedule", "labels": {"a": "b"}, "environment": {"OWN": "1"}}
    )
    turn(api)
    assert history(api, made) == []
    due(api, made)
    turn(api)
    turn(api)
    one = history(api, made)
    assert [(row["kind"], row["outcome"], row["status"]) for row in one] == [("REGULAR", "LIVE", "QUEUED")]
    job = api.get(f"/jobs/{one[0]['job']}/").json
    assert (job["name"], job["labels"], job["environment"]["OWN"]) == ("of the schedule", {"a": "b"}, "1")
    assert job["environment"]["GANGER_SCHEDULE"] == "nightly"
    assert job["environment"]["GANGER_NOMINAL_TIME"][:19] == one[0]["nominal"][:19]
    assert "GANGER_PREVIOUS_TIME" not in job["environment"]
    assert api.get(f"/schedules/{made['id']}/").json["next"][0]["utc"] > one[0]["nominal"]


def test_two_leaders_fire_each_time_once_and_a_clock_that_jumps_back_fires_nothing_again(api: Api) -> None:
    several = [make(api, name=f"s{number}") for number in range(40)]
    for one in several:
        due(api, one)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: firing.turn(api.rt), range(8)))
    assert api.value("SELECT count(*) FROM jobs") == 40
    # As if the clock, and with it all that was written after, had jumped back: the same times are due again.
    api.change(
        "UPDATE schedules s SET next_nominal = f.nominal, next_at = f.nominal FROM schedule_firings f WHERE f.schedule_id = s.id"
    )
    turn(api)
    assert api.value("SELECT count(*) FROM jobs") == 40
    assert api.value("SELECT count(*) FROM schedule_firings") == 40


def test_a_crash_at_any_statement_leaves_all_or_nothing(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    from scheduler.store.schedules import firings, schedules  # noqa: PLC0415 - their functions are what fails here

    made = make(api)
    due(api, made)
    for module, name in ((firings, "insert"), (firings, "started"), (schedules, "advance"), (firings, "settle")):
        real = getattr(module, name)

        def broken(*given: Any, real: Any = real) -> Any:
            real(*given)
            raise RuntimeError("the process ends here")

        with monkeypatch.context() as patched:
            patched.setattr(module, name, broken)
            with pytest.raises(RuntimeError):
                firing.turn(api.rt)
        assert api.value("SELECT count(*) FROM jobs") == api.value("SELECT count(*) FROM schedule_firings") == 0
    turn(api)
    assert api.value("SELECT count(*) FROM jobs") == 1


def test_a_run_that_is_live_is_overlapped_as_the_schedule_says(api: Api) -> None:
    for word, outcomes in (
        ("skip", ["SKIPPED", "LIVE"]), ("queue", ["WAITING", "LIVE"]), ("allow", ["LIVE", "LIVE"]), ("queue_all", ["WAITING", "LIVE"]),
    ):  # fmt: skip
        made = make(api, name=word, overlap=word)
        due(api, made, "10 second")
        turn(api)
        due(api, made, "2 second")
        turn(api)
        assert [row["outcome"] for row in history(api, made)] == outcomes, word
        if word.startswith("queue"):
            end_job(api, history(api, made)[1]["job"])
            turn(api)
            assert [row["outcome"] for row in history(api, made)] == ["LIVE", "ENDED"], word
    reason = next(row["reason"] for row in history(api, {"id": 1}))
    assert "still live" in reason


def test_a_live_run_is_cancelled_for_a_newer_one(api: Api) -> None:
    made = make(api, overlap="cancel")
    due(api, made, "10 second")
    turn(api)
    due(api, made, "2 second")
    turn(api)
    assert api.get(f"/jobs/{history(api, made)[1]['job']}/").json["status"] == "CANCELED"
    turn(api)
    assert [row["outcome"] for row in history(api, made)] == ["LIVE", "ENDED"]


def test_downtime_is_caught_up_once_and_a_pause_is_not(api: Api) -> None:
    made = make(api, every="1h", cron=None)
    due(api, made, "3 hours 30 minutes")
    turn(api)
    assert [(row["kind"], row["outcome"]) for row in history(api, made)] == [
        ("CATCH_UP", "LIVE"),
        *[("REGULAR", "SKIPPED")] * 3,
    ]
    other = make(api, name="paused", every="1h", cron=None)
    path = f"/schedules/{other['id']}/"
    paused = api.patch(path, {"is_paused": True, "pause_reason": "repairs"}).json
    assert (paused["is_paused"], paused["pause_reason"], paused["next"]) == (True, "repairs", [])
    due(api, other, "3 hours")
    turn(api)
    assert history(api, other) == []
    resumed = api.patch(path, {"is_paused": False}).json
    assert (resumed["pause_reason"], len(resumed["next"])) == (None, 5)
    turn(api)
    assert history(api, other) == []
    api.patch(path, {"is_paused": True})
    due(api, other, "3 hours 30 minutes")
    api.patch(path, {"is_paused": False, "catch_up": True})
    turn(api)
    assert history(api, other)[0]["kind"] == "CATCH_UP"


def test_a_target_that_is_refused_is_told_and_pauses_after_so_many(api: Api) -> None:
    kind = api.a_type("gone")
    made = make(api, job={"job_type_id": kind["id"]}, pause_after_failures=2)
    beside = make(api, name="beside")
    api.patch(f"/job-types/{kind['id']}/", {"is_active": False})
    for ago in ("30 second", "20 second", "10 second"):
        due(api, made, ago)
        due(api, beside, ago)
        turn(api)
    rows = history(api, made)
    assert [row["outcome"] for row in rows] == ["FAILED", "FAILED"]
    assert "archived" in rows[0]["reason"]
    assert api.get(f"/schedules/{made['id']}/").json["is_paused"] is True
    assert [row["outcome"] for row in history(api, beside)] == ["SKIPPED", "SKIPPED", "LIVE"]


def test_a_run_by_hand_keeps_the_overlap_unless_it_is_forced(api: Api) -> None:
    made = make(api)
    path = f"/schedules/{made['id']}/trigger/"
    first = api.post(path, {})
    assert (first.status_code, first.json["kind"], first.json["outcome"]) == (201, "TRIGGER", "LIVE")
    assert api.post(path, {}).status_code == 409
    assert api.post(path, {"force": True}).status_code == 201
    assert api.value("SELECT count(*) FROM jobs") == 2


def test_past_times_are_filled_up_so_many_at_once_and_each_only_once(api: Api) -> None:
    made = make(api, cron="0 * * * *")
    path, span = f"/schedules/{made['id']}/backfill/", {"from": "2026-01-01T00:00:00Z", "to": "2026-01-01T05:30:00Z"}
    tried = api.post(path, {**span, "dry_run": True}).json
    assert (tried["count"], api.value("SELECT count(*) FROM schedule_firings")) == (6, 0)
    assert api.post(path, {**span, "max_live": 2, "order": "newest"}).json["times"][0].startswith("2026-01-01T05:00")
    turn(api)
    turn(api)
    assert [row["outcome"] for row in history(api, made)] == ["LIVE", "LIVE", *["WAITING"] * 4]
    assert api.post(path, span).json["count"] == 0
    assert api.post(path, {**span, "only_missing": False}).status_code == 409
    due(api, made)
    turn(api)
    assert history(api, made)[0]["outcome"] == "LIVE", "backfills are counted apart"
    assert api.delete(path).json == {"count": 6}
    turn(api)
    assert {row["outcome"] for row in history(api, made) if row["kind"] == "BACKFILL"} == {"ENDED", "SKIPPED"}
    for wrong in (
        {**span, "to": "2099-01-01T00:00:00Z"},
        {**span, "from": "2020-01-01T00:00:00Z"},
        {"from": "x", "to": "y"},
    ):
        assert api.post(path, wrong).status_code == 400


def test_a_change_makes_nothing_that_is_past_and_a_deleted_schedule_leaves_its_jobs(api: Api) -> None:
    made = make(api)
    due(api, made)
    changed = api.patch(f"/schedules/{made['id']}/", {"timing": {"every": "1h"}}).json
    assert (changed["every"], changed["cron"]) == ("1h", None)
    turn(api)
    assert history(api, made) == []
    job = api.post(f"/schedules/{made['id']}/trigger/", {}).json["job"]
    assert api.delete(f"/schedules/{made['id']}/").status_code == 204
    assert api.get(f"/schedules/{made['id']}/").status_code == 404
    assert api.get(f"/jobs/{job}/").json["status"] == "QUEUED"


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"cron": "61 * * * *"}, "cron"), ({"cron": "0 0 30 2 *"}, "cron"), ({"every": "1h"}, "every"), ({"zone": "Mars/Base"}, "zone"),
    ({"job": {}}, "job_type"), ({"job": {"job_type": {"name": "none"}}}, "job_type"), ({"overlap": "maybe"}, "overlap"),
    ({"job": {**JOB, "idempotency_key": "x"}}, "job.idempotency_key"), ({"name": "a b"}, "name"), ({"jitter_s": -1}, "jitter_s"),
    ({"cron": None, "at": ["2020-01-01T00:00:00Z"]}, "at"), ({"end": "2020-01-01T00:00:00Z"}, "cron"), ({"job": {**JOB, "needs": [1]}}, "job.needs"),
]  # fmt: skip


def test_a_schedule_that_cannot_be_is_refused_by_its_field(api: Api) -> None:
    for fields, field in REFUSED:
        answer = api.post("/schedules/", {"name": "x", "cron": "@daily", "job": JOB, **fields})
        assert (answer.status_code, answer.json["field"]) == (400, field), answer.text
    assert api.value("SELECT count(*) FROM schedules") == 0


def test_schedules_belong_to_their_project(api: Api) -> None:
    api.a_project("mine")
    api.a_token("mine", Role.SUBMITTER, "mine")
    theirs, mine = make(api), api.as_("mine")
    own = make(mine, name="own")
    assert own["project"] == "mine"
    path = f"/schedules/{theirs['id']}/"
    assert [one["name"] for one in mine.get("/schedules/").json["results"]] == ["own"]
    for answer in (mine.get(path), mine.patch(path, {"is_paused": True}), mine.delete(path), mine.get(f"{path}firings/"),
                   mine.post(f"{path}trigger/", {}), mine.delete(f"{path}backfill/"),
                   mine.post(f"{path}backfill/", {"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"})):  # fmt: skip
        assert answer.status_code == 404
    assert (
        mine.post("/schedules/", {"name": "x", "cron": "@daily", "job": {**JOB, "project": "default"}}).status_code
        == 403
    )
    assert make(mine, name="nightly")["name"] == "nightly", "names are of a project"
    assert mine.post("/schedules/", {"name": "nightly", "cron": "@daily", "job": JOB}).status_code == 409
    due(api, own)
    turn(api)
    assert api.get(f"/jobs/{history(api, own)[0]['job']}/").json["project"] == "mine"


def test_the_job_of_a_schedule_is_shown_as_it_was_asked_for_and_can_be_sent_back(api: Api) -> None:
    job = {
        "command": ["true"], "name": "nightly", "priority": 7, "cpus_required": 1.5, "mem_required": 64, "disk_out_required": 8,
        "resources": {"gpu": 1}, "timeout": 60, "max_tries": 2, "labels": {"team": "maps"}, "pool": "default",
        "pre_timeout": 30, "grace": 5, "max_open_files": 512, "environment": {"A": "b"}, "preemptible": False,
    }  # fmt: skip
    answer = api.post("/schedules/", {"name": "full", "cron": "@daily", "job": job})
    made = answer.json
    assert (answer.status_code, made.get("job")) == (201, job), answer.text
    sent = api.patch(f"/schedules/{made['id']}/", {"job": made["job"]})
    assert (sent.status_code, sent.json["job"]) == (200, {**job, "project": "default"})
    typed = {"job_type": {"name": "command", "version": "1.0"}, "command": ["true"]}
    assert api.post("/schedules/", {"name": "typed", "cron": "@daily", "job": typed}).json["job"] == typed
