"""Refusals that help: unknown parameters with the nearest name, and all faults of a request at once, each by its place."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.support.api import Api
from tests.support.cluster import Cluster


def told(answer: Any) -> dict[str, str]:
    """Return the faults of a refusal: what is said of each field."""
    assert answer.status_code == 400, answer.text
    faults = answer.json["faults"]
    assert answer.json["field"] == faults[0]["field"]
    return {fault["field"]: fault["description"] for fault in faults}


# --- query parameters -------------------------------------------------------------------------------------


def test_every_address_refuses_a_parameter_that_it_does_not_know(api: Api) -> None:
    document = api.get("/openapi.json").json
    for path, item in document["paths"].items():
        for method, operation in item.items():
            callers = {"public": None, "node": "node"}
            sent = api.as_(callers.get(operation["x-role"], "admin"))
            answer = sent.send(method.upper(), re.sub(r"{[^}]*}", "1", path), query={"nonsense": "1"})
            if path.startswith("/blobs/"):  # a signed link takes what clients append to it, and is nothing unsigned
                assert answer.status_code == 403, (method, path, answer.text)
                continue
            assert answer.status_code == 400, (method, path, answer.text)
            assert answer.json["field"] == "nonsense", (method, path)


@pytest.mark.parametrize(
    ("path", "given", "meant"),
    [
        ("/jobs/", "stauts", "status"),
        ("/jobs/", "pagesize", "page_size"),
        ("/jobs/", "jobTypeName", "job_type_name"),
        ("/nodes/", "is_pause", "is_paused"),
        ("/files/", "filename", "file_name"),
    ],
)
def test_a_mistyped_parameter_is_answered_with_the_one_that_is_meant(
    api: Api, path: str, given: str, meant: str
) -> None:
    assert told(api.get(path, **{given: "FAILED"})) == {given: f"unknown parameter; did you mean {meant}?"}


def test_a_mistyped_dry_run_submits_nothing(api: Api) -> None:
    answer = api.post("/jobs/", {"command": ["true"]}, dryrun="true")
    assert told(answer) == {"dryrun": "unknown parameter; did you mean dry_run?"}
    assert api.value("SELECT count(*) FROM jobs") == 0


def test_all_unknown_parameters_are_told_and_long_ones_cost_nothing(api: Api) -> None:
    assert set(told(api.get("/jobs/", one="1", two="2", page="1"))) == {"one", "two"}
    assert told(api.get("/jobs/", **{"x" * 3000: "1"})) == {"x" * 3000: "unknown parameter"}
    assert told(api.get("/version/", verbose="1")) == {"verbose": "this address takes no parameters"}


# --- bodies -----------------------------------------------------------------------------------------------


def test_a_change_with_unexpected_fields_lists_all_of_them(api: Api) -> None:
    job = api.a_job()
    body = {"status": "CANCELED", "priority": 1, "nmae": "x"}
    assert set(told(api.patch(f"/jobs/{job['id']}/", body))) == {"priority", "nmae"}
    text = api.with_headers(Accept="text/plain").patch(f"/jobs/{job['id']}/", body).text
    assert text == "priority: unknown field; nmae: unknown field\n"
    assert api.get(f"/jobs/{job['id']}/").json["status"] == "QUEUED"


def test_an_unknown_field_is_answered_with_the_nearest_that_may_stand_there(api: Api) -> None:
    assert told(api.post("/jobs/", {"command": ["true"], "prioritty": 5})) == {
        "prioritty": "unknown field; did you mean priority?"
    }
    many = [{"command": ["true"]}, {"command": ["true"], "constraints": [{"lable": "x", "op": "exists"}]}]
    assert told(api.post("/jobs/", many))["[1].constraints[0].lable"] == "unknown field; did you mean label?"
    interface = {"input_data": [{"name": "n", "requird": True}]}
    body = {"name": "t", "version": "1", "command": ["true"], "interface": interface}
    assert told(api.post("/job-types/", body)) == {
        "interface.input_data[0].requird": "unknown field; did you mean required?"
    }


def test_the_forms_of_one_value_are_one_fault(api: Api) -> None:
    constraint = {"label": "x", "op": "=", "value": {}}
    assert len(told(api.post("/jobs/", {"command": ["true"], "constraints": [constraint]}))) == 1


def test_no_more_than_a_hundred_faults_are_told_however_many_there_are(api: Api) -> None:
    answer = api.post("/jobs/", [{"command": 5}] * 3000)
    assert len(told(answer)) == 100
    assert answer.json["description"].endswith("; and 2900 more")


TYPE = {
    "name": "t",
    "version": "1",
    "command": ["true"],
    "environment": {"LD_PRELOAD": "x", "GANGER_TOKEN": "y"},
    "error_mapping": {"exit_codes": {"3": "no-such-error", "4": "nor-this"}},
    "pause_reason": "not paused",
    "runner": "container",
    "image": "NOT AN IMAGE",
    "interface": {
        "input_data": [
            {"name": "a", "type": "file", "default": "x"},
            {"name": "a"},
            {"name": "b", "schema": {"type": "nonsense"}},
        ],
        "output_data": [{"name": "o", "glob": "/etc/*"}],
    },
}
FAULTS = {
    "pause_reason",
    "interface.input_data[0].default",
    "interface.input_data[1].name",
    "interface.output_data[0].glob",
    "environment.LD_PRELOAD",
    "environment.GANGER_TOKEN",
    "image",
    "error_mapping.exit_codes.3",
    "error_mapping.exit_codes.4",
}


def test_a_job_type_is_refused_with_all_that_is_wrong_with_it(api: Api) -> None:
    assert set(told(api.post("/job-types/", TYPE))) == FAULTS
    checked = api.post("/job-types/validation/", TYPE).json
    assert (checked["is_valid"], {fault["name"] for fault in checked["errors"]}) == (False, FAULTS)
    assert len(checked["errors"]) == len(FAULTS)
    good = {"name": "t", "version": "1", "command": ["true"]}
    made = api.post("/job-types/", good).json
    change = {name: TYPE[name] for name in ("environment", "error_mapping")}
    assert set(told(api.patch(f"/job-types/{made['id']}/", change))) == {name for name in FAULTS if "." in name} - {
        name for name in FAULTS if name.startswith("interface")
    }


@pytest.fixture
def typed(api: Api) -> Any:
    inputs = [
        {"name": "n", "schema": {"type": "integer"}},
        {"name": "f", "type": "file", "media_types": ["image/png"]},
        {"name": "s"},
    ]
    return api.a_type(interface={"input_data": inputs, "output_data": [{"name": "o"}]})


def test_a_submission_is_refused_with_all_its_faults_by_the_places_where_they_were_written(
    api: Api, typed: Any
) -> None:
    data = {
        "input_data": [{"name": "f", "file_id": 99}, {"name": "n", "value": "x"}, {"name": "zz", "value": 1}],
        "output_data": [{"name": "nothing"}],
    }
    answer = api.post("/jobs/", {"job_type_id": typed["id"], "data": data, "environment": {"LD_X": "1", "ENV": "2"}})
    assert set(told(answer)) == {
        "data.input_data[1]", "data.input_data[2]", "data.input_data", "data.output_data[0].name", "environment.LD_X", "environment.ENV",
    }  # fmt: skip
    short = api.post("/jobs/", {"job_type_id": typed["id"], "inputs": {"n": "x", "zz": 1}})
    assert set(told(short)) == {"inputs.n", "inputs.zz", "inputs.f", "inputs.s"}


def test_files_that_cannot_be_read_are_named_by_their_places(api: Api, typed: Any) -> None:
    file = api.send("POST", "/files/", b"x", query={"file_name": "f"}, content_type="application/octet-stream").json
    for file_id in (99, file["id"]):
        good = [{"name": "n", "value": 1}, {"name": "s", "value": "x"}]
        data = {"input_data": [*good, {"name": "f", "file_id": file_id}]}
        assert set(told(api.post("/jobs/", {"job_type_id": typed["id"], "data": data}))) == {"data.input_data[2]"}
        old = api.post("/queue/new-job/", {"job_type_id": typed["id"], "job_data": data})
        assert set(told(old)) == {"job_data.input_data[2]"}


def test_every_entry_at_fault_is_told_by_its_number(api: Api, typed: Any) -> None:
    jobs = [
        {"command": ["true"]},
        {"job_type": {"name": "nothing"}},
        {"job_type_id": typed["id"], "inputs": {"n": 1}},
        {"command": [""], "environment": {"LD_X": "1"}, "secrets": ["none"], "not_before": "2126-01-01T00:00:00Z"},
        {"command": ["true", "${x}"], "runner": "container", "image": "NO"},
    ]
    assert set(told(api.post("/jobs/", jobs))) == {
        "[1].job_type", "[2].inputs.f", "[2].inputs.s", "[3].command", "[3].environment.LD_X", "[3].secrets", "[3].not_before",
        "[4].command", "[4].image",
    }  # fmt: skip
    assert api.value("SELECT count(*) FROM jobs") == 0


def test_a_strict_refusal_names_what_is_asked_too_much_of(api: Api, cluster: Cluster) -> None:
    cluster.a_node()
    api.change("""UPDATE projects SET quota = '{"mem": 1000}' WHERE name = 'default'""")
    for body, fields in (
        ({"cpus_required": 1000, "mem_required": 0}, {"cpus_required"}),
        ({"cpus_required": 1000, "mem_required": 10**6}, {"mem_required", "cpus_required"}),
        ({"mem_required": 0, "resources": {"gpu": 1}}, {"resources.gpu"}),
        ({"mem_required": 0, "pool": "elsewhere"}, {"pool"}),
        ({"mem_required": 0, "constraints": [{"label": "zone", "value": "x"}]}, {"constraints"}),
    ):
        answer = api.post("/jobs/", {"command": ["true"], **body}, strict="true")
        assert set(told(answer)) == fields, body
        tried = api.post("/jobs/", {"command": ["true"], **body}, strict="true", dry_run="true").json["results"][0]
        assert tried["refusal"]["field"] in fields
    many = api.post("/jobs/", [{"command": ["true"], "mem_required": 0}, {"command": ["true"]}], strict="true")
    assert set(told(many)) == {"[1].mem_required"}
