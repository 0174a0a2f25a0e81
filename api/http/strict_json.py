"""JSON as we accept it: one meaning per text.

Python's own reader takes NaN, Infinity and duplicate keys and dies on deep nesting; PostgreSQL's text holds neither
NUL nor half a surrogate pair. All of that is refused here with a sentence, before anything else looks at it.
"""

from __future__ import annotations

import json
import math
import re
from typing import NoReturn

from scheduler.documents import Document, JsonValue
from scheduler.errors import InvalidInput

MAX_DEPTH = 32
MAX_VALUES = 1_000_000
"""The most values in one text: ten thousand jobs with a hundred each. A megabyte of empty lists would take twenty to hold."""

MAX_MEMBERS = 10_000
"""The most members of one object."""

MAX_INTEGER = 2**63 - 1
"""The largest number of the database's widest column; larger whole numbers are refused, not rounded."""

_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)
"""A text, also one that nothing ends: to look for its end from each of its quotes again would take for ever."""

_SUSPICIOUS = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
"""Escapes that may spell NUL or half a pair: only then is every string looked at."""


def loads(body: bytes) -> JsonValue:
    """Return the value of a JSON text; raises InvalidInput for anything malformed or ambiguous."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput("the body is not UTF-8") from error
    _check_count(body)
    try:
        value: JsonValue = _decode(text)
    except RecursionError as error:
        raise InvalidInput(f"the JSON is nested deeper than {MAX_DEPTH} levels") from error
    except json.JSONDecodeError as error:
        raise InvalidInput(f"the body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from error
    _check_depth(value)
    if _SUSPICIOUS.search(body):
        _check_strings(value)
    return value


def check_text(text: str, field: str | None = None) -> None:
    """Raise InvalidInput for text that cannot be stored: NUL, or half a surrogate pair."""
    if "\0" in text:
        raise InvalidInput("a text cannot hold a NUL character", field=field)
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise InvalidInput("a text holds half a surrogate pair", field=field)


def _check_count(body: bytes) -> None:
    """Refuse more values than can be held. What merely looks like many, in texts, is looked at more closely."""
    if _separators(body) > MAX_VALUES and _separators(_STRING.sub(b"", body)) > MAX_VALUES:
        raise InvalidInput(f"the JSON holds more than {MAX_VALUES} values; send it in parts")


def _separators(text: bytes) -> int:
    return text.count(b",") + text.count(b"[") + text.count(b"{")


def _object(pairs: list[tuple[str, JsonValue]]) -> Document:
    if len(pairs) > MAX_MEMBERS:
        raise InvalidInput(f"an object has more than {MAX_MEMBERS} members")
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]  # `or` goes on with its None
        raise InvalidInput(f"the key {twice!r} is there twice in one object", field=twice)
    return made


def _constant(word: str) -> NoReturn:
    raise InvalidInput(f"{word} is not a number in JSON")


def _float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise InvalidInput(f"the number {digits[:40]} is too large")
    return value


def _int(digits: str) -> int:
    value = int(digits) if len(digits) <= len(str(MAX_INTEGER)) + 1 else None
    if value is None or abs(value) > MAX_INTEGER:
        raise InvalidInput(f"the number {digits[:40]} is too large")
    return value


_decode = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_constant, parse_float=_float, parse_int=_int
).decode


def _check_depth(value: JsonValue, limit: int = MAX_DEPTH) -> None:
    """Walk level by level, so that no depth can exhaust the stack."""
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(limit):
        if not level:
            return
        level = [
            child
            for parent in level
            for child in (parent.values() if type(parent) is dict else parent)
            if type(child) is dict or type(child) is list
        ]
    if level:
        raise InvalidInput(f"the JSON is nested deeper than {MAX_DEPTH} levels")


def _check_strings(value: JsonValue, field: str | None = None) -> None:
    if isinstance(value, str):
        check_text(value, field)
    elif isinstance(value, dict):
        for key, child in value.items():
            check_text(key, field)
            _check_strings(child, key if field is None else f"{field}.{key}")
    elif isinstance(value, list):
        for number, child in enumerate(value):
            _check_strings(child, f"[{number}]" if field is None else f"{field}[{number}]")
