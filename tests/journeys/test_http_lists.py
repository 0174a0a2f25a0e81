"""Lists over HTTP: filters, orders, pages, and pages while the list changes."""

import random
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.api import Api
from tests.support.cluster import Cluster


def ids(answer: Any) -> Any:
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json["results"]]


@pytest.fixture
def four(api: Api) -> Any:
    """Four jobs: two types, a failed one, a cancelled one, one on a node."""
    a, b = api.a_type("alpha", "1", category="x"), api.a_type("beta", "2", category="y")
    one = api.a_job(job_type_id=a["id"], labels={"team": "a", "kind": "k"}, name="z", priority=5)
    two = api.a_job(job_type_id=b["id"], labels={"team": "b"}, pool="big", name="y", priority=4)
    three, four_ = api.a_job(job_type_id=a["id"], priority=3), api.a_job(job_type_id=b["id"], priority=2)
    api.change(
        "UPDATE jobs SET status = 'FAILED', error_id = (SELECT id FROM errors WHERE name = 'staging'), ended = now() WHERE id = :id",
        id=three["id"],
    )
    api.patch(f"/jobs/{four_['id']}/", {"status": "CANCELED"})
    api.change(
        """INSERT INTO nodes (name, pool_id, hostname, boot_id, disk_id, cpus, mem, disk)
           VALUES ('n1', 1, 'host-1', 'b', 'd', 1000, 1000, 1000)"""
    )
    api.change("UPDATE jobs SET node_id = (SELECT id FROM nodes) WHERE id = :id", id=three["id"])
    return [one["id"], two["id"], three["id"], four_["id"]], a, b


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, {0, 1, 2, 3}),
        ({"status": "QUEUED"}, {0, 1}),
        ({"status": ["FAILED", "CANCELED"]}, {2, 3}),
        ({"status": "PENDING"}, set()),
        ({"job_type_name": "alpha"}, {0, 2}),
        ({"job_type_name": ["alpha", "beta"], "status": "QUEUED"}, {0, 1}),
        ({"job_type_category": "y"}, {1, 3}),
        ({"error_category": "SYSTEM"}, {2}),
        ({"error_category": "DATA"}, set()),
        ({"label": "team:a"}, {0}),
        ({"label": ["team:a", "team:b"]}, {0, 1}),
        ({"label": "team:"}, set()),
        ({"pool": "big"}, {1}),
        ({"pool": "default"}, {2}),
        ({"node": "host-1"}, {2}),
        ({"node": "n1"}, {2}),
        ({"node": ["nothing", "1"]}, {2}),
        ({"project": "default"}, {0, 1, 2, 3}),
        ({"project": "nothing"}, set()),
        ({"workflow_id": "1"}, set()),
        ({"started": "PT1H"}, {0, 1, 2, 3}),
        ({"started": "PT1H", "ended": "P0DT30M"}, set()),
        ({"ended": "P1W"}, set()),
    ],
)  # fmt: skip
def test_filters_are_alternatives_within_a_field_and_narrow_between_fields(
    api: Api, four: Any, query: dict[str, Any], expected: set[Any]
) -> None:
    made, _, _ = four
    found = api.get("/jobs/", **query)
    assert set(ids(found)) == {made[n] for n in expected}
    assert found.json["count"] == len(expected)


def test_ids_filter_too(api: Api, four: Any) -> None:
    made, a, _ = four
    assert set(ids(api.get("/jobs/", job_id=made[:2]))) == set(made[:2])
    assert set(ids(api.get("/jobs/", job_type_id=a["id"]))) == {made[0], made[2]}
    assert ids(api.get("/jobs/", job_id=-1)) == []


def test_the_window_is_over_the_last_change_and_takes_its_bounds_in(api: Api, four: Any) -> None:
    made, _, _ = four
    at = datetime(2026, 1, 1, 12, tzinfo=UTC)
    api.change("UPDATE jobs SET last_modified = :at WHERE id = :id", at=at, id=made[0])
    for start, end in (
        ("2026-01-01T12:00:00Z", "2026-01-01T12:00:01Z"),
        ("2026-01-01T11:00:00Z", "2026-01-01T12:00:00Z"),
        ("2026-01-01T07:00:00-05:00", "2026-01-01T13:00:01 01:00"),
    ):
        assert ids(api.get("/jobs/", started=start, ended=end)) == [made[0]]


