"""A definition as it was written: its values, with the line and column of each, and the text of what is no string.

A place is the path of a value: `("jobs", "merge", "needs", 0)`. Faults are told by it, and by line and column where the
definition came as a text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from scheduler.documents import JsonValue
from scheduler.errors import FaultList

Place: TypeAlias = tuple[str | int, ...]


MOST_NOTED = 10_000
"""Faults that are kept until the first of the text among them are told."""


@dataclass(frozen=True, slots=True)
class DefinitionSource:
    """The values of a definition; `marks` has line and column (from 1) by place, `written` the text of numbers and the like."""

    value: JsonValue
    marks: Mapping[Place, tuple[int, int]] = field(default_factory=dict)
    written: Mapping[Place, str] = field(default_factory=dict)
    is_lines: bool = False
    """It came as JSON lines, which may be many."""

    def where(self, place: Place) -> str:
        """Return the words for a place: `line 4, column 7` if that is known."""
        while place and place not in self.marks:
            place = place[:-1]
        if place not in self.marks:
            return ""
        line, column = self.marks[place]
        return f"line {line}, column {column}"


class DefinitionFaults:
    """Collects what is wrong with a definition, by place; all of it is told at once, in the order of the text."""

    def __init__(self, source: DefinitionSource) -> None:
        self._source = source
        self._found: list[tuple[tuple[int, int], Place, str]] = []
        self._more = 0

    def __bool__(self) -> bool:
        return bool(self._found)

    def note(self, sentence: str, *place: str | int) -> None:
        """Note one fault of the value at this place; beyond `MOST_NOTED` they are only counted."""
        if len(self._found) >= MOST_NOTED:
            self._more += 1
            return
        marked: Place = place
        while marked and marked not in self._source.marks:
            marked = marked[:-1]
        self._found.append((self._source.marks.get(marked, (0, 0)), place, sentence))

    def raise_all(self) -> None:
        """Raise InvalidInput with all that was noted; nothing where that is none."""
        faults = FaultList()
        faults.count_more(self._more)
        for _, place, sentence in faults.first(sorted(self._found, key=lambda one: one[0])):
            where = self._source.where(place)
            faults.note(f"{where}: {sentence}" if where else sentence, field=name_of(place))
        faults.raise_all()


def name_of(place: Place) -> str:
    """Return a place in the form in which faults name fields: `definition.jobs.merge.needs[0]`."""
    return "definition" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
