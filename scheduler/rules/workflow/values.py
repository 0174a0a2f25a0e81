"""The kinds of values in a definition: each is checked where it stands, and what is wrong is noted by its place."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TypeVar

from scheduler.documents import Document, JsonValue
from scheduler.rules.workflow.source import DefinitionFaults, DefinitionSource, Place

T = TypeVar("T")


class DefinitionValues:
    """Reads values of a definition by their kinds."""

    def __init__(self, source: DefinitionSource, faults: DefinitionFaults) -> None:
        self.source, self.faults = source, faults

    def known(self, given: Mapping[str, JsonValue], names: tuple[str, ...], place: Place) -> None:
        """Note keys that are not known here."""
        for name in given:
            if name not in names:
                self.faults.note(f"the key {name!r} is not known here; there are {', '.join(names)}", *place, name)

    def map(self, given: JsonValue, place: Place) -> Document:
        """Return a map; nothing for one that is left out."""
        if given is None:
            return {}
        if not isinstance(given, dict):
            self.faults.note("it must be a map", *place)
            return {}
        return given

    def text(self, given: Mapping[str, JsonValue], name: str, place: Place) -> str | None:
        """Return a text, None where there is none; a number as it was written."""
        value = given.get(name)
        if value is None and name not in given:
            return None
        written = self.source.written.get((*place, name))
        value = written if written is not None and isinstance(value, int | float) else value
        if not isinstance(value, str) or not value or len(value) > 256:  # noqa: PLR2004 - as names are elsewhere
            self.faults.note(f"{name} is a text of at most 256 characters", *place, name)
            return None
        return value

    def flag(self, given: Mapping[str, JsonValue], name: str, place: Place) -> bool:
        """Return whether a flag is set."""
        value = given.get(name, False)
        if not isinstance(value, bool):
            self.faults.note(f"{name} is true or false", *place, name)
        return value is True

    def whole(self, given: Mapping[str, JsonValue], name: str, low: int, high: int, default: int | None, place: Place) -> int | None:  # fmt: skip
        """Return a whole number within bounds."""
        value = given.get(name, default)
        if value is None or (isinstance(value, int) and not isinstance(value, bool) and low <= value <= high):
            return value
        self.faults.note(f"{name} is a whole number from {low} to {high}", *place, name)
        return default

    def tolerated(self, value: JsonValue, place: Place) -> tuple[int, float]:
        """Return how many jobs are tolerated, and how many of a hundred."""
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value, 0.0
        if isinstance(value, str) and re.fullmatch(r"(?:100|\d{1,2}(?:\.\d{1,3})?)%", value):
            return 0, float(value.removesuffix("%"))
        self.faults.note("tolerate is a number of jobs, or such as 5%", *place)
        return 0, 0.0

    def word(self, value: JsonValue, words: Callable[[str], T], default: T, place: Place) -> T:
        """Return one of the words of an enum."""
        if value is None:
            return default
        try:
            return words(str(value))
        except ValueError:
            listed = ", ".join(str(one) for one in words)  # type: ignore[attr-defined]  # an enum
            self.faults.note(f"it is one of {listed}", *place)
            return default

    def converted(self, value: JsonValue, convert: Callable[[JsonValue], int], place: Place) -> int | None:
        """Return what a function makes of a value; it raises ValueError for one that does not fit."""
        if value is None:
            return None
        try:
            return convert(value)
        except ValueError as wrong:
            self.faults.note(str(wrong), *place)
            return None
