"""Job types over HTTP: make, change, revise, pause, archive, check."""

from typing import Any

import pytest

from tests.support.api import Api
from tests.support.cluster import Cluster

FULL = {
    "name": "segment",
    "version": "2.1",
    "title": "Segment an image",
    "description": "Line one\nline two",
    "category": "imaging",
    "author_name": "Ann",
    "icon_code": "f03e",
    "command": ["segment", "${image}", "--bands", "${bands}", "-o", "${job_output_dir}"],
    "pre_command": ["prepare"],
    "post_command": ["tidy"],
    "cleanup_command": ["sweep"],
    "environment": {"OMP_NUM_THREADS": "2"},
    "interface": {
        "version": "1.0",
        "input_data": [
            {"name": "image", "type": "file", "media_types": ["image/tiff"]},
            {"name": "bands", "type": "property", "schema": {"type": "integer"}, "default": 3},
        ],
        "output_data": [{"name": "mask", "type": "file", "glob": "*.tif", "media_type": "image/tiff"}],
    },
    "error_mapping": {"exit_codes": {"3": "staging"}},
    "cpus_required": 1.5,
    "mem_required": 512,
    "mem_mult_required": 2.5,
    "disk_out_const_required": 10,
    "disk_out_mult_required": 1,
    "resources": {"gpu": 1},
    "timeout": 60,
    "pre_timeout": 10,
    "post_timeout": 20,
    "max_tries": 5,
    "max_scheduled": 10,
    "priority": 50,
}


def test_a_type_is_answered_as_it_was_given(api: Api) -> None:
    answer = api.post("/job-types/", FULL)
    assert answer.status_code == 201, answer.text
    made = answer.json
    assert answer.headers["Location"] == f"http://localhost/job-types/{made['id']}/"
    shown = {name: made[name] for name in FULL if name not in {"interface", "error_mapping"}}
    assert shown == {name: value for name, value in FULL.items() if name not in {"interface", "error_mapping"}}
    assert made["interface"]["input_data"][1] == {
        "name": "bands", "type": "property", "required": True, "media_types": [], "schema": {"type": "integer"}, "default": 3,
    }  # fmt: skip
    assert made["error_mapping"]["exit_codes"] == {"3": "staging"}
    assert (made["revision_num"], made["is_active"], made["is_system"], made["paused"]) == (1, True, False, None)
    assert api.get(f"/job-types/{made['id']}/").json == made
    assert api.get("/job-types/segment/2.1/").json == made


def test_what_is_left_out_takes_the_documented_default(api: Api) -> None:
    made = api.a_type()
    names = (
        "cpus_required",
        "mem_required",
        "disk_out_const_required",
        "timeout",
        "max_tries",
        "priority",
        "shell",
        "max_scheduled",
    )
    assert [made[name] for name in names] == [1, 64, 64, 1800, 3, 100, False, None]
    assert api.a_type("endless", is_long_running=True)["timeout"] is None


def test_name_and_version_are_there_once(api: Api) -> None:
    api.a_type()
    again = api.post("/job-types/", {"name": "a-type", "version": "1.0", "command": ["x"]})
    assert (again.status_code, again.json["kind"]) == (409, "conflict")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "a b"}, "name"),
        ({"name": ""}, "name"),
        ({"version": "1/2"}, "version"),
        ({"command": []}, "command"),
        ({"command": "x"}, "command"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": 10**12}, "timeout"),
        ({"max_tries": 0}, "max_tries"),
        ({"max_tries": 1001}, "max_tries"),
        ({"max_scheduled": 0}, "max_scheduled"),
        ({"priority": -1}, "priority"),
        ({"cpus_required": 0}, "cpus_required"),
        ({"cpus_required": 0.0001}, "cpus_required"),
        ({"mem_required": -1}, "mem_required"),
        ({"mem_required": "64"}, "mem_required"),
        ({"mem_required": True}, "mem_required"),
        ({"interface": {"input_data": [{"name": "a", "type": "folder"}]}}, "interface.input_data[0].type"),
        ({"interface": {"input_data": [{"name": "../a"}]}}, "interface.input_data[0].name"),
        ({"interface": {"input_data": [{"name": "a"}, {"name": "a"}]}}, "interface.input_data[1].name"),
        ({"interface": {"version": "9"}}, "interface.version"),
        ({"interface": {"input_data": [{"name": "a", "schema": {"type": "intger"}}]}}, "interface.input_data[0].schema"),
        ({"interface": {"input_data": [{"name": "a", "schema": {"$ref": "http://x/"}}]}}, "interface.input_data[0].schema"),
        ({"interface": {"input_data": [{"name": "a", "schema": {"type": "integer"}, "default": "x"}]}}, "interface.input_data[0].default"),
        ({"interface": {"output_data": [{"name": "a", "type": "file", "glob": "/etc/*"}]}}, "interface.output_data[0].glob"),
        ({"error_mapping": {"exit_codes": {"3": "nothing"}}}, "error_mapping.exit_codes.3"),
        ({"error_mapping": {"exit_codes": {"999": "staging"}}}, "error_mapping.exit_codes.999"),
        ({"environment": {"LD_PRELOAD": "x"}}, "environment.LD_PRELOAD"),
        ({"is_system": True}, "is_system"),
        ({"revision_num": 5}, "revision_num"),
        ({"title": "a\nb"}, "title"),
        ({"title": None}, "title"),
        ({"pause_reason": "x"}, "pause_reason"),
    ],
)  # fmt: skip
def test_what_no_job_could_use_is_refused_by_the_name_of_the_field(api: Api, change: Any, field: str) -> None:
    body = {"name": "t", "version": "1", "command": ["true"], **change}
    answer = api.post("/job-types/", body)
    assert answer.status_code == 400, answer.text
    assert answer.json["field"] == field, answer.text
    assert api.value("SELECT count(*) FROM job_types WHERE NOT is_system") == 0
    check = api.post("/job-types/validation/", body)
    assert check.status_code == 400 or (check.json["is_valid"], check.json["errors"][0]["name"]) == (False, field)