@pytest.mark.parametrize(
    "query",
    [
        {"status": "BOGUS"}, {"status": ""}, {"status": "queued"}, {"job_id": "abc"}, {"job_id": ""}, {"job_id": "1e3"}, {"job_id": "\u0661"},
        {"job_id": "9" * 30}, {"error_category": "x"}, {"label": "team"}, {"order": "nothing"}, {"order": "id; DROP TABLE jobs"},
        {"order": ""}, {"page": "0"}, {"page": "-1"}, {"page": "x"}, {"page": "1.0"}, {"page_size": "0"}, {"page_size": "1001"},
        {"page_size": "x"}, {"page_size": "-5"}, {"started": "2026-01-01T00:00:00"}, {"started": "2026-01-01"}, {"started": "yesterday"},
        {"started": "PT3X"}, {"started": "p1d"}, {"started": "P1Y"}, {"ended": "P999999999D"},
        {"started": "PT1H", "ended": "PT2H"}, {"started": "2026-01-01T00:00:00Z", "ended": "2026-01-01T00:00:00Z"},
        {"cursor": "x"}, {"cursor": "AAAA"}, {"cursor": "ü"}, {"node": "a\0b"},
    ],
)  # fmt: skip
def test_malformed_parameters_are_refused_by_name(api: Api, query: Any) -> None:
    answer = api.get("/jobs/", **query)
    assert answer.status_code == 400, answer.text
    assert answer.json["field"] in {*query, *(f"{name}[0]" for name in query)}


def test_an_unknown_status_is_answered_with_the_words_there_are(api: Api) -> None:
    assert "PENDING_UPLOAD, PENDING, BLOCKED, QUEUED" in api.get("/jobs/", status="BOGUS").json["description"]


def test_orders_are_by_many_keys_each_in_its_direction(api: Api, four: Any) -> None:
    made, _, _ = four
    assert ids(api.get("/jobs/", order="id")) == made
    assert ids(api.get("/jobs/", order="-id")) == made[::-1]
    assert ids(api.get("/jobs/", order="priority")) == made[::-1]
    for spelled in (("name", "-id"), ("job_type__name", "-id"), ("job_type.name", "-id")):
        assert ids(api.get("/jobs/", order=list(spelled))) == [made[2], made[0], made[3], made[1]]
    assert ids(api.get("/jobs/", order=["-version", "job_name"])) == [made[3], made[1], made[2], made[0]]
    assert ids(api.get("/jobs/", order=["ended", "id"]))[-2:] == made[:2]


def test_every_order_pages_through_all_without_repeating(api: Api, four: Any) -> None:
    made, _, _ = four
    for field in (
        "id", "created", "queued", "started", "ended", "last_modified", "last_status_change", "status", "priority", "num_exes", "duration",
        "cpus_required", "mem_required", "name", "version", "category", "job_name",
    ):  # fmt: skip
        for order in (field, f"-{field}"):
            answer = api.get("/jobs/", order=order, page_size=1)
            seen = ids(answer)
            while answer.json["next"]:
                answer = api.follow(answer.json["next"])
                seen += ids(answer)
            assert sorted(seen) == sorted(made), order
            while answer.json["previous"]:
                answer = api.follow(answer.json["previous"])
            assert ids(answer) == seen[:1], order


def test_links_are_absolute_and_keep_every_other_parameter(api: Api, four: Any) -> None:
    answer = api.get("/jobs/", page_size=1, order=["-priority", "id"], status=["QUEUED", "FAILED"])
    parts = urlsplit(answer.json["next"])
    query = parse_qs(parts.query)
    assert (parts.scheme, parts.netloc, parts.path) == ("http", "localhost", "/jobs/")
    assert (query["page"], query["page_size"], query["order"], query["status"]) == (
        ["2"],
        ["1"],
        ["-priority", "id"],
        ["QUEUED", "FAILED"],
    )
    assert answer.json["previous"] is None
    assert answer.json["count"] == 3


