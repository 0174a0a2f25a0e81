"""Amounts as people write them: `4G` of memory, `10m` of time, a number that is one.

Each function is the parser of an option: it returns the value in the unit that the API takes, and raises ValueError
with a sentence that says what is accepted.
"""

from __future__ import annotations

import re
from math import isfinite

SMALLEST_CPUS = 0.001
"""Amounts have three decimals."""

LARGEST = float(2**53)
"""Above it a float does not hold every integer. No amount of anything is so large."""

_MIB = {"": 1.0, "K": 2.0**-10, "M": 1.0, "G": 2.0**10, "T": 2.0**20, "P": 2.0**30}
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_NUMBER = r"\d+(?:\.\d*)?|\.\d+"
_SIZE = re.compile(rf"({_NUMBER})\s*([KMGTP]?)(?:i?B)?", re.IGNORECASE | re.ASCII)
_SPAN = re.compile(rf"(?:({_NUMBER})\s*([smhdw]?)\s*)", re.IGNORECASE | re.ASCII)
_ISO_SPAN = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?", re.IGNORECASE | re.ASCII)


def number(text: str | float) -> float:
    """Return a finite number. `inf`, `nan` and what is too large for one are none."""
    try:
        found = float(text)
    except ValueError:
        found = float("nan")
    if not isfinite(found) or abs(found) > LARGEST or "_" in str(text):
        raise ValueError(f"{text!r} is not a number such as 2 or 0.5")
    return found


def cpus(text: str | float) -> float:
    """Return a number of cpus, 0.001 or more."""
    found = number(text)
    if found < SMALLEST_CPUS:
        raise ValueError(f"{text!r} is too little: at least {SMALLEST_CPUS} of a cpu")
    return found


def mebibytes(text: str | float) -> float:
    """Return an amount of memory or disk in MiB: a number alone is MiB, `4G` is 4096 of them."""
    match = _SIZE.fullmatch(str(text).strip())
    if match is None:
        raise ValueError(f"{text!r} is not MiB such as 512, or an amount such as 500M, 4G or 1.5T")
    return number(number(match[1]) * _MIB[match[2].upper()])


def whole_mebibytes(text: str | float) -> int:
    """Return likewise a whole number of MiB, 1 or more."""
    found = mebibytes(text)
    if found < 1 or not found.is_integer():
        raise ValueError(f"{text!r} is not a whole number of MiB")
    return int(found)


def seconds(text: str | float) -> float:
    """Return a length of time in seconds: a number alone is seconds; `90s`, `10m`, `1h30m`, `2d` and `PT10M` are others."""
    found = _span(str(text).strip())
    if found is None:
        raise ValueError(f"{text!r} is not seconds such as 600, or a time such as 90s, 10m, 1h30m or 2d")
    return number(found)


def positive_seconds(text: str | float) -> float:
    """Return likewise seconds, more than none."""
    found = seconds(text)
    if found <= 0:
        raise ValueError(f"{text!r} is no time at all")
    return found


def whole_seconds(text: str | float) -> int:
    """Return likewise a whole number of seconds."""
    found = seconds(text)
    if not found.is_integer():
        raise ValueError(f"{text!r} is not a whole number of seconds")
    return int(found)


def some_whole_seconds(text: str | float) -> int:
    """Return likewise a whole number of seconds, 1 or more."""
    found = whole_seconds(text)
    if found < 1:
        raise ValueError(f"{text!r} is no time at all: at least a second")
    return found


def _span(text: str) -> float | None:
    """Return the seconds of a length of time, None for what is none. Units stand behind numbers, one number alone is seconds."""
    iso = _ISO_SPAN.fullmatch(text)
    if iso is not None and any(iso.groups()):
        return sum(int(part or 0) * _SECONDS[unit] for part, unit in zip(iso.groups(), "dhms", strict=True))
    parts = [(match[1], match[2].lower()) for match in _SPAN.finditer(text)]
    if not parts or _SPAN.sub("", text) or (len(parts) > 1 and not all(unit for _, unit in parts)):
        return None
    return sum(number(amount) * _SECONDS[unit] for amount, unit in parts)
