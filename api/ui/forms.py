"""The form of a job: fields made from what a job type declares, and what is sent back made into a body of the API."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from api.http import strict_json
from scheduler.errors import Fault, InvalidInput, in_words

PREFIX = "in."
"""The names of inputs in the form begin with this."""


@dataclass(frozen=True, slots=True)
class InputField:
    """One input as a field of a form: its kind (text, number, checkbox, select, date, list, json, file, files) and what it may hold."""

    name: str
    kind: str
    value: str
    required: bool
    schema: Mapping[str, Any]
    choices: tuple[str, ...] = ()
    hint: str = ""


def fields(interface: Mapping[str, Any], values: Mapping[str, Any]) -> list[InputField]:
    """Return the fields of a type's inputs, filled with these values, else with the defaults that it declares."""
    return [_field(one, values.get(one["name"])) for one in interface["input_data"]]


def _field(one: Mapping[str, Any], value: Any) -> InputField:  # noqa: ANN401 - a JSON value
    schema = one.get("schema") or {}
    given = one.get("default") if value is None else value
    if one["type"] in {"file", "files"}:
        hint = ", ".join(one.get("media_types") or ()) or "any kind"
        ids = [str(file) for file in (given if isinstance(given, list) else [given]) if file is not None]
        return InputField(
            one["name"], one["type"], ", ".join(ids), one["required"], schema, hint=f"ids of files; {hint}"
        )
    kind, choices = _kind(schema)
    text = "" if given is None else given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
    if kind == "list" and isinstance(given, list):
        text = "\n".join(str(entry) for entry in given)
    return InputField(one["name"], kind, text, one["required"], schema, choices, schema.get("description", ""))


def _kind(schema: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    if "enum" in schema and all(isinstance(one, str | int | float) for one in schema["enum"]):
        return "select", tuple(str(one) for one in schema["enum"])
    kind = schema.get("type")
    if kind in {"integer", "number"}:
        return "number", ()
    if kind == "boolean":
        return "checkbox", ()
    if kind == "array" and (schema.get("items") or {}).get("type") in {"string", "integer", "number"}:
        return "list", ()
    if kind == "string":
        return {"date": "date", "date-time": "datetime"}.get(str(schema.get("format")), "text"), ()
    return "json", ()


def body(form: Mapping[str, str], interface: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the body of a submission. Raises InvalidInput that names each field at fault."""
    faults: list[Fault] = []
    made: dict[str, Any] = {}
    if interface is None:
        made["command"] = _words(form.get("command", ""), faults, shell=form.get("shell") == "1")
    else:
        made["inputs"] = _inputs(form, interface, faults)
    for name in ("name", "project", "pool", "hold_reason"):
        if text := form.get(name, "").strip():
            made[name] = text
    for name, convert in _NUMBERS.items():
        if text := form.get(name, "").strip():
            made[name] = _converted(text, name, convert, faults)
    if form.get("held") == "1":
        made["held"] = True
    if (labels := _labels(form.get("labels", ""), faults)) is not None:
        made["labels"] = labels
    if faults:
        raise InvalidInput(in_words(faults), field=faults[0].field, faults=faults)
    return made


def whole(text: str) -> int | str:
    """Return the number that a text writes in plain digits; anything else as it stands, for the API to say what is wrong with it."""
    return int(text) if _WHOLE.fullmatch(text) else text


_WHOLE = re.compile(r"-?[0-9]{1,18}", re.ASCII)

_NUMBERS: Mapping[str, type] = {
    "priority": int, "timeout": int, "max_tries": int, "cpus_required": float, "mem_required": float, "disk_out_required": float,
}  # fmt: skip


def _words(text: str, faults: list[Fault], *, shell: bool) -> list[str]:
    if shell:
        return ["sh", "-c", text]
    try:
        words = shlex.split(text)
    except ValueError as error:
        faults.append(Fault("command", str(error).lower()))
        return []
    if not words:
        faults.append(Fault("command", "write a command"))
    return words


def _labels(text: str, faults: list[Fault]) -> dict[str, str] | None:
    if not text.strip():
        return None
    pairs = [word.partition("=") for word in text.replace(",", " ").split()]
    if wrong := [key for key, sign, _ in pairs if not sign]:
        faults.append(Fault("labels", f"write {wrong[0][:40]}=value"))
    return {key: value for key, _, value in pairs}


def _inputs(form: Mapping[str, str], interface: Mapping[str, Any], faults: list[Fault]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in interface["input_data"]:
        name = one["name"]
        field = _field(one, None)
        text = form.get(PREFIX + name, "").strip()
        if field.kind == "checkbox":
            found[name] = text == "1"
        elif text:
            try:
                found[name] = _value(field, text)
            except (ValueError, ArithmeticError, InvalidInput) as error:
                faults.append(Fault(PREFIX + name, str(error)[:200] or "that is no value of this kind"))
        elif one["required"] and one.get("default") is None:
            faults.append(Fault(PREFIX + name, "it is required"))
    return found


def _value(field: InputField, text: str) -> Any:  # noqa: ANN401 - a JSON value
    """Return what a text of a field means. Raises ValueError."""
    return _READERS.get(field.kind, _text)(field, text)


def _text(_field: InputField, text: str) -> str:
    return text


def _read_number(field: InputField, text: str) -> float:
    number = float(text)
    return int(number) if field.schema.get("type") == "integer" and number == int(number) else number


def _read_list(field: InputField, text: str) -> list[Any]:
    kind = (field.schema.get("items") or {}).get("type")
    convert = {"integer": int, "number": float}.get(str(kind), str)
    return [convert(line.strip()) for line in text.splitlines() if line.strip()]


_READERS: Mapping[str, Callable[[InputField, str], Any]] = {
    "file": lambda _, text: {"file_id": int(text)},
    "files": lambda _, text: {"file_ids": [int(one) for one in text.replace(",", " ").split()]},
    "number": _read_number,
    "list": _read_list,
    "select": lambda field, text: next((one for one in field.schema["enum"] if str(one) == text), text),
    "json": lambda _, text: strict_json.loads(text.encode()),
}


def _converted(text: str, name: str, convert: type, faults: list[Fault]) -> Any:  # noqa: ANN401 - a number
    try:
        return convert(text)
    except ValueError:
        faults.append(Fault(name, f"{text[:20]!r} is no {'whole ' if convert is int else ''}number"))
        return None
