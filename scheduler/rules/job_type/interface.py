"""Interfaces: which inputs a job type takes and which outputs it promises, and whether given data fits.

An interface 1.0 document is `{"version": "1.0", "input_data": [...], "output_data": [...]}`. Data for it comes in the
documented form (lists of `{name, value | file_id | file_ids}`) or in the short form `{name: value}`. Both become the
same normalised document, with defaults filled in, and the job keeps that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, cast

from scheduler.errors import InvalidInput

VERSION = "1.0"
INPUT_TYPES = ("property", "file", "files")
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9 _-]{0,127}\Z")
"""Names become environment variables and folders, so they are short and plain."""

RESERVED = frozenset({"job_input_dir", "job_output_dir", "job_work_dir"})
MAX_ENTRIES = 1_000
"""The most inputs, outputs, and files of one input."""

Kind: TypeAlias = Literal["property", "file", "files"]
SchemaCheck: TypeAlias = Callable[[Mapping[str, Any], Any], str | None]
"""A function that says what is wrong with a value by a JSON Schema, None when it fits.

It is passed in, since rules import no validator.
"""


@dataclass(frozen=True, slots=True)
class DeclaredInput:
    """One declared input. Without `media_types` any is allowed; `default` counts only with `has_default`."""

    name: str
    type: Kind
    required: bool = True
    media_types: tuple[str, ...] = ()
    schema: Mapping[str, Any] | None = None
    default: Any = None
    has_default: bool = False


@dataclass(frozen=True, slots=True)
class DeclaredOutput:
    """One declared output; `glob` is matched beneath the output directory."""

    name: str
    type: Kind
    required: bool = True
    media_type: str | None = None
    glob: str | None = None
    schema: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Interface:
    """All declared inputs and outputs, in the order in which they were written."""

    inputs: tuple[DeclaredInput, ...] = ()
    outputs: tuple[DeclaredOutput, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return the interface in its documented form, with every key."""
        return {
            "version": VERSION,
            "input_data": [_input_document(given) for given in self.inputs],
            "output_data": [_output_document(output) for output in self.outputs],
        }


@dataclass(frozen=True, slots=True)
class InputData:
    """Data that fits an interface. `files` holds the ids of all files given, by input name."""

    document: dict[str, Any] = field(default_factory=dict)
    files: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


NO_DATA = InputData()


def read(document: Mapping[str, Any]) -> Interface:
    """Return the interface that a document describes; raises InvalidInput naming the entry at fault."""
    version = document.get("version", VERSION)
    if version != VERSION:
        raise InvalidInput(
            f"interface version {version!r} is not known; it must be {VERSION!r}", field="interface.version"
        )
    inputs = tuple(_input(entry, n) for n, entry in enumerate(document.get("input_data", ())))
    outputs = tuple(_output(entry, n) for n, entry in enumerate(document.get("output_data", ())))
    _check_names(inputs, outputs)
    return Interface(inputs, outputs)


def fit(
    interface: Interface,
    *,
    data: Mapping[str, Any] | None,
    inputs: Mapping[str, Any] | None,
    complaint: SchemaCheck,
) -> InputData:
    """Return the normalised form of data given for an interface; raises InvalidInput when it does not fit."""
    if data is not None and inputs is not None:
        raise InvalidInput("give either data or inputs, not both", field="inputs")
    if not interface.inputs and not data and not inputs:
        return NO_DATA
    where = "inputs" if inputs is not None else "data"
    given = _short(interface, inputs) if inputs is not None else _documented(data or {})
    known = {declared.name: declared for declared in interface.inputs}
    for name in given:
        if name not in known:
            raise InvalidInput(f"there is no input {name!r} in the interface", field=f"{where}.{name}")
    entries = [_entry(declared, given, complaint, where) for declared in interface.inputs]
    outputs = _output_places(interface, data or {})
    document = {"version": VERSION, "input_data": [entry for entry in entries if entry], "output_data": outputs}
    return InputData(document, {entry["name"]: _file_ids(entry) for entry in entries if entry and "value" not in entry})


def accepts(declared: DeclaredInput, media_type: str) -> bool:
    """Return whether a file of this media type may be given for an input."""
    return not declared.media_types or media_type.split(";", maxsplit=1)[0].strip().lower() in {
        m.lower() for m in declared.media_types
    }


def _input(entry: Mapping[str, Any], number: int) -> DeclaredInput:
    where = f"interface.input_data[{number}]"
    kind = _kind(entry, where)
    has_default = entry.get("default") is not None
    if has_default and kind != "property":
        raise InvalidInput("only a property can have a default", field=f"{where}.default")
    return DeclaredInput(
        name=str(entry["name"]),
        type=kind,
        required=entry.get("required", True),
        media_types=tuple(entry.get("media_types") or ()),
        schema=entry.get("schema"),
        default=entry.get("default"),
        has_default=has_default,
    )


def _output(entry: Mapping[str, Any], number: int) -> DeclaredOutput:
    where = f"interface.output_data[{number}]"
    glob = entry.get("glob")
    if glob is not None and (glob.startswith("/") or ".." in glob.split("/") or not glob):
        raise InvalidInput("a glob stays beneath the output directory: no leading / and no ..", field=f"{where}.glob")
    return DeclaredOutput(
        name=str(entry["name"]),
        type=_kind(entry, where),
        required=entry.get("required", True),
        media_type=entry.get("media_type"),
        glob=glob,
        schema=entry.get("schema"),
    )


