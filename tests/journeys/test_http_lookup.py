"""Looking across things: groups, search, acts, figures of a type, more filters, operations and their undoing."""

import csv
import io
from typing import Any

import orjson
import pytest

from scheduler.identity import Role
from scheduler.jobs import bulk
from tests.support.api import Api


@pytest.fixture
def some(api: Api) -> dict[str, int]:
    api.a_project("maps")
    return {
        "tile": api.a_job(name="render tile 1", labels={"run": "7"}, priority=50)["id"],
        "tile2": api.a_job(name="Render 100% of it", labels={"run": "7"}, held=True)["id"],
        "theirs": api.a_job(name="other", labels={"run": "8"}, project="maps")["id"],
        "plain": api.a_job()["id"],
    }


def ids(answer: Any) -> set[int]:
    assert answer.status_code == 200, answer.text
    return {one["id"] for one in answer.json["results"]}


def test_jobs_are_narrowed_by_text_hold_priority_and_age(api: Api, some: dict[str, int]) -> None:
    assert ids(api.get("/jobs/", text="RENDER")) == {some["tile"], some["tile2"]}
    assert ids(api.get("/jobs/", text=["render", "tile"])) == {some["tile"]}
    assert ids(api.get("/jobs/", text="100%")) == {some["tile2"]}
    assert ids(api.get("/jobs/", text="_")) == set()
    assert ids(api.get("/jobs/", is_held="true")) == {some["tile2"]}
    assert ids(api.get("/jobs/", priority="50")) == {some["tile"]}
    assert ids(api.get("/jobs/", created_after="PT1H")) == set(some.values())
    assert ids(api.get("/jobs/", created_before="PT1H")) == set()
    assert api.get("/jobs/", created_after="soon").status_code == 400


def test_what_is_excluded_is_left_out_whatever_else_is_asked(api: Api, some: dict[str, int]) -> None:
    assert ids(api.get("/jobs/", not_project="maps")) == set(some.values()) - {some["theirs"]}
    assert ids(api.get("/jobs/", not_label="run:7", not_job_id=some["plain"])) == {some["theirs"]}
    assert ids(api.get("/jobs/", label="run:7", not_priority="50")) == {some["tile2"]}
    assert ids(api.get("/jobs/", not_status="QUEUED")) == set()
    assert ids(api.get("/jobs/", not_error_name="timeout", not_node="nowhere", not_pool="gpu")) == set(some.values())
    assert api.get("/jobs/", not_status="odd").status_code == 400
    assert api.get("/jobs/", not_label="run").status_code == 400


def test_jobs_are_counted_in_groups(api: Api, some: dict[str, int]) -> None:
    def groups(**query: Any) -> dict[str | None, int]:
        return {one["value"]: one["count"] for one in api.get("/jobs/groups/", **query).json["results"]}

    assert groups() == {"QUEUED": 4}
    assert groups(group_by="project") == {"default": 3, "maps": 1}
    assert groups(group_by="label:run") == {"7": 2, "8": 1, None: 1}
    assert groups(group_by="priority", label="run:7") == {"50": 1, "100": 1}
    for key in ("job_type", "node", "error", "pool"):
        assert sum(groups(group_by=key).values()) == 4
    assert api.get("/jobs/groups/", group_by="odd").status_code == 400
    assert api.get("/jobs/groups/", group_by="label").status_code == 400
    api.a_token("mine", Role.VIEWER, "maps")
    assert api.as_("mine").get("/jobs/groups/", group_by="project").json["results"] == [
        {"value": "maps", "count": 1, "count_exact": True}
    ]


def test_a_search_finds_things_by_number_and_by_the_beginning_of_names(api: Api, some: dict[str, int]) -> None:
    api.a_type("render", project="maps")

    def found(q: str, who: str = "admin") -> set[tuple[str, str]]:
        return {(one["kind"], one["name"].split(" ")[0]) for one in api.as_(who).get("/search/", q=q).json["results"]}

    assert ("job", "render") in found(str(some["tile"]))
    assert found("other") == {("job", "other")}
    assert ("type", "render") in found("REN")
    assert ("pool", "default") in found("def")
    assert ("project", "maps") in found("ma")
    assert found("%") == set()
    api.a_project("mine")
    api.a_token("mine", Role.VIEWER, "mine")
    assert found("ren", "mine") == set()
    assert found("ma", "mine") == set()
    assert found(str(some["tile"]), "mine") == set()
    assert api.get("/search/").status_code == 400


