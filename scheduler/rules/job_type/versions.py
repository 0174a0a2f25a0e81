"""Versions: which of the versions of a job type is the newest.

The order is that of semantic versioning (semver.org, 11): numbers by their size, so that 1.10 comes after 1.9, and a
pre-release (1.0-rc.1) before its release. Any number of numbers will do, and a `v` before them. A type that is named
without a version means its newest release, then its newest pre-release, and only then a version that has no numbers.
"""

from __future__ import annotations

import re

_SEMANTIC = re.compile(r"v?(?P<numbers>\d+(?:\.\d+)*)(?:-(?P<pre>[0-9A-Za-z.-]+))?\Z", re.ASCII)
_RELEASE, _PRE_RELEASE, _OTHER = "2", "1", "0"


def order(version: str) -> str:
    """Return a text by which versions are ordered, byte by byte; versions without numbers have the same one."""
    found = _SEMANTIC.match(version)
    if found is None:
        return _OTHER
    numbers = [number.lstrip("0") for number in found["numbers"].split(".")]
    while numbers and not numbers[-1]:  # 1.0 is 1
        numbers.pop()
    core = ".".join(map(_sized, numbers))
    if found["pre"] is None:
        return f"{_RELEASE}{core}"
    return f"{_PRE_RELEASE}{core}!{' '.join(map(_identifier, found['pre'].split('.')))}"


def _identifier(part: str) -> str:
    """Numbers come before words, and the shorter before the longer that begins with it: a blank is before everything."""
    return f"0{_sized(part.lstrip('0'))}" if part.isdigit() else f"1{part}"


def _sized(digits: str) -> str:
    """A longer number is the larger one."""
    return f"{len(digits):03d}{digits}"
