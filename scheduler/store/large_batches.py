"""What the statements of a large batch spare themselves: a plan for each row.

Our sessions plan every statement anew (`scheduler.runtime`), and so does the check of a foreign key: once for each row that is
written, which is most of the work of writing ten thousand. Statements of a batch are not prepared meanwhile, so each of them
still gets a plan for its own values; the checks keep theirs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, cast

from sqlalchemy import Connection

LARGE = 500
"""Rows from which on it is worth two short statements."""

_KEEP = "SET LOCAL plan_cache_mode = auto"
_AS_BEFORE = "SET LOCAL plan_cache_mode TO DEFAULT"
"""Each kind of session has its own (`scheduler.runtime`)."""


def of(tx: Connection, count: int) -> AbstractContextManager[None]:
    """Return what statements for so many rows run within, in a transaction that is open."""
    return _kept(tx) if count >= LARGE else nullcontext()


@contextmanager
def _kept(tx: Connection) -> Iterator[None]:
    session = cast("Any", tx.connection.driver_connection)
    before = session.prepare_threshold
    if before is None:  # it is within another one already
        yield
        return
    tx.exec_driver_sql(_KEEP)
    session.prepare_threshold = None
    try:
        yield
    finally:
        session.prepare_threshold = before
    tx.exec_driver_sql(_AS_BEFORE)
