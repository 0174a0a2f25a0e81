"""Submitting jobs over HTTP: defaults, inputs, batches, idempotency."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scheduler.jobs import submit
from scheduler.store.submission import single
from tests.support import documented
from tests.support.api import Api
from tests.support.cluster import Cluster


def upload(api: Api, content: bytes = b"hello", name: str = "a.txt", media_type: str = "text/plain") -> Any:
    answer = api.send("POST", "/files/", content, query={"file_name": name}, content_type=media_type)
    assert answer.status_code == 201, answer.text
    return answer.json


def test_an_ad_hoc_command_is_answered_with_its_detail_and_address(api: Api) -> None:
    answer = api.post(
        "/jobs/", {"command": ["echo", "hi"], "name": "greet", "cpus_required": 0.25, "labels": {"team": "a"}}
    )
    assert answer.status_code == 201
    job = answer.json
    assert answer.headers["Location"] == f"http://localhost/jobs/{job['id']}/"
    assert (job["status"], job["num_exes"], job["job_exes"], job["cpus_required"]) == ("QUEUED", 0, [], 0.25)
    assert (job["job_type"]["name"], job["job_type"]["version"]) == ("command", "1.0")
    assert (job["command"], job["labels"], job["created_by"]) == (["echo", "hi"], {"team": "a"}, "admin")
    assert api.nudges[-1] == "tick"
    assert api.get(f"/jobs/{job['id']}/").json == job


def test_what_is_left_out_comes_from_the_type_and_what_is_given_wins(api: Api) -> None:
    made = api.a_type(
        cpus_required=2, mem_required=100, disk_out_const_required=10, priority=7, timeout=60, pre_timeout=5, max_tries=5,
        resources={"gpu": 1}, environment={"A": "type", "B": "type"},
    )  # fmt: skip
    plain = api.a_job(job_type_id=made["id"])
    assert [
        plain[name] for name in ("cpus_required", "mem_required", "priority", "timeout", "max_tries", "pre_timeout")
    ] == [2, 100, 7, 60, 5, 5]
    assert plain["resources"] == {"gpu": 1}
    own = api.a_job(
        job_type={"name": "a-type", "version": "1.0"}, cpus_required=0.5, priority=0, timeout=9, post_timeout=8, max_tries=1,
        resources={"gpu": 2, "licence": 0.5}, environment={"B": "job"}, pool="big", mem_required=1.5,
    )  # fmt: skip
    assert [
        own[name] for name in ("cpus_required", "mem_required", "priority", "timeout", "max_tries", "post_timeout")
    ] == [0.5, 1.5, 0, 9, 1, 8]
    assert (own["resources"], own["environment"], own["pool"]) == (
        {"gpu": 2, "licence": 0.5},
        {"A": "type", "B": "job"},
        "big",
    )


def test_amounts_grow_with_the_size_of_the_inputs(api: Api) -> None:
    mib = upload(api, b"x" * (3 * 1024 * 1024 - 5))
    api.a_type(
        mem_required=10, mem_mult_required=2.5, disk_out_const_required=1, disk_out_mult_required=0.5,
        interface={"input_data": [{"name": "f", "type": "file"}]},
    )  # fmt: skip
    job = api.a_job(job_type={"name": "a-type"}, inputs={"f": mib["id"]})
    assert (job["disk_in_required"], job["mem_required"], job["disk_out_required"]) == (3, 17.5, 2.5)
    shape = api.query(
        "SELECT s.mem, s.disk FROM shapes s JOIN jobs j ON j.shape_id = s.id WHERE j.id = :id", id=job["id"]
    )[0]
    assert 17_500 <= shape.mem <= 17_500 * 17 / 16
    assert 5_500 <= shape.disk <= 5_500 * 17 / 16 + 1


def test_inputs_are_merged_from_the_jobs_own_revision_with_nulls_explicit(api: Api) -> None:
    interface = {
        "input_data": [
            {"name": "f", "type": "file"},
            {"name": "many", "type": "files", "required": False},
            {"name": "n", "schema": {"type": "integer"}},
            {"name": "maybe", "required": False},
        ],
        "output_data": [{"name": "out", "type": "file"}],
    }
    made = api.a_type(interface=interface)
    file = upload(api)
    job = api.a_job(
        job_type_id=made["id"], data={"input_data": [{"name": "f", "file_id": file["id"]}, {"name": "n", "value": 10}]}
    )
    api.patch(f"/job-types/{made['id']}/", {"interface": {"input_data": []}})
    shown = api.get(f"/jobs/{job['id']}/").json
    values = {one["name"]: one["value"] for one in shown["inputs"]}
    assert values["f"]["id"] == file["id"]
    assert (values["many"], values["n"], values["maybe"]) == (None, 10, None)
    assert [(one["name"], one["value"]) for one in shown["outputs"]] == [("out", None)]
    assert shown["job_type_rev"]["revision_num"] == 1
    assert api.a_job(job_type_id=made["id"])["job_type_rev"]["revision_num"] == 2


def test_a_type_without_version_is_its_newest_active_one(api: Api) -> None:
    api.a_type("t", "1")
    second = api.a_type("t", "2")
    assert api.a_job(job_type={"name": "t"})["job_type"]["version"] == "2"
    api.patch(f"/job-types/{second['id']}/", {"is_active": False})
    assert api.a_job(job_type={"name": "t"})["job_type"]["version"] == "1"
    refused = api.post("/jobs/", {"job_type": {"name": "t", "version": "2"}})
    assert (refused.status_code, refused.json["kind"]) == (409, "conflict")


def test_a_job_of_a_paused_type_is_taken_and_waits(api: Api) -> None:
    api.a_type(is_paused=True, pause_reason="broken")
    job = api.a_job(job_type={"name": "a-type"})
    assert job["status"] == "QUEUED"
    assert "a-type 1.0 is paused: broken" in api.get(f"/jobs/{job['id']}/explain/").json["summary"]


def test_a_job_for_later_is_pending_and_a_held_one_queued(api: Api) -> None:
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    assert api.a_job(not_before=later)["status"] == "PENDING"
    assert api.a_job(not_before="2026-01-01T00:00:00Z")["status"] == "QUEUED"
    held = api.a_job(held=True, hold_reason="look first")
    assert (held["status"], held["is_held"], held["hold_reason"]) == ("QUEUED", True, "look first")


def test_a_job_larger_than_every_node_is_taken_unless_strict(api: Api, cluster: Cluster) -> None:
    cluster.a_node()
    huge = {"command": ["true"], "cpus_required": 1_000}
    job = api.post("/jobs/", huge)
    assert job.status_code == 201
    assert api.get(f"/jobs/{job.json['id']}/explain/").json["reasons"][0]["kind"] == "node-too-small"
    assert api.post("/jobs/", huge, strict="true").status_code == 400


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 400, "job_type"),
        ({"job_type": {"name": "nothing"}}, 400, "job_type"),
        ({"job_type_id": 999}, 400, "job_type_id"),
        ({"job_type": {"name": "a-type"}, "job_type_id": 1}, 400, None),
        ({"job_type": {"name": "a-type"}, "command": ["x"]}, 400, "command"),
        ({"job_type": {"name": "command"}}, 400, "command"),
        ({"command": []}, 400, "command"),
        ({"command": "true"}, 400, "command"),
        ({"command": ["true"], "inputs": {"a": 1}}, 400, "inputs.a"),
        ({"command": ["true"], "unknown": 1}, 400, "unknown"),
        ({"command": ["true"], "status": "RUNNING"}, 400, "status"),
        ({"command": ["true"], "project": "nowhere"}, 400, "project"),
        ({"command": ["true"], "environment": {"LD_PRELOAD": "x"}}, 400, "environment.LD_PRELOAD"),
        ({"command": ["true"], "hold_reason": "x"}, 400, None),
        ({"command": ["true"], "not_before": "2226-01-01T00:00:00Z"}, 400, "not_before"),
        ({"command": ["true"], "not_before": "2026-01-01T00:00:00"}, 400, "not_before"),
        ({"command": ["true"], "constraints": [{"label": "a", "op": "in", "value": "x"}]}, 400, "constraints[0]"),
        ({"command": ["true"], "constraints": [{"label": "a", "op": ">", "value": "x"}]}, 400, "constraints[0]"),
        ({"command": ["true"], "constraints": [{"label": "a", "op": "exists", "value": "x"}]}, 400, "constraints[0]"),
    ],
)  # fmt: skip
def test_what_cannot_be_fulfilled_is_refused_and_nothing_is_made(
    api: Api, body: dict[str, Any], status: int, field: str | None
) -> None:
    api.a_type()
    answer = api.post("/jobs/", body)
    assert (answer.status_code, answer.json["field"]) == (status, field), answer.text
    assert api.value("SELECT count(*) FROM jobs") == 0


def test_comparisons_by_size_take_numbers_as_numbers_too(api: Api) -> None:
    given = [{"label": "gpus", "op": ">", "value": 2}, {"label": "rate", "op": "<=", "value": 0.5}]
    job = api.a_job(constraints=given, preferences=[{"label": "gpus", "op": ">=", "value": 5, "weight": 2}])
    assert [one["value"] for one in (*job["constraints"], *job["preferences"])] == ["2", "0.5", "5"]
    for op, value in (("=", 2), ("in", 2), (">", True), (">", ["2"]), (">", None), (">", "nan")):
        body = {"command": ["true"], "constraints": [{"label": "gpus", "op": op, "value": value}]}
        assert api.post("/jobs/", body).status_code == 400, (op, value)


def test_constraints_are_stored_and_shown_as_they_were_given(api: Api) -> None:
    job = api.a_job(
        constraints=[
            {"label": "zone", "op": "not_in", "value": ["a", "b"]},
            {"label": "ssd", "op": "not_exists"},
            {"label": "gen", "op": ">=", "value": "3"},
            {"label": "arch", "value": "x86"},
        ]
    )
    assert [one["op"] for one in job["constraints"]] == ["not_in", "not_exists", ">=", "="]
    stored = api.value("SELECT s.constraints FROM shapes s JOIN jobs j ON j.shape_id = s.id")
    assert stored == job["constraints"]


def test_equal_wishes_share_a_shape_and_others_do_not(api: Api) -> None:
    ids = [api.a_job()["id"], api.a_job(name="other")["id"], api.a_job(priority=5)["id"]]
    shapes = [row.shape_id for row in api.query("SELECT shape_id FROM jobs WHERE id = ANY(:ids) ORDER BY id", ids=ids)]
    assert shapes[0] == shapes[1] != shapes[2]


# --- many at once -----------------------------------------------------------------------------------------


def test_an_array_is_answered_with_ids_in_its_order(api: Api) -> None:
    answer = api.post("/jobs/", [{"command": ["true"], "name": f"job {n}", "priority": n % 3} for n in range(250)])
    assert answer.status_code == 201
    assert answer.json["count"] == 250
    names = [
        row.name
        for row in api.query(
            "SELECT name FROM jobs ORDER BY array_position(CAST(:ids AS bigint[]), id)", ids=answer.json["job_ids"]
        )
    ]
    assert names == [f"job {n}" for n in range(250)]


def test_one_wrong_entry_is_named_by_its_place_and_nothing_is_made(api: Api) -> None:
    jobs: list[dict[str, Any]] = [{"command": ["true"]} for _ in range(20)]
    jobs[13] = {"command": ["true"], "priority": -1}
    answer = api.post("/jobs/", jobs)
    assert (answer.status_code, answer.json["field"]) == (400, "[13].priority")
    jobs[13] = {"job_type": {"name": "nothing"}}
    answer = api.post("/jobs/", jobs)
    assert (answer.status_code, answer.json["field"]) == (400, "[13].job_type")
    assert answer.json["description"].startswith("entry 13:")
    assert api.value("SELECT count(*) FROM jobs") == 0


def test_an_empty_array_and_one_too_many_are_refused(api: Api) -> None:
    assert api.post("/jobs/", []).status_code == 400
    assert api.post("/jobs/", [{"command": ["true"]}] * 10_001).status_code == 413
    assert api.value("SELECT count(*) FROM jobs") == 0


# --- once per key -----------------------------------------------------------------------------------------


def test_a_repeat_with_the_same_key_is_answered_with_the_same_job(api: Api) -> None:
    body = {"command": ["true"], "idempotency_key": "k1"}
    first = api.post("/jobs/", body)
    again = api.post("/jobs/", body)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.headers["Idempotent-Replay"] == "true"
    assert again.json == first.json
    by_header = api.with_headers(Idempotency_Key="k1").post("/jobs/", {"command": ["true"]})
    assert (by_header.status_code, by_header.json["id"]) == (200, first.json["id"])


def test_a_key_used_for_something_else_is_a_conflict(api: Api) -> None:
    api.a_job(idempotency_key="k1")
    answer = api.post("/jobs/", {"command": ["false"], "idempotency_key": "k1"})
    assert (answer.status_code, answer.json["field"]) == (409, "idempotency_key")
    assert api.with_headers(Idempotency_Key="k1").post("/jobs/", [{"command": ["true"]}]).status_code == 409


def test_a_header_covers_a_whole_array(api: Api) -> None:
    keyed = api.with_headers(Idempotency_Key="batch-1")
    jobs = [{"command": ["true"], "name": str(n)} for n in range(5)]
    first, again = keyed.post("/jobs/", jobs), keyed.post("/jobs/", jobs)
    assert (first.status_code, again.status_code, again.json) == (201, 200, first.json)
    assert keyed.post("/jobs/", jobs[:4]).status_code == 409


def test_keys_in_the_entries_of_an_array_replay_only_theirs(api: Api) -> None:
    first = api.post("/jobs/", [{"command": ["true"], "idempotency_key": "a"}]).json["job_ids"]
    answer = api.post("/jobs/", [{"command": ["true"]}, {"command": ["true"], "idempotency_key": "a"}])
    assert answer.status_code == 201
    assert answer.json["job_ids"][1] == first[0]
    assert api.value("SELECT count(*) FROM jobs") == 2


def test_keys_that_contradict_each_other_are_refused(api: Api) -> None:
    keyed = api.with_headers(Idempotency_Key="a")
    assert keyed.post("/jobs/", {"command": ["true"], "idempotency_key": "b"}).status_code == 400
    twice = [{"command": ["true"], "idempotency_key": "a"}, {"command": ["true"], "idempotency_key": "a"}]
    assert api.post("/jobs/", twice).status_code == 400
    assert api.with_headers(Idempotency_Key="x" * 129).post("/jobs/", {"command": ["true"]}).status_code == 400
    assert api.post("/jobs/", {"command": ["true"], "idempotency_key": "x" * 10_000}).status_code == 400


def test_a_key_is_its_projects_own(api: Api) -> None:
    api.a_project("other")
    body = {"command": ["true"], "idempotency_key": "k"}
    first = api.post("/jobs/", body)
    other = api.post("/jobs/", {**body, "project": "other"})
    assert (other.status_code, other.json["id"] != first.json["id"]) == (201, True)


def test_a_hundred_equal_submissions_at_once_make_one_job(api: Api) -> None:
    body = {"command": ["true"], "idempotency_key": "storm"}
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: api.post("/jobs/", body), range(100)))
    assert {answer.status_code for answer in answers} == {200, 201}
    assert [answer.status_code for answer in answers].count(201) == 1
    assert len({answer.json["id"] for answer in answers}) == 1
    assert api.value("SELECT count(*) FROM jobs") == 1


def test_a_crash_between_commit_and_answer_does_not_make_a_second_job(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine = submit.submit

    def crash(*given: Any, **named: Any) -> None:
        genuine(*given, **named)
        raise SystemExit("killed before the answer went out")

    keyed = api.with_headers(Idempotency_Key="once")
    monkeypatch.setattr(submit, "submit", crash)
    with pytest.raises(SystemExit):
        keyed.post("/jobs/", {"command": ["true"]})
    monkeypatch.undo()
    again = keyed.post("/jobs/", {"command": ["true"]})
    assert (again.status_code, again.json["id"]) == (200, api.value("SELECT min(id) FROM jobs"))
    assert api.value("SELECT count(*) FROM jobs") == 1


def test_a_failed_submission_leaves_its_key_free(api: Api) -> None:
    body = {"job_type": {"name": "later"}, "idempotency_key": "k"}
    assert api.post("/jobs/", body).status_code == 400
    api.a_type("later")
    assert api.post("/jobs/", body).status_code == 201


def test_a_shape_of_an_undone_submission_is_not_remembered(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("the database went away")

    monkeypatch.setattr(single, "insert", fail)
    with documented.broken_inside():
        assert api.post("/jobs/", {"command": ["true"], "priority": 42}).status_code == 500
    monkeypatch.undo()
    assert api.a_job(priority=42)["priority"] == 42


def test_more_waiting_jobs_than_a_project_may_have_are_refused(api: Api) -> None:
    api.change("""UPDATE projects SET quota = '{"queued_jobs": 3}' WHERE name = 'default'""")
    assert api.post("/jobs/", [{"command": ["true"]}] * 3).status_code == 201
    refused = api.post("/jobs/", {"command": ["true"]})
    assert (refused.status_code, refused.json["kind"]) == (429, "over-quota")
    assert refused.headers["Retry-After"]


def test_the_older_form_of_the_queue_submits_by_type_id(api: Api) -> None:
    made = api.a_type(interface={"input_data": [{"name": "n", "schema": {"type": "integer"}}]})
    good = api.post(
        "/queue/new-job/", {"job_type_id": made["id"], "job_data": {"input_data": [{"name": "n", "value": 1}]}}
    )
    assert (good.status_code, good.headers["Location"]) == (201, f"http://localhost/jobs/{good.json['id']}/")
    for body, status in (
        ({"job_type_id": -1}, 404),
        ({"job_type_id": 999}, 404),
        ({}, 400),
        ({"job_type_id": "1"}, 400),
        ({"job_type_id": made["id"], "job_data": "x"}, 400),
        ({"job_type_id": made["id"], "job_data": {}}, 400),
    ):
        assert api.post("/queue/new-job/", body).status_code == status, body
    api.patch(f"/job-types/{made['id']}/", {"is_active": False})
    assert api.post("/queue/new-job/", {"job_type_id": made["id"]}).status_code == 409


def test_the_older_form_warns_of_a_job_that_no_node_could_hold(api: Api, cluster: Cluster) -> None:
    cluster.a_node()
    sizes: dict[str, dict[str, Any]] = {"large": {"cpus_required": 1_000_000}, "small": {"cpus_required": 1}}
    kinds = {name: api.a_type(name=name, **asked)["id"] for name, asked in sizes.items()}
    made = {name: api.post("/queue/new-job/", {"job_type_id": kind}).json for name, kind in kinds.items()}
    assert [one["count"] for one in made["large"]["warnings"]] == [1]
    assert "warnings" not in made["small"]


def test_a_command_that_asks_for_what_the_job_does_not_have_is_refused_at_once(api: Api) -> None:
    wrong = {"command": ["sh", "-c", "echo ${x}"]}
    answer = api.post("/jobs/", wrong)
    assert (answer.status_code, answer.json["field"]) == (400, "command")
    assert "$${x}" in answer.json["description"]
    for query in ({"dry_run": "true"}, {"strict": "true"}):
        assert api.post("/jobs/", wrong, **query).status_code == 400
    answer = api.post("/jobs/", [{"command": ["true"]}, wrong])
    assert (answer.status_code, answer.json["field"]) == (400, "[1].command")
    assert api.value("SELECT count(*) FROM jobs") == 0
    api.a_job(command=["sh", "-c", "echo $${x} $x ${job_output_dir}"])


def test_a_job_without_the_optional_input_that_its_command_asks_for_is_refused(api: Api) -> None:
    interface = {
        "input_data": [{"name": "a", "type": "property"}, {"name": "b", "type": "property", "required": False}]
    }
    api.a_type(name="asks", command=["echo", "${a}", "${b}"], interface=interface)
    kind: dict[str, Any] = {"job_type": {"name": "asks", "version": "1.0"}}
    jobs = [{**kind, "inputs": {"a": 1, "b": 2}}, {**kind, "inputs": {"a": 1}}]
    answer = api.post("/jobs/", jobs)
    assert (answer.status_code, answer.json["field"]) == (400, "[1].command")
    assert "${b}" in answer.json["description"]
    assert api.post("/jobs/", jobs[:1]).status_code == 201


def test_a_job_type_whose_command_asks_for_no_input_of_its_own_is_warned_of(api: Api) -> None:
    interface = {"output_data": [{"name": "o", "type": "file", "glob": "o"}]}
    body = {"name": "a", "version": "1", "command": ["a", "${o}", "$${p}"], "interface": interface, "timeout": 5}
    answer = api.post("/job-types/validation/", body)
    found = [warning["description"] for warning in answer.json["warnings"]]
    assert len(found) == 1
    assert found[0].startswith("${o} is not an input: jobs of this type are refused")
