"""Pages of lists: filtered, ordered by many keys, walked by keyset, counted only as far as is cheap.

A page is cut by the key values of the row it follows (or precedes), so that rows which did not change are neither
repeated nor skipped while others come and go; a page asked for by number alone is found by offset. Every order ends
in the row's id. Text put into statements is ours; whatever a client sends travels as a parameter.

A list that is long and often asked for is read in two steps: the page's ids by a statement that is planned for its filter, and the
rows by their keys (`keyed`), where the plan is kept: to plan eight joined tables anew took thrice as long as to read them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeAlias, TypeVar

from sqlalchemy import Connection, text

from scheduler.store import records

COUNT_EXACTLY = 10_000
"""Above this a count is the planner's estimate: counting millions of rows for a number nobody reads is not worth it."""

ESTIMATE_LASTS_S = 5.0
MOST_ESTIMATES = 1_000


_AS_WRITTEN = text("SET LOCAL join_collapse_limit = 1")


R = TypeVar("R")

Parameter: TypeAlias = "str | int | float | datetime | Sequence[int] | Sequence[str] | None"
"""A value that travels to the database beside the statement."""


@dataclass(frozen=True, slots=True)
class SortKey:
    """One thing to order by: an expression that is never null, the type its values are compared in, a join it needs."""

    expression: str
    type: str
    join: str = ""


@dataclass(frozen=True, slots=True)
class Listing(Generic[R]):
    """A kind of list. `table` is read to find a page, `columns` from `source` to show it; both call the row `j`.

    `record` has the columns as its fields, in their order.
    """

    record: type[R]
    table: str
    columns: str
    source: str
    keys: Mapping[str, SortKey]


@dataclass(frozen=True, slots=True)
class PageWindow:
    """Which part of a list. `at` holds the key values of the row next to it, `backward` if that row follows it."""

    page: int
    size: int
    order: tuple[tuple[str, bool], ...]
    at: tuple[str, ...] | None = None
    backward: bool = False


@dataclass(frozen=True, slots=True)
class RowCondition:
    """A condition on rows: SQL with named parameters, and the joins it needs."""

    sql: str = "true"
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    joins: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RowPage(Generic[R]):
    """Rows in order; `count` of all that match, exact or estimated. `first` and `last` are the ends' key values."""

    rows: list[R]
    count: int
    count_exact: bool
    has_next: bool
    has_previous: bool
    first: tuple[str, ...] = ()
    last: tuple[str, ...] = ()


