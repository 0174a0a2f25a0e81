"""The fields of a step that are those of a job, as a definition writes them: checked, and in the scheduler's own words."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import cast

from scheduler.documents import Document, JsonValue
from scheduler.rules.workflow.source import DefinitionFaults, Place

MAX_AMOUNT = 10**12
MAX_SECONDS = 366 * 24 * 3600
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,127}\Z")
_MIB = {"K": Decimal(1) / 1024, "M": Decimal(1), "G": Decimal(1024), "T": Decimal(1024 * 1024)}
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SPAN = re.compile(r"(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,9})s)?\Z")
_SIZE = re.compile(r"(\d{1,12}(?:\.\d{1,3})?)\s*([KMGT])(?:i?B)?\Z")


class _WrongError(ValueError):
    """A value that does not fit; str() says why."""


def read(step: Mapping[str, JsonValue], place: Place, faults: DefinitionFaults) -> Document:
    """Return the fields of a job that a step has, by their names in `NewJob`, and what overrides its type in `overrides`."""
    found: Document = {}
    overrides: Document = {}
    for name, value in step.items():
        if name in FIELDS:
            target, convert = FIELDS[name]
            try:
                (found if target in _OWN else overrides)[target] = convert(value)
            except _WrongError as wrong:
                faults.note(f"{name}: {wrong}", *place, name)
    if "image" in step and "runner" not in overrides:
        overrides["runner"] = "container"
        options = cast("Document", overrides.setdefault("options", {}))
        options["image"] = overrides.pop("image", None)
    elif "image" in overrides:
        options = cast("Document", overrides.setdefault("options", {}))
        options["image"] = overrides.pop("image")
    if overrides:
        found["overrides"] = overrides
    return found


def _amount(value: JsonValue) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _WrongError("it must be a number")
    exact = Decimal(repr(value)) * 1000
    if exact < 0 or exact > MAX_AMOUNT * 1000 or exact != exact.to_integral_value():
        raise _WrongError(f"it must be from 0 to {MAX_AMOUNT}, with at most three decimals")
    return int(exact)


def _cpus(value: JsonValue) -> int:
    amount = _amount(value)
    if amount <= 0:
        raise _WrongError("it must be more than 0")
    return amount


def _size(value: JsonValue) -> int:
    """Return MiB in thousandths: of a number, or of a text such as 4G."""
    if not isinstance(value, str):
        return _amount(value)
    match = _SIZE.match(value)
    if match is None:
        raise _WrongError(f"{value[:40]!r} is neither MiB nor an amount such as 512M or 4G")
    return int(Decimal(match[1]) * _MIB[match[2]] * 1000)


def span(value: JsonValue) -> int:
    """Return seconds: of a whole number, or of a text such as 10m or 1h30m. Raises ValueError."""
    if isinstance(value, str) and value:
        match = _SPAN.match(value)
        if match is not None:
            value = sum(int(part or 0) * unit for part, unit in zip(match.groups(), (86400, 3600, 60, 1), strict=True))
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_SECONDS:
        raise _WrongError("it must be whole seconds, or a time such as 10m or 1h30m; at most 366 days")
    return value


def _between(low: int, high: int) -> Callable[[JsonValue], int]:
    def whole(value: JsonValue) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise _WrongError(f"it must be a whole number from {low} to {high}")
        return value

    return whole


def _word(value: JsonValue) -> str:
    if not isinstance(value, str) or not _WORD.match(value):
        raise _WrongError("it must be a name of letters, digits, dots, dashes and underscores")
    return value


def _words(value: JsonValue) -> list[JsonValue]:
    if not isinstance(value, list) or len(value) > 50:  # noqa: PLR2004 - as in the API
        raise _WrongError("it must be a list of names")
    return [_word(one) for one in value]


def _line(value: JsonValue) -> str:
    if not isinstance(value, str) or not value or len(value) > 500 or "\0" in value:  # noqa: PLR2004 - as in the API
        raise _WrongError("it must be a text of one line")
    return value


def _command(value: JsonValue) -> list[JsonValue]:
    if not isinstance(value, list) or not value or not all(isinstance(one, str) for one in value):
        raise _WrongError('it must be a list of words, such as ["sh", "-c", "echo hello"]')
    return value


def _texts(value: JsonValue, key: re.Pattern[str], most: int) -> Document:
    if not isinstance(value, dict) or len(value) > most:
        raise _WrongError("it must be a map of names to texts")
    for name, one in value.items():
        if not key.match(name) or not isinstance(one, str) or "\0" in one:
            raise _WrongError(f"{name[:60]!r} must be a plain name with a text")
    return value


def _labels(value: JsonValue) -> Document:
    return _texts(value, _LABEL, 64)


def _environment(value: JsonValue) -> Document:
    return _texts(value, re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}\Z"), 500)


def _amounts(value: JsonValue) -> Document:
    if not isinstance(value, dict) or len(value) > 32:  # noqa: PLR2004 - as in the API
        raise _WrongError("it must be a map of resources to amounts")
    for name in value:
        if name in {"cpus", "mem", "disk"} or not _WORD.match(name):
            raise _WrongError(f"{name[:60]!r} is not a custom resource")
    return {name: _amount(one) for name, one in value.items()}


def _map(value: JsonValue) -> Document:
    if not isinstance(value, dict):
        raise _WrongError("it must be a map")
    return value


FIELDS: Mapping[str, tuple[str, Callable[[JsonValue], JsonValue]]] = {
    "command": ("command", _command),
    "cpus": ("cpus", _cpus),
    "mem": ("mem", _size),
    "disk": ("disk_out", _size),
    "resources": ("custom", _amounts),
    "timeout": ("timeout_s", span),
    "needs_within": ("needs_within_s", span),
    "max_tries": ("max_tries", _between(1, 1_000)),
    "priority": ("priority", _between(0, 2**31 - 1)),
    "pool": ("pool", _word),
    "labels": ("labels", _labels),
    "environment": ("environment", _environment),
    "image": ("image", _line),
    "runner": ("runner", _word),
    "options": ("options", _map),
    "secrets": ("secrets", _words),
    "retry_on": ("retry_on", _words),
}
"""The fields of a step that are a job's, each with its name in the scheduler and what reads it."""

_OWN = frozenset({"command", "cpus", "mem", "disk_out", "custom", "timeout_s", "needs_within_s", "max_tries", "priority", "pool", "labels", "environment"})  # fmt: skip
