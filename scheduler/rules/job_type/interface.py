"""Interfaces: which inputs a job type takes and which outputs it promises, and whether given data fits.

An interface 1.0 document is `{"version": "1.0", "input_data": [...], "output_data": [...]}`. Data for it comes in the
documented form (lists of `{name, value | file_id | file_ids}`) or in the short form `{name: value}`. Both become the
same normalised document, with defaults filled in, and the job keeps that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Required, TypeAlias, TypedDict, cast

from scheduler.documents import DataEntry, Document, JsonValue
from scheduler.errors import FaultList, InvalidInput

VERSION = "1.0"
INPUT_TYPES = ("property", "file", "files")
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9 _-]{0,127}\Z")
"""Names become environment variables and folders, so they are short and plain."""

RESERVED = frozenset({"job_input_dir", "job_output_dir", "job_work_dir"})
MAX_ENTRIES = 1_000
"""The most inputs, outputs, and files of one input."""

Kind: TypeAlias = Literal["property", "file", "files"]
SchemaCheck: TypeAlias = Callable[[Mapping[str, JsonValue], JsonValue], str | None]
"""A function that says what is wrong with a value by a JSON Schema, None when it fits.

It is passed in, since rules import no validator.
"""


class InputDocument(TypedDict, total=False):
    """A declared input as it is written and stored."""

    name: Required[str]
    type: str
    required: bool
    media_types: list[str] | None
    schema: Mapping[str, JsonValue] | None
    default: JsonValue


class OutputDocument(TypedDict, total=False):
    """A declared output as it is written and stored."""

    name: Required[str]
    type: str
    required: bool
    media_type: str | None
    glob: str | None
    schema: Mapping[str, JsonValue] | None


@dataclass(frozen=True, slots=True)
class DeclaredInput:
    """One declared input. Without `media_types` any is allowed; `default` counts only with `has_default`."""

    name: str
    type: Kind
    required: bool = True
    media_types: tuple[str, ...] = ()
    schema: Mapping[str, JsonValue] | None = None
    default: JsonValue = None
    has_default: bool = False


@dataclass(frozen=True, slots=True)
class DeclaredOutput:
    """One declared output; `glob` is matched beneath the output directory."""

    name: str
    type: Kind
    required: bool = True
    media_type: str | None = None
    glob: str | None = None
    schema: Mapping[str, JsonValue] | None = None


@dataclass(frozen=True, slots=True)
class Interface:
    """All declared inputs and outputs, in the order in which they were written."""

    inputs: tuple[DeclaredInput, ...] = ()
    outputs: tuple[DeclaredOutput, ...] = ()

    def document(self) -> Document:
        """Return the interface in its documented form, with every key."""
        inputs = [_input_document(declared) for declared in self.inputs]
        outputs = [_output_document(declared) for declared in self.outputs]
        return cast("Document", {"version": VERSION, "input_data": inputs, "output_data": outputs})


@dataclass(frozen=True, slots=True)
class InputData:
    """Data that fits an interface. `files` holds the ids of all files given, by input name."""

    document: Document = field(default_factory=dict)
    files: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


NO_DATA = InputData()


def read(document: Mapping[str, JsonValue]) -> Interface:
    """Return the interface that a document describes; raises InvalidInput naming each entry at fault."""
    version = document.get("version", VERSION)
    if version != VERSION:
        raise InvalidInput(
            f"interface version {version!r} is not known; it must be {VERSION!r}", field="interface.version"
        )
    declared_inputs = cast("list[InputDocument]", document.get("input_data", []))
    declared_outputs = cast("list[OutputDocument]", document.get("output_data", []))
    faults = FaultList()
    inputs = tuple(_input(entry, number, faults) for number, entry in enumerate(declared_inputs))
    outputs = tuple(_output(entry, number, faults) for number, entry in enumerate(declared_outputs))
    _check_names(inputs, outputs, faults)
    faults.raise_all()
    return Interface(inputs, outputs)


def fit(
    interface: Interface,
    *,
    data: Mapping[str, JsonValue] | None,
    inputs: Mapping[str, JsonValue] | None,
    complaint: SchemaCheck,
    awaited: Collection[str] = (),
) -> InputData:
    """Return the normalised form of data given for an interface; raises InvalidInput with all that does not fit.

    Inputs of the names in `awaited` come later, and may be missing. A fault is named by the place where the client wrote it: `data.input_data[0]` or `inputs.name`.
    """
    if data is not None and inputs is not None:
        raise InvalidInput("give either data or inputs, not both", field="inputs")
    if not interface.inputs and not data and not inputs:
        return NO_DATA
    faults = FaultList()
    given = _short(interface, inputs) if inputs is not None else _documented(data or {}, faults)
    places = input_places(data)
    known = {declared.name for declared in interface.inputs}
    for name in given:
        if name not in known:
            faults.note(f"there is no input {name!r} in the interface", field=place_of(name, places))
    wanted = [declared for declared in interface.inputs if declared.name in given or declared.name not in awaited]
    entries = [_entry(declared, given, complaint, places, faults) for declared in wanted]
    outputs = _output_places(interface, data or {}, faults)
    faults.raise_all()
    document = {"version": VERSION, "input_data": [entry for entry in entries if entry], "output_data": outputs}
    return InputData(
        cast("Document", document),
        {entry["name"]: _file_ids(entry) for entry in entries if entry and "value" not in entry},
    )


def input_places(data: Mapping[str, JsonValue] | None) -> dict[str, int] | None:
    """Return where in documented data each input stands, by its name; None where there is none, so that inputs are by name."""
    if data is None:
        return None
    entries = cast("list[DataEntry]", data.get("input_data") or [])
    return {entry["name"]: number for number, entry in enumerate(entries)}


def place_of(name: str, places: Mapping[str, int] | None) -> str:
    """Return the place of an input in the request, as the client wrote it."""
    if places is None:
        return f"inputs.{name}"
    return f"data.input_data[{places[name]}]" if name in places else "data.input_data"


def accepts(declared: DeclaredInput, media_type: str) -> bool:
    """Return whether a file of this media type may be given for an input."""
    return not declared.media_types or media_type.split(";", maxsplit=1)[0].strip().lower() in {
        m.lower() for m in declared.media_types
    }


def _input(entry: InputDocument, number: int, faults: FaultList) -> DeclaredInput:
    where = f"interface.input_data[{number}]"
    kind = _kind(entry, where, faults)
    has_default = entry.get("default") is not None
    if has_default and kind != "property":
        faults.note("only a property can have a default", field=f"{where}.default")
    return DeclaredInput(
        name=str(entry["name"]),
        type=kind,
        required=entry.get("required", True),
        media_types=tuple(entry.get("media_types") or ()),
        schema=entry.get("schema"),
        default=entry.get("default"),
        has_default=has_default,
    )


def _output(entry: OutputDocument, number: int, faults: FaultList) -> DeclaredOutput:
    where = f"interface.output_data[{number}]"
    glob = entry.get("glob")
    if glob is not None and (glob.startswith("/") or ".." in glob.split("/") or not glob):
        faults.note("a glob stays beneath the output directory: no leading / and no ..", field=f"{where}.glob")
    return DeclaredOutput(
        name=str(entry["name"]),
        type=_kind(entry, where, faults),
        required=entry.get("required", True),
        media_type=entry.get("media_type"),
        glob=glob,
        schema=entry.get("schema"),
    )


def _kind(entry: InputDocument | OutputDocument, where: str, faults: FaultList) -> Kind:
    kind = entry.get("type", "property")
    if kind not in INPUT_TYPES:
        faults.note(f"type {kind!r} is not one of {', '.join(INPUT_TYPES)}", field=f"{where}.type")
    return cast("Kind", kind)


def _check_names(inputs: Iterable[DeclaredInput], outputs: Iterable[DeclaredOutput], faults: FaultList) -> None:
    seen: set[str] = set()
    parts: dict[str, Iterable[DeclaredInput | DeclaredOutput]] = {"input_data": inputs, "output_data": outputs}
    for part, declared in parts.items():
        for number, one in enumerate(declared):
            where = f"interface.{part}[{number}].name"
            if not NAME.match(one.name) or one.name in RESERVED:
                faults.note(f"{one.name!r} cannot be the name of an input or output", field=where)
            if one.name in seen:
                faults.note(f"the name {one.name!r} is there twice", field=where)
            seen.add(one.name)


def _short(interface: Interface, inputs: Mapping[str, JsonValue]) -> dict[str, DataEntry]:
    kinds = {declared.name: declared.type for declared in interface.inputs}
    key = {"property": "value", "file": "file_id", "files": "file_ids"}
    entries = {name: {"name": name, key[kinds.get(name, "property")]: value} for name, value in inputs.items()}
    return cast("dict[str, DataEntry]", entries)


def _documented(data: Mapping[str, JsonValue], faults: FaultList) -> dict[str, DataEntry]:
    given: dict[str, DataEntry] = {}
    for number, entry in enumerate(cast("list[DataEntry]", data.get("input_data") or [])):
        name = entry["name"]
        if name in given:
            faults.note(f"the input {name!r} is there twice", field=f"data.input_data[{number}].name")
        given[name] = entry
    return given


def _entry(
    declared: DeclaredInput,
    given: Mapping[str, DataEntry],
    complaint: SchemaCheck,
    places: Mapping[str, int] | None,
    faults: FaultList,
) -> DataEntry | None:
    """Return the normalised entry of one declared input; None when it is left out and may be, or does not fit."""
    try:
        return _fitting(declared, given.get(declared.name), complaint)
    except _Misfit as wrong:
        faults.note(str(wrong), field=place_of(declared.name, places))
        return None


class _Misfit(Exception):
    """A value that does not fit its input; str() says why."""


def _fitting(declared: DeclaredInput, entry: DataEntry | None, complaint: SchemaCheck) -> DataEntry | None:
    if entry is None or all(entry.get(key) is None for key in ("value", "file_id", "file_ids")):
        return _left_out(declared, entry)
    if declared.type == "property":
        return _property(declared, entry, complaint)
    if entry.get("value") is not None:
        raise _Misfit(f"the input {declared.name!r} takes {declared.type}, not a value")
    several = entry.get("file_ids")
    ids = _checked_ids(declared, [entry.get("file_id")] if several is None else several)
    if declared.type == "file":
        return {"name": declared.name, "file_id": ids[0]}
    return {"name": declared.name, "file_ids": ids}


def _left_out(declared: DeclaredInput, entry: DataEntry | None) -> DataEntry | None:
    if declared.has_default:
        return {"name": declared.name, "value": declared.default}
    if declared.type == "property" and entry is not None and "value" in entry and _takes_null(declared):
        return {"name": declared.name, "value": None}
    if declared.required:
        raise _Misfit(f"the input {declared.name!r} is required")
    return None


def _takes_null(declared: DeclaredInput) -> bool:
    kind = (declared.schema or {}).get("type")
    return kind == "null" or (isinstance(kind, list) and "null" in kind)


def _property(declared: DeclaredInput, entry: DataEntry, complaint: SchemaCheck) -> DataEntry:
    if entry.get("value") is None:
        raise _Misfit(f"the input {declared.name!r} takes a value, not a file")
    wrong = complaint(declared.schema, entry["value"]) if declared.schema else None
    if wrong is not None:
        raise _Misfit(f"the input {declared.name!r} does not fit: {wrong}")
    return {"name": declared.name, "value": entry["value"]}


def _checked_ids(declared: DeclaredInput, ids: object) -> list[int]:
    if not isinstance(ids, list) or not all(type(one) is int and 0 < one < 2**63 for one in ids):
        raise _Misfit(f"the input {declared.name!r} takes {_WANTED[declared.type]}")
    if len(ids) > MAX_ENTRIES or (declared.type == "file" and len(ids) != 1) or (declared.required and not ids):
        raise _Misfit(f"the input {declared.name!r} takes {_WANTED[declared.type]}")
    return list(ids)


_WANTED = {"file": "one file id", "files": f"a list of 1 to {MAX_ENTRIES} file ids"}


def _output_places(interface: Interface, data: Mapping[str, JsonValue], faults: FaultList) -> list[DataEntry]:
    known = {output.name for output in interface.outputs}
    places: list[DataEntry] = []
    for number, entry in enumerate(cast("list[DataEntry]", data.get("output_data") or [])):
        if entry["name"] not in known:
            faults.note(
                f"there is no output {entry['name']!r} in the interface", field=f"data.output_data[{number}].name"
            )
        if entry.get("workspace_id") is not None:
            places.append({"name": entry["name"], "workspace_id": entry["workspace_id"]})
    return places


def _file_ids(entry: DataEntry) -> tuple[int, ...]:
    file_id = entry.get("file_id")
    return tuple(entry.get("file_ids") or ()) if file_id is None else (file_id,)


def _input_document(given: DeclaredInput) -> InputDocument:
    return {
        "name": given.name,
        "type": given.type,
        "required": given.required,
        "media_types": list(given.media_types),
        "schema": given.schema,
        "default": given.default,
    }


def _output_document(output: DeclaredOutput) -> OutputDocument:
    return {
        "name": output.name,
        "type": output.type,
        "required": output.required,
        "media_type": output.media_type,
        "glob": output.glob,
        "schema": output.schema,
    }
