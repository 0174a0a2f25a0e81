"""JSON Schema for the values of properties: finds what is wrong with a value, or with a schema itself.

No document is ever fetched: a schema that refers to another document is refused. Patterns run in an engine whose time
grows only with the length of the text. Schemas are taken only if the work that they can cause is bounded
(`scheduler.rules.job_type.schema_cost`), and the values of one request share a budget of it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import cast

import jsonschema_rs
import orjson

from scheduler import regular_expressions
from scheduler.documents import JsonValue
from scheduler.errors import InvalidInput
from scheduler.rules.job_type import schema_cost

MAX_MESSAGE = 300
MAX_PATTERNS_KIB = 1024
"""KiB of all patterns of a schema when they are compiled; classes of letters without regard to case count as FOLDED_KIB each."""

FOLDED_KIB = 16
MAX_REMEMBERED_KIB = 64 * 1024
"""KiB of all schemas that are kept ready for use, with what they are compiled to."""

MAX_SEARCH_MEMORY = 8 * 1024 * 1024
"""Bytes that the patterns of a schema may remember together while they search."""

BUDGET = 10_000_000
"""Visits of values that the schemas of one request may take: some 0.1 µs each; of characters by a hostile pattern, half a microsecond."""

LIGHT_KIB = 4
"""A character under a pattern of up to so many KiB counts as one visit, of twice as many as two, and so on."""

EXPLAINED = 50_000
"""Visits after which a wrong value is only called wrong: to say where takes the validator many times as long."""

EXPLANATION = 100
"""To say what is wrong takes about so many times as long as to see that something is."""

_FAULTS = (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError, InvalidInput)


@dataclass(frozen=True, slots=True)
class _Checked:
    """A schema ready for use, how many times it visits one place of a value at most, and the characters that count as one.

    `heaviest` and `patterns` are the KiB of its heaviest pattern, and of all, 0 where it has none.
    """

    validator: jsonschema_rs.Validator
    visits: int
    text_step: int
    heaviest: int
    patterns: int

    def cost(self, value: JsonValue, most: int) -> int:
        """Return the visits that a check takes at the most."""
        return schema_cost.size(value, most, self.text_step) * self.visits * max(1, self.heaviest // LIGHT_KIB)


class _Remembered:
    """Schemas that were used lately, by their text: ready for use, or what is wrong with them. What they hold is bounded."""

    def __init__(self, most_kib: int) -> None:
        self._most = self._left = most_kib
        self._by_text: OrderedDict[bytes, tuple[_Checked | str, int]] = OrderedDict()
        self._lock = Lock()

    def get(self, text: bytes) -> _Checked | str | None:
        with self._lock:
            if text not in self._by_text:
                return None
            self._by_text.move_to_end(text)
            return self._by_text[text][0]

    def keep(self, text: bytes, checked: _Checked | str) -> None:
        kib = 2 + 4 * len(text) // 1024 + (0 if isinstance(checked, str) else 2 * checked.patterns)
        with self._lock:
            if text in self._by_text or kib > self._most:
                return
            self._by_text[text] = checked, kib
            self._left -= kib
            while self._left < 0:
                self._left += self._by_text.popitem(last=False)[1][1]


class SchemaBudget:
    """The work that the schemas of one request may cause; one that has used it up is refused, not served more slowly."""

    def __init__(self, visits: int = BUDGET) -> None:
        self._left = visits

    def complaint(self, schema: Mapping[str, JsonValue], value: JsonValue) -> str | None:
        """Return what is wrong with a value by this schema; None if the value is valid."""
        checked = _checked(orjson.dumps(schema))
        if isinstance(checked, str):
            return _shortened(f"the schema itself is wrong: {checked}")
        cost = checked.cost(value, self._left)
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


def patterns_kib(schema: Mapping[str, JsonValue]) -> int:
    """Return the KiB that the patterns of a schema are compiled to; 0 for a schema that is not taken."""
    checked = _checked(orjson.dumps(schema))
    return 0 if isinstance(checked, str) else checked.patterns


def _checked(schema: bytes) -> _Checked | str:
    """Return a schema ready for use, or what is wrong with it; either is remembered."""
    found = _REMEMBERED.get(schema)
    if found is None:
        try:
            found = _compiled(cast("dict[str, JsonValue]", orjson.loads(schema)))
        except _FAULTS as error:
            found = _shortened(str(error).partition("\n")[0])
        _REMEMBERED.keep(schema, found)
    return found


_REMEMBERED = _Remembered(MAX_REMEMBERED_KIB)


def _compiled(document: dict[str, JsonValue]) -> _Checked:
    visits = schema_cost.visits(document)
    patterns = schema_cost.patterns(document)
    heaviest, together = _weights(patterns)
    jsonschema_rs.meta.validate(document)
    memory = min(regular_expressions.MAX_MEMORY, MAX_SEARCH_MEMORY // max(1, len(patterns)))
    made = regular_expressions.validator(document, regular_expressions.MAX_KIB, memory)
    return _Checked(made, visits, 1 if patterns else schema_cost.TEXT_STEP, heaviest, together)


def _weights(patterns: Collection[str]) -> tuple[int, int]:
    """Return the KiB of the heaviest pattern, and of all; raises InvalidInput for more than a schema may have."""
    heaviest = together = 0
    for pattern in patterns:
        kib = regular_expressions.weight(pattern)
        heaviest, together = max(heaviest, kib), together + kib + FOLDED_KIB * regular_expressions.folded(pattern)
        if together > MAX_PATTERNS_KIB:
            raise InvalidInput(f"the patterns of a schema are compiled to at most {MAX_PATTERNS_KIB} KiB together")
    return heaviest, together


def _shortened(message: str) -> str:
    return message if len(message) <= MAX_MESSAGE else message[: MAX_MESSAGE - 1] + "…"
