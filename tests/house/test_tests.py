"""Rules for tests: they await signals, and what may be tried twice is on a list."""

from __future__ import annotations

import ast
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.house.source import ROOT, python_files, text_of, tree_of

RACE_AGE_MAX = timedelta(weeks=4)


def test_tests_await_signals_and_sleep_only_where_a_comment_says_why_there_is_none() -> None:
    offences = [
        f"{path}:{node.lineno}"
        for path in python_files("tests")
        if path.parts[1] != "bench"
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and lets_time_pass(node)
        if "#" not in text_of(path).splitlines()[node.lineno - 1]
    ]
    assert not offences


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("time.sleep(5)", True),
        ("threading.Event().wait(30)", True),
        ("pause.wait(0.05)", True),
        ("pause.wait(timeout=0.05)", True),
        ("select.select([pipe], [], [], 0.01)", True),
        ("done.wait(30)", False),
        ("done.wait(timeout=WAIT_S)", False),
        ("select.select([pipe], [], [], 10)", False),
        ("words.join(parts)", False),
    ],
)
def test_a_sleep_is_seen_under_whatever_name(source: str, *, expected: bool) -> None:
    (statement,) = ast.parse(source).body
    assert isinstance(statement, ast.Expr)
    assert isinstance(statement.value, ast.Call)
    assert lets_time_pass(statement.value) is expected


def test_whatever_may_be_tried_twice_is_a_test_with_a_date_a_trace_and_somebody_who_looks_for_it() -> None:
    races = tomllib.loads((ROOT / "tests" / "known_races.toml").read_text()).get("race", [])
    for race in races:
        assert race.keys() == {"test", "since", "trace", "doing"}
        path, _, name = race["test"].partition("::")
        assert f"def {name.partition('[')[0]}(" in text_of(Path(path))
        assert datetime.now(UTC).date() - race["since"] < RACE_AGE_MAX


def test_nobody_waits_with_a_call_that_refuses_descriptors_beyond_a_thousand() -> None:
    offences = [
        f"{path}:{node.lineno}"
        for path in python_files()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "select.select"
    ]
    assert not offences


def lets_time_pass(call: ast.Call) -> bool:
    """Whether a call only waits: a sleep, or a wait under another name that nobody can end or that is over in a moment."""
    called = ast.unparse(call.func)
    if called.rpartition(".")[2] in {"sleep", "sleep_until", "sigtimedwait"}:
        return True
    limits = [*call.args, *(keyword.value for keyword in call.keywords)]
    is_short = bool(limits) and isinstance(limits[-1], ast.Constant) and is_a_moment(limits[-1].value)
    waits = called.endswith((".wait", ".wait_for", ".poll", "select.select", ".join"))
    return called.endswith("Event().wait") or (waits and is_short)


def is_a_moment(seconds: object) -> bool:
    """Whether a wait for so long is a poll rather than the bound on a signal."""
    return isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 < seconds < 1
