"""JSON Schema for the values of properties: finds what is wrong with a value, or with a schema itself.

No document is ever fetched: a schema that refers to another document is refused. Patterns run in an engine whose time
grows only with the length of the text. Schemas are taken only if the work that they can cause is bounded
(`scheduler.rules.job_type.schema_cost`), and the values of one request share a budget of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import jsonschema_rs
import orjson

from scheduler.documents import JsonValue
from scheduler.errors import InvalidInput
from scheduler.rules.job_type import schema_cost

MAX_MESSAGE = 300
MAX_PATTERN_BYTES = 256 * 1024
"""Memory of one compiled pattern, which bounds its time for each character."""

BUDGET = 10_000_000
"""Visits of values that the schemas of one request may take: some 0.1 µs each; of characters by a hostile pattern, 1 µs."""

EXPLAINED = 50_000
"""Visits after which a wrong value is only called wrong: to say where takes the validator many times as long."""

EXPLANATION = 100
"""To say what is wrong takes about so many times as long as to see that something is."""

_FAULTS = (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError, InvalidInput)


@dataclass(frozen=True, slots=True)
class _Checked:
    """A schema ready for use, how many times it visits one place of a value at most, and the characters that count as one."""

    validator: jsonschema_rs.Validator
    visits: int
    text_step: int


class SchemaBudget:
    """The work that the schemas of one request may cause; one that has used it up is refused, not served more slowly."""

    def __init__(self, visits: int = BUDGET) -> None:
        self._left = visits

    def complaint(self, schema: Mapping[str, JsonValue], value: JsonValue) -> str | None:
        """Return what is wrong with a value by this schema; None if the value is valid."""
        checked = _checked(orjson.dumps(schema))
        if isinstance(checked, str):
            return _shortened(f"the schema itself is wrong: {checked}")
        cost = schema_cost.size(value, self._left, checked.text_step) * checked.visits
        self._left -= cost
        if self._left < 0:
            return "the values of this request are more than can be checked by their schemas at once; send fewer or smaller ones"
        if checked.validator.is_valid(value):
            return None
        self._left -= cost * EXPLANATION
        if cost > EXPLAINED or self._left < 0:
            return "it does not fit its schema (too much is wrong or too large to say where)"
        first = next(iter(checked.validator.iter_errors(value)))
        where = ".".join(str(part) for part in first.instance_path)
        return _shortened(f"{where}: {first.message}" if where else first.message)


def complaint(schema: Mapping[str, JsonValue], value: JsonValue) -> str | None:
    """Return what is wrong with one value by this schema, with a budget of its own; None if the value is valid."""
    return SchemaBudget().complaint(schema, value)


def fault(schema: Mapping[str, JsonValue]) -> str | None:
    """Return what is wrong with a schema; None if values can be checked with it."""
    checked = _checked(orjson.dumps(schema))
    return checked if isinstance(checked, str) else None


@lru_cache(maxsize=4_000)
def _checked(schema: bytes) -> _Checked | str:
    """Return a schema ready for use, or what is wrong with it; either is remembered."""
    try:
        return _compiled(cast("dict[str, JsonValue]", orjson.loads(schema)))
    except _FAULTS as error:
        return _shortened(str(error).partition("\n")[0])


def _compiled(document: dict[str, JsonValue]) -> _Checked:
    visits = schema_cost.visits(document)
    jsonschema_rs.meta.validate(document)
    patterns = jsonschema_rs.RegexOptions(size_limit=MAX_PATTERN_BYTES, dfa_size_limit=2 * MAX_PATTERN_BYTES)
    made = jsonschema_rs.validator_for(document, offline=True, pattern_options=patterns, validate_formats=False)
    return _Checked(made, visits, 1 if schema_cost.has_patterns(document) else schema_cost.TEXT_STEP)


def _shortened(message: str) -> str:
    return message if len(message) <= MAX_MESSAGE else message[: MAX_MESSAGE - 1] + "…"
