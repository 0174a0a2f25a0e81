"""The API's reference as one page of plain HTML, made from the OpenAPI document: no script, nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from api.http.document.answer_types import JsonSchema

UI = Path(__file__).parent / "ui"
METHODS = ("get", "post", "patch", "delete")
MAX_DEPTH = 4
"""Types within types are written out so deep; further down they go by name."""


@dataclass(frozen=True, slots=True)
class FieldEntry:
    """A parameter or a field of a body or answer: its name, its type in short, and what is said of it."""

    name: str
    type: str
    required: bool
    text: str


@dataclass(frozen=True, slots=True)
class OperationEntry:
    """One method of one address."""

    id: str
    method: str
    path: str
    summary: str
    role: str
    parameters: list[FieldEntry]
    body: str | None
    answers: list[tuple[str, str, str | None]]


@dataclass(frozen=True, slots=True)
class SchemaEntry:
    """A named kind of body or answer."""

    name: str
    text: str
    fields: list[FieldEntry]


@dataclass(frozen=True, slots=True)
class ReferencePage:
    """The page and the policy under which a browser shows it."""

    html: str
    policy: str


def page(document: JsonSchema) -> ReferencePage:
    """Return the reference of an OpenAPI document; the same document gives the same bytes."""
    groups: dict[str, list[OperationEntry]] = {}
    for path, operations in document["paths"].items():
        for method in METHODS:
            if method in operations:
                groups.setdefault(operations[method]["tags"][0], []).append(
                    _operation(path, method, operations[method])
                )
    schemas = [_schema(name, one) for name, one in document["components"]["schemas"].items()]
    style = (UI / "reference.css").read_text()
    environment = Environment(loader=FileSystemLoader(UI), autoescape=True, undefined=StrictUndefined)
    html = environment.get_template("reference.html").render(
        info=document["info"], groups=sorted(groups.items()), schemas=schemas, style=style
    )
    allowed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return ReferencePage(
        html, f"default-src 'none'; style-src 'sha256-{allowed}'; frame-ancestors 'none'; base-uri 'none'"
    )


def _operation(path: str, method: str, found: JsonSchema) -> OperationEntry:
    return OperationEntry(
        id=found["operationId"],
        method=method.upper(),
        path=path,
        summary=found.get("summary") or "",
        role=found.get("x-role", "public"),
        parameters=[_parameter(one) for one in found.get("parameters", ())],
        body=_content(found.get("requestBody", {})),
        answers=[(status, one.get("description", ""), _content(one)) for status, one in found["responses"].items()],
    )


def _parameter(found: JsonSchema) -> FieldEntry:
    kind = f"{found['in']} {type_name(found.get('schema', {}))}"
    text = found.get("description") or found.get("schema", {}).get("description") or ""
    return FieldEntry(found["name"], kind, bool(found.get("required")), text)


def _schema(name: str, found: JsonSchema) -> SchemaEntry:
    required = set(found.get("required", ()))
    fields = [
        FieldEntry(field, type_name(one), field in required, one.get("description", ""))
        for field, one in found.get("properties", {}).items()
    ]
    return SchemaEntry(name, found.get("description", ""), fields)


def _content(found: JsonSchema) -> str | None:
    """Return what a body or answer is, the JSON form where there are several."""
    content = found.get("content", {})
    media = "application/json" if "application/json" in content else next(iter(content), None)
    if media is None:
        return None
    named = type_name(content[media].get("schema", {}))
    return named if media == "application/json" else f"{named} ({media})"


def type_name(schema: JsonSchema, depth: int = 0) -> str:
    """Return a type in short: `integer 1..1000`, `[string]`, `JobDetail | Created`, `"FIFO" | "LIFO"`."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if depth > MAX_DEPTH:
        return "…"
    for many in ("anyOf", "oneOf", "allOf"):
        if many in schema:
            return " | ".join(dict.fromkeys(type_name(one, depth + 1) for one in schema[many]))
    if "enum" in schema:
        return " | ".join(f'"{word}"' for word in schema["enum"])
    if "const" in schema:
        return f'"{schema["const"]}"'
    return _plain(schema, depth)


def _plain(schema: JsonSchema, depth: int) -> str:
    kind = str(schema.get("type", "any"))
    if kind == "array":
        return f"[{type_name(schema.get('items', {}), depth + 1)}]"
    inner = schema.get("additionalProperties")
    if kind == "object" and isinstance(inner, dict):
        return f"{{name: {type_name(inner, depth + 1)}}}"
    return " ".join([kind, *_limits(schema)])


def _limits(schema: JsonSchema) -> Iterator[str]:
    if "format" in schema:
        yield str(schema["format"])
    for low, high in (("minimum", "maximum"), ("minLength", "maxLength"), ("minItems", "maxItems")):
        if low in schema or high in schema:
            unit = re.sub(r"min(?:imum)?", "", low).lower()
            yield f"{schema.get(low, '')}..{schema.get(high, '')}{' ' + unit if unit else ''}"
    if "default" in schema and schema["default"] not in (None, [], {}):
        yield f"= {schema['default']}"
