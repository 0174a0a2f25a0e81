"""What handlers return: plain values, written as JSON in one go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from flask import Response

_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC


@dataclass(frozen=True, slots=True)
class Answer:
    """A body that is not a plain 200, or has headers."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


def dump(value: Any) -> bytes:
    """Return a value as JSON; times in UTC with a Z."""
    return orjson.dumps(value, option=_OPTIONS)


def respond(result: Any) -> Response:
    """Return the response for what a handler returned; one that is a response already goes through."""
    if isinstance(result, Response):
        return result
    if not isinstance(result, Answer):
        result = Answer(result)
    if result.body is None:
        return Response(status=result.status, headers=dict(result.headers))
    return Response(dump(result.body), result.status, dict(result.headers), content_type="application/json")
