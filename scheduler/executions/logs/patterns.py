"""What is looked for in lines: a text, or a pattern whose time grows only with the length of what is searched."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Protocol

import jsonschema_rs

from scheduler.errors import InvalidInput

COMPILED = 1024 * 1024
"""Bytes of a compiled pattern, and of what it remembers while it searches."""

TOGETHER = 256
"""Lines that are looked at as one text first: of most, none holds what is looked for."""

_ONE_BY_ONE = re.compile(r"\\[Az]|\(\?[a-zA-Z]*-?[a-zA-Z]*[mRsx]")
"""What may mean something else in a text of many lines than in each of them."""


class LogMatcher(Protocol):
    """Finds the lines that hold what is looked for."""

    def matching(self, text: str) -> Iterator[tuple[int, str]]:
        """Yield the lines of a text that match, each with its index, in order."""
        ...


class LogTextMatcher:
    """Lines that hold a text."""

    def __init__(self, text: str, *, any_case: bool) -> None:
        self._text, self._any_case = (text.lower() if any_case else text), any_case

    def matching(self, text: str) -> Iterator[tuple[int, str]]:
        """Yield the lines of a text that hold it, each with its index."""
        if self._text not in (text.lower() if self._any_case else text):
            return
        for number, line in enumerate(text.split("\n")):
            if self._text in (line.lower() if self._any_case else line):
                yield number, line


class LogPatternMatcher:
    """Lines that match a pattern. The engine, which schemas use too, never goes back, so it knows neither look-around nor back references."""

    def __init__(self, pattern: str, *, any_case: bool) -> None:
        _require_pattern(pattern)
        flags = "i" if any_case else ""
        self._one = _compiled(f"(?{flags}){pattern}" if flags else pattern)
        self._many = None if _ONE_BY_ONE.search(pattern) else _compiled(f"(?m{flags}){pattern}")

    def matching(self, text: str) -> Iterator[tuple[int, str]]:
        """Yield the lines of a text that match, each with its index."""
        if self._many is not None and not self._many.is_valid(text):
            return
        lines = text.split("\n")
        for first in range(0, len(lines), TOGETHER):
            some = lines[first : first + TOGETHER]
            if self._many is not None and not self._many.is_valid("\n".join(some)):
                continue
            for number, line in enumerate(some, first):
                if self._one.is_valid(line):
                    yield number, line


def matcher(q: str, *, regex: bool, any_case: bool) -> LogMatcher:
    """Return what finds a text or a pattern; raises InvalidInput for a pattern that is none, or that cannot be searched for in linear time."""
    return LogPatternMatcher(q, any_case=any_case) if regex else LogTextMatcher(q, any_case=any_case)


def _require_pattern(pattern: str) -> None:
    """Say what is wrong in words that people know, where that is known."""
    try:
        re.compile(pattern)
    except re.error as error:
        if "\\p{" not in pattern and "\\z" not in pattern and "[[:" not in pattern:
            raise InvalidInput(f"that is no pattern: {error}", field="q") from None
    except (RecursionError, OverflowError):
        raise InvalidInput("that pattern is too deep or too large", field="q") from None


def _compiled(pattern: str) -> jsonschema_rs.Validator:
    options = jsonschema_rs.RegexOptions(size_limit=COMPILED, dfa_size_limit=2 * COMPILED)
    try:
        return jsonschema_rs.validator_for({"type": "string", "pattern": pattern}, pattern_options=options)
    except (jsonschema_rs.ValidationError, ValueError):
        raise InvalidInput(
            "that pattern cannot be searched for: it has look-around or a back reference, which can take for ever, or compiles to more than 1 MiB; "
            "search for a part of it",
            field="q",
        ) from None