def _kind(entry: Mapping[str, Any], where: str) -> Kind:
    kind = entry.get("type", "property")
    if kind not in INPUT_TYPES:
        raise InvalidInput(f"type {kind!r} is not one of {', '.join(INPUT_TYPES)}", field=f"{where}.type")
    return cast("Kind", kind)


def _check_names(inputs: Iterable[DeclaredInput], outputs: Iterable[DeclaredOutput]) -> None:
    seen: set[str] = set()
    parts: dict[str, Iterable[DeclaredInput | DeclaredOutput]] = {"input_data": inputs, "output_data": outputs}
    for part, declared in parts.items():
        for number, one in enumerate(declared):
            where = f"interface.{part}[{number}].name"
            if not NAME.match(one.name) or one.name in RESERVED:
                raise InvalidInput(f"{one.name!r} cannot be the name of an input or output", field=where)
            if one.name in seen:
                raise InvalidInput(f"the name {one.name!r} is there twice", field=where)
            seen.add(one.name)


def _short(interface: Interface, inputs: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    kinds = {declared.name: declared.type for declared in interface.inputs}
    key = {"property": "value", "file": "file_id", "files": "file_ids"}
    return {name: {"name": name, key[kinds.get(name, "property")]: value} for name, value in inputs.items()}


def _documented(data: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    given: dict[str, Mapping[str, Any]] = {}
    for number, entry in enumerate(data.get("input_data") or ()):
        name = entry["name"]
        if name in given:
            raise InvalidInput(f"the input {name!r} is there twice", field=f"data.input_data[{number}].name")
        given[name] = entry
    return given


def _entry(
    declared: DeclaredInput, given: Mapping[str, Mapping[str, Any]], complaint: SchemaCheck, where: str
) -> dict[str, Any] | None:
    """Return the normalised entry of one declared input; None when it is left out and may be."""
    place = f"{where}.{declared.name}"
    entry = given.get(declared.name)
    if entry is None or all(entry.get(key) is None for key in ("value", "file_id", "file_ids")):
        return _left_out(declared, entry, place)
    if declared.type == "property":
        return _property(declared, entry, complaint, place)
    if entry.get("value") is not None:
        raise InvalidInput(f"the input {declared.name!r} takes {declared.type}, not a value", field=place)
    ids = entry.get("file_ids") if entry.get("file_ids") is not None else [entry.get("file_id")]
    _check_ids(declared, ids, place)
    assert ids is not None
    return (
        {"name": declared.name, "file_id": ids[0]}
        if declared.type == "file"
        else {"name": declared.name, "file_ids": list(ids)}
    )


def _left_out(declared: DeclaredInput, entry: Mapping[str, Any] | None, place: str) -> dict[str, Any] | None:
    if declared.has_default:
        return {"name": declared.name, "value": declared.default}
    if declared.type == "property" and entry is not None and "value" in entry and _takes_null(declared):
        return {"name": declared.name, "value": None}
    if declared.required:
        raise InvalidInput(f"the input {declared.name!r} is required", field=place)
    return None


def _takes_null(declared: DeclaredInput) -> bool:
    kind = (declared.schema or {}).get("type")
    return kind == "null" or (isinstance(kind, list) and "null" in kind)


def _property(declared: DeclaredInput, entry: Mapping[str, Any], complaint: SchemaCheck, place: str) -> dict[str, Any]:
    if entry.get("value") is None:
        raise InvalidInput(f"the input {declared.name!r} takes a value, not a file", field=place)
    wrong = complaint(declared.schema, entry["value"]) if declared.schema else None
    if wrong is not None:
        raise InvalidInput(f"the input {declared.name!r} does not fit: {wrong}", field=place)
    return {"name": declared.name, "value": entry["value"]}


def _check_ids(declared: DeclaredInput, ids: object, place: str) -> None:
    if not isinstance(ids, list) or not all(type(one) is int and 0 < one < 2**63 for one in ids):
        raise InvalidInput(f"the input {declared.name!r} takes {_WANTED[declared.type]}", field=place)
    if len(ids) > MAX_ENTRIES or (declared.type == "file" and len(ids) != 1) or (declared.required and not ids):
        raise InvalidInput(f"the input {declared.name!r} takes {_WANTED[declared.type]}", field=place)


_WANTED = {"file": "one file id", "files": f"a list of 1 to {MAX_ENTRIES} file ids"}


def _output_places(interface: Interface, data: Mapping[str, Any]) -> list[dict[str, Any]]:
    known = {output.name for output in interface.outputs}
    places = []
    for number, entry in enumerate(data.get("output_data") or ()):
        if entry["name"] not in known:
            raise InvalidInput(
                f"there is no output {entry['name']!r} in the interface", field=f"data.output_data[{number}].name"
            )
        if entry.get("workspace_id") is not None:
            places.append({"name": entry["name"], "workspace_id": entry["workspace_id"]})
    return places


def _file_ids(entry: Mapping[str, Any]) -> tuple[int, ...]:
    return (entry["file_id"],) if "file_id" in entry else tuple(entry["file_ids"])


def _input_document(given: DeclaredInput) -> dict[str, Any]:
    return {
        "name": given.name,
        "type": given.type,
        "required": given.required,
        "media_types": list(given.media_types),
        "schema": given.schema,
        "default": given.default,
    }


def _output_document(output: DeclaredOutput) -> dict[str, Any]:
    return {
        "name": output.name,
        "type": output.type,
        "required": output.required,
        "media_type": output.media_type,
        "glob": output.glob,
        "schema": output.schema,
    }
