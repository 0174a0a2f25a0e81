"""What is looked for in lines: a text, or a pattern whose time grows only with the length of what is searched."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Protocol

from scheduler import regular_expressions
from scheduler.errors import InvalidInput

TOGETHER = 256
"""Lines that are looked at as one text first: of most, none holds what is looked for."""

_ONE_BY_ONE = re.compile(r"\\[Az]|\(\?[a-zA-Z-]*[mRsx]")
"""What may mean something else in a text of many lines than in each of them."""


_ANY_CASE = re.compile(r"\(\?[a-zA-Z]*i")
_OTHER_WORDS = ("\\p", "\\z", "[[:")
"""What Python's patterns do not have."""

_LIGHT_KIB = 4
"""KiB of a usual pattern: blocks need not be longer than it can take."""


class LogMatcher(Protocol):
    """Finds the lines that hold what is looked for. It is given up to `most` characters at once, so that a search can end between."""

    most: int

    def matching(self, text: str) -> Iterator[tuple[int, str]]:
        """Yield the lines of a text that match, each with its index, in order."""
        ...


class LogTextMatcher:
    """Lines that hold a text."""

    most = 4 * 1024 * 1024

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
    """Lines that match a pattern; of a line that is longer than `most`, only its beginning is looked at.

    The engine, which schemas use too, never goes back, so it knows neither look-around nor back references.
    """

    def __init__(self, pattern: str, *, any_case: bool) -> None:
        flags = "i" if any_case else ""
        one = f"(?{flags}){pattern}" if flags else pattern
        kib = _weight(one, pattern)
        self.most = regular_expressions.MAX_WORK // max(kib, _LIGHT_KIB)
        self._one = regular_expressions.compiled(one)
        self._many = (
            None if _ONE_BY_ONE.search(pattern) else regular_expressions.compiled(f"(?m{flags}){pattern}", 2 * kib)
        )

    def matching(self, text: str) -> Iterator[tuple[int, str]]:
        """Yield the lines of a text that match, each with its index."""
        if self._many is not None and len(text) <= self.most and not self._many.is_valid(text):
            return
        lines = text.split("\n")
        for first in range(0, len(lines), TOGETHER):
            some = lines[first : first + TOGETHER]
            if self._many is not None and sum(map(len, some)) <= self.most and not self._many.is_valid("\n".join(some)):
                continue
            for number, line in enumerate(some, first):
                if self._one.is_valid(line[: self.most]):
                    yield number, line


def matcher(q: str, *, regex: bool, any_case: bool) -> LogMatcher:
    """Return what finds a text or a pattern; raises InvalidInput for a pattern that is none, or that cannot be searched for in linear time."""
    return LogPatternMatcher(q, any_case=any_case) if regex else LogTextMatcher(q, any_case=any_case)


def _weight(expression: str, pattern: str) -> int:
    """Return the KiB of an expression. Raises InvalidInput that says what is wrong with the pattern, in words that people know where those are known.

    Python's own reading has the words. It is asked only about patterns that are not taken, and not about what it would
    take seconds for: all letters of the world in both cases.
    """
    try:
        return regular_expressions.weight(expression)
    except InvalidInput as error:
        raise InvalidInput(_fault(pattern) or str(error), field="q") from None


def _fault(pattern: str) -> str | None:
    if _ANY_CASE.search(pattern) or any(word in pattern for word in _OTHER_WORDS):
        return None
    try:
        re.compile(pattern)
    except re.error as error:
        return f"that is no pattern: {error}"
    except (RecursionError, OverflowError):
        return "that pattern is too deep or too large"
    return None