def test_pages_may_be_asked_for_by_number_alone(api: Api) -> None:
    made = api.post("/jobs/", [{"command": ["true"]}] * 25).json["job_ids"]
    assert ids(api.get("/jobs/", page=3, page_size=10, order="id")) == made[20:]
    past = api.get("/jobs/", page=4, page_size=10)
    assert (past.status_code, past.json["kind"]) == (404, "not-found")
    assert api.get("/jobs/", page=10**15).status_code == 404
    last = api.get("/jobs/", page=3, page_size=10)
    assert last.json["next"] is None


def test_the_first_page_of_nothing_is_an_empty_list(api: Api) -> None:
    answer = api.get("/jobs/", status="RUNNING")
    assert answer.json == {"count": 0, "count_exact": True, "next": None, "previous": None, "results": []}


def test_a_cursor_is_good_for_its_list_and_its_token_only(api: Api, four: Any) -> None:
    link = api.get("/jobs/", page_size=1).json["next"].removeprefix("http://localhost")
    assert api.get(link).status_code == 200
    assert api.as_("operator").get(link).status_code == 400
    assert api.get(link + "&status=QUEUED").status_code == 400
    assert api.get(link.replace("/jobs/", "/jobs/updates/")).status_code == 400
    assert api.get(link + "x").status_code == 400
    cursor = parse_qs(urlsplit(link).query)["cursor"][0]
    changed = cursor[:-2] + ("A" if cursor[-2] != "A" else "B") + cursor[-1]
    assert api.get("/jobs/", page=2, page_size=1, cursor=changed).status_code == 400


def test_counts_are_exact_up_to_ten_thousand_and_said_to_be_estimates_above(api: Api) -> None:
    api.post("/jobs/", [{"command": ["true"]}] * 10_000)
    answer = api.get("/jobs/", page_size=10)
    assert (answer.json["count"], answer.json["count_exact"]) == (10_000, True)
    api.post("/jobs/", [{"command": ["true"]}] * 500)
    api.change("ANALYZE jobs")
    answer = api.get("/jobs/", page_size=10)
    assert answer.json["count_exact"] is False
    assert 10_001 <= answer.json["count"] <= 12_000


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**32),
    size=st.integers(1, 7),
    order=st.sampled_from(["last_modified", "-last_modified", "priority", "-id"]),
)
def test_paging_through_a_changing_list_neither_repeats_nor_skips_what_did_not_change(
    api: Api, seed: Any, size: Any, order: Any
) -> None:
    chance = random.Random(seed)
    run = uuid.uuid4().hex  # a list of its own: with what earlier examples left, each would be longer than the last
    one = {"command": ["true"], "labels": {"run": run}}
    still = set(api.post("/jobs/", [{**one, "priority": chance.randrange(3)} for _ in range(20)]).json["job_ids"])
    touched: set[int] = set()
    seen: list[int] = []
    answer = api.get("/jobs/", page_size=size, order=order, label=f"run:{run}")
    while True:
        seen += ids(answer)
        happening = chance.randrange(3)
        if happening == 0:
            api.a_job(priority=chance.randrange(3), name="new", labels={"run": run})
        elif happening == 1:
            job_id = chance.choice(sorted(still))
            touched.add(job_id)
            api.change(
                "UPDATE jobs SET last_modified = now(), priority = :p WHERE id = :id", p=chance.randrange(3), id=job_id
            )
        if answer.json["next"] is None:
            break
        answer = api.follow(answer.json["next"])
    unchanged = [one for one in seen if one in still - touched]
    assert sorted(unchanged) == sorted(still - touched)


# --- the other two lists of jobs --------------------------------------------------------------------------


