"""One search over the outputs of a job: of every try, and of every member of a gang."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from scheduler.errors import NotFound
from scheduler.executions.logs import search as one_search
from scheduler.executions.logs.patterns import LogMatcher
from scheduler.executions.logs.search import MOST_HITS, SEARCH_S, LogHit
from scheduler.executions.output import OutputSelection
from scheduler.identifiers import ExecutionId, JobId
from scheduler.identity import Caller
from scheduler.jobs import queries
from scheduler.runtime import Runtime
from scheduler.store.executions import output_pieces
from scheduler.store.executions.output_pieces import PrintingTry

Place: TypeAlias = tuple[ExecutionId | None, int, int]
"""Where a search goes on: in which execution, None for the first, at which byte, which is the beginning of which line."""


@dataclass(frozen=True, slots=True)
class JobLogSelection:
    """The outputs of a job: `stdout`, `stderr` or `combined`, of one phase or all, printed since a time, of these tries or all."""

    job_id: JobId
    stream: str
    phase: str | None
    since: datetime | None
    attempts: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class JobLogSearch:
    """Hits in order, each with its execution, how many executions were looked at, and where to go on; None at the end."""

    hits: Sequence[tuple[PrintingTry, LogHit]]
    searched: int
    next_place: Place | None


def search(
    rt: Runtime, caller: Caller, wanted: JobLogSelection, matcher: LogMatcher, place: Place = (None, 0, 0)
) -> JobLogSearch:
    """Return the lines that match, from a place on; it ends as the search of one output does.

    Raises NotFound for a job that is not there, and for a place that is in none of its executions.
    """
    until, hits, searched = time.monotonic() + SEARCH_S, list[tuple[PrintingTry, LogHit]](), 0
    tries = _tries(rt, caller, wanted)
    first, offset, line = place
    if first is not None:
        numbers = [number for number, one in enumerate(tries) if one.id == first]
        if not numbers:
            raise NotFound(f"job {wanted.job_id} has no execution {first} whose output is kept")
        tries = tries[numbers[0] :]
    for one in tries:
        selection = OutputSelection(one.id, wanted.stream, wanted.phase, offset, wanted.since)
        limit = MOST_HITS - len(hits)
        found = one_search.search(rt, caller, selection, matcher, line=line, until=until, limit=limit)
        hits += ((one, hit) for hit in found.hits)
        searched += 1
        if found.next_offset is not None and found.next_line is not None:
            return JobLogSearch(hits, searched, (one.id, found.next_offset, found.next_line))
        offset = line = 0
    return JobLogSearch(hits, searched, None)


def _tries(rt: Runtime, caller: Caller, wanted: JobLogSelection) -> list[PrintingTry]:
    with rt.db.begin() as tx:
        queries.one_job(tx, caller, wanted.job_id)
        found = output_pieces.tries(tx, wanted.job_id)
    return [one for one in found if not wanted.attempts or one.attempt in wanted.attempts]
