"""The past of one job, as far as it says where its wait went."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from scheduler.identifiers import JobId, ShapeId
from scheduler.rules.lifecycle.waits import TryStart, WaitEvent
from scheduler.store import records

MOST_EVENTS = 2_000
"""Events that are read of a job, the newest."""

_JOB = text("""
    SELECT j.created, j.ended, j.status, j.is_held, j.shape_id, j.requested_not_before, now() AS now,
           EXISTS (SELECT FROM job_needs n WHERE n.job_id = j.id) AS has_needs,
           s.options ? 'serial' AS is_serial
    FROM jobs j JOIN shapes s ON s.id = j.shape_id
    WHERE j.id = :id
""")

_EVENTS = text("""
    SELECT at, event, "from" AS before, "to" AS after, attempt, delay_s
    FROM (
        SELECT id, at, event, "from", "to", attempt, delay_s FROM events WHERE job_id = :id ORDER BY id DESC LIMIT :most
    ) AS newest
    ORDER BY id
""")

_STARTS = text("""
    SELECT attempt, min(started) AS started, bool_or(is_ahead) AS is_ahead
    FROM executions
    WHERE job_id = :id
    GROUP BY attempt
    ORDER BY attempt DESC
    LIMIT :most
""")


class WaitingPast(NamedTuple):
    """A job's own facts; `now` is the database's clock."""

    created: datetime
    ended: datetime | None
    status: str
    is_held: bool
    shape_id: ShapeId
    requested_not_before: datetime | None
    now: datetime
    has_needs: bool
    is_serial: bool


def job(tx: Connection, job_id: JobId) -> WaitingPast:
    """Return a job's own facts; it must be there."""
    return records.read_one(WaitingPast, tx.execute(_JOB, {"id": job_id}))


def events(tx: Connection, job_id: JobId) -> Sequence[WaitEvent]:
    """Return the newest events of a job, oldest first."""
    return records.read_all(WaitEvent, tx.execute(_EVENTS, {"id": job_id, "most": MOST_EVENTS}))


def starts(tx: Connection, job_id: JobId) -> Sequence[TryStart]:
    """Return when nodes began with the newest attempts of a job."""
    return records.read_all(TryStart, tx.execute(_STARTS, {"id": job_id, "most": MOST_EVENTS}))
