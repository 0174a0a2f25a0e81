"""What people send to be searched for, matched or filled in takes a time that is bounded, whatever it is."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from api.dialects.metafold import search
from api.http import strict_json
from scheduler import regular_expressions
from scheduler.errors import InvalidInput
from scheduler.executions.logs import patterns
from scheduler.jobs import json_schema
from scheduler.rules.job_type import parameters

HANG_S = 10.0
"""What goes back over its input, or is not weighed, takes minutes for these."""

ALL_LETTERS = "[\x01-\U0010fffe]"


def seconds(act: Callable[[], Any]) -> float:
    began = time.process_time()
    act()
    return time.process_time() - began


def test_an_expression_is_weighed_by_what_it_is_compiled_to() -> None:
    assert regular_expressions.weight("error|warning") == 1
    assert 16 <= regular_expressions.weight("^[A-Za-z0-9_.-]{0,200}$") <= 64
    assert regular_expressions.weight(".{1,128}") > 64


@pytest.mark.parametrize("pattern", [ALL_LETTERS * 60, f"(?i){ALL_LETTERS * 60}", r"(?:\w{1,30}é){1,90}", "x" * 20_000])
def test_an_expression_that_takes_long_to_read_is_refused_before_it_is_read(pattern: str) -> None:
    def refused() -> None:
        with pytest.raises(InvalidInput):
            patterns.matcher(pattern, regex=True, any_case=True)

    assert seconds(refused) < HANG_S


def test_a_text_is_searched_for_a_heavy_pattern_in_short_parts() -> None:
    heavy = patterns.matcher(r"(?:[a-z]{0,2300}\b)?q", regex=True, any_case=False)
    light = patterns.matcher("q", regex=True, any_case=False)
    assert heavy.most <= 32 * 1024
    assert light.most >= 512 * 1024
    part = "ab" * (heavy.most // 2 - 1) + "é"
    assert seconds(lambda: list(heavy.matching(part))) < HANG_S
    assert seconds(lambda: list(heavy.matching(part * 100))) < HANG_S  # a line: only its beginning is looked at


def test_the_patterns_of_a_schema_share_a_bound_of_memory_and_time() -> None:
    many: dict[str, Any] = {"properties": {f"p{n}": {"pattern": rf"\w{{1,1900}}{n}"} for n in range(1_600)}}
    folded: dict[str, Any] = {"properties": {f"p{n}": {"pattern": f"(?i){ALL_LETTERS * 20}{n}"} for n in range(200)}}
    assert seconds(lambda: json_schema.fault(many)) < HANG_S
    assert "compiled to at most" in str(json_schema.fault(many))
    assert seconds(lambda: json_schema.fault(folded)) < HANG_S
    assert "compiled to at most" in str(json_schema.fault(folded))


def test_a_character_under_a_heavy_pattern_counts_as_what_it_takes() -> None:
    schema: dict[str, Any] = {"type": "string", "pattern": r"^(?:[a-z]{0,2300}\b)?q"}
    told = json_schema.complaint(schema, "ab" * 200_000 + "é")
    assert "more than can be checked" in str(told)
    assert json_schema.complaint(schema, "q") is None


def test_schemas_that_are_remembered_hold_a_bounded_memory() -> None:
    remembered = json_schema._Remembered(100)
    for number in range(50):
        remembered.keep(b"%d" % number + b" " * 4_000, "wrong")
    kept = [number for number in range(50) if remembered.get(b"%d" % number + b" " * 4_000) == "wrong"]
    assert kept == [*range(50 - len(kept), 50)]
    assert len(kept) < 10
    remembered.keep(b" " * 1_000_000, "wrong")
    assert remembered.get(b" " * 1_000_000) is None


def test_a_body_of_quotes_that_nothing_ends_is_read_in_one_pass() -> None:
    body = b"[" + b"," * (strict_json.MAX_VALUES + 1) + b'"' + rb"\"" * 500_000

    def refused() -> None:
        with pytest.raises(InvalidInput):
            strict_json.loads(body)

    assert seconds(refused) < HANG_S


@pytest.mark.parametrize(
    ("pattern", "meant"),
    [("success", 1), ("SUCC*", 1), ("*ess", 1), ("*c*s*", 1), ("success*", 1), ("succ*cess", 0), ("s*x", 0), ("*", 2), ("", 0)],
)  # fmt: skip
def test_a_star_stands_for_any_run_of_letters(pattern: str, meant: int) -> None:
    words = {"state": {"success": "COMPLETED", "running": "RUNNING"}}
    found = search.conditions(f'state:"{pattern}"', ["state"], words)
    assert len(found[0].words or ()) == meant


def test_a_search_of_many_stars_is_read_in_one_pass() -> None:
    words = {"state": {"success": "COMPLETED"}}
    query = 'state:"' + "*" * 900 + 'x"'
    assert seconds(lambda: search.conditions(query, ["state"], words)) < HANG_S


def test_a_command_of_many_interpreters_is_read_in_one_pass() -> None:
    many = [*["bash", "-o"] * 450, "-c", "${x}" * 8_000]
    assert seconds(lambda: parameters.in_code(many)) < HANG_S
    assert parameters.in_code(many) == ["x"]
    assert seconds(lambda: parameters.in_code(["9" * 30_000 + "x"] * 1_000)) < HANG_S


@pytest.mark.parametrize(
    ("command", "names"),
    [
        (["sh", "-c", "rm ${a}", "sh", "${b}"], ["a"]),
        (["env", "/bin/bash", "-o", "pipefail", "-ec", "${a}"], ["a"]),
        (["python3.11", "-W", "error", "-c", "${a}", "${b}"], ["a"]),
        (["python.exe", "script.py", "-c", "${a}"], []),
        (["sh", "-o", "bash", "-c", "${a}"], ["a"]),
        (["sh", "x", "perl", "-e", "${a}"], ["a"]),
        (["sh", "-c${a}", "x${b}"], ["a", "b"]),
        (["node", "x.js", "${a}"], []),
    ],
)
def test_names_are_found_in_the_text_of_a_program(command: list[str], names: list[str]) -> None:
    assert parameters.in_code(command) == names
