"""The API's reference as one page of plain HTML, made from the OpenAPI document: no script, nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from api.http.document import samples
from api.http.document.answer_types import JsonSchema
from api.http.document.type_names import prose, type_html

UI = Path(__file__).parent / "ui"
METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True, slots=True)
class FieldEntry:
    """A parameter or a field of a body or answer: its name, its type in short, and what is said of it."""

    name: str
    place: str
    type: Markup
    required: bool
    text: Markup


@dataclass(frozen=True, slots=True)
class AnswerEntry:
    """One answer of a call: its status, what it means, its type, and an example of it, empty where there is none."""

    status: str
    text: Markup
    type: Markup
    example: str


@dataclass(frozen=True, slots=True)
class OperationEntry:
    """One method of one address, with an example of its body and the line of curl that calls it."""

    id: str
    method: str
    path: str
    summary: Markup
    text: Markup
    role: str
    parameters: list[FieldEntry]
    body: Markup
    example: str
    curl: str
    answers: list[AnswerEntry]


@dataclass(frozen=True, slots=True)
class SchemaEntry:
    """A named kind of body or answer; `type` is said of those that are no object."""

    name: str
    text: Markup
    type: Markup
    fields: list[FieldEntry]


@dataclass(frozen=True, slots=True)
class ReferencePage:
    """The page and the policy under which a browser shows it."""

    html: str
    policy: str


def page(document: JsonSchema) -> ReferencePage:
    """Return the reference of an OpenAPI document; the same document gives the same bytes."""
    schemas = document["components"]["schemas"]
    groups: dict[str, list[OperationEntry]] = {}
    for path, operations in document["paths"].items():
        for method in METHODS:
            if method in operations:
                found = operations[method]
                groups.setdefault(found["tags"][0], []).append(_operation(path, method.upper(), found, schemas))
    style = (UI / "reference.css").read_text()
    environment = Environment(loader=FileSystemLoader(UI), autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    html = environment.get_template("reference.html").render(
        info=document["info"],
        about=prose(document["info"]["description"]),
        groups=sorted(groups.items()),
        schemas=[_schema(name, one) for name, one in schemas.items()],
        style=style,
    )
    allowed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return ReferencePage(
        html, f"default-src 'none'; style-src 'sha256-{allowed}'; frame-ancestors 'none'; base-uri 'none'"
    )


def _operation(path: str, method: str, found: JsonSchema, schemas: Mapping[str, JsonSchema]) -> OperationEntry:
    body = found.get("requestBody", {})
    return OperationEntry(
        id=found["operationId"],
        method=method,
        path=path,
        summary=prose(found.get("summary") or ""),
        text=prose(found.get("description") or ""),
        role=found.get("x-role", "public"),
        parameters=[_parameter(one) for one in found.get("parameters", ())],
        body=_content(body),
        example=_example(body, schemas, whole=False),
        curl=samples.curl(method, path, found, schemas),
        answers=[_answer(status, one, schemas) for status, one in found["responses"].items()],
    )


def _answer(status: str, found: JsonSchema, schemas: Mapping[str, JsonSchema]) -> AnswerEntry:
    example = _example(found, schemas, whole=True) if status.startswith("2") else ""
    return AnswerEntry(status, prose(found.get("description", "")), _content(found), example)


def _parameter(found: JsonSchema) -> FieldEntry:
    schema = found.get("schema", {})
    text = prose(found.get("description") or schema.get("description") or "")
    if "anyOf" in schema:  # what is left out is null; nobody can write it
        schema = {**schema, "anyOf": [one for one in schema["anyOf"] if one.get("type") != "null"]}
    return FieldEntry(found["name"], found["in"], type_html(schema), bool(found.get("required")), text)


def _schema(name: str, found: JsonSchema) -> SchemaEntry:
    required = set(found.get("required", ()))
    fields = [
        FieldEntry(field, "", type_html(one), field in required, prose(one.get("description", "")))
        for field, one in found.get("properties", {}).items()
    ]
    return SchemaEntry(name, prose(found.get("description", "")), Markup("") if fields else type_html(found), fields)


def _media(found: JsonSchema) -> str | None:
    """Return the media type of a body or answer, JSON where there are several."""
    content = found.get("content", {})
    return "application/json" if "application/json" in content else next(iter(content), None)


def _content(found: JsonSchema) -> Markup:
    """Return what a body or answer is."""
    media = _media(found)
    if media is None:
        return Markup("")
    named = type_html(found["content"][media].get("schema", {}))
    return named if media == "application/json" else Markup("{} as {}").format(named, media)


def _example(found: JsonSchema, schemas: Mapping[str, JsonSchema], *, whole: bool) -> str:
    """Return an example of a JSON body or answer; nothing where there is no JSON."""
    schema = found.get("content", {}).get("application/json", {}).get("schema")
    if not schema:
        return ""
    return json.dumps(samples.sample(schema, schemas, whole=whole), indent=2, ensure_ascii=False)
