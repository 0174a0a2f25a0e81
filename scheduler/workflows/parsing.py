"""Reading the text of a definition: YAML with the scalars of YAML 1.2, which every JSON text is too.

`on`, `yes` and `NO` are texts, `12:30` is, and `0123` is a number written in tens; the text of each number is kept beside it.
Anchors and aliases are refused (a short text of them unfolds to millions of values), and so are tags, keys that stand
there twice, and what is nested too deeply or is too long.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import yaml
from yaml.events import (
    AliasEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from scheduler.documents import JsonValue
from scheduler.errors import InvalidInput
from scheduler.rules.workflow.source import DefinitionFaults, DefinitionSource, Place
from scheduler.workflows import json_lines
from scheduler.workflows.json_lines import MOST_DEPTH, NO_NUL

MOST_BYTES = 2 * 1024 * 1024
"""Longest text of a definition; larger workflows are sent as JSON lines, or use for_each."""

MOST_VALUES = 400_000

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULL = re.compile(r"(?:null|Null|NULL|~|)\Z")
_BOOL = {word: word.lower() == "true" for word in ("true", "True", "TRUE", "false", "False", "FALSE")}
_INT = re.compile(r"[-+]?[0-9]{1,300}\Z")
_OCT, _HEX = re.compile(r"0o[0-7]{1,100}\Z"), re.compile(r"0x[0-9a-fA-F]{1,100}\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")


def parse(text: str) -> DefinitionSource:
    """Return the values of a text with their places; raises InvalidInput with line and column of what cannot be read.

    A text of several lines whose first is a JSON object by itself is JSON lines: see `json_lines`.
    """
    if json_lines.are(text):
        return json_lines.parse(text)
    if len(text.encode(errors="surrogatepass")) > MOST_BYTES:
        raise InvalidInput(
            f"a definition is at most {MOST_BYTES} bytes of text; use for_each, or send the jobs as JSON lines",
            field="definition",
        )
    marks: dict[Place, tuple[int, int]] = {}
    written: dict[Place, str] = {}
    reader = _Reader(marks, written)
    try:
        value = reader.read(iter(yaml.parse(text, Loader=_LOADER)))
    except yaml.YAMLError as error:
        raise InvalidInput(_unreadable(error), field="definition") from None
    source = DefinitionSource(value, marks, written)
    faults = DefinitionFaults(source)
    for sentence, place in reader.faults:
        faults.note(sentence, *place)
    faults.raise_all()
    return source


class _Reader:
    """Builds values of parser events and notes where they stand."""

    def __init__(self, marks: dict[Place, tuple[int, int]], written: dict[Place, str]) -> None:
        self._marks, self._written = marks, written
        self._values = 0
        self._words: set[str] = set()
        self.faults: list[tuple[str, Place]] = []

    def read(self, events: Iterator[Event]) -> JsonValue:
        """Return the first document of a stream; a second one is a fault."""
        value: JsonValue = None
        documents = 0
        for event in events:
            if isinstance(event, ScalarEvent | SequenceStartEvent | MappingStartEvent | AliasEvent):
                documents += 1
                value = self._value(event, events, ())
        if documents > 1:
            self.faults.append(("there is more than one document (---) in the text", ()))
        return value

    def _value(self, event: Event, events: Iterator[Event], place: Place) -> JsonValue:
        self._marks[place] = (event.start_mark.line + 1, event.start_mark.column + 1)
        self._values += 1
        if type(event) is ScalarEvent and event.value in self._words and self._is_bare(event) and self._fits(place):
            return str(event.value)
        if self._values > MOST_VALUES:
            raise InvalidInput(f"a definition has at most {MOST_VALUES} values", field="definition")
        if len(place) > MOST_DEPTH:
            raise InvalidInput(f"a definition is nested at most {MOST_DEPTH} deep", field="definition")
        if isinstance(event, AliasEvent) or getattr(event, "anchor", None) is not None:
            self.faults.append(("anchors (&) and aliases (*) are not taken: write it out, or use for_each", place))
        if isinstance(event, AliasEvent):
            return None
        tag = getattr(event, "tag", None)
        if tag is not None and not (isinstance(event, ScalarEvent) and tag == "!"):
            self.faults.append((f"tags such as {tag} are not taken", place))
        if isinstance(event, SequenceStartEvent):
            return self._sequence(events, place)
        if isinstance(event, MappingStartEvent):
            return self._mapping(events, place)
        return self._scalar(event, place)

    def _fits(self, place: Place) -> bool:
        return self._values <= MOST_VALUES and len(place) <= MOST_DEPTH

    @staticmethod
    def _is_bare(event: ScalarEvent) -> bool:
        return not event.style and event.tag is None and event.anchor is None

    def _sequence(self, events: Iterator[Event], place: Place) -> JsonValue:
        found: list[JsonValue] = []
        for event in events:
            if isinstance(event, SequenceEndEvent):
                break
            found.append(self._value(event, events, (*place, len(found))))
        return found

    def _mapping(self, events: Iterator[Event], place: Place) -> JsonValue:
        found: dict[str, JsonValue] = {}
        for event in events:
            if isinstance(event, MappingEndEvent):
                break
            key = self._key(event, events, place)
            inside = (*place, key)
            first = self._marks.get(inside)
            if key in found:
                line, column = event.start_mark.line + 1, event.start_mark.column + 1
                again = f"the key {key!r} is there twice, the second time in line {line}, column {column}"
                self.faults.append((again, inside))
            value = self._value(next(events), events, inside)
            found.setdefault(key, value)
            if first is not None:
                self._marks[inside] = first
        return found

    def _key(self, event: Event, events: Iterator[Event], place: Place) -> str:
        if isinstance(event, ScalarEvent) and event.anchor is None:
            if event.value == "<<" and not event.style:
                self.faults.append(("merge keys (<<) are not taken", place))
            return self._text(event, place)
        self._value(event, events, (*place, "?"))
        self.faults.append(("a key is a plain text", place))
        return "?"

    def _text(self, event: ScalarEvent, place: Place) -> str:
        """Return a text of a definition; note what escapes can spell, and nothing can store."""
        text = str(event.value)
        if "\0" in text:
            self.faults.append((NO_NUL, place))
        if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
            self.faults.append(("a text holds half a surrogate pair", place))
        return text

    def _scalar(self, event: ScalarEvent, place: Place) -> JsonValue:
        text = self._text(event, place)
        if event.style or event.tag == "!":
            return text
        value = _plain(text)
        if isinstance(value, float) and not math.isfinite(value):
            self.faults.append((f"{text[:40]} is too large a number", place))
            return None
        if not isinstance(value, str):
            self._written[place] = text
        elif text.isascii() and "\0" not in text:
            self._words.add(text)  # the names of jobs stand there again and again
        return value


def _plain(text: str) -> JsonValue:
    """Return the value of a scalar without quotes, by the core schema of YAML 1.2."""
    if _NULL.match(text):
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _INT.match(text):
        number = int(text)
        return number if abs(number) < 2**63 else text
    if _OCT.match(text):
        return int(text, 0)
    if _HEX.match(text):
        return int(text, 0)
    return float(text) if _FLOAT.match(text) else text


def _unreadable(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = str(getattr(error, "problem", None) or "it is not YAML")
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}" if mark is not None else problem
