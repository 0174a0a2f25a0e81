"""The work that a JSON Schema can cause, as a bound that is known before any value is checked.

A schema of two kilobytes can take minutes: `anyOf` of two references to the next definition, which is an `anyOf` of two
references, and so on, is checked twice as often with each. So the work of a schema is bounded by what it says: how many times
can one place of a value be visited at most? References count each time they are used. Schemas for the same place add up; schemas for
different places (two properties, say) do not, so that a tree of any width is cheap.

The time of a check is then at most this number times the size of the value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import cast

from scheduler.documents import Document, JsonValue
from scheduler.errors import InvalidInput

MAX_DEPTH = 32
"""Levels of a value: what the API takes as JSON at all."""

MAX_VISITS = 2_000
"""The most visits of one place of a value that a schema may ask for."""

MAX_SIZE = 5_000
"""The most values (objects, lists, numbers, texts) in one schema."""

TEXT_STEP = 32
"""So many characters of a text count as one value; with patterns, which look at each, every one does."""

MAX_OPEN = 120
"""How many parts of a schema may be entered at once: `MAX_DEPTH` levels, with references on the way."""

_ANYTHING: Document = {}

_LISTS = ("allOf", "anyOf", "oneOf")
_SAME_PLACE = ("not", "if", "then", "else")
_NAMED_SAME_PLACE = ("dependentSchemas", "dependencies")
_SEVERAL_PARTS = ("contains", "propertyNames", "unevaluatedItems", "unevaluatedProperties", "additionalItems")
_DYNAMIC = ("$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor")
_SUBSCHEMAS = frozenset({*_LISTS, *_SAME_PLACE, *_NAMED_SAME_PLACE, *_SEVERAL_PARTS, "properties", "patternProperties",
                         "additionalProperties", "items", "prefixItems", "$defs", "definitions"})  # fmt: skip


def visits(schema: Mapping[str, JsonValue]) -> int:
    """Return how many times a schema visits one place of a value at most. Raises InvalidInput for one that asks for too much."""
    if size(cast("JsonValue", schema), MAX_SIZE) > MAX_SIZE:
        raise InvalidInput(f"a schema holds at most {MAX_SIZE} values")
    return _Cost(schema).of(schema, MAX_DEPTH)


def patterns(schema: Mapping[str, JsonValue]) -> set[str]:
    """Return the patterns that any part of a schema compares texts with."""
    found = set[str]()
    for part in _parts(schema):
        found.update(_mapping(part.get("patternProperties")))
        one = part.get("pattern")
        if isinstance(one, str):
            found.add(one)
    return found


def size(value: JsonValue, most: int, text_step: int = TEXT_STEP) -> int:
    """Return how many values a value consists of, texts counted by their length; stops counting beyond `most`."""
    found, left = 0, [value]
    while left and found <= most:
        one = left.pop()
        found += 1
        if isinstance(one, str):
            found += len(one) // text_step
        elif isinstance(one, dict):
            found += sum(len(key) // text_step for key in one)
            left.extend(one.values())
        elif isinstance(one, list):
            left.extend(one)
    return found


class _Cost:
    """The visits of each part of one schema, remembered by part and by how deep the value still is."""

    def __init__(self, root: Mapping[str, JsonValue]) -> None:
        self._root = root
        self._known: dict[tuple[int, int], int] = {}
        self._own: dict[int, int] = {}
        self._open: set[tuple[int, int]] = set()
        self._anchors = {name: part for part in _parts(root) for name in _anchors_of(part)}
        for part in _parts(root):
            _check_words(part, is_root=part is root)

    def of(self, schema: JsonValue | Mapping[str, JsonValue], depth: int) -> int:
        """Return the visits for values of so many levels. Raises InvalidInput beyond `MAX_VISITS`."""
        if not isinstance(schema, Mapping):
            return 1  # true or false
        if depth < 0:
            return 0
        key = (id(schema), depth)
        if key in self._known:
            return self._known[key]
        if key in self._open:
            raise InvalidInput("the schema refers to itself without going deeper into the value")
        if len(self._open) > MAX_OPEN:
            raise InvalidInput("the schema's references lead too far")
        self._open.add(key)
        found = (
            1
            + self._own_of(schema)
            + sum(self.of(one, depth) for one in self._here(schema))
            + self._below(schema, depth - 1)
        )
        self._open.discard(key)
        if found > MAX_VISITS:
            raise InvalidInput(
                f"the schema would look at one value more than {MAX_VISITS} times: its alternatives multiply; name them once"
            )
        self._known[key] = found
        return found

    def _own_of(self, schema: Mapping[str, JsonValue]) -> int:
        """Return the work of what is compared with the value itself: enum, const, required, and the like."""
        if id(schema) not in self._own:
            compared = (value for word, value in schema.items() if word not in _SUBSCHEMAS and not word.startswith("$"))
            self._own[id(schema)] = sum(size(value, MAX_SIZE) // 8 for value in compared)
        return self._own[id(schema)]

    def _here(self, schema: Mapping[str, JsonValue]) -> Iterator[JsonValue]:
        """Yield the parts that are about the same place of the value."""
        for word in _LISTS:
            yield from _list(schema.get(word))
        for word in _SAME_PLACE:
            if word in schema:
                yield schema[word]
        for word in _NAMED_SAME_PLACE:
            yield from (one for one in _mapping(schema.get(word)).values() if not isinstance(one, list))
        if "$ref" in schema:
            yield cast("JsonValue", self._meant(schema["$ref"]))

    def _below(self, schema: Mapping[str, JsonValue], depth: int) -> int:
        """Return the visits of one place a level deeper: the dearest of those that exclude each other, the others together."""
        items = schema.get("items")
        in_turn = [*_list(schema.get("prefixItems")), *_list(items)]
        if items is not None and not isinstance(items, list):
            in_turn.append(items)
        elements = max((self.of(one, depth) for one in in_turn), default=0)
        members = max((self.of(one, depth) for one in _mapping(schema.get("properties")).values()), default=0)
        if "additionalProperties" in schema:
            members = max(members, self.of(schema["additionalProperties"], depth))
        members += sum(self.of(one, depth) for one in _mapping(schema.get("patternProperties")).values())
        return max(elements, members) + sum(self.of(schema[word], depth) for word in _SEVERAL_PARTS if word in schema)

    def _meant(self, reference: JsonValue) -> Mapping[str, JsonValue]:
        """Return the part that a reference means. Raises InvalidInput for one that leads to no part of this schema."""
        if not isinstance(reference, str) or not reference.startswith("#"):
            raise InvalidInput(f"a schema refers to its own parts only, not to {str(reference)[:80]!r}")
        if reference.removeprefix("#") in self._anchors:
            return self._anchors[reference.removeprefix("#")]
        found: JsonValue = cast("JsonValue", self._root)
        for word in reference.removeprefix("#").split("/")[1:]:
            name = word.replace("~1", "/").replace("~0", "~")
            if isinstance(found, dict) and name in found:
                found = found[name]
            elif isinstance(found, list) and name.isdecimal() and name.isascii() and int(name[:9]) < len(found):
                found = found[int(name[:9])]
            else:
                raise InvalidInput(f"the schema has no part {reference[:80]!r}")
        if isinstance(found, bool):
            return _ANYTHING
        if not isinstance(found, dict) or (reference not in {"#", "#/"} and "/" not in reference):
            raise InvalidInput(f"the schema has no part {reference[:80]!r}")
        return found


def _parts(root: Mapping[str, JsonValue]) -> Iterator[Document]:
    """Yield every object of a schema document, in whatever role."""
    left: list[JsonValue] = [cast("JsonValue", root)]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            yield one
            left.extend(one.values())
        elif isinstance(one, list):
            left.extend(one)


def _anchors_of(part: Document) -> Iterable[str]:
    found = part.get("$anchor")
    return [found] if isinstance(found, str) else []


def _check_words(part: Document, *, is_root: bool) -> None:
    for word in _DYNAMIC:
        if isinstance(part.get(word), (str, bool)):
            raise InvalidInput(f"{word} is not taken in schemas of inputs and outputs; use $ref")
    if not is_root and (isinstance(part.get("$id"), str)):
        raise InvalidInput("only the whole schema has an $id, not a part of it")


def _list(value: JsonValue | None) -> list[JsonValue]:
    return value if isinstance(value, list) else []


def _mapping(value: JsonValue | None) -> Mapping[str, JsonValue]:
    return value if isinstance(value, dict) else {}