class EstimatedCounts:
    """Counts that are estimates, each remembered for some seconds by its statement: counting the first ten thousand again tells nobody anything."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._known: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def get(self, key: str) -> int | None:
        """Return what was counted of late, None where nothing was."""
        count, until = self._known.get(key, (0, 0.0))
        return count if self._monotonic() < until else None

    def put(self, key: str, count: int) -> None:
        """Remember an estimate."""
        self._known[key] = count, self._monotonic() + ESTIMATE_LASTS_S
        while len(self._known) > MOST_ESTIMATES:
            self._known.popitem(last=False)


def read(
    tx: Connection,
    listing: Listing[R],
    condition: RowCondition,
    window: PageWindow,
    *,
    keyed: Connection | None = None,
    estimates: EstimatedCounts | None = None,
) -> RowPage[R]:
    """Return one page of a list. A page past the end has no rows.

    With `keyed`, a session that keeps its plans, a row that ceases to match while the page is read is left out.
    """
    keys = [(listing.keys[name], descending) for name, descending in window.order]
    keys.append((SortKey("j.id", "bigint"), keys[-1][1] if keys else False))
    offset = 0 if window.at is not None else (window.page - 1) * window.size
    if keyed is None:
        statement, parameters = _page(listing, condition, window, keys, offset)
        marks, rows = records.read_marked(tx, listing.record, len(keys), statement, parameters)
        more = len(rows) > window.size
        if more:
            surplus = 0 if window.backward else -1
            del rows[surplus], marks[surplus]
    else:
        statement, parameters = _ids(listing, condition, window, keys, offset)
        travelled: list[tuple[str, ...]] = records.run(tx, statement, parameters)
        more = len(travelled) > window.size
        marks = travelled[: window.size]
        if window.backward:
            marks.reverse()
        statement, parameters = _rows(listing, condition, [mark[-1] for mark in marks])
        rows = records.read_marked(keyed, listing.record, 0, statement, parameters)[1] if marks else []
    count, exact = _count(tx, listing, condition, window, offset, len(marks), more=more, estimates=estimates)
    return RowPage(
        rows=rows,
        count=count,
        count_exact=exact,
        has_next=bool(marks) if window.backward else more,
        has_previous=more if window.backward else window.page > 1 or window.at is not None,
        first=marks[0] if marks else (),
        last=marks[-1] if marks else (),
    )


def _page(
    listing: Listing[R], condition: RowCondition, window: PageWindow, keys: Sequence[tuple[SortKey, bool]], offset: int
) -> tuple[str, dict[str, Parameter]]:
    """Return the statement that finds a page and reads its rows, in the order in which they are shown."""
    marks = ", ".join(
        f"{key.expression} AS s{n}, CAST({key.expression} AS text) AS k{n}" for n, (key, _) in enumerate(keys)
    )
    found, parameters = _found(f"j.id, {marks}", listing, condition, window, keys, offset)
    shown = ", ".join(_direction(f"page.s{n}", descending) for n, (_, descending) in enumerate(keys))
    statement = f"""
        WITH page AS MATERIALIZED ({found})
        SELECT {", ".join(f"page.k{n}" for n in range(len(keys)))}, {listing.columns}
        FROM page JOIN {listing.source}
        ORDER BY {shown}
    """  # noqa: S608 - only our own text; what clients send is in the parameters
    return statement, parameters


def _ids(
    listing: Listing[R], condition: RowCondition, window: PageWindow, keys: Sequence[tuple[SortKey, bool]], offset: int
) -> tuple[str, dict[str, Parameter]]:
    """Return the statement that finds the keys of a page, the id last, in the direction of travel."""
    return _found(
        ", ".join(f"CAST({key.expression} AS text)" for key, _ in keys), listing, condition, window, keys, offset
    )


def _rows(listing: Listing[R], condition: RowCondition, ids: Sequence[str]) -> tuple[str, dict[str, Parameter]]:
    """Return the statement that reads the rows with these ids, in their order, so far as they match still."""
    statement = f"""
        SELECT {listing.columns}
        FROM unnest(CAST(:page_ids AS bigint[])) WITH ORDINALITY AS page (id, place) JOIN {listing.source}
        WHERE {condition.sql}
        ORDER BY page.place
    """  # noqa: S608 - likewise
    return statement, {**condition.parameters, "page_ids": f"{{{','.join(ids)}}}"}


def _found(
    columns: str,
    listing: Listing[R],
    condition: RowCondition,
    window: PageWindow,
    keys: Sequence[tuple[SortKey, bool]],
    offset: int,
) -> tuple[str, dict[str, Parameter]]:
    joins = dict.fromkeys([*condition.joins, *(key.join for key, _ in keys if key.join)])
    where, values = _beyond(keys, window)
    travel = ", ".join(_direction(key.expression, descending != window.backward) for key, descending in keys)
    statement = f"""
        SELECT {columns}
        FROM {listing.table} {" ".join(joins)}
        WHERE {condition.sql} AND {where}
        ORDER BY {travel}
        LIMIT :size OFFSET :offset
    """  # noqa: S608 - likewise
    return statement, {**condition.parameters, **values, "size": window.size + 1, "offset": offset}


def _direction(expression: str, descending: bool) -> str:
    return f"{expression} DESC" if descending else expression


def _beyond(keys: Sequence[tuple[SortKey, bool]], window: PageWindow) -> tuple[str, dict[str, Parameter]]:
    """Return the condition that a row lies past the row the window is at, in the direction of travel."""
    if window.at is None:
        return "true", {}
    values: dict[str, Parameter] = {f"at{n}": value for n, value in enumerate(window.at)}
    marks = [f"CAST(:at{n} AS {key.type})" for n, (key, _) in enumerate(keys)]
    if len({descending for _, descending in keys}) == 1:  # one row comparison, which an index can answer
        sign = "<" if keys[0][1] != window.backward else ">"
        return f"({', '.join(key.expression for key, _ in keys)}) {sign} ({', '.join(marks)})", values
    parts = []
    for n, (key, descending) in enumerate(keys):
        same = [f"{earlier.expression} = {mark}" for (earlier, _), mark in zip(keys[:n], marks[:n], strict=True)]
        sign = "<" if descending != window.backward else ">"
        parts.append(" AND ".join([*same, f"{key.expression} {sign} {marks[n]}"]))
    return "(" + " OR ".join(f"({part})" for part in parts) + ")", values


def _count(
    tx: Connection,
    listing: Listing[R],
    condition: RowCondition,
    window: PageWindow,
    offset: int,
    found: int,
    *,
    more: bool,
    estimates: EstimatedCounts | None,
) -> tuple[int, bool]:
    if window.at is None and not more and (found or offset == 0):
        return offset + found, True
    key = f"{condition.sql} {condition.parameters}"
    known = None if estimates is None else estimates.get(key)
    if known is not None:
        return max(known, offset + found), False
    counted, exact = count(tx, listing, condition, at_least=offset + found)
    if estimates is not None and not exact:
        estimates.put(key, counted)
    return counted, exact


def join_as_written(tx: Connection) -> None:
    """Let this transaction's statements join in the order they are written.

    Of eight tables the planner would weigh thousands of orders, which takes longer than to read the page.
    """
    tx.execute(_AS_WRITTEN)


def count(tx: Connection, listing: Listing[R], condition: RowCondition, *, at_least: int = 0) -> tuple[int, bool]:
    """Return how many rows match, and whether that is exact."""
    joins = " ".join(dict.fromkeys(condition.joins))
    matching = f"SELECT j.id FROM {listing.table} {joins} WHERE {condition.sql}"  # noqa: S608 - our own text
    some = f"SELECT count(*) FROM ({matching} LIMIT {COUNT_EXACTLY + 1}) AS counted"  # noqa: S608
    counted = int(records.run(tx, some, condition.parameters)[0][0])
    if counted <= COUNT_EXACTLY:
        return counted, True
    plan = records.run(tx, f"EXPLAIN (FORMAT JSON) {matching}", condition.parameters)[0][0]
    return max(int(plan[0]["Plan"]["Plan Rows"]), counted, at_least), False
