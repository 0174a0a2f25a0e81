"""Definitions as JSON lines: for many jobs, each told by its line where it is wrong."""

from __future__ import annotations

import json

import pytest

from scheduler.errors import InvalidInput
from scheduler.rules.workflow import reading
from scheduler.workflows import parsing

TWO = '{"name": "two", "on_failure": "stop"}\n{"job": "a", "command": ["b"]}\n\n{"job": "c", "command": ["b"], "needs": ["a"]}\n'


def test_each_line_is_a_job_and_the_first_may_be_about_the_whole() -> None:
    found = reading.read(parsing.parse(TWO))
    assert (found.name, str(found.on_failure), list(found.steps)) == ("two", "stop", ["a", "c"])
    assert [one.step for one in found.steps["c"].needs] == ["a"]
    assert list(reading.read(parsing.parse(TWO.partition("\n")[2])).steps) == ["a", "c"]


def test_a_text_of_one_object_is_a_definition_and_no_line_of_one() -> None:
    assert list(reading.read(parsing.parse('{"jobs":\n {"a": {"command": ["b"]}}}')).steps) == ["a"]


def test_more_jobs_than_are_written_out_otherwise() -> None:
    lines = "\n".join(json.dumps({"job": f"j{n}", "command": ["b"]}) for n in range(6_000))
    assert len(reading.read(parsing.parse(lines)).steps) == 6_000
    whole = json.dumps({"jobs": {f"j{n}": {"command": ["b"]} for n in range(6_000)}})
    with pytest.raises(InvalidInput, match="at most 5000 jobs are written out"):
        reading.read(parsing.parse(whole))


def test_everything_wrong_is_told_by_its_line() -> None:
    wrong = (
        '{"job": "a", "command": ["b"], "needs": ["z"]}\n{oops\n[1]\n{"command": ["b"]}\n'
        '{"job": "a", "command": ["b"]}\n{"job": 3}\n{"job": "z", "command": ["b"]}'
    )
    with pytest.raises(InvalidInput) as refused:
        parsing.parse(wrong)
    assert [fault.sentence.partition(":")[0] for fault in refused.value.faults] == [f"line {n}, column 1" for n in range(1, 7)]  # fmt: skip
    assert "does not stand before it" in refused.value.faults[0].sentence
    with pytest.raises(InvalidInput, match="line 2, column 1: the key 'colour'"):
        reading.read(parsing.parse('{"job": "a", "command": ["b"]}\n{"job": "c", "command": ["b"], "colour": 1}'))
