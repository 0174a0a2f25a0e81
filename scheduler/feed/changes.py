"""Changes of jobs since a position of the feed, as far as the caller may see them. The work of a call is bounded, whatever it finds."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from scheduler.errors import InvalidInput
from scheduler.identifiers import JobId
from scheduler.identity import Caller
from scheduler.jobs import queries
from scheduler.runtime import Runtime
from scheduler.store import paging
from scheduler.store.feed import changes
from scheduler.store.feed.changes import FeedPosition
from scheduler.store.jobs import listing
from scheduler.store.jobs.listing import JobFilter, JobRow
from scheduler.store.paging import PageWindow, RowCondition

READ_AT_ONCE = 2_000
"""Changes that one statement reads, of which the caller's are picked."""

MOST_READ = 10_000
"""Changes that one call reads; one that has found nothing among them says how far it came."""


@dataclass(frozen=True, slots=True)
class FoundChanges:
    """Jobs as they are now, in the order of the feed; `position` is where to go on, `is_all` that nothing is left there."""

    position: FeedPosition
    rows: list[JobRow]
    is_all: bool


def position_of(cursor: str) -> FeedPosition:
    """Return the position that a client was given; raises InvalidInput."""
    found = changes.read_position(cursor)
    if found is None:
        raise InvalidInput("the cursor is not one of this feed", field="after")
    return found


def now(rt: Runtime) -> FeedPosition:
    """Return the position from which on only what changes later is read."""
    with rt.keyed.connect() as tx:
        return changes.now(tx)


def since(rt: Runtime, caller: Caller, chosen: JobFilter, position: FeedPosition, size: int) -> FoundChanges:
    """Return up to `size` jobs that changed after a position and match as they are now."""
    read = 0
    with rt.keyed.connect() as tx:
        condition = listing.condition(tx, queries.bound(chosen, caller))
        while True:
            found = changes.read(tx, position, READ_AT_ONCE)
            matching = _matching(tx, condition, {job.id for job in found.jobs})
            kept = [n for n, job in enumerate(found.jobs) if job.id in matching]
            read, position = read + len(found.jobs), found.position
            if kept or found.is_all or read >= MOST_READ:
                break
        is_all = found.is_all and len(kept) <= size
        if len(kept) > size:
            position = found.after[kept[size - 1]]
        rows = _rows(tx, [found.jobs[n].id for n in kept[:size]])
    return FoundChanges(position, rows, is_all)


def _matching(tx: Connection, condition: RowCondition, ids: set[JobId]) -> set[JobId]:
    return listing.matching(tx, condition, ids) if ids else set()


def _rows(tx: Connection, ids: list[JobId]) -> list[JobRow]:
    """Return these jobs as lists show them, in this order; one that was purged this moment is left out."""
    if not ids:
        return []
    found = paging.read(tx, listing.JOBS, listing.these(ids), PageWindow(1, len(ids), ())).rows
    by_id = {row.id: row for row in found}
    return [by_id[one] for one in ids if one in by_id]
