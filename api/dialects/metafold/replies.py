"""Answers of this dialect: what they hold depends on who asks, so caches must know."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from flask import Response

from api.dialects import paging
from api.http.answers import Answer

T = TypeVar("T")

VARY = {"Vary": "User-Agent"}


def one(body: T, status: int = 200) -> Answer[T]:
    """Return the answer with one object."""
    return Answer(body, status, VARY)


def every(entries: Iterable[object]) -> Response:
    """Return the answer with a whole list."""
    response = paging.whole(entries)
    response.headers.update(VARY)
    return response
