"""Parameters of this dialect are texts; what job types take and make are JSON values. Both ways, by what a job type declares."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from api.http import strict_json
from scheduler.documents import JsonValue
from scheduler.errors import InvalidInput
from scheduler.rules.job_type.interface import DeclaredInput


def text_of(value: JsonValue) -> str:
    """Return a value as a text: a text as it is, everything else as JSON."""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def value_for(declared: DeclaredInput, given: JsonValue) -> JsonValue:
    """Return what is given for a property as the property takes it.

    A text for one that takes no texts is read as JSON; a nested value for one that takes texts alone is written as JSON. What
    does not fit stays as it is, and the job type says so.
    """
    kinds = _kinds(declared.schema)
    if isinstance(given, str):
        return given if not kinds or "string" in kinds else _read(given)
    return text_of(given) if kinds == {"string"} else given


def _kinds(schema: Mapping[str, JsonValue] | None) -> set[str]:
    kind = (schema or {}).get("type")
    return (
        {kind}
        if isinstance(kind, str)
        else {one for one in kind if isinstance(one, str)}
        if isinstance(kind, list)
        else set()
    )


def _read(given: str) -> JsonValue:
    try:
        return strict_json.loads(given.encode("utf-8", "replace"))
    except InvalidInput:
        return given
