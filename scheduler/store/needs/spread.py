"""How far it goes that jobs are blocked, or no longer are: along needs for single jobs, to followers that stand the same way.

A turn of the resolver takes one step along a chain. What is blocked need not wait for that: whoever needs it is blocked too.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, text

from scheduler.identifiers import JobId
from scheduler.rules.lifecycle import needs
from scheduler.rules.lifecycle.moves import JobStatus
from scheduler.rules.lifecycle.needs import NeedEffect, NeedKind, ParentState
from scheduler.store import records

_BREAKS = [kind for kind in NeedKind if needs.effect(kind, ParentState.BLOCKED) is NeedEffect.BROKEN]
"""The needs that a blocked parent breaks."""

# The status is hidden from the planner, as in `store.jobs.jobs`; each step is a look into an index.
_REACHED = text("""
    WITH RECURSIVE reached AS (
        SELECT unnest(CAST(:ids AS bigint[])) AS id
        UNION
        SELECT f.id
        FROM reached r
        CROSS JOIN LATERAL (
            SELECT n.job_id FROM job_needs n
            WHERE n.needs_id = r.id AND n.group_id IS NULL AND n.after = ANY(:breaks)
            OFFSET 0
        ) AS n
        CROSS JOIN LATERAL (SELECT j.id FROM jobs j WHERE j.id = n.job_id AND j.status || '' = :status OFFSET 0) AS f
    )
    SELECT id FROM reached OFFSET :known LIMIT :limit
""")

_EDGES = text("""
    SELECT n.job_id, n.needs_id, n.group_id IS NULL AND n.after = ANY(:breaks) AS follows, n.settled
    FROM job_needs n
    WHERE n.job_id = ANY(:ids) AND (n.settled IS DISTINCT FROM 'OK')
    ORDER BY n.job_id, n.position
    LIMIT :limit
""")


class UnsatisfiedNeed(NamedTuple):
    """A need that is not satisfied; one that `follows` is for a single job, and broken while that is blocked."""

    job_id: JobId
    needs_id: JobId
    follows: bool
    settled: str | None


def reached(tx: Connection, ids: Collection[JobId], status: JobStatus, limit: int) -> list[JobId]:
    """Return followers in this status of these jobs, their followers, and so on."""
    known = {"ids": sorted(ids), "known": len(ids), "breaks": _BREAKS}
    return list(tx.execute(_REACHED, {**known, "status": status, "limit": limit}).scalars())


def edges(tx: Connection, ids: Sequence[JobId], limit: int) -> list[UnsatisfiedNeed]:
    """Return the needs of these jobs that are not satisfied, job after job, parents first."""
    return records.read_all(UnsatisfiedNeed, tx.execute(_EDGES, {"ids": list(ids), "breaks": _BREAKS, "limit": limit}))
