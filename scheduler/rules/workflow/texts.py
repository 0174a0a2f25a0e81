"""Values of properties where the people who give them know texts alone: what is no text is its JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Never

from scheduler.documents import JsonValue


def text_of(value: JsonValue) -> str:
    """Return a value as a text: a text as it is, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def value_for(schema: Mapping[str, JsonValue] | None, given: JsonValue) -> JsonValue:
    """Return what is given for a property with this schema as the property takes it.

    A text for one that takes no texts is read as JSON; another value for one that takes texts alone is written as JSON. What does
    not fit stays as it is, and the job type says so.
    """
    kinds = _kinds(schema)
    if isinstance(given, str):
        return given if not kinds or "string" in kinds else _read(given)
    return text_of(given) if kinds == {"string"} else given


def _kinds(schema: Mapping[str, JsonValue] | None) -> set[str]:
    kind = (schema or {}).get("type")
    if isinstance(kind, str):
        return {kind}
    return {one for one in kind if isinstance(one, str)} if isinstance(kind, list) else set()


def _read(given: str) -> JsonValue:
    try:
        found: JsonValue = json.loads(given, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return given
    return found


def _refuse(word: str) -> Never:
    raise ValueError(word)
