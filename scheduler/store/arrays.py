"""Columns of many new rows at once, one array a column: names come from a record's fields, types from the table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter

import orjson
from sqlalchemy import Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import JSONB

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy does not say its types


def unnest(table: Table, names: Sequence[str]) -> str:
    """Return the call that makes rows of arrays, one array a column; each is a parameter with the name of its column."""
    return f"unnest({', '.join(f'CAST(:{name} AS {_type(table, name)}[])' for name in names)})"


def parameters(table: Table, names: Iterable[str], rows: Sequence[object]) -> dict[str, object]:
    """Return the parameters of `unnest`: the attributes of these names of every row, in the order of the rows."""
    return {name: list(map(_reader(table, name), rows)) for name in names}


def _type(table: Table, name: str) -> str:
    return table.c[name].type.compile(_DIALECT)


def _reader(table: Table, name: str) -> Callable[[object], object]:
    """Return what reads a value of this column from a row, as the driver takes it."""
    read = attrgetter(name)
    if isinstance(table.c[name].type, JSONB):
        return lambda row: orjson.dumps(read(row)).decode()
    return read
