"""What a job takes of those that it needs: its inputs from their outputs, and whether its conditions hold."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from scheduler.documents import DataEntry, Document, JobResults, JsonValue
from scheduler.rules.job_type.interface import MAX_ENTRIES, DeclaredInput, Interface, SchemaCheck
from scheduler.rules.workflow import texts

MOST_BYTES = 256 * 1024
"""Most JSON that all properties of one job have that it takes of others; larger data is a file."""

NEVER: Document = {"never": True}
"""The condition that never holds: it was decided when the workflow was made."""


@dataclass(frozen=True, slots=True)
class ParentResults:
    """What one parent made: null values where it did not complete."""

    results: JobResults | None = None

    def files(self, output: str) -> list[int]:
        """Return the ids of the files of an output."""
        entry = self._entry(output)
        if entry is None:
            return []
        one = entry.get("file_id")
        return [one] if one is not None else list(entry.get("file_ids") or ())

    def value(self, output: str) -> tuple[bool, JsonValue]:
        """Return whether there is such a property, and its value."""
        properties = (self.results or {}).get("properties", {})
        if output in properties:
            return True, properties[output]
        entry = self._entry(output)
        return (True, entry["value"]) if entry is not None and "value" in entry else (False, None)

    def _entry(self, output: str) -> DataEntry | None:
        entries = (self.results or {}).get("output_data", ())
        return next((one for one in entries if one.get("name") == output), None)


@dataclass(frozen=True, slots=True)
class SuppliedInputs:
    """The entries of a job's data that it takes of others, and all files among them; or `missing`: why it cannot run."""

    entries: list[DataEntry] = field(default_factory=list)
    files: frozenset[int] = frozenset()
    missing: str | None = None


def supply(
    interface: Interface,
    wiring: Mapping[str, Document],
    parents: Mapping[int, Sequence[ParentResults]],
    complaint: SchemaCheck,
) -> SuppliedInputs:
    """Return a job's inputs from the results of what it needs: `parents` by the place of the need, members in order."""
    declared = {one.name: one for one in interface.inputs}
    entries: list[DataEntry] = []
    files: set[int] = set()
    size = 0
    for name, wire in wiring.items():
        one = declared.get(name)
        if one is None:
            return SuppliedInputs(missing=f"its type has no input {name!r}")
        found = _taken(one, wire, parents)
        if isinstance(found, str):
            return SuppliedInputs(missing=found)
        if found is None:
            continue
        entries.append(found)
        if "value" in found:
            size += len(json.dumps(found["value"]))
            wrong = complaint(one.schema, found["value"]) if one.schema else None
            if wrong is not None:
                return SuppliedInputs(missing=f"the input {name!r} does not fit: {wrong}")
        files.update(_ids(found))
    if size > MOST_BYTES:
        return SuppliedInputs(
            missing=f"it takes {size} bytes of properties of other jobs, and at most {MOST_BYTES}; pass a file"
        )
    return SuppliedInputs(entries, frozenset(files))


def _taken(
    declared: DeclaredInput, wire: Document, parents: Mapping[int, Sequence[ParentResults]]
) -> DataEntry | str | None:
    """Return the entry of one input; None where it is left out and may be, or why the job cannot run."""
    sources = [
        (parent, str(output))
        for place, output in cast("list[tuple[int, str]]", wire["from"])
        for parent in parents.get(place, ())
    ]
    if declared.type == "property":
        values = [value for parent, output in sources for there, value in [parent.value(output)] if there]
        if values:
            value: JsonValue = values[0] if len(sources) == 1 else values
            return {
                "name": declared.name,
                "value": texts.value_for(declared.schema, value) if wire.get("texts") else value,
            }
        return _absent(declared, wire)
    ids = [one for parent, output in sources for one in parent.files(output)]
    most = 1 if declared.type == "file" else MAX_ENTRIES
    if len(ids) > most:
        return (
            f"the input {declared.name!r} takes at most {most} file{'s' if most > 1 else ''}, and there are {len(ids)}"
        )
    if not ids:
        return _absent(declared, wire)
    return {"name": declared.name, "file_id": ids[0]} if most == 1 else {"name": declared.name, "file_ids": ids}


def _absent(declared: DeclaredInput, wire: Document) -> DataEntry | str | None:
    if "default" in wire:
        return {"name": declared.name, "value": wire["default"]}
    if declared.has_default:
        return {"name": declared.name, "value": declared.default}
    if declared.required:
        return f"the output that is its input {declared.name!r} is not there"
    return None


def _ids(entry: DataEntry) -> Iterable[int]:
    one = entry.get("file_id")
    return [one] if one is not None else entry.get("file_ids") or ()


def all_hold(conditions: Sequence[Document], parents: Mapping[int, Sequence[ParentResults]]) -> bool:
    """Tell whether all conditions hold: each compares a property of the need in its place with a value."""
    for condition in conditions:
        if condition.get("never"):
            return False
        place, output = cast("tuple[int, str]", condition["from"])
        parent = next(iter(parents.get(place, ())), ParentResults())
        there, value = parent.value(output)
        if not holds(str(condition["op"]), value, condition.get("value"), there=there):
            return False
    return True


def holds(op: str, value: JsonValue, wanted: JsonValue, *, there: bool = True) -> bool:
    """Tell whether a value compares so with another; a value that is not there is only not_exists, != and not_in."""
    if op in {"exists", "not_exists"}:
        return (there and value is not None) is (op == "exists")
    if op in {"=", "!="}:
        return (there and _same(value, wanted)) is (op == "=")
    if op in {"in", "not_in"}:
        inside = there and isinstance(wanted, list) and any(_same(value, one) for one in wanted)
        return inside is (op == "in")
    left, right = _number(value), _number(wanted)
    if not there or left is None or right is None:
        return False
    return {">": left > right, "<": left < right, ">=": left >= right, "<=": left <= right}[op]


def _same(value: JsonValue, wanted: JsonValue) -> bool:
    if isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted
    if isinstance(value, str) is not isinstance(wanted, str) and isinstance(value, str | int | float) and isinstance(wanted, str | int | float):  # fmt: skip
        left, right = _number(value), _number(wanted)
        return left is not None and left == right
    return value == wanted


def _number(value: JsonValue) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value)
    try:
        return float(value) if isinstance(value, str) else None
    except ValueError:
        return None
