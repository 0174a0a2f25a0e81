"""Types of the reference as people write them, with links to the schemas that they name."""

from __future__ import annotations

import re
from collections.abc import Iterator

from markupsafe import Markup, escape

from api.http.document.answer_types import JsonSchema

MAX_DEPTH = 4
"""Types within types are written out so deep; further down they go by name."""

LIMIT_SHOWN = 10**12
"""A bound beyond this is none that a reader needs."""

_CODE = re.compile(r"`([^`]+)`")


def type_html(schema: JsonSchema, depth: int = 0) -> Markup:
    """Return a type in short, such as `integer, 1 to 1,000` or `Job | null`; names of schemas are links to them."""
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        return Markup('<a href="#schema-{0}">{0}</a>').format(name)
    if depth > MAX_DEPTH:
        return Markup("…")
    for many in ("anyOf", "oneOf", "allOf"):
        if many in schema:
            return _forms(schema, many, depth)
    if "enum" in schema:
        return Markup(" | ").join(_word(word) for word in schema["enum"]) + _default(schema)
    if "const" in schema:
        return _word(schema["const"])
    return _plain(schema, depth)


def prose(text: str) -> Markup:
    """Return a sentence of the document as HTML: what stands between backticks is code."""
    parts = _CODE.split(text.replace("<br/>", "\n").strip())
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if at % 2 else escape(part) for at, part in enumerate(parts)
    )


def _forms(schema: JsonSchema, many: str, depth: int) -> Markup:
    names = dict.fromkeys(type_html(one, depth + 1) for one in schema[many] if set(one) != {"required"})
    return Markup(" | ").join(names) + _default(schema)


def _plain(schema: JsonSchema, depth: int) -> Markup:
    kind = schema.get("type", "any")
    kind = " | ".join(kind) if isinstance(kind, list) else str(kind)
    named = escape(f"{kind} ({schema['format']})" if "format" in schema else kind)
    inner = schema.get("additionalProperties")
    if kind == "array":
        named = Markup("list of {}").format(type_html(schema.get("items", {}), depth + 1))
    elif kind == "object" and isinstance(inner, dict):
        named = Markup("object of {} by name").format(type_html(inner, depth + 1))
    return Markup(", ").join([named, *map(escape, _limits(schema))]) + _default(schema)


def _limits(schema: JsonSchema) -> Iterator[str]:
    for low, high, unit in (
        ("minimum", "maximum", ""), ("minLength", "maxLength", "character"), ("minItems", "maxItems", "entries"),
    ):  # fmt: skip
        least, most = _bound(schema.get(low)), _bound(schema.get(high))
        if unit and least == "0":
            least = None
        thing = "" if not unit else f" {unit}" if unit == "entries" or (most or least) == "1" else f" {unit}s"
        if least is not None and most is not None:
            yield f"{least}{thing}" if least == most else f"{least} to {most}{thing}"
        elif least is not None:
            yield f"at least {least}{thing}"
        elif most is not None:
            yield f"at most {most}{thing}"
    for bound, words in (("exclusiveMinimum", "more than"), ("exclusiveMaximum", "less than")):
        if bound in schema:
            yield f"{words} {_number(schema[bound])}"


def _bound(value: float | None) -> str | None:
    return None if value is None or abs(value) >= LIMIT_SHOWN else _number(value)


def _number(value: float) -> str:
    return f"{int(value):,}" if float(value).is_integer() else f"{value:g}"


def _default(schema: JsonSchema) -> Markup:
    value = schema.get("default")
    if value in (None, [], {}):
        return Markup("")
    return Markup(", default {}").format(
        _number(value) if isinstance(value, int | float) and not isinstance(value, bool) else _word(value)
    )


def _word(value: object) -> Markup:
    """Return a value as JSON writes it, words without their quotes."""
    shown = {True: "true", False: "false", None: "null"}.get(value) if isinstance(value, bool | None) else str(value)
    return Markup("<code>{}</code>").format(shown)
