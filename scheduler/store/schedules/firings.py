"""Firings: what became of each time of a schedule. The primary key, schedule and time, is why none fires twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, TextClause, text

from scheduler.identifiers import JobId
from scheduler.rules.schedule.overlap import FiringKind
from scheduler.store import records


@dataclass(frozen=True, slots=True)
class NewFiring:
    """What becomes of a time: WAITING, SKIPPED, or, until what it makes is there, FAILED."""

    schedule_id: int
    nominal: datetime
    kind: str
    outcome: str
    reason: str | None = None
    at_once: int | None = None
    place: int = 0


class FiringRow(NamedTuple):
    """A firing as lists show it; `status` is that of its job or its workflow, None where there is neither any more."""

    nominal: datetime
    kind: str
    outcome: str
    reason: str | None
    job_id: JobId | None
    workflow_id: int | None
    status: str | None
    at: datetime


class OpenFiring(NamedTuple):
    """A firing that waits or is live."""

    schedule_id: int
    nominal: datetime
    kind: FiringKind
    outcome: str
    job_id: JobId | None
    workflow_id: int | None
    at_once: int | None


REVIVED = 10
"""So many of the newest runs that ended are looked at: somebody may have begun them anew."""

_ANY_WAITS = text("SELECT EXISTS (SELECT FROM schedule_firings WHERE outcome = 'WAITING')")

_INSERT = text("""
    INSERT INTO schedule_firings (schedule_id, nominal, kind, outcome, reason, at_once, place)
    SELECT * FROM unnest(CAST(:schedule_id AS bigint[]), CAST(:nominal AS timestamptz[]), CAST(:kind AS text[]),
                         CAST(:outcome AS text[]), CAST(:reason AS text[]), CAST(:at_once AS int[]), CAST(:place AS bigint[]))
    ON CONFLICT (schedule_id, nominal) DO NOTHING
    RETURNING schedule_id, nominal
""")

# A job that was cancelled is live until its processes are dead, and a workflow has no state until all of its are.
_IS_LIVE = """
    (EXISTS (SELECT FROM jobs j WHERE j.id = f.job_id
             AND (j.status IN ('PENDING_UPLOAD', 'PENDING', 'BLOCKED', 'QUEUED', 'RUNNING')
                  OR EXISTS (SELECT FROM executions x WHERE x.job_id = j.id AND x.released_at IS NULL)))
     OR EXISTS (SELECT FROM workflows w WHERE w.id = f.workflow_id AND w.state IS NULL))
"""

_SETTLE = text(f"""
    UPDATE schedule_firings f
    SET outcome = 'ENDED'
    WHERE f.schedule_id = ANY(:ids) AND f.outcome = 'LIVE' AND NOT {_IS_LIVE}
""")  # noqa: S608 - our own text

# Who begins a run anew that had ended makes it live again.
_REVIVE = text(f"""
    UPDATE schedule_firings g
    SET outcome = 'LIVE'
    FROM unnest(CAST(:ids AS bigint[])) AS s (id)
    CROSS JOIN LATERAL (
        SELECT schedule_id, nominal, job_id, workflow_id FROM schedule_firings
        WHERE schedule_id = s.id AND outcome = 'ENDED' ORDER BY nominal DESC LIMIT :most
    ) AS f
    WHERE g.schedule_id = f.schedule_id AND g.nominal = f.nominal AND g.outcome = 'ENDED' AND {_IS_LIVE}
""")  # noqa: S608 - our own text

_OPEN = text("""
    SELECT schedule_id, nominal, kind, outcome, job_id, workflow_id, at_once
    FROM schedule_firings
    WHERE schedule_id = ANY(:ids) AND outcome IN ('WAITING', 'LIVE')
    ORDER BY schedule_id, place, nominal
""")

_TAKE = text("""
    UPDATE schedule_firings f
    SET outcome = 'FAILED', at = now()
    FROM unnest(CAST(:ids AS bigint[]), CAST(:nominals AS timestamptz[])) AS v (id, nominal)
    WHERE f.schedule_id = v.id AND f.nominal = v.nominal AND f.outcome = 'WAITING'
    RETURNING f.schedule_id, f.nominal