def test_acts_are_listed_for_operators_of_every_project(api: Api) -> None:
    assert api.patch("/scheduler/", {"is_paused": True, "pause_reason": "new disks"}).status_code == 200
    newest = api.as_("operator").get("/audit/").json["results"][0]
    assert (newest["actor"], newest["subject"].partition(":")[0]) == ("admin", "scheduler")
    assert api.get("/audit/", actor="nobody").json["count"] == 0
    assert api.get("/audit/", subject="scheduler", started="PT1H").json["count"] == 1
    api.a_project("mine")
    api.a_token("mine", Role.ADMIN, "mine")
    assert [api.as_(who).get("/audit/").status_code for who in ("viewer", "submitter", "mine")] == [403, 403, 403]


def test_what_a_bulk_action_would_meet_is_told_before(api: Api, some: dict[str, int]) -> None:
    told = api.as_("operator").post("/jobs/cancel/", {"label": ["run:7", "run:8"], "dry_run": True}).json
    assert told["count"] == 3
    assert {one["value"]: one["count"] for one in told["by_project"]} == {"default": 2, "maps": 1}
    assert told["by_status"] == [{"value": "QUEUED", "count": 3, "count_exact": True}]
    assert told["others"] == 3
    assert [one["id"] for one in told["samples"]] == sorted([some["tile"], some["tile2"], some["theirs"]])


def test_an_operation_remembers_what_it_changed_and_that_is_undone(api: Api, some: dict[str, int]) -> None:
    def carry_out() -> None:
        while bulk.step(api.rt):
            pass

    assert api.patch(f"/jobs/{some['tile']}/", {"status": "CANCELED"}).status_code == 200
    begun = api.post("/jobs/cancel/", {"label": "run:7", "not_status": "COMPLETED", "reason": "wrong data"}).json
    carry_out()
    shown = api.get("/operations/", kind="cancel").json["results"][0]
    assert (shown["id"], shown["done"], shown["skipped"], shown["reason"]) == (begun["id"], 1, 1, "wrong data")
    assert ids(api.get("/jobs/", changed_by=begun["id"])) == {some["tile2"]}
    undo = api.post("/jobs/requeue/", {"changed_by": begun["id"], "status": "CANCELED"}).json
    carry_out()
    assert api.get(f"/operations/{undo['id']}/").json["done"] == 1
    assert api.get(f"/jobs/{some['tile2']}/").json["status"] == "QUEUED"
    assert api.get(f"/jobs/{some['tile']}/").json["status"] == "CANCELED", "it was cancelled before by somebody"
    api.a_project("mine")
    api.a_token("mine", Role.OPERATOR, "mine")
    assert api.as_("mine").get("/operations/").json["count"] == 0
    assert ids(api.as_("mine").get("/jobs/", changed_by=begun["id"])) == set()