def test_updates_carry_the_files_each_job_was_given(api: Api) -> None:
    file = api.send("POST", "/files/", b"x", query={"file_name": "f"}, content_type="application/octet-stream").json
    api.a_type(interface={"input_data": [{"name": "f", "type": "files"}]})
    job = api.a_job(job_type={"name": "a-type"}, inputs={"f": [file["id"], file["id"]]})
    plain = api.a_job()
    found = api.get("/jobs/updates/").json["results"]
    assert [(one["id"], [f["id"] for f in one["input_files"]]) for one in found] == [
        (job["id"], [file["id"]]),
        (plain["id"], []),
    ]


def test_updates_of_a_window_are_the_jobs_whose_status_changed_in_it(api: Api) -> None:
    still, moved = api.a_job()["id"], api.a_job()["id"]
    api.change("UPDATE jobs SET last_status_change = now() - interval '2 hours' WHERE id = :id", id=still)
    assert ids(api.get("/jobs/updates/", started="PT1H")) == [moved]
    assert ids(api.get("/jobs/updates/", ended="PT1H")) == [still]
    assert ids(api.get("/jobs/", started="PT1H")) == [still, moved]


def test_each_job_is_listed_once_with_its_newest_execution(api: Api, cluster: Cluster) -> None:
    node = cluster.a_node()
    job = api.a_job(mem_required=0, retry_on=["ALGORITHM"])
    never = api.a_job(cpus_required=100)
    for outcome in ("failed", "completed"):
        cluster.tick()
        ref = cluster.execution_of(job["id"])
        cluster.claim(node, ref)
        cluster.report(node, ref, outcome, phases={"job": {"exit_code": 0 if outcome == "completed" else 1}})
        api.change("UPDATE jobs SET not_before = NULL WHERE id = :id AND status = 'QUEUED'", id=job["id"])
    found = {one["id"]: one for one in api.get("/jobs/executions/").json["results"]}
    assert len(found) == 2
    assert found[never["id"]]["latest_job_exe"] is None
    assert found[job["id"]]["status"] == "COMPLETED"
    assert (found[job["id"]]["latest_job_exe"]["attempt"], found[job["id"]]["latest_job_exe"]["job_exit_code"]) == (
        2,
        0,
    )
    assert ids(api.get("/jobs/executions/", status="COMPLETED")) == [job["id"]]


def test_job_types_count_what_changed_of_late_and_whatever_runs(api: Api) -> None:
    made = api.a_type()
    old, running, failed = (api.a_job(job_type_id=made["id"])["id"] for _ in range(3))
    ago = datetime.now(UTC) - timedelta(days=2)
    api.change(
        "UPDATE jobs SET status = 'COMPLETED', result_attempt = 1, last_modified = :ago WHERE id = :id", ago=ago, id=old
    )
    api.change(
        "UPDATE jobs SET status = 'RUNNING', last_modified = :ago, started = :ago WHERE id = :id", ago=ago, id=running
    )
    api.change(
        "UPDATE jobs SET status = 'FAILED', error_id = (SELECT id FROM errors WHERE name = 'timeout') WHERE id = :id",
        id=failed,
    )
    found = {one["job_type"]["name"]: one["job_counts"] for one in api.get("/job-types/status/").json["results"]}
    assert {(one["status"], one["category"], one["count"]) for one in found["a-type"]} == {
        ("RUNNING", None, 1),
        ("FAILED", "ALGORITHM", 1),
    }
    assert found["command"] == []
    (one,) = api.get("/job-types/running/").json["results"]
    assert (one["job_type"]["id"], one["count"], one["longest_running"][:10]) == (made["id"], 1, ago.isoformat()[:10])


def test_the_queue_shows_what_can_go_first_first(api: Api) -> None:
    a, b, c = api.a_type("a"), api.a_type("b", is_paused=True), api.a_type("c")
    for made, priority in ((a, 50), (a, 70), (b, 1), (c, 20)):
        api.a_job(job_type_id=made["id"], priority=priority)
    found = api.get("/queue/status/").json["results"]
    assert [(one["job_type"]["name"], one["count"], one["highest_priority"], one["is_job_type_paused"]) for one in found] == [
        ("c", 1, 20, False), ("a", 2, 50, False), ("b", 1, 1, True),
    ]  # fmt: skip
    assert all(one["longest_queued"] for one in found)
