"""Spreading: when jobs are blocked, or no longer are, so are those that need them, at once and not link by link of a chain.

The followers are locked before their needs are read, so what is found still holds when they are moved. Whatever is not
reached here, such as followers of groups, comes to its turn by the rounds of the resolver: they end the same way.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import groupby

from sqlalchemy import Connection

from scheduler.identifiers import JobId
from scheduler.rules.lifecycle.moves import JobStatus
from scheduler.rules.lifecycle.needs import NeedEffect
from scheduler.store.jobs import jobs
from scheduler.store.needs import spread
from scheduler.store.needs.spread import UnsatisfiedNeed

_MOST = 5_000
"""Most jobs of one turn: as many as the changes of one round."""

_MOST_EDGES = 50_000
"""Most needs that are looked at; of a job whose needs are cut off nothing is said here."""


def blocked_with(tx: Connection, ids: Collection[JobId]) -> list[jobs.JobMove]:
    """Return the moves of those that are blocked when these jobs are."""
    return _followers(tx, ids, JobStatus.PENDING)


def unblocked_with(tx: Connection, ids: Collection[JobId]) -> list[jobs.JobMove]:
    """Return the moves of those that are blocked by nothing else than these jobs, which no longer are."""
    return _followers(tx, ids, JobStatus.BLOCKED)


def _followers(tx: Connection, ids: Collection[JobId], status: JobStatus) -> list[jobs.JobMove]:
    found = spread.reached(tx, ids, status, _MOST) if ids else []
    if not found:
        return []
    locked = {one.id: one for one in jobs.lock(tx, found, wait=False).values() if one.status == status}
    edges = spread.edges(tx, sorted(locked), _MOST_EDGES)
    if len(edges) == _MOST_EDGES:
        last = edges[-1].job_id
        edges = [one for one in edges if one.job_id != last]
    known = set(ids)
    for job_id, own in groupby(edges, lambda edge: edge.job_id):  # ascending: parents have smaller ids
        if job_id not in known and _goes(own, known, status):
            known.add(job_id)
    return [jobs.JobMove(one.id, one.attempt) for one in locked.values() if one.id in known and one.id not in ids]


def _goes(edges: Iterable[UnsatisfiedNeed], known: Collection[JobId], status: JobStatus) -> bool:
    """Tell whether a job in this status goes the way of those that are known."""
    own = list(edges)
    if any(edge.settled == NeedEffect.UNNEEDED for edge in own):
        return False
    with_them = [edge for edge in own if edge.follows and edge.needs_id in known]
    if status == JobStatus.PENDING:
        return bool(with_them)
    broken = [edge for edge in own if edge.settled == NeedEffect.BROKEN]
    return bool(with_them) and all(edge.follows and edge.needs_id in known for edge in broken)
