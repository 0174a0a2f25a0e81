"""Values that cannot be sent: bytes that were no UTF-8 where they came from, and numbers that are none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite

from ganger.errors import UsageError

TEXT = "it is not UTF-8 text, and nothing else can be sent"
NUMBER = "it is not a finite number"


def error(body: object, params: Sequence[tuple[str, str]]) -> UsageError:
    """Return the error that names the value of a call which JSON or an address cannot hold."""
    found = next(_unsendable(body, ""), None) or next(
        ((name, TEXT) for name, value in params if _is_bad(value)), ("a value", TEXT)
    )
    return UsageError(": ".join(found), field=found[0])


def _unsendable(value: object, path: str) -> Iterator[tuple[str, str]]:
    """Yield the paths of texts that are no Unicode and of numbers that are none, with what is wrong."""
    if isinstance(value, str):
        if _is_bad(value):
            yield path, TEXT
    elif isinstance(value, float) and not isfinite(value):
        yield path, NUMBER
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            at = f"{path}.{key}" if path else str(key)
            yield from [(path, TEXT)] if isinstance(key, str) and _is_bad(key) else _unsendable(inner, at)
    elif isinstance(value, Sequence):
        for number, inner in enumerate(value):
            yield from _unsendable(inner, f"{path}[{number}]")


def _is_bad(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)
