import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.http import strict_json
from scheduler.errors import InvalidInput

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1) | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(PLAIN)
def test_every_value_without_oddities_is_read_as_it_was_written(value: Any) -> None:
    assert strict_json.loads(json.dumps(value).encode()) == value
    assert strict_json.loads(json.dumps(value, ensure_ascii=False).encode()) == value


@pytest.mark.parametrize(
    ("body", "part"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"{} {}", "not JSON"),
        (b"\xff", "UTF-8"),
        (b'{"a": NaN}', "NaN"),
        (b"[Infinity]", "Infinity"),
        (b"-Infinity", "-Infinity"),
        (b"1e999", "too large"),
        (b"9" * 5_000, "too large"),
        (b"9223372036854775808", "too large"),
        (b'{"cpus": 1, "cpus": 99}', "'cpus' is there twice"),
        (b'[{"a": {"b": 1, "b": 1}}]', "'b' is there twice"),
        (b"[" * 33 + b"]" * 33, "nested deeper than 32"),
        (b"[" * 100_000, "nested deeper than 32"),
        (b'{"a":' * 100_000, "nested deeper than 32"),
        (b'"\\u0000"', "NUL"),
        (b'{"\\u0000": 1}', "NUL"),
        (b'["\\ud800"]', "surrogate"),
        (b'["\\udfff\\ud800"]', "surrogate"),
    ],
)
def test_what_has_no_single_meaning_or_no_place_in_the_database_is_refused(body: Any, part: str) -> None:
    with pytest.raises(InvalidInput, match=part):
        strict_json.loads(body)


def test_whole_surrogate_pairs_and_the_deepest_allowed_nesting_are_taken() -> None:
    assert strict_json.loads(b'"\\ud83d\\ude00"') == "\U0001f600"
    assert strict_json.loads(b"[" * 32 + b"]" * 32)


def test_the_place_of_a_character_that_cannot_be_stored_is_named() -> None:
    with pytest.raises(InvalidInput) as caught:
        strict_json.loads(b'{"jobs": [{"name": "a\\u0000"}]}')
    assert caught.value.field == "jobs[0].name"
