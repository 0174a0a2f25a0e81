"""Values go into commands in one pass and stay what they are."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.runners.substitution import UnknownValue, fill, text


@pytest.mark.parametrize(
    ("argument", "filled"),
    [
        ("plain", "plain"),
        ("${a}", "1"),
        ("x${a}y${b}z", "x1ytwo wordsz"),
        ("$a", "$a"),
        ("${a", "${a"),
        ("${a b}", "${a b}"),
        ("${}", "${}"),
        ("$${a}", "${a}"),
        ("${FLAG:a}", "${FLAG:a}"),
        ("{a} %s %(a)s {0.__class__}", "{a} %s %(a)s {0.__class__}"),
        ("${${a}}", "${1}"),
    ],
)
def test_an_argument_is_filled(argument: str, filled: str) -> None:
    assert fill([argument], {"a": "1", "b": "two words"}) == [filled]


@given(st.text())
def test_a_value_arrives_as_it_is_whatever_it_looks_like(value: str) -> None:
    assert fill(["${a}", "--x=${a}"], {"a": value, "b": "no"}) == [value, f"--x={value}"]


@given(st.lists(st.text()))
def test_the_number_of_arguments_never_changes(arguments: list[str]) -> None:
    with contextlib.suppress(UnknownValue):
        assert len(fill(arguments, {"a": "x y"})) == len(arguments)


def test_an_unknown_name_is_named_with_those_that_exist() -> None:
    with pytest.raises(UnknownValue, match=r"\$\{c\}.*a, b"):
        fill(["${c}"], {"a": "", "b": ""})


@pytest.mark.parametrize(
    ("value", "as_text"),
    [
        ("a b", "a b"),
        (True, "true"),
        (None, ""),
        (3, "3"),
        (0.1, "0.1"),
        ([1, "x"], '[1,"x"]'),
        ({"k": None}, '{"k":null}'),
    ],
)
def test_a_property_becomes_text(value: object, as_text: str) -> None:
    assert text(value) == as_text
