"""Workflows by their rules alone: scalars as YAML 1.2 has them, cycles, states, conditions, drawings."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.errors import InvalidInput
from scheduler.rules.workflow import layout, reading, supply
from scheduler.rules.workflow.definition import in_order
from scheduler.rules.workflow.state import WorkflowCounts, state_of, will_fail
from scheduler.workflows import parsing
from scheduler.workflows.json_lines import MOST_DEPTH


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("on", "on"), ("yes", "yes"), ("NO", "NO"), ("12:30", "12:30"), ("0123", 123), ("0o17", 15), ("0x1F", 31),
        ("1.10", 1.1), ("1e3", 1000.0), ("null", None), ("~", None), ("True", True), ("false", False), ("'true'", "true"),
        ("2026-11-30", "2026-11-30"), ("1_000", "1_000"), ("+7", 7), ("-0.5", -0.5), ('"1.10"', "1.10"), ("99999999999999999999", "99999999999999999999"),
    ],
)  # fmt: skip
def test_scalars_are_those_of_yaml_1_2(written: str, value: Any) -> None:
    source = parsing.parse(f"a: {written}")
    assert source.value == {"a": value}
    assert type(source.value["a"]) is type(value)


def test_the_text_of_a_number_is_kept_with_its_place() -> None:
    source = parsing.parse("a:\n  - 1.10\n  - x")
    assert source.written == {("a", 0): "1.10"}
    assert source.where(("a", 1)) == "line 3, column 5"
    assert source.where(("a", 7, "b")) == "line 2, column 3"


def test_a_text_that_stands_there_again_has_its_own_place_and_what_it_says_of_itself_counts() -> None:
    source = parsing.parse("a: [x, x, 'x', 1, '1', 1]\nx: x")
    assert source.value == {"a": ["x", "x", "x", 1, "1", 1], "x": "x"}
    assert source.where(("a", 1)) == "line 1, column 8"
    assert set(source.written) == {("a", 3), ("a", 5)}
    for again in ("&x x", "!!str x"):
        with pytest.raises(InvalidInput, match="are not taken"):
            parsing.parse(f"a: [x, {again}]")
    deep = "[" * MOST_DEPTH
    with pytest.raises(InvalidInput, match="nested at most"):
        parsing.parse(f"a: [x]\nb: {deep}x{']' * MOST_DEPTH}")


def test_json_is_read_like_yaml() -> None:
    text = '{"jobs": {"a": {"command": ["b", "\\u00e9", "tab\\t"], "needs": []}}}'
    assert parsing.parse(text).value == {"jobs": {"a": {"command": ["b", "é", "tab\t"], "needs": []}}}


def test_steps_come_after_their_parents_and_a_circle_is_named() -> None:
    text = "jobs: {c: {command: [x], needs: [b]}, b: {command: [x], needs: [a]}, a: {command: [x]}}"
    assert in_order(reading.read(parsing.parse(text)).steps) == (["a", "b", "c"], [])
    text = "jobs: {a: {command: [x], needs: [c]}, b: {command: [x], needs: [a]}, c: {command: [x], needs: [b]}, d: {command: [x]}}"
    ordered, cycle = in_order(reading.read(parsing.parse(text)).steps)
    assert (ordered, cycle) == (["d"], ["b", "c", "a", "b"])


@pytest.mark.parametrize(
    ("counts", "canceled", "state"),
    [
        ({"live": 2}, False, "PENDING"),
        ({"live": 2, "started": 1}, False, "RUNNING"),
        ({"live": 1, "started": 1, "failed": 1}, True, "RUNNING"),
        ({"failed": 1}, False, "FAILED"),
        ({"failed": 1, "excused": 1}, False, "COMPLETED"),
        ({"blocked": 1}, True, "FAILED"),
        ({"canceled": 1}, False, "CANCELED"),
        ({"completed": 1}, True, "CANCELED"),
        ({"skipped": 3, "completed": 1}, False, "COMPLETED"),
        ({}, False, "COMPLETED"),
    ],
)
def test_the_state_follows_from_where_the_jobs_stand(counts: dict[str, int], canceled: bool, state: str) -> None:
    assert state_of(WorkflowCounts(**counts), is_canceled=canceled) == state


def test_a_run_that_cannot_end_well_says_so() -> None:
    assert will_fail(WorkflowCounts(live=1, failed=1))
    assert not will_fail(WorkflowCounts(live=1, failed=1, excused=1))


@pytest.mark.parametrize(
    ("op", "value", "wanted", "holds"),
    [
        ("=", 3, 3, True), ("=", 3, "3", True), ("=", True, 1, False), ("!=", "a", "b", True), ("in", 2, [1, 2], True),
        ("not_in", 2, [1], True), (">", 4, 3, True), (">", "4", 3, True), ("<=", "x", 3, False), ("exists", None, None, False),
        ("not_exists", None, None, True),
    ],
)  # fmt: skip
def test_conditions_compare_as_they_say(op: str, value: Any, wanted: Any, holds: bool) -> None:
    assert supply.holds(op, value, wanted) is holds


def test_a_drawing_has_parents_to_the_left_and_never_more_than_500_boxes() -> None:
    small = layout.layout({"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]})
    assert {box.name: (box.level, box.x) for box in small.boxes} == {
        "a": (0, 0),
        "b": (1, 260),
        "c": (1, 260),
        "d": (2, 520),
    }
    assert len({(box.x, box.y) for box in small.boxes}) == 4
    assert {box.y for box in small.boxes if box.name in "ad"} == {40}, "a column of one is in the middle"
    crossed = layout.layout({"a": [], "b": [], "c": ["b"], "d": ["a"]})
    rows = {box.name: box.y for box in crossed.boxes}
    assert (rows["a"] < rows["b"]) == (rows["d"] < rows["c"]), "arrows do not cross where they need not"
    chain = layout.layout({str(n): [str(n - 1)] if n else [] for n in range(3_000)})
    assert len(chain.boxes) <= layout.MOST_BOXES
    assert sum(len(box.steps) for box in chain.boxes) == 3_000
    alike = layout.layout({"a": [], **{f"w{n}": ["a"] for n in range(900)}, "z": [f"w{n}" for n in range(900)]})
    assert [(box.name, len(box.steps)) for box in alike.boxes] == [("a", 1), ("w0 and 899 like it", 900), ("z", 1)]
