"""The values that handlers return: plain ones, written as JSON in one go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import orjson
from flask import Response
from pydantic import BaseModel

T = TypeVar("T")

_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """A body whose status is not 200, or that goes with headers; None is no body."""

    body: T
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


def dump(value: object) -> bytes:
    """Return a value as JSON; times in UTC with a Z."""
    return orjson.dumps(value, option=_OPTIONS)


def respond(result: object) -> Response:
    """Return the response for what a handler returned; one that is a response already goes through."""
    if isinstance(result, Response):
        return result
    answer = result if isinstance(result, Answer) else Answer(result)
    body, headers = answer.body, dict(answer.headers)
    if body is None:
        return Response(status=answer.status, headers=headers)
    plain = body.model_dump() if isinstance(body, BaseModel) else body  # messages of the node protocol are models
    return Response(dump(plain), answer.status, headers, content_type="application/json")
