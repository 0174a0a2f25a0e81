"""The OpenAPI document of this release, as `/openapi.json` serves it: read from the file that `openapi` has made."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import orjson

from api.http.document.answer_types import JsonSchema


@cache
def document() -> JsonSchema:
    """Return the document. It is one object for all who ask: nobody may change it."""
    found: JsonSchema = orjson.loads((files("api.http.document") / "openapi.json").read_bytes())
    return found
