"""Long lists, read a part at a time, each in a transaction of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from sqlalchemy import Connection

from scheduler.runtime import Runtime

R = TypeVar("R")

PART = 500
"""Rows that are read at once: enough to be quick, few enough to be held."""


def read(rt: Runtime, ids: Sequence[int], rows: Callable[[Connection, Sequence[int]], Sequence[R]]) -> Iterator[R]:
    """Yield what `rows` reads of these ids, in their order; what is gone meanwhile is left out."""
    for start in range(0, len(ids), PART):
        with rt.db.begin() as tx:
            part = rows(tx, ids[start : start + PART])
        yield from part
