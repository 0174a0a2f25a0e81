"""The manifest: a file `results.json` in the output directory, in which a program sets output properties and a message.

Its values are carried exactly, or refused by name. A number that JSON readers understand differently is refused: some
take an integer beyond 64 bits for a float, and NaN for a fault that the program's author never wrote.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

from scheduler.documents import Document, JsonValue
from scheduler.wire import MAX_DEPTH, plain

NAME = "results.json"
MOST_BYTES = 1 << 20
_MESSAGE_CHARACTERS = 2000
_MOST_DIGITS = 19  # of 2**63 - 1
_SHOWN = 40


class ManifestError(Exception):
    """The manifest cannot be taken; str() is the sentence for people."""


@dataclass(frozen=True, slots=True)
class OutputManifest:
    """The contents of the program's manifest."""

    properties: Document = field(default_factory=dict)
    message: str = ""


@dataclass(frozen=True, slots=True)
class _Refused:
    """Stands where a value was that cannot be carried; `why` ends a sentence."""

    why: str


def read(body: bytes) -> OutputManifest:
    """Return what a manifest says. Raises ManifestError, which names the value at fault."""
    value = _loads(body, NAME)
    properties = value.get("properties", {}) if isinstance(value, dict) else None
    message = value.get("message", "") if isinstance(value, dict) else None
    if not isinstance(properties, dict) or not isinstance(message, str):
        raise ManifestError(f"{NAME} must be an object with 'properties' (object) and 'message' (text).")
    for name, why in _faults(properties, "", MAX_DEPTH):
        raise ManifestError(f"The value {name!r} in {NAME} {why}.")
    return OutputManifest(cast("Document", properties), message[:_MESSAGE_CHARACTERS])


def parse(body: bytes, name: str) -> JsonValue:
    """Return the JSON of a manifest file of this name, of values that can be carried exactly. Raises ManifestError."""
    value = _loads(body, name)
    for place, why in _faults(value, "", MAX_DEPTH):
        raise ManifestError(f"The value {place!r} in {name} {why}.")
    return cast("JsonValue", value)


def _loads(body: bytes, name: str) -> object:
    try:
        return json.loads(
            body.decode(), parse_int=_integer, parse_float=_float, parse_constant=_constant, object_pairs_hook=_object
        )
    except UnicodeDecodeError as error:
        raise ManifestError(f"{name} is not UTF-8 at byte {error.start}.") from error
    except json.JSONDecodeError as error:
        raise ManifestError(f"{name} is not JSON: {error}.") from error
    except RecursionError as error:
        raise ManifestError(f"{name} has more than {MAX_DEPTH} levels.") from error


def _faults(value: object, name: str, depth: int) -> Iterator[tuple[str, str]]:
    """Yield each value that cannot be carried, by its path, with the reason."""
    if isinstance(value, _Refused):
        yield name, value.why
    elif isinstance(value, dict | list) and depth == 0:
        yield name, f"has more than {MAX_DEPTH} levels"
    elif isinstance(value, dict):
        for key, part in value.items():
            path = f"{name}.{key}" if name else key
            if plain(key) != key:
                yield path, "has a name with a NUL character or half a surrogate pair"
            yield from _faults(part, path, depth - 1)
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from _faults(part, f"{name}[{number}]", depth - 1)
    elif isinstance(value, str) and plain(value) != value:
        yield name, "holds a NUL character or half a surrogate pair"


def _object(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue | _Refused]:
    made: dict[str, JsonValue | _Refused] = {}
    for key, value in pairs:
        made[key] = _Refused("is there twice in one object") if key in made else value
    return made


def _integer(digits: str) -> int | _Refused:
    if len(digits.lstrip("-")) <= _MOST_DIGITS and abs(int(digits)) < 2**63:
        return int(digits)
    return _Refused(f"is the number {digits[:_SHOWN]}, which is beyond 63 bits and a sign; write it as a text")


def _float(digits: str) -> float | _Refused:
    value = float(digits)
    return value if math.isfinite(value) else _Refused(f"is the number {digits[:_SHOWN]}, which is too large")


def _constant(word: str) -> _Refused:
    return _Refused(f"is {word}, which JSON does not have; write null or a text")
