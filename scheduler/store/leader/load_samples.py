"""How much waited and ran: a sample a minute, with counts by project, job type and priority."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import orjson
from sqlalchemy import Connection, text

from scheduler.identifiers import ProjectId
from scheduler.store import records
from scheduler.store.paging import Listing, Parameter, RowCondition, SortKey


@dataclass(frozen=True, slots=True)
class LoadFilter:
    """Which samples, and which jobs are counted in them. Values of one field are alternatives, fields narrow."""

    started: datetime | None = None
    ended: datetime | None = None
    project_id: ProjectId | None = None
    job_type_id: tuple[int, ...] = ()
    job_type_name: tuple[str, ...] = ()
    job_type_category: tuple[str, ...] = ()
    priority: tuple[int, ...] = ()


class LoadSample(NamedTuple):
    """How many of the chosen jobs waited and ran at one time."""

    at: datetime
    pending: int
    queued: int
    running: int


class _NewestSample(NamedTuple):
    last_event_id: int
    moves: dict[str, int]
    is_fresh: bool


@dataclass(frozen=True, slots=True)
class _EventCount:
    event: str
    count: int


SETTLED_S = 10
"""An event so old has been committed, and so has every one with a smaller id: transactions may not last longer."""

# Every sample is a row, also one that counts nothing.
SAMPLES = Listing(
    LoadSample,
    "load_samples j",
    "j.at, counted.pending, counted.queued, counted.running",
    """
    load_samples j ON j.id = page.id
    CROSS JOIN LATERAL (
        SELECT COALESCE(sum(c.pending), 0)::bigint AS pending, COALESCE(sum(c.queued), 0)::bigint AS queued,
               COALESCE(sum(c.running), 0)::bigint AS running
        FROM load_counts c
        WHERE c.sample_id = j.id
          AND (CAST(:project_id AS bigint) IS NULL OR c.project_id = :project_id)
          AND (CAST(:priority AS int[]) IS NULL OR c.priority = ANY(:priority))
          AND (CAST(:chosen_types AS boolean) IS NOT TRUE OR c.job_type_id IN (
                  SELECT t.id FROM job_types t
                  WHERE (CAST(:job_type_id AS bigint[]) IS NULL OR t.id = ANY(:job_type_id))
                    AND (CAST(:job_type_name AS text[]) IS NULL OR t.name = ANY(:job_type_name))
                    AND (CAST(:job_type_category AS text[]) IS NULL OR t.category = ANY(:job_type_category))))
    ) AS counted
    """,
    {"time": SortKey("j.at", "timestamptz")},
)

_NEWEST = text("""
    SELECT last_event_id, moves, at > now() - make_interval(secs => :within_s) AS is_fresh
    FROM load_samples
    ORDER BY id DESC
    LIMIT 1
""")

_SETTLED_EVENT = text("""
    SELECT id FROM events
    WHERE id > :after AND at <= now() - make_interval(secs => :settled_s)
    ORDER BY id DESC
    LIMIT 1
""")

_MOVES = text("""
    SELECT event, count(*) AS count FROM events
    WHERE id > :after AND (CAST(:upto AS bigint) IS NULL OR id <= :upto)
    GROUP BY event
""")

_INSERT = text("""
    INSERT INTO load_samples (last_event_id, moves) VALUES (:last_event_id, CAST(:moves AS jsonb)) RETURNING id
""")

_COUNT = text("""
    INSERT INTO load_counts (sample_id, project_id, job_type_id, priority, pending, queued, running)
    SELECT :sample_id, project_id, job_type_id, priority,
           count(*) FILTER (WHERE status IN ('PENDING_UPLOAD', 'PENDING')),
           count(*) FILTER (WHERE status = 'QUEUED'),
           count(*) FILTER (WHERE status = 'RUNNING')
    FROM jobs
    WHERE status IN ('PENDING_UPLOAD', 'PENDING', 'QUEUED', 'RUNNING')
    GROUP BY project_id, job_type_id, priority
""")

_FORGET = text("DELETE FROM load_samples WHERE at < now() - make_interval(days => :days)")


def condition(chosen: LoadFilter) -> RowCondition:
    """Return the filter as SQL; which jobs are counted is decided where a sample's row is made."""
    parameters: dict[str, Parameter] = {
        "project_id": chosen.project_id,
        "priority": list(chosen.priority) or None,
        "job_type_id": list(chosen.job_type_id) or None,
        "job_type_name": list(chosen.job_type_name) or None,
        "job_type_category": list(chosen.job_type_category) or None,
        "chosen_types": bool(chosen.job_type_id or chosen.job_type_name or chosen.job_type_category),
        "started": chosen.started,
        "ended": chosen.ended,
    }
    bounds = {"started": "j.at >= :started", "ended": "j.at <= :ended"}
    given = [sql for name, sql in bounds.items() if parameters[name] is not None]
    return RowCondition(" AND ".join(given) or "true", parameters)


def sample(tx: Connection, *, every_s: float) -> int | None:
    """Write a sample and return its id; None when the newest is not yet `every_s` old."""
    newest = records.read_optional(_NewestSample, tx.execute(_NEWEST, {"within_s": every_s}))
    if newest is not None and newest.is_fresh:
        return None
    after = 0 if newest is None else newest.last_event_id
    settled = tx.execute(_SETTLED_EVENT, {"after": after, "settled_s": SETTLED_S}).scalar()
    upto = after if settled is None else int(settled)
    # The first sample begins to count; what was before it may be too much to count in one go.
    moves = {} if newest is None else _sum(newest.moves, _moves(tx, after, upto))
    made = tx.execute(_INSERT, {"last_event_id": upto, "moves": orjson.dumps(moves).decode()}).scalar_one()
    tx.execute(_COUNT, {"sample_id": made})
    return int(made)


def forget(tx: Connection, *, older_than_days: int) -> int:
    """Delete old samples with their counts; return how many samples."""
    return int(tx.execute(_FORGET, {"days": older_than_days}).rowcount)


def moves(tx: Connection) -> dict[str, int]:
    """Return how often each event has happened to jobs since sampling began; never falls."""
    newest = records.read_optional(_NewestSample, tx.execute(_NEWEST, {"within_s": 0}))
    if newest is None:
        return {}
    return _sum(newest.moves, _moves(tx, newest.last_event_id, None))


def _moves(tx: Connection, after: int, upto: int | None) -> list[_EventCount]:
    return records.read_all(_EventCount, tx.execute(_MOVES, {"after": after, "upto": upto}))


def _sum(before: dict[str, int], rows: Iterable[_EventCount]) -> dict[str, int]:
    total = dict(before)
    for row in rows:
        total[row.event] = total.get(row.event, 0) + row.count
    return total
