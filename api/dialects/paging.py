"""The two kinds of lists that dialects have.

With `offset`, `limit` and `total`; `OffsetQuery` reads the request, and refuses with 400 what is no number or too large:

    def list_models(call: ApiCall, query: OffsetQuery) -> OffsetPage[Model]:
        rows, total = models.part(tx, query.offset, query.limit)
        return paging.page(query, [render(row) for row in rows], total)

And one bare array of everything, which has no pages, so it is sent as it is read and never held as a whole:

    return paging.whole(render(row) for row in rows)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Annotated, Generic, TypeVar

from flask import Response, stream_with_context
from pydantic import Field
from typing_extensions import TypedDict

from api.http.answers import dump
from api.http.schema.fields import Digits, Query, QueryBool

T = TypeVar("T")

MAX_LIMIT = 100
MAX_OFFSET = 2**53
_AT_ONCE = 64 * 1024
"""Bytes of an array that are sent at once."""


Limit = Annotated[int, Field(ge=1, le=MAX_LIMIT, description="most entries"), Digits]
Flag = QueryBool
"""Parameters of lists that have more of them, or another usual length."""


class OffsetQuery(Query):
    """Which part of a list."""

    offset: Annotated[int, Field(ge=0, le=MAX_OFFSET, description="entries before the first one"), Digits] = 0
    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT, description="most entries"), Digits] = MAX_LIMIT


class OffsetPage(TypedDict, Generic[T]):
    """Part of a list: `count` entries from `offset` on, of `total`."""

    count: int
    limit: int
    offset: int
    total: int
    results: list[T]


def page(query: OffsetQuery, results: Sequence[T], total: int) -> OffsetPage[T]:
    """Return the part of a list that was asked for; beyond its end that is an empty one."""
    return {
        "count": len(results),
        "limit": query.limit,
        "offset": query.offset,
        "total": total,
        "results": [*results],
    }


def part(query: OffsetQuery, everything: Sequence[T]) -> OffsetPage[T]:
    """Return the part that was asked for of a list that is there as a whole."""
    return page(query, everything[query.offset : query.offset + query.limit], len(everything))


def whole(entries: Iterable[object]) -> Response:
    """Return all entries as one JSON array, sent while they are read. What fails before the first entry is an error as usual."""
    waiting = iter(entries)
    first = [*islice(waiting, 1)]
    pieces = stream_with_context(_array(chain(first, waiting)))
    return Response(pieces, content_type="application/json")


def _array(entries: Iterable[object]) -> Iterator[bytes]:
    piece = bytearray(b"[")
    comma = b""
    for entry in entries:
        piece += comma + dump(entry)
        comma = b","
        if len(piece) >= _AT_ONCE:
            yield bytes(piece)
            piece.clear()
    yield bytes(piece + b"]")
