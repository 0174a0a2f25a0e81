"""What a command asks for as `${name}`: the scheduler reads it as the node will."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.errors import FaultList, InvalidInput
from scheduler.rules.job_type import definition as definitions
from scheduler.rules.job_type import parameters
from workers.runners import substitution

INTERFACE: dict[str, Any] = {"input_data": [{"name": "x", "type": "property"}, {"name": "y", "required": False}]}


@given(st.lists(st.text(alphabet="$${}}abX_1.- :", max_size=24), max_size=3))
def test_the_scheduler_finds_the_names_that_a_node_looks_up(arguments: list[str]) -> None:
    asked = set(parameters.asked_for(arguments))
    substitution.fill(arguments, dict.fromkeys(asked, ""))
    for name in asked:
        with pytest.raises(substitution.UnknownValue):
            substitution.fill(arguments, dict.fromkeys(asked - {name}, ""))


@pytest.mark.parametrize(
    ("document", "wanted"),
    [
        ({"command": ["sh", "-c", "echo ${x} ${job_output_dir}"]}, {"x": "command"}),
        ({"command": ["sh", "-c", "echo $${x} $x ${a b} ${F:x}"]}, {}),
        ({"command": ["echo ${x}"], "shell": True}, {}),
        ({"command": ["echo ${x}", "${z}"], "shell": True}, {"z": "command"}),
        ({"command": ["m:f", "${x}"], "runner": "python"}, {}),
        ({"command": ["s.py", "${x}"], "runner": "python"}, {"x": "command"}),
        ({"command": ["a"], "pre_command": ["b", "${x}"], "cleanup_command": ["c", "${x}${z}"]}, {"x": "pre_command", "z": "cleanup_command"}),
    ],
)  # fmt: skip
def test_only_what_is_filled_in_is_asked_for(document: dict[str, Any], wanted: dict[str, str]) -> None:
    assert definitions.wanted_inputs(definitions.read({**document, "interface": INTERFACE})) == wanted


def test_the_refusal_names_the_command_what_there_is_and_the_way_out() -> None:
    faults = FaultList()
    parameters.note_missing({"x": "pre_command"}, {"y"}, faults)
    with pytest.raises(InvalidInput) as caught:
        faults.raise_all()
    assert caught.value.field == "pre_command"
    for part in ("${x}", "job_output_dir", ", y)", "$${x}"):
        assert part in str(caught.value)
    known = FaultList()
    parameters.note_missing({"x": "command"}, {"x", "y"}, known)
    assert not known
