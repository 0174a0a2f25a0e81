"""JSON Schema for the values of properties: finds what is wrong with a value, or with a schema itself.

No document is ever fetched: a schema that refers to another document is refused. Patterns run in an engine whose time
grows only with the length of the text.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import jsonschema_rs
import orjson

from scheduler.documents import JsonValue

MAX_MESSAGE = 300
_FAULTS = (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError)


def complaint(schema: Mapping[str, JsonValue], value: JsonValue) -> str | None:
    """Return what is wrong with a value by this schema; None if the value is valid."""
    try:
        validator = _validator(orjson.dumps(schema))
    except _FAULTS as error:
        return f"the schema itself is wrong: {_shortened(str(error))}"
    first = next(iter(validator.iter_errors(value)), None)
    if first is None:
        return None
    where = ".".join(str(part) for part in first.instance_path)
    return _shortened(f"{where}: {first.message}" if where else first.message)


def fault(schema: Mapping[str, JsonValue]) -> str | None:
    """Return what is wrong with a schema; None if values can be checked with it."""
    try:
        _validator(orjson.dumps(schema))
    except _FAULTS as error:
        return _shortened(str(error).partition("\n")[0])
    return None


@lru_cache(maxsize=1_000)
def _validator(schema: bytes) -> jsonschema_rs.Validator:
    document = orjson.loads(schema)
    jsonschema_rs.meta.validate(document)
    return jsonschema_rs.validator_for(
        document, offline=True, pattern_options=jsonschema_rs.RegexOptions(), validate_formats=False
    )


def _shortened(message: str) -> str:
    return message if len(message) <= MAX_MESSAGE else message[: MAX_MESSAGE - 1] + "…"
