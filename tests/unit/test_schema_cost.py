"""JSON Schemas that are made to take for ever: each is refused or checked within its bound, whatever its trick."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.jobs import json_schema
from scheduler.rules.job_type import schema_cost

HANG_S = 20.0
"""A hang would take minutes or for ever."""


def chain(length: int, word: str) -> dict[str, Any]:
    """Two kilobytes that are checked 2**length times."""
    defs: dict[str, Any] = {"d0": {"type": "string"}}
    for number in range(1, length):
        before = {"$ref": f"#/$defs/d{number - 1}"}
        defs[f"d{number}"] = {word: [before, before]}
    return {"$ref": f"#/$defs/d{length - 1}", "$defs": defs}


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"a": value, "b": [value] if depth < 6 else 1}
    return value


TWICE_BELOW = {"properties": {"a": {"$ref": "#"}}}
DEAR: dict[str, dict[str, Any]] = {
    "anyOf": chain(30, "anyOf"),
    "allOf": chain(30, "allOf"),
    "oneOf": chain(30, "oneOf"),
    "recursion that doubles with each level": {"anyOf": [TWICE_BELOW, TWICE_BELOW]},
    "patterns that overlap": {"patternProperties": {"a": {"$ref": "#"}, "^a": {"$ref": "#"}}},
    "property and pattern": {"properties": {"a": {"$ref": "#"}}, "patternProperties": {"a": {"$ref": "#"}}},
    "contains and items": {"items": {"$ref": "#"}, "contains": {"$ref": "#"}},
    "if then else": {"if": {"properties": {"a": {"$ref": "#"}}}, "then": TWICE_BELOW, "else": TWICE_BELOW},
    "dependent": {"dependentSchemas": {"a": TWICE_BELOW, "b": TWICE_BELOW}},
    "itself": {"$ref": "#"},
    "itself by another": {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"allOf": [{"$ref": "#/$defs/a"}]}}},
    "anchors": {"$defs": {"x": {"$anchor": "x", "anyOf": [{"$ref": "#x"}]}}, "$ref": "#x"},
    "dynamic": {"$dynamicAnchor": "x", "anyOf": [{"$dynamicRef": "#x"}, {"$dynamicRef": "#x"}]},
    "an inner id": {"properties": {"a": {"$id": "http://x/y", "$ref": "#/z"}}},
    "large": {"enum": list(range(20_000))},
    "many alternatives": {"anyOf": [{"enum": list(range(100))} for _ in range(200)]},
    "a large pattern": {"pattern": "((a{1,99}){1,99}){1,99}"},
    "long chain": {"$ref": "#/$defs/d999", "$defs": {f"d{n}": {"$ref": f"#/$defs/d{n - 1}"} for n in range(1, 1000)} | {"d0": {}}},
    "a look-around": {"pattern": "(?=a)b"},
    "elsewhere": {"$ref": "http://127.0.0.1:1/x"},
    "a file": {"$ref": "file:///etc/passwd"},
    "nothing there": {"$ref": "#/$defs/x"},
    "a number of a list": {"$ref": "#/allOf/" + "9" * 5000, "allOf": [{}]},
}  # fmt: skip


@pytest.mark.parametrize("name", DEAR)
def test_a_schema_that_asks_for_too_much_is_refused_at_once(name: str) -> None:
    began = time.monotonic()
    assert json_schema.fault(DEAR[name]) is not None
    assert json_schema.complaint(DEAR[name], nested(30)) is not None
    assert time.monotonic() - began < HANG_S


TREE = {"$defs": {"tree": {"type": "object", "properties": {
    "left": {"$ref": "#/$defs/tree"}, "right": {"$ref": "#/$defs/tree"}, "value": {"type": "number"},
}, "additionalProperties": False}}, "$ref": "#/$defs/tree"}  # fmt: skip
GEOMETRY = {"oneOf": [
    {"type": "object", "properties": {"type": {"const": "Point"}, "coordinates": {"type": "array", "items": {"type": "number"}}}, "required": ["type"]},
    {"type": "object", "properties": {"type": {"const": "Line"}, "coordinates": {"type": "array", "items": {"type": "array", "items": {"type": "number"}}}}, "required": ["type"]},
]}  # fmt: skip
USUAL: list[tuple[dict[str, Any], Any, Any]] = [
    ({"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_.-]{0,200}$"}, "name-1.2", "no spaces"),
    ({"enum": [f"v{number}" for number in range(200)]}, "v7", "v200"),
    (TREE, {"left": {"left": {"value": 1}}, "right": {"value": 2}}, {"left": {"left": {"value": "x"}}}),
    (GEOMETRY, {"type": "Point", "coordinates": [1, 2]}, {"type": "Point", "coordinates": ["x"]}),
    ({"properties": {f"p{n}": {"type": "number", "minimum": 0} for n in range(300)}}, {"p7": 1}, {"p7": -1}),
    ({"type": "array", "items": {"type": "integer"}, "uniqueItems": True}, list(range(1000)), [1, 1]),
    (chain(6, "anyOf"), "x", 1),
    ({"$anchor": "a", "type": "object", "properties": {"next": {"$ref": "#a"}}}, {"next": {"next": {}}}, {"next": 1}),
    ({"type": "array", "items": [{"type": "number"}, True], "$schema": "http://json-schema.org/draft-07/schema#"}, [1, "x"], ["x"]),
    ({"properties": {"id": {"type": "string"}, "$id": {"type": "string"}}}, {"id": "a"}, {"id": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "good", "bad"), USUAL)
def test_usual_schemas_are_taken_and_say_what_is_wrong(schema: dict[str, Any], good: Any, bad: Any) -> None:
    assert json_schema.fault(schema) is None
    assert json_schema.complaint(schema, good) is None
    assert json_schema.complaint(schema, bad) is not None


def test_the_values_of_one_request_share_a_budget() -> None:
    budget = json_schema.SchemaBudget()
    schema: dict[str, Any] = {"type": "array", "items": {"type": "string", "pattern": "(?:a?){100}a{100}c"}}
    value: Any = ["a" * 10_000] * 100
    began = time.monotonic()
    told = [budget.complaint(schema, value) for _ in range(50)]
    assert "more than can be checked" in str(told[-1])
    assert time.monotonic() - began < HANG_S


def test_a_large_value_that_is_wrong_everywhere_is_told_so_without_a_list() -> None:
    schema = chain(8, "anyOf")
    assert schema_cost.visits(schema) < schema_cost.MAX_VISITS
    told = json_schema.complaint({"type": "array", "items": schema}, [1] * 10_000)
    assert told is not None


words = st.sampled_from(
    ["anyOf", "allOf", "oneOf", "not", "if", "then", "else", "properties", "items", "prefixItems", "contains", "$ref", "enum",
     "patternProperties", "additionalProperties", "dependentSchemas", "required", "pattern", "type", "$defs", "unevaluatedProperties",
     "propertyNames", "uniqueItems", "const", "$anchor", "definitions", "minItems", "dependencies"]
)  # fmt: skip
leaves = st.sampled_from(["#", "#/$defs/a", "#/properties/a", "a", "object", "string", "(a|b)*", True, 1, None])
schemas = st.dictionaries(
    words,
    st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(words, inner, max_size=3),
            st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2),
        ),
        max_leaves=12,
    ),
    max_size=4,
)
values = st.recursive(
    st.sampled_from([1, "a", "aaaaaaab", None, True]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2)
    ),
    max_leaves=10,
)


@given(schemas, values)
def test_any_schema_is_refused_or_checked_within_its_bound(schema: dict[str, Any], value: Any) -> None:
    began = time.monotonic()
    json_schema.fault(schema)
    json_schema.complaint(schema, value)
    assert time.monotonic() - began < HANG_S