""")

_SKIP = text("""
    UPDATE schedule_firings f
    SET outcome = 'SKIPPED', reason = v.reason, at = now()
    FROM unnest(CAST(:ids AS bigint[]), CAST(:nominals AS timestamptz[]), CAST(:reasons AS text[])) AS v (id, nominal, reason)
    WHERE f.schedule_id = v.id AND f.nominal = v.nominal AND f.outcome = 'WAITING'
""")

_STARTED = text("""
    UPDATE schedule_firings f
    SET outcome = 'LIVE', job_id = v.job_id, reason = NULL, at = now()
    FROM unnest(CAST(:ids AS bigint[]), CAST(:nominals AS timestamptz[]), CAST(:jobs AS bigint[])) AS v (id, nominal, job_id)
    WHERE f.schedule_id = v.id AND f.nominal = v.nominal
""")

_RUN = text("""
    UPDATE schedule_firings SET outcome = 'LIVE', workflow_id = :workflow_id, reason = NULL, at = now()
    WHERE schedule_id = :id AND nominal = :nominal
""")

_FAILED = text("""
    UPDATE schedule_firings f
    SET outcome = 'FAILED', reason = v.reason, at = now()
    FROM unnest(CAST(:ids AS bigint[]), CAST(:nominals AS timestamptz[]), CAST(:reasons AS text[])) AS v (id, nominal, reason)
    WHERE f.schedule_id = v.id AND f.nominal = v.nominal
""")

# What jobs learn of their schedule stands in their environment, where they cannot set it themselves.
_TELL = text("""
    UPDATE job_specs q
    SET overrides = jsonb_set(q.overrides, '{environment}', COALESCE(q.overrides -> 'environment', '{}') || v.told)
    FROM unnest(CAST(:jobs AS bigint[]), CAST(:told AS jsonb[])) AS v (job_id, told)
    WHERE q.job_id = v.job_id
""")

_COMPLETED = text("""
    SELECT f.schedule_id, max(f.nominal) AS nominal
    FROM schedule_firings f LEFT JOIN jobs j ON j.id = f.job_id LEFT JOIN workflows w ON w.id = f.workflow_id
    WHERE f.schedule_id = ANY(:ids) AND (j.status = 'COMPLETED' OR w.state = 'COMPLETED')
    GROUP BY f.schedule_id
""")

# The ends of the newest runs, by schedule: true where one failed.
_ENDS = text("""
    SELECT s.id AS schedule_id, ARRAY(
        SELECT f.outcome = 'FAILED' OR COALESCE(j.status, w.state) = 'FAILED'
        FROM schedule_firings f LEFT JOIN jobs j ON j.id = f.job_id LEFT JOIN workflows w ON w.id = f.workflow_id
        WHERE f.schedule_id = s.id AND f.outcome IN ('ENDED', 'FAILED')
        ORDER BY f.nominal DESC LIMIT s.most
    ) AS failed
    FROM unnest(CAST(:ids AS bigint[]), CAST(:most AS int[])) AS s (id, most)
""")

_ROWS = text("""
    SELECT f.nominal, f.kind, f.outcome, f.reason, f.job_id, f.workflow_id, COALESCE(j.status, w.state) AS status, f.at
    FROM schedule_firings f LEFT JOIN jobs j ON j.id = f.job_id LEFT JOIN workflows w ON w.id = f.workflow_id
    WHERE f.schedule_id = :id
    ORDER BY f.nominal DESC
    LIMIT :limit OFFSET :skipped
""")

_COUNT = text("SELECT count(*) FROM schedule_firings WHERE schedule_id = :id")

_KNOWN = text("SELECT nominal FROM schedule_firings WHERE schedule_id = :id AND nominal BETWEEN :start AND :end")

_DROP_BACKFILL = text("""
    UPDATE schedule_firings
    SET outcome = 'SKIPPED', reason = :reason, at = now()
    WHERE schedule_id = :id AND kind = 'BACKFILL' AND outcome = 'WAITING'
    RETURNING nominal
