"""Pages in the API: `page` and `page_size`, the links `next` and `previous`, and the cursors within these links.

The links carry an opaque cursor that says where the neighbouring page begins. It is signed with the caller's own token, so
that nobody can make one up, change it, use it for another list, or use somebody else's.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, ClassVar, TypeVar
from urllib.parse import quote, urlencode

import orjson
from flask import g, request
from pydantic import Field

from api.http.auth import credential
from api.http.links import public
from api.http.schema.answers import PageOf
from api.http.schema.fields import Digits, Query
from scheduler.errors import InvalidInput, NotFound
from scheduler.store.paging import PageWindow, RowPage

R = TypeVar("R")
T = TypeVar("T")

MAX_PAGE_SIZE = 1_000
MAX_OFFSET = 2**60
MAX_PAGE = 10**15
SIGNATURE_BYTES = 16


class PageQuery(Query):
    """Which part of a list."""

    in_links: ClassVar[frozenset[str]] = frozenset({"cursor"})

    page: Annotated[int, Field(ge=1, le=MAX_PAGE, description="1 is the first page"), Digits] = 1
    page_size: Annotated[int, Field(ge=1, le=MAX_PAGE_SIZE, description="most entries of a page"), Digits] = 100


class OrderedQuery(PageQuery):
    """Which part of a list, in which order."""

    order: list[str] = Field(default=[], description="field, or -field for descending; repeat for more than one")


def window(query: PageQuery, allowed: Sequence[str], default: Sequence[str]) -> PageWindow:
    """Return the part of a list that a query asks for. `allowed` are the order fields, `default` the order without any."""
    order = parse_order(getattr(query, "order", None) or default, allowed)
    if query.page * query.page_size > MAX_OFFSET:
        raise _past_the_end(query.page)
    # Opaque: it is in links, and nobody else's business. Of the lists on one page of `api.ui` it belongs to one.
    cursor = None if g.get("without_cursor") else request.args.get("cursor")
    if cursor is None:
        return PageWindow(query.page, query.page_size, order)
    at, backward = _read_cursor(cursor, len(order) + 1)
    return PageWindow(query.page, query.page_size, order, at, backward)


def parse_order(wanted: Sequence[str], allowed: Sequence[str]) -> tuple[tuple[str, bool], ...]:
    """Return (field, descending) pairs; raises InvalidInput for a field that is not allowed."""
    order: dict[str, bool] = {}
    for word in wanted:
        plain = word.removeprefix("-")
        name = _PREFIXES.get(plain, plain)
        if name not in allowed:
            raise InvalidInput(f"cannot order by {plain[:60]!r}; allowed are {', '.join(allowed)}", field="order")
        order.setdefault(name, word.startswith("-"))
    return tuple(order.items())


_PREFIXES = {f"job_type{mark}{name}": name for mark in ("__", ".") for name in ("name", "version", "category")}
"""The ancestor's spellings of the type's fields."""


def envelope(page: RowPage[R], asked: PageWindow, render: Callable[[R], T]) -> PageOf[T]:
    """Return the list envelope; `render` makes each row what the client sees. Raises NotFound for a page past the end."""
    if not page.rows and asked.page > 1 and asked.at is None:
        raise _past_the_end(asked.page)
    return {
        "count": page.count,
        "count_exact": page.count_exact,
        "next": _link(asked.page + 1, page.last, backward=False) if page.has_next else None,
        "previous": _link(max(1, asked.page - 1), page.first, backward=True) if page.has_previous else None,
        "results": [render(row) for row in page.rows],
    }


def part(query: PageQuery, results: Sequence[T]) -> PageOf[T]:
    """Return one page of a list that is read whole, such as one with an entry for each job type; raises NotFound."""
    return numbered(query, results[first_of(query) :][: query.page_size], len(results))


def first_of(query: PageQuery) -> int:
    """Return how many entries come before those of this page."""
    return (query.page - 1) * query.page_size


def numbered(query: PageQuery, shown: Sequence[T], count: int) -> PageOf[T]:
    """Return the list envelope of these entries of a list whose pages are found by number; raises NotFound."""
    if not shown and query.page > 1:
        raise _past_the_end(query.page)
    more = first_of(query) + len(shown) < count
    return {
        "count": count,
        "count_exact": True,
        "next": _link(query.page + 1, (), backward=False) if more else None,
        "previous": _link(query.page - 1, (), backward=True) if query.page > 1 else None,
        "results": [*shown],
    }


def _past_the_end(page: int) -> NotFound:
    return NotFound(f"there is no page {page}", field="page")


def link_to(path: str, parameters: Mapping[str, str]) -> str:
    """Return the absolute address of another list."""
    return f"{public.url(f'/{path}')}?{urlencode(parameters)}"


def _link(page: int, at: tuple[str, ...], *, backward: bool) -> str:
    """Return the absolute address of a neighbouring page, every other parameter kept, repeated ones included."""
    kept = [
        (name, value) for name, values in request.args.lists() for value in values if name not in {"page", "cursor"}
    ]
    kept.append(("page", str(page)))
    if at:
        kept.append(("cursor", _write_cursor(at, backward=backward)))
    return f"{public.url(quote(request.path))}?{urlencode(kept)}"


def _write_cursor(at: tuple[str, ...], *, backward: bool) -> str:
    body = orjson.dumps([backward, *at])
    return base64.urlsafe_b64encode(_signature(body) + body).decode().rstrip("=")


def _read_cursor(cursor: str, length: int) -> tuple[tuple[str, ...], bool]:
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        signature, body = raw[:SIGNATURE_BYTES], raw[SIGNATURE_BYTES:]
        genuine = hmac.compare_digest(signature, _signature(body))
        backward, *at = orjson.loads(body) if genuine else (False,)
    except (ValueError, binascii.Error):
        raise InvalidInput("the cursor is not one of this list", field="cursor") from None
    if len(at) != length:
        raise InvalidInput("the cursor is not one of this list", field="cursor")
    return tuple(at), bool(backward)


def _signature(body: bytes) -> bytes:
    """Sign with the caller's token, over the address and everything that chooses and orders its rows."""
    chosen = sorted((name, value) for name, values in request.args.lists() for value in values if name not in _FREE)
    message = orjson.dumps([request.path, chosen]) + body
    return hmac.new(hashlib.sha256(credential().encode()).digest(), message, hashlib.sha256).digest()[:SIGNATURE_BYTES]


_FREE = {"page", "page_size", "cursor"}