def test_changing_what_a_job_would_see_makes_a_revision_and_nothing_else_does(api: Api) -> None:
    made = api.a_type()
    path = f"/job-types/{made['id']}/"
    assert api.patch(path, {"title": "New", "max_scheduled": 3, "is_operational": False}).json["revision_num"] == 1
    assert api.patch(path, {"command": ["true"]}).json["revision_num"] == 1
    assert api.patch(path, {"timeout": 5}).json["revision_num"] == 2
    assert api.patch("/job-types/a-type/1.0/", {"timeout": None}).json["revision_num"] == 3
    found = api.get(f"{path}revisions/").json
    assert [(one["revision_num"], one["timeout"]) for one in found["results"]] == [(3, None), (2, 5), (1, 1800)]
    assert api.get(f"{path}revisions/2/").json["timeout"] == 5
    assert api.get("/job-types/a-type/1.0/revisions/").json == {**found, "results": found["results"]}
    assert api.get("/job-types/a-type/1.0/revisions/1/").json["revision_num"] == 1
    assert api.get(f"{path}revisions/4/").status_code == 404


def test_a_change_that_is_refused_changes_nothing(api: Api) -> None:
    made = api.a_type()
    refused = api.patch(
        f"/job-types/{made['id']}/", {"title": "New", "error_mapping": {"exit_codes": {"3": "nothing"}}}
    )
    assert refused.status_code == 400
    assert api.get(f"/job-types/{made['id']}/").json == made


def test_pausing_is_stamped_and_going_on_clears_the_reason(api: Api) -> None:
    made = api.a_type()
    path = f"/job-types/{made['id']}/"
    paused = api.patch(path, {"is_paused": True, "pause_reason": "disk"}).json
    assert (paused["is_paused"], paused["pause_reason"], paused["revision_num"]) == (True, "disk", 1)
    assert paused["paused"]
    assert api.nudges[-1] == "tick"
    resumed = api.patch(path, {"is_paused": False}).json
    assert (resumed["is_paused"], resumed["pause_reason"], resumed["paused"]) == (False, None, None)


def test_a_paused_type_is_seen_by_the_scheduler(api: Api, cluster: Cluster) -> None:
    cluster.a_node()
    made = api.a_type(mem_required=0)
    cluster.tick()
    api.patch(f"/job-types/{made['id']}/", {"is_paused": True})
    api.a_job(job_type_id=made["id"])
    assert cluster.tick() == 0
    api.patch(f"/job-types/{made['id']}/", {"is_paused": False})
    assert cluster.tick() == 1


def test_archiving_is_stamped_and_can_be_undone(api: Api) -> None:
    made = api.a_type()
    path = f"/job-types/{made['id']}/"
    assert api.patch(path, {"is_active": False}).json["archived"]
    assert api.post("/jobs/", {"job_type_id": made["id"]}).status_code == 409
    assert api.patch(path, {"is_active": True}).json["archived"] is None


def test_of_a_built_in_type_only_its_pace_can_change(api: Api) -> None:
    assert api.patch("/job-types/command/1.0/", {"title": "x"}).status_code == 409
    assert api.patch("/job-types/command/1.0/", {"timeout": 5}).status_code == 409
    assert api.patch("/job-types/command/1.0/", {"is_paused": True, "max_scheduled": 2}).status_code == 200


def test_every_change_is_on_record(api: Api) -> None:
    made = api.a_type()
    api.as_("operator").patch(f"/job-types/{made['id']}/", {"is_paused": True})
    rows = api.query("SELECT actor, action, subject FROM audit ORDER BY id")
    assert [(row.actor, row.action) for row in rows] == [("admin", "job-type.create"), ("operator", "job-type.change")]
    assert rows[0].subject == f"job-type:{made['id']}"


