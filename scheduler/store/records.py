"""Rows as records: a statement's columns, in their order, are the fields of a NamedTuple or dataclass.

The driver knows no types, so this is where they are given; that the columns are those of the record is checked, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar

from sqlalchemy import Connection, CursorResult, text
from sqlalchemy.dialects.postgresql import psycopg

from scheduler.store import by_key

R = TypeVar("R")

_DIALECT = psycopg.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy has no types here
_MOST_COMPARED = 500
_compared: set[tuple[type, str]] = set()


def read_all(record: type[R], result: CursorResult[tuple[object, ...]]) -> list[R]:
    """Return every row as a record, in the order of the statement. Raises TypeError for columns that are not its fields."""
    make = _maker(record, result)
    return [make(*row) for row in result]


def read_optional(record: type[R], result: CursorResult[tuple[object, ...]]) -> R | None:
    """Return the only row as a record, None when there is none. Raises TypeError as `read_all` does."""
    make, row = _maker(record, result), result.one_or_none()
    return None if row is None else make(*row)


def read_one(record: type[R], result: CursorResult[tuple[object, ...]]) -> R:
    """Return the row that there must be as a record. Raises TypeError as `read_all` does."""
    return _maker(record, result)(*result.one())


def read_marked(
    tx: Connection,
    record: type[R],
    marks: int,
    statement: str,
    parameters: Mapping[str, object],
    *,
    binary: bool = False,
) -> tuple[list[tuple[str, ...]], list[R]]:
    """Return the texts that the first `marks` columns of each row hold, and the rest of the rows as records. Raises TypeError as `read_all` does.

    The statement goes to the driver past SQLAlchemy, which would describe the many columns of a list anew for each page: an eighth of what a
    page of 100 jobs costs. That they are the record's is looked at when a statement is new. `binary` as in `by_key.run`.
    """
    written = _for_driver(statement)
    rows, cursor = by_key.run(tx, written, parameters, binary=binary)
    if (record, written) not in _compared:
        _compare(record, tuple(column.name for column in cursor.description)[marks:])
        if len(_compared) >= _MOST_COMPARED:
            _compared.clear()
        _compared.add((record, written))
    make: Callable[[Sequence[object]], R] = getattr(record, "_make", lambda values: record(*values))
    return [tuple(row[:marks]) for row in rows], [make(row[marks:]) for row in rows]


def run(
    tx: Connection, statement: str, parameters: Mapping[str, object], *, binary: bool = False
) -> list[tuple[Any, ...]]:
    """Return the rows of a statement with `:name` parameters, which goes to the driver past SQLAlchemy; `binary` as in `by_key.run`."""
    return by_key.run(tx, _for_driver(statement), parameters, binary=binary)[0]


@lru_cache(_MOST_COMPARED)
def _for_driver(statement: str) -> str:
    """Return a statement with `:name` parameters as the driver writes them."""
    return str(text(statement).compile(dialect=_DIALECT))


def _maker(record: type[R], result: CursorResult[tuple[object, ...]]) -> Callable[..., R]:
    _compare(record, tuple(result.keys()))
    return record


def _compare(record: type[object], columns: tuple[str, ...]) -> None:
    fields = record.__match_args__  # type: ignore[attr-defined]  # dataclasses and NamedTuples have it
    if columns != fields:
        raise TypeError(f"{record.__name__} has the fields {fields}, the statement the columns {columns}")
