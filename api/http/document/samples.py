"""Samples of the reference: a value that a schema would take, and the line of curl that makes a call."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping

from api.http.document.answer_types import JsonSchema

MAX_DEPTH = 6
"""Objects within objects are written out so deep."""

MAX_ITEMS = 20
"""Most entries of a list in an example; what asks for more gets a shorter one."""

_FORMATS = {
    "date-time": "2026-11-22T20:00:00Z",
    "uuid": "6f1e1c9e-3c7b-4d29-9e2b-0f5d8a1b7c11",
    "uri": "http://host:8470/files/1/content/",
}
_WORDS = {
    "name": "example",
    "file_name": "table.csv",
    "version": "1.0.0",
    "media_type": "text/csv",
    "url": "https://example.org/data",
}
_UPLOAD = "application/octet-stream"


def sample(schema: JsonSchema, schemas: Mapping[str, JsonSchema], *, whole: bool, depth: int = 0) -> object:
    """Return a value that a schema takes: its own example, else one made up. Not `whole`: of an object only what is required."""
    if "$ref" in schema:
        return sample(schemas[str(schema["$ref"]).rpartition("/")[2]], schemas, whole=whole, depth=depth)
    for given in ("examples", "enum"):
        if schema.get(given):
            return schema[given][0]
    for single in ("example", "const", "default"):
        if schema.get(single) is not None:
            return schema[single]
    for many in ("anyOf", "oneOf", "allOf"):
        if many in schema:
            forms = [one for one in schema[many] if one.get("type") != "null" and set(one) != {"required"}]
            if forms:
                return sample(forms[0], schemas, whole=whole, depth=depth)
    return _made_up(schema, schemas, whole=whole, depth=depth)


def curl(method: str, path: str, operation: JsonSchema, schemas: Mapping[str, JsonSchema]) -> str:
    """Return a line for a shell in which `$URL` is the address of the API and `$AUTH` the header with a token."""
    words = ["curl"] + (['-H "$AUTH"'] if operation.get("security") else [])
    address, query = path, []
    for one in operation.get("parameters", ()):
        value = sample(one.get("schema", {}), schemas, whole=False)
        value = _WORDS.get(one["name"], value) if isinstance(value, str) else value
        if one["in"] == "path":
            address = address.replace(f"{{{one['name']}}}", str(value))
        elif one["in"] == "query" and one.get("required"):
            query.append(f"{one['name']}={value}")
    content = operation.get("requestBody", {}).get("content", {})
    if method not in {"GET", "POST"} or (method == "POST" and not content):
        words.append(f"-X {method}")
    if "application/json" in content:
        body = sample(content["application/json"].get("schema", {}), schemas, whole=False)
        words.append(f"--json {shlex.quote(json.dumps(body))}")
    elif _UPLOAD in content:
        words.append(f"-H 'Content-Type: {_UPLOAD}' --data-binary @table.csv")
        query.append("file_name=table.csv")
    return " ".join([*words, f'"$URL{address}{"?" if query else ""}{"&".join(query)}"'])


def _made_up(schema: JsonSchema, schemas: Mapping[str, JsonSchema], *, whole: bool, depth: int) -> object:
    kind = schema.get("type")
    kind = next((one for one in kind if one != "null"), None) if isinstance(kind, list) else kind
    match kind:
        case "object":
            return _object(schema, schemas, whole=whole, depth=depth)
        case "array":
            items = schema.get("items", {})
            wanted = max(1, min(schema.get("minItems", 1), MAX_ITEMS)) if items and depth < MAX_DEPTH else 0
            return [sample(items, schemas, whole=whole, depth=depth + 1) for _ in range(wanted)]
        case "integer" | "number":
            return max(1, int(schema.get("minimum", 1)))
        case "boolean":
            return True
        case "string":
            return _FORMATS.get(str(schema.get("format")), "example")
        case _:
            return None


def _object(schema: JsonSchema, schemas: Mapping[str, JsonSchema], *, whole: bool, depth: int) -> object:
    if depth >= MAX_DEPTH:
        return {}
    properties = schema.get("properties", {})
    wanted = [*properties] if whole else [name for name in properties if name in set(schema.get("required", ()))]
    wanted = wanted or [*properties][:1]
    found = {name: sample(properties[name], schemas, whole=whole, depth=depth + 1) for name in wanted}
    return {name: _WORDS.get(name, value) if value == "example" else value for name, value in found.items()}
