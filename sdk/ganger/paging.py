"""Lists of any length: one page at a time, followed by the links that the API gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeAlias, TypeVar

from ganger.records import Record
from ganger.transport import Call, Params, Transport

R = TypeVar("R", bound=Record)
Filter: TypeAlias = str | int | bool | datetime | Sequence[str | int] | None


@dataclass(frozen=True, slots=True)
class ResultPage(Generic[R]):
    """One page of a list; `count` is of everything that matches, an estimate where `count_exact` is false."""

    count: int
    count_exact: bool
    results: list[R]
    next: str | None
    previous: str | None


def params(filters: Mapping[str, Filter]) -> Params:
    """Return filters as query parameters: None is left out, a list is repeated, a time is ISO-8601."""
    query: list[tuple[str, str]] = []
    for name, value in filters.items():
        if value is None:
            continue
        values = [value] if isinstance(value, str | int | datetime) else list(value)
        query += [(name, _text(item)) for item in values]
    return query


def document(filters: Mapping[str, Filter]) -> dict[str, object]:
    """Return filters as fields of a body: None and empty lists are left out, a time is ISO-8601."""
    body: dict[str, object] = {}
    for name, value in filters.items():
        if isinstance(value, datetime):
            body[name] = value.isoformat()
        elif isinstance(value, str | int):
            body[name] = value
        elif value:
            body[name] = list(value)
    return body


def page(transport: Transport, kind: type[R], path: str, query: Params = ()) -> ResultPage[R]:
    """Return one page; `path` may be the link of another page."""
    body = transport.json(Call("GET", path, params=query))
    return ResultPage(
        count=int(body["count"]),
        count_exact=bool(body.get("count_exact", True)),
        results=[kind.read(entry) for entry in body["results"]],
        next=body.get("next"),
        previous=body.get("previous"),
    )


def every(transport: Transport, kind: type[R], path: str, query: Params, *, limit: int | None = None) -> Iterator[R]:
    """Yield the entries of all pages, asking for each page when it is needed; at most `limit` of them."""
    if limit is not None and limit <= 0:
        return
    yielded = 0
    current = page(transport, kind, path, query)
    while True:
        for entry in current.results:
            yield entry
            yielded += 1
            if yielded == limit:
                return
        if current.next is None:
            return
        current = page(transport, kind, transport.path_of(current.next))


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, datetime) else str(value)
