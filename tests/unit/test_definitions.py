from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.errors import InvalidInput
from scheduler.jobs import json_schema
from scheduler.rules.job_type import definition as definitions
from scheduler.rules.job_type import interface as interfaces
from scheduler.rules.job_type.definition import Definition, stepped

INTERFACE = interfaces.read(
    {
        "version": "1.0",
        "input_data": [
            {"name": "image", "type": "file", "media_types": ["image/png"]},
            {"name": "masks", "type": "files", "required": False},
            {"name": "bands", "schema": {"type": "integer", "minimum": 1}, "default": 3},
            {"name": "note", "required": False},
        ],
        "output_data": [{"name": "result", "type": "file", "glob": "*.tif"}],
    }
)


def fit(**given: Any) -> Any:
    data = {"data": None, "inputs": None, **given}
    return interfaces.fit(INTERFACE, **data, complaint=json_schema.complaint)


def test_short_inputs_and_the_documented_form_become_the_same_document() -> None:
    short = fit(inputs={"image": 7, "masks": [8, 9], "bands": 10})
    documented = fit(
        data={
            "input_data": [
                {"name": "bands", "value": 10},
                {"name": "masks", "file_ids": [8, 9]},
                {"name": "image", "file_id": 7},
            ]
        }
    )
    assert short == documented
    assert short.files == {"image": (7,), "masks": (8, 9)}
    assert short.document["input_data"] == [
        {"name": "image", "file_id": 7},
        {"name": "masks", "file_ids": [8, 9]},
        {"name": "bands", "value": 10},
    ]


def test_defaults_are_filled_in_and_values_keep_their_type() -> None:
    assert {"name": "bands", "value": 3} in fit(inputs={"image": 7}).document["input_data"]


def test_files_may_be_given_by_a_single_id() -> None:
    entries = fit(data={"input_data": [{"name": "image", "file_id": 1}, {"name": "masks", "file_id": 2}]}).document[
        "input_data"
    ]
    assert {"name": "masks", "file_ids": [2]} in entries


@pytest.mark.parametrize(
    ("given_", "field"),
    [
        ({"inputs": {}}, "inputs.image"),
        ({"inputs": {"image": "seven"}}, "inputs.image"),
        ({"inputs": {"image": True}}, "inputs.image"),
        ({"inputs": {"image": [1, 2]}}, "inputs.image"),
        ({"inputs": {"image": -1}}, "inputs.image"),
        ({"inputs": {"image": 1, "bands": 0}}, "inputs.bands"),
        ({"inputs": {"image": 1, "bands": "3"}}, "inputs.bands"),
        ({"inputs": {"image": 1, "other": 1}}, "inputs.other"),
        ({"inputs": {"image": 1, "masks": 5}}, "inputs.masks"),
        ({"inputs": {"image": 1}, "data": {}}, "inputs"),
        ({"data": {"input_data": [{"name": "image", "value": 1}]}}, "data.input_data[0]"),
        ({"data": {"input_data": [{"name": "bands", "value": 1}]}}, "data.input_data"),
        ({"data": {"input_data": [{"name": "image", "file_id": 1}, {"name": "image", "file_id": 1}]}}, "data.input_data[1].name"),
        ({"data": {"input_data": [{"name": "image", "file_id": 1}], "output_data": [{"name": "x"}]}}, "data.output_data[0].name"),
    ],
)  # fmt: skip
def test_data_that_does_not_fit_is_refused_by_the_name_of_the_entry(given_: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        fit(**given_)
    assert caught.value.field == field


@pytest.mark.parametrize("name", ["", "a/b", "../x", "job_output_dir", "-x", " x", "x" * 129, "ü", "a\n", "a.b"])
def test_names_of_inputs_are_plain(name: Any) -> None:
    with pytest.raises(InvalidInput):
        interfaces.read({"input_data": [{"name": name}]})


@pytest.mark.parametrize("glob", ["/etc/passwd", "../x", "a/../../b", ""])
def test_a_glob_stays_beneath_the_output_directory(glob: str) -> None:
    with pytest.raises(InvalidInput, match="beneath"):
        interfaces.read({"output_data": [{"name": "o", "type": "file", "glob": glob}]})


def test_a_name_is_there_once_over_inputs_and_outputs() -> None:
    with pytest.raises(InvalidInput, match="twice"):
        interfaces.read({"input_data": [{"name": "a"}], "output_data": [{"name": "a", "type": "file"}]})


def test_a_definition_survives_being_stored() -> None:
    made = Definition(
        command=("run", "${image}"), environment={"A": "b"}, interface=INTERFACE, cpus=500, timeout_s=None, exit_codes={"3": "x"}
    )  # fmt: skip
    assert definitions.read(made.document()) == made
    assert definitions.read({}) == Definition()


def test_a_jobs_own_wishes_go_over_those_of_its_type() -> None:
    made = Definition(command=("a",), environment={"A": "1", "B": "2"}, pre_timeout_s=5)
    effective = made.with_overrides({"command": ["b"], "environment": {"B": "3"}, "post_timeout_s": 7})
    assert (effective.command, dict(effective.environment)) == (("b",), {"A": "1", "B": "3"})
    assert (effective.pre_timeout_s, effective.post_timeout_s) == (5, 7)


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({"command": []}, "command"),
        ({"command": [""]}, "command"),
        ({"command": ["a", "\0"]}, "command"),
        ({"command": ["a", "b"], "shell": True}, "command"),
        ({"command": ["a"], "environment": {"1A": "x"}}, "environment.1A"),
        ({"command": ["a"], "environment": {"LD_PRELOAD": "x"}}, "environment.LD_PRELOAD"),
        ({"command": ["a"], "exit_codes": {"0": "timeout"}}, "error_mapping.exit_codes.0"),
        ({"command": ["a"], "exit_codes": {"256": "timeout"}}, "error_mapping.exit_codes.256"),
        ({"command": ["a"], "exit_codes": {"3": "nothing"}}, "error_mapping.exit_codes.3"),
        ({"command": ["a"], "interface": {"input_data": [{"name": "n", "schema": {"type": "integer"}, "default": "x"}]}}, "interface.input_data[0].default"),
    ],
)  # fmt: skip
def test_a_definition_no_job_could_use_is_refused(document: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        definitions.check(
            definitions.read(document), known_errors=frozenset({"timeout"}), complaint=json_schema.complaint
        )
    assert caught.value.field == field


def test_what_looks_like_a_mistake_is_only_a_warning() -> None:
    document: dict[str, Any] = {"command": ["a", "${input}", "${job_output_dir}"], "timeout_s": None}
    warnings = definitions.check(definitions.read(document), known_errors=frozenset(), complaint=json_schema.complaint)
    assert len(warnings) == 2
    assert "${input}" in warnings[0]


@given(st.integers(0, 10**15))
def test_stepping_adds_at_most_a_sixteenth_and_leaves_few_values(amount: Any) -> None:
    assert amount <= stepped(amount) <= amount * 17 / 16 + 1
    assert stepped(stepped(amount)) == stepped(amount)


@pytest.mark.parametrize(
    "schema", [{"type": "intger"}, {"$ref": "http://example.org/x"}, {"$ref": "file:///etc/passwd"}, {"pattern": "("}, {"$ref": "#/x"}]
)  # fmt: skip
def test_a_schema_that_is_wrong_or_reaches_out_is_refused(schema: dict[str, Any]) -> None:
    assert json_schema.fault(schema) is not None