""")


def any_waits(tx: Connection) -> bool:
    """Tell whether a time of any schedule waits for its turn."""
    return bool(tx.execute(_ANY_WAITS).scalar_one())


def insert(tx: Connection, new: Sequence[NewFiring]) -> set[tuple[int, datetime]]:
    """Insert firings; return which were new: of the others somebody has decided already."""
    if not new:
        return set()
    columns = {name: [getattr(one, name) for one in new] for name in NewFiring.__slots__}
    return {(row.schedule_id, row.nominal) for row in tx.execute(_INSERT, columns)}


def take(tx: Connection, waiting: Sequence[tuple[int, datetime]]) -> set[tuple[int, datetime]]:
    """Let waiting firings wait no longer; return those that did. Each is FAILED until what it makes is there."""
    if not waiting:
        return set()
    rows = tx.execute(_TAKE, {"ids": [one[0] for one in waiting], "nominals": [one[1] for one in waiting]})
    return {(row.schedule_id, row.nominal) for row in rows}


def settle(tx: Connection, ids: Sequence[int]) -> None:
    """Mark the runs of these schedules that have ended, and those of their newest that began anew."""
    tx.execute(_SETTLE, {"ids": list(ids)})
    tx.execute(_REVIVE, {"ids": list(ids), "most": REVIVED})


def open_ones(tx: Connection, ids: Sequence[int]) -> list[OpenFiring]:
    """Return what waits and what is live of these schedules, in the order in which it goes."""
    found = records.read_all(OpenFiring, tx.execute(_OPEN, {"ids": list(ids)}))
    return [one._replace(kind=FiringKind(one.kind)) for one in found]


def skip(tx: Connection, skipped: Sequence[tuple[int, datetime, str]]) -> None:
    """Let waiting firings be skipped, each for its reason."""
    _reasons(tx, _SKIP, skipped)


def failed(tx: Connection, refused: Sequence[tuple[int, datetime, str]]) -> None:
    """Write why the jobs of firings could not be made."""
    _reasons(tx, _FAILED, refused)


def started(tx: Connection, made: Sequence[tuple[int, datetime, JobId]], told: Sequence[str]) -> None:
    """Write which job each firing has made, and into each job what it is told of its schedule, as JSON."""
    if made:
        jobs = [one[2] for one in made]
        tx.execute(_STARTED, {"ids": [one[0] for one in made], "nominals": [one[1] for one in made], "jobs": jobs})
        tx.execute(_TELL, {"jobs": jobs, "told": list(told)})


def run(tx: Connection, schedule_id: int, nominal: datetime, workflow_id: int) -> None:
    """Write which workflow a firing has made."""
    tx.execute(_RUN, {"id": schedule_id, "nominal": nominal, "workflow_id": workflow_id})


def last_completed(tx: Connection, ids: Sequence[int]) -> dict[int, datetime]:
    """Return the newest time of each schedule whose run was completed."""
    return {row.schedule_id: row.nominal for row in tx.execute(_COMPLETED, {"ids": list(ids)})}


def failures(tx: Connection, most: dict[int, int]) -> list[int]:
    """Return the schedules of which as many runs as `most` says, the newest, have all failed."""
    if not most:
        return []
    rows = tx.execute(_ENDS, {"ids": list(most), "most": list(most.values())})
    return [row.schedule_id for row in rows if len(row.failed) == most[row.schedule_id] and all(row.failed)]


def page(tx: Connection, schedule_id: int, skipped: int, limit: int) -> tuple[list[FiringRow], int]:
    """Return firings of a schedule, the newest first, and how many there are."""
    rows = tx.execute(_ROWS, {"id": schedule_id, "skipped": skipped, "limit": limit})
    return records.read_all(FiringRow, rows), int(tx.execute(_COUNT, {"id": schedule_id}).scalar_one())


def known(tx: Connection, schedule_id: int, start: datetime, end: datetime) -> set[datetime]:
    """Return the times between two moments of which something was decided."""
    return set(tx.execute(_KNOWN, {"id": schedule_id, "start": start, "end": end}).scalars())


def drop_backfill(tx: Connection, schedule_id: int, reason: str) -> int:
    """Skip what waits of backfills; return how many."""
    return len(tx.execute(_DROP_BACKFILL, {"id": schedule_id, "reason": reason}).all())


def _reasons(tx: Connection, statement: TextClause, given: Sequence[tuple[int, datetime, str]]) -> None:
    if given:
        columns = {
            "ids": [one[0] for one in given],
            "nominals": [one[1] for one in given],
            "reasons": [one[2][:1000] for one in given],
        }
        tx.execute(statement, columns)
