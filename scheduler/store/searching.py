"""Searching: the ids of all rows whose texts match patterns, in one order, without pages.

Lists of Ganger's own API are filtered by equality and walked by pages (`paging`). Some dialects have neither: they search texts with
wildcards, and their lists are whole. So the ids come first, in order, and the rows are read by id, a part at a time: whoever
reads slowly holds no transaction open, and however long a list is, few of its rows are in memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from scheduler.store.paging import Parameter, RowCondition

MAX_CONDITIONS = 20
MAX_PATTERN = 1_000


@dataclass(frozen=True, slots=True)
class TextCondition:
    """A condition on one field: its text is like `pattern` (`*` is any run of characters), whatever the case of the letters.

    `negated` turns it round. With `words` instead of a pattern the text is one of these.
    """

    field: str
    pattern: str = ""
    words: tuple[str, ...] | None = None
    negated: bool = False


@dataclass(frozen=True, slots=True)
class FieldOrder:
    """The field that a list is ordered by; equal ones, and those without a value, by their ids."""

    field: str = "id"
    descending: bool = True


@dataclass(frozen=True, slots=True)
class SearchedTable:
    """What can be searched: `rows` to read from, with the row called `j`; SQL of each field that has a text, and of each order."""

    rows: str
    texts: Mapping[str, str]
    orders: Mapping[str, str]


def ids(
    tx: Connection,
    table: SearchedTable,
    bound: RowCondition,
    conditions: Sequence[TextCondition],
    order: FieldOrder,
) -> list[int]:
    """Return the ids of all rows within `bound` that meet all conditions, in order."""
    parts, parameters = [bound.sql], dict[str, Parameter](bound.parameters)
    for number, one in enumerate(conditions):
        part, value = _condition(table, one, f"match{number}")
        parts.append(part)
        parameters[f"match{number}"] = value
    way = "DESC" if order.descending else "ASC"
    statement = f"""
        SELECT j.id FROM {table.rows} WHERE {" AND ".join(parts)}
        ORDER BY {table.orders[order.field]} {way} NULLS LAST, j.id {way}
    """  # noqa: S608 - only our own text; what clients send is in the parameters
    return list(tx.execute(text(statement), parameters).scalars())


def like(pattern: str) -> str:
    """Return a pattern with `*` as SQL's LIKE has it; everything else stands for itself."""
    plain = pattern.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    parts = plain.split("*")
    return "%".join(part for number, part in enumerate(parts) if part or number in {0, len(parts) - 1})


def _condition(table: SearchedTable, one: TextCondition, name: str) -> tuple[str, Parameter]:
    expression, negation = table.texts[one.field], "NOT " if one.negated else ""
    if one.words is not None:
        return f"{negation}{expression} = ANY(:{name})", list(one.words)
    # A row without a value matches nothing, and so everything that is negated.
    return f"{negation}COALESCE({expression}, '') ILIKE :{name}", like(one.pattern)
