"""Every JSON answer that a test gets is read by the OpenAPI document: by its operation, its status and its schema.

`check` raises AssertionError for a status that the operation does not name, a value of another kind, a field that is
missing, and a field that the document does not know.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import jsonschema_rs
import orjson

from tests.support.generated import openapi_document

OPEN = frozenset({"GeoJsonDocument"})
"""Schemas of others' documents, of which we know only a part."""


_broken: list[bool] = []


@contextmanager
def broken_inside() -> Iterator[None]:
    """Let answers of 500 pass meanwhile, for a test that breaks something inside and looks at them itself."""
    _broken.append(True)
    try:
        yield
    finally:
        _broken.pop()


def check(method: str, address: str, status: int, content_type: str | None, body: bytes) -> None:
    """Read an answer. Addresses that are not in the document, and what is no JSON, are passed over."""
    operation = _operation(method.lower(), urlsplit(address).path)
    if operation is None or (content_type or "").partition(";")[0] != "application/json" or not body:
        return
    place, answers = operation
    if status == HTTPStatus.INTERNAL_SERVER_ERROR and _broken:
        return
    assert str(status) in answers, f"{place} answered {status}, which its document does not name: {body[:300]!r}"
    schema = answers[str(status)].get("content", {}).get("application/json", {}).get("schema")
    if schema is None:
        return
    faults = [f"{'.'.join(map(str, one.instance_path))}: {one.message[:300]}" for one in _faults(schema, body)]
    assert not faults, f"{place} answered {status} otherwise than documented: {'; '.join(faults[:5])}"


def _faults(schema: Any, body: bytes) -> list[Any]:
    return list(_validator(orjson.dumps(schema)).iter_errors(orjson.loads(body)))


@cache
def _document() -> dict[str, Any]:
    document = copy.deepcopy(openapi_document())
    for name, schema in document["components"]["schemas"].items():
        if schema.get("additionalProperties") is True and schema.get("properties") and name not in OPEN:
            schema["additionalProperties"] = False  # clients must expect more fields; we know all of them
    return document


@cache
def _validator(schema: bytes) -> Any:
    return jsonschema_rs.validator_for({**orjson.loads(schema), "components": _document()["components"]})


@cache
def _paths() -> list[tuple[re.Pattern[str], dict[str, Any]]]:
    """Return the addresses as patterns, those with fewer parameters first."""
    paths = sorted(_document()["paths"].items(), key=lambda pair: pair[0].count("{"))
    return [(re.compile(_pattern(path)), item) for path, item in paths]


def _pattern(path: str) -> str:
    parts = re.split(r"({\w+})", path)
    return "".join(_parameter(part) if part.startswith("{") else re.escape(part) for part in parts) + r"\Z"


def _parameter(part: str) -> str:
    return r"\d+" if part.endswith(("_id}", "_num}")) else "[^/]+"


def _operation(method: str, path: str) -> tuple[str, dict[str, Any]] | None:
    for pattern, item in _paths():
        if pattern.match(path):
            return (f"{method.upper()} {path}", item[method]["responses"]) if method in item else None
    return None