def test_the_figures_of_a_type_say_what_it_needs_and_what_it_was_given(api: Api) -> None:
    kind = api.a_type("render", mem_required=8192, cpus_required=2)
    for number in range(30):
        api.a_job(job_type_id=kind["id"], name=str(number))
    api.change(
        "INSERT INTO nodes (name, pool_id, hostname, boot_id, disk_id, cpus, mem, disk) VALUES ('n', 1, 'n', 'b', 'd', 1, 1, 1)"
    )
    api.change(
        """INSERT INTO executions (job_id, attempt, node_id, node_epoch, status, cpus, mem, disk, lease_s, created, started, ended,
                                   released_at, usage)
           SELECT id, 1, (SELECT id FROM nodes), 1, 'COMPLETED', 2000, 8192000, 1, 90, now() - interval '1 h', now() - interval '1 h', now(),
                  now(), '{"job": {"peak_mem_mib": 1000, "cpu_s": 1800}}' FROM jobs"""
    )
    found = api.get(f"/job-types/{kind['id']}/statistics/").json
    assert (found["runs"], found["by_status"]) == (30, {"COMPLETED": 30})
    assert (found["memory"]["used"]["0.99"], found["memory"]["asked"], found["memory"]["suggested"]) == (
        1000,
        8192,
        1200,
    )
    assert found["cpus"]["used"]["0.5"] == pytest.approx(0.5, abs=0.01)
    assert found["cpus"]["hours"]["idle"] == pytest.approx(45, abs=0.5)
    assert found["cpus"]["hours"]["useful"] == pytest.approx(15, abs=0.5)
    assert api.get("/job-types/999999/statistics/").status_code == 404
    empty = api.get("/job-types/1/statistics/").json
    assert (empty["runs"], empty["memory"]["suggested"]) == (0, None)


def test_a_list_of_jobs_is_a_file_for_spreadsheets_in_which_nothing_is_a_formula(api: Api) -> None:
    hostile = ["=1+1", "  @SUM(A1)", "+49", "-5", 'plain, with "quotes"', "\uff1d2"]
    jobs = {api.a_job(name=name, labels={"run": "7"})["id"]: name for name in hostile}
    answer = api.get("/jobs/export/", label="run:7")
    assert (answer.status_code, answer.mimetype) == (200, "text/csv")
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="jobs-')
    rows = list(csv.DictReader(io.StringIO(answer.data.decode("utf-8-sig"), newline="")))
    assert [int(row["id"]) for row in rows] == sorted(jobs, reverse=True)
    for row in rows:
        name = jobs[int(row["id"])]
        assert row["name"] == (name if name.startswith("plain") else f"'{name}")
    assert {row["labels"] for row in rows} == {'{"run":"7"}'}
    assert {row["command"] for row in rows} == {"true"}


def test_a_list_of_jobs_is_a_file_of_json_lines_with_its_filters_order_and_limit(api: Api, monkeypatch: Any) -> None:
    monkeypatch.setattr("scheduler.jobs.queries.EXPORT_PAGE", 2)
    ids = [api.a_job(labels={"run": "8"})["id"] for _ in range(5)]
    api.a_job()
    answer = api.get("/jobs/export/", format="jsonl", label="run:8", order="id")
    found = [orjson.loads(line) for line in answer.data.splitlines()]
    assert [one["id"] for one in found] == ids, "page by page, each once"
    assert found[0] == next(one for one in api.get("/jobs/", job_id=ids[0]).json["results"])
    few = api.get("/jobs/export/", format="jsonl", label="run:8", limit=3)
    assert [orjson.loads(line)["id"] for line in few.data.splitlines()] == ids[:1:-1]
    assert api.get("/jobs/export/", order="nothing").status_code == 400
    assert api.get("/jobs/export/", limit=100_001).status_code == 400
    api.a_project("mine")
    api.a_token("mine", Role.VIEWER, "mine")
    assert api.as_("mine").get("/jobs/export/", format="jsonl").data == b""


def test_exports_that_nobody_reads_hold_only_their_share_of_the_threads(api: Api, some: dict[str, int]) -> None:
    """The pages are made while they are sent: a client that is slow holds a thread, and may not hold all of them."""
    headers = {"Authorization": f"Bearer {api.secrets['admin']}"}
    unread = []
    for _ in range(api.rt.settings.api_threads):
        answer = api.app.test_client().get("/jobs/export/?format=csv", headers=headers, buffered=False)
        if answer.status_code != 200:
            break
        unread.append(answer)
    assert answer.status_code == 503
    assert 0 < len(unread) < api.rt.settings.api_threads
    del answer
    while unread:
        unread.pop().close()  # in one thread contexts are left in the order of a stack
    read = api.get("/jobs/export/", format="jsonl")
    assert read.status_code == 200
    assert len(read.data.splitlines()) == len(some)
    assert api.get("/jobs/export/", format="jsonl").status_code == 200
