"""Rows as records: a statement's columns, in their order, are the fields of a NamedTuple or dataclass.

The driver knows no types, so this is where they are given; that the columns are those of the record is checked at each call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from sqlalchemy import CursorResult

R = TypeVar("R")


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
    record: type[R], marks: int, result: CursorResult[tuple[object, ...]]
) -> tuple[list[tuple[str, ...]], list[R]]:
    """Return the texts that the first `marks` columns of each row hold, and the rest of the rows as records."""
    make, rows = _maker(record, result, marks), result.all()
    return [cast("tuple[str, ...]", tuple(row[:marks])) for row in rows], [make(*row[marks:]) for row in rows]


def _maker(record: type[R], result: CursorResult[tuple[object, ...]], skipped: int = 0) -> Callable[..., R]:
    columns, fields = tuple(result.keys())[skipped:], record.__match_args__  # type: ignore[attr-defined]  # dataclasses and NamedTuples have it
    if columns != fields:
        raise TypeError(f"{record.__name__} has the fields {fields}, the statement the columns {columns}")
    return record
