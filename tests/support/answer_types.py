"""The types of the client's answers, `sdk/ganger/answers.py`, made from the API's OpenAPI document.

The client knows nothing of the server, and must run beside servers of other releases; so its types are written out, with
the fields and sentences of the document.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from typing import Any

ROOTS = (
    "CheckAnswer",
    "Explanation",
    "JobGroupList",
    "LogIndexView",
    "LogView",
    "LoginCode",
    "MeView",
    "PoolEvent",
    "PoolView",
    "SearchResults",
    "SessionList",
    "StatusView",
    "TriedView",
    "TypeStatisticsView",
    "UsageView",
    "WaitHistoryView",
)
"""The answers that the client hands out as they came."""

HEAD = '''"""The types of answers that the client hands out as they came: plain dictionaries, with the fields that this release's API sends.

Times are texts as in JSON. A server of another release may send more fields, or fewer. Made from the API's own description by
`python -m tests.support.generated`; change it there.
"""

from __future__ import annotations

from typing import {names}
'''
_NAMES = {"Finding": "CheckFinding"}
"""The document's names that say too little without the document around them."""
_PLAIN = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}


def module(schemas: dict[str, dict[str, Any]]) -> str:
    """Return the text of the module for the schemas of an OpenAPI document."""
    needs = {name: sorted(set(_references(schemas[name]))) for name in _reached(schemas)}
    body = "".join(_class(name, schemas[name]) for name in TopologicalSorter(needs).static_order())
    names = [
        name for name in ("Any", "Literal", "NotRequired", "TypeAlias", "TypedDict") if re.search(rf"\b{name}\b", body)
    ]
    return HEAD.format(names=", ".join(names)) + body


def _reached(schemas: dict[str, dict[str, Any]]) -> list[str]:
    found: dict[str, None] = {}
    waiting = list(ROOTS)
    while waiting:
        name = waiting.pop(0)
        if name not in found:
            found[name] = None
            waiting += sorted(_references(schemas[name]))
    return sorted(found)


def _references(schema: object) -> Iterator[str]:
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield schema["$ref"].rpartition("/")[2]
        for value in schema.values():
            yield from _references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _references(value)


def _class(name: str, schema: dict[str, Any]) -> str:
    name = _NAMES.get(name, name)
    doc = " ".join(schema.get("description", f"The fields of {name}.").split())
    if "properties" not in schema:
        return f'\n\n{name}: TypeAlias = {_type(schema)}\n"""{doc}"""\n'
    lines = []
    for field, kind in schema["properties"].items():
        text = _type(kind)
        said = f"  # {_sentence(kind['description'])}" if "description" in kind else ""
        lines.append(f"    {field}: {text if field in schema.get('required', ()) else f'NotRequired[{text}]'}{said}")
    fields = "\n".join(lines)
    return f'\n\nclass {name}(TypedDict):\n    """{doc}"""\n\n{fields}\n'


def _sentence(text: str) -> str:
    text = re.sub(r"\s+", " ", text).strip()
    return text[0].upper() + text[1:] + ("" if text.endswith((".", "?", "!")) else ".")


def _type(kind: dict[str, Any]) -> str:
    if "$ref" in kind:
        name = str(kind["$ref"]).rpartition("/")[2]
        return _NAMES.get(name, name)
    if "enum" in kind:
        return f"Literal[{', '.join(repr(value) for value in kind['enum'])}]"
    if "anyOf" in kind:
        return " | ".join(dict.fromkeys(_type(one) for one in kind["anyOf"]))
    if kind.get("type") == "array":
        return f"list[{_type(kind.get('items', {}))}]"
    if kind.get("type") == "object":
        values = kind.get("additionalProperties")
        return f"dict[str, {_type(values) if isinstance(values, dict) and values else 'Any'}]"
    return _PLAIN.get(kind.get("type", ""), "Any")