def test_validation_is_a_dry_run_with_warnings(api: Api) -> None:
    answer = api.post("/job-types/validation/", {**FULL, "command": ["segment", "${imge}"], "timeout": None})
    assert answer.status_code == 200
    assert answer.json["is_valid"]
    assert len(answer.json["warnings"]) == 2
    assert api.get("/job-types/segment/2.1/").status_code == 404


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({}, ["a", "b", "b", "command"]), ({"name": "b"}, ["b", "b"]), ({"category": "x"}, ["a"]), ({"keyword": "B"}, ["b", "b"]), ({"keyword": "comm"}, ["command"]),
        ({"is_system": "false"}, ["a", "b", "b"]), ({"is_active": "0"}, ["a"]), ({"is_paused": "TRUE"}, []), ({"order": ["-name", "-version"]}, ["command", "b", "b", "a"]),
        ({"started": "PT1H"}, ["a", "b", "b", "command"]), ({"ended": "PT1H"}, []), ({"page_size": 2}, ["a", "b"]),
    ],
)  # fmt: skip
def test_types_are_listed_by_name_and_version_and_filtered(api: Api, query: dict[str, Any], names: list[Any]) -> None:
    api.a_type("b", "2")
    api.a_type("b", "1")
    api.a_type("a", "1", category="x", is_active=False)
    found = api.get("/job-types/", **query)
    listed = [one["name"] for one in found.json["results"]]
    assert [name for name in listed if not name.startswith("blockmodel/")] == names  # those are of every installation
    for wrong in ({"is_active": "maybe"}, {"order": "nothing"}, {"id": "x"}):
        assert api.get("/job-types/", **wrong).status_code == 400


@pytest.mark.parametrize(
    "path",
    [
        "/job-types/99/",
        "/job-types/a/1/",
        "/job-types/a%00/1/",
        "/job-types/99/revisions/",
        "/job-types/x/1/revisions/1/",
    ],
)
def test_unknown_types_are_not_found(api: Api, path: str) -> None:
    assert api.get(path).status_code in {400, 404}
    assert api.patch("/job-types/99/", {"title": "x"}).status_code == 404


# --- versions, replacing ----------------------------------------------------------------------------------


def test_a_type_without_version_is_its_newest_by_numbers_and_a_pre_release_only_if_there_is_no_other(api: Api) -> None:
    made = {version: api.a_type("tool", version)["id"] for version in ("2.0-rc.1", "1.10", "1.9", "latest", "1.2")}
    assert api.a_job(job_type={"name": "tool"})["job_type"]["version"] == "1.10"
    shown = api.get("/job-types/", name="tool", order="-version").json["results"]
    assert [one["version"] for one in shown] == ["1.10", "1.9", "1.2", "2.0-rc.1", "latest"]
    for version in ("1.10", "1.9", "1.2"):
        api.patch(f"/job-types/{made[version]}/", {"is_active": False})
    assert api.a_job(job_type={"name": "tool"})["job_type"]["version"] == "2.0-rc.1"
    api.patch(f"/job-types/{made['2.0-rc.1']}/", {"is_active": False})
    assert api.a_job(job_type={"name": "tool"})["job_type"]["version"] == "latest"


def test_jobs_are_ordered_by_the_numbers_of_their_types(api: Api) -> None:
    for version in ("1.10", "1.9"):
        api.a_job(job_type_id=api.a_type("tool", version)["id"])
    listed = api.get("/jobs/", order="version").json["results"]
    assert [job["job_type"]["version"] for job in listed] == ["1.9", "1.10"]


def test_a_replaced_type_is_exactly_what_is_said(api: Api) -> None:
    body = {"name": "tool", "version": "1", "command": ["a"], "title": "T", "priority": 5, "max_scheduled": 3}
    assert api.post("/job-types/", body, replace="true").status_code == 201
    again = api.post("/job-types/", {"name": "tool", "version": "1", "command": ["b"]}, replace="true")
    assert (again.status_code, again.json["revision_num"]) == (200, 2)
    assert (again.json["title"], again.json["priority"], again.json["max_scheduled"]) == ("", 100, None)
    same = api.post("/job-types/", {"name": "tool", "version": "1", "command": ["b"]}, replace="true")
    assert same.json["revision_num"] == 2
    assert api.post("/job-types/", {"name": "tool", "version": "1", "command": ["b"]}).status_code == 409
    built_in = {"name": "command", "version": "1.0", "command": ["b"]}
    assert api.post("/job-types/", built_in, replace="true").status_code == 409


def test_what_a_type_answers_can_be_sent_back_and_changes_nothing(api: Api) -> None:
    interface = {"input_data": [{"name": "n", "schema": {"type": "integer"}}], "output_data": [{"name": "o"}]}
    made = api.a_type(
        "tool", "1", interface=interface, on_oom={"mem_factor": 2}, error_mapping={"exit_codes": {"3": "timeout"}}
    )
    fixed = {
        "id", "name", "version", "project", "is_system", "uses_docker", "docker_privileged", "docker_image", "revision_num", "created", "archived",
        "paused", "last_modified",
    }  # fmt: skip
    sent = api.patch(f"/job-types/{made['id']}/", {name: value for name, value in made.items() if name not in fixed})
    assert sent.status_code == 200, sent.text
    assert {**sent.json, "last_modified": None} == {**made, "last_modified": None}
