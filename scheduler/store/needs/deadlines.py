"""How long jobs wait for their needs at most: when each is looked at, and which of them have waited too long."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import Connection, text

from scheduler.identifiers import Attempt, JobId
from scheduler.store import records


class LateJob(NamedTuple):
    """A job that waits, and when it began: `is_late` if that is longer ago than it bears."""

    id: JobId
    attempt: Attempt
    within_s: int
    is_late: bool


_BEGIN = text("""
    INSERT INTO need_deadlines (job_id, due)
    SELECT l.job_id, now() + make_interval(secs => l.needs_within_s)
    FROM job_plans l
    WHERE l.job_id = ANY(:ids) AND l.needs_within_s IS NOT NULL
    ON CONFLICT (job_id) DO NOTHING
""")

_DUE = text("""
    DELETE FROM need_deadlines
    WHERE job_id IN (SELECT job_id FROM need_deadlines WHERE due <= now() ORDER BY due LIMIT :limit FOR UPDATE SKIP LOCKED)
    RETURNING job_id
""")

# Who is blocked waits for a repair: its time begins anew with it. So does that of a new round.
_WAITING = text("""
    SELECT j.id, j.attempt, l.needs_within_s AS within_s,
           j.last_status_change + make_interval(secs => l.needs_within_s) <= now() AS is_late
    FROM jobs j JOIN job_plans l ON l.job_id = j.id
    WHERE j.id = ANY(:ids) AND j.status = 'PENDING'
      AND EXISTS (SELECT FROM job_needs n WHERE n.job_id = j.id AND n.settled IS NULL)
    ORDER BY j.id
    FOR NO KEY UPDATE
""")

_LATER = text("""
    INSERT INTO need_deadlines (job_id, due)
    SELECT j.id, j.last_status_change + make_interval(secs => l.needs_within_s)
    FROM jobs j JOIN job_plans l ON l.job_id = j.id
    WHERE j.id = ANY(:ids)
    ON CONFLICT (job_id) DO NOTHING
""")


def begin(tx: Connection, ids: Collection[JobId]) -> None:
    """Let the time of those of these jobs begin that bear waiting only so long."""
    if ids:
        tx.execute(_BEGIN, {"ids": sorted(ids)})


def due(tx: Connection, limit: int) -> list[LateJob]:
    """Take jobs whose time is over by their deadline; lock and return those of them that wait for needs now."""
    ids = list(tx.execute(_DUE, {"limit": limit}).scalars())
    return records.read_all(LateJob, tx.execute(_WAITING, {"ids": ids})) if ids else []


def look_later(tx: Connection, ids: Collection[JobId]) -> None:
    """Have these jobs looked at again, when their time is over since they began to wait."""
    if ids:
        tx.execute(_LATER, {"ids": sorted(ids)})
