"""Schedules: what starts by itself, and when it is looked at next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import orjson
from sqlalchemy import Connection, text

from scheduler.documents import Document
from scheduler.identifiers import ProjectId
from scheduler.store import records
from scheduler.store.paging import Listing, Parameter, RowCondition, SortKey


class ScheduleRow(NamedTuple):
    """A schedule. `timing` and `target` are documents; `role` is what its maker might do, and so may its jobs."""

    id: int
    project_id: ProjectId
    project: str
    name: str
    timing: Document
    target: Document
    is_paused: bool
    pause_reason: str | None
    next_nominal: datetime | None
    next_at: datetime | None
    created_by: int
    creator: str | None
    role: str
    created: datetime
    last_modified: datetime


@dataclass(frozen=True, slots=True)
class NewSchedule:
    """A schedule to insert."""

    project_id: ProjectId
    name: str
    timing: Document
    target: Document
    is_paused: bool
    pause_reason: str | None
    next_nominal: datetime | None
    next_at: datetime | None
    created_by: int
    role: str


_COLUMNS = """
    j.id, j.project_id, p.name AS project, j.name, j.timing, j.target, j.is_paused, j.pause_reason, j.next_nominal, j.next_at,
    j.created_by, k.name AS creator, j.role, j.created, j.last_modified
"""

SCHEDULES = Listing(
    ScheduleRow,
    "schedules j",
    _COLUMNS,
    "schedules j ON j.id = page.id JOIN projects p ON p.id = j.project_id LEFT JOIN tokens k ON k.id = j.created_by",
    {
        "id": SortKey("j.id", "bigint"),
        "name": SortKey('j.name COLLATE "C"', "text"),
        "next": SortKey("COALESCE(j.next_at, 'infinity')", "timestamptz"),
        "last_modified": SortKey("j.last_modified", "timestamptz"),
    },
)

_SOURCE = "schedules j JOIN projects p ON p.id = j.project_id LEFT JOIN tokens k ON k.id = j.created_by"

# Those that are due, and those of which something waits that may go on.
_DUE = text(f"""
    SELECT {_COLUMNS}
    FROM {_SOURCE}
    WHERE p.deleted IS NULL AND j.id > :after AND j.id IN (
        SELECT d.id FROM schedules d WHERE NOT d.is_paused AND d.next_at <= now()
        UNION
        SELECT f.schedule_id FROM schedule_firings f JOIN schedules w ON w.id = f.schedule_id
        WHERE f.outcome = 'WAITING' AND (NOT w.is_paused OR f.kind = 'BACKFILL')
    )
    ORDER BY j.id
    LIMIT :limit
    FOR NO KEY UPDATE OF j SKIP LOCKED
""")  # noqa: S608 - our own text

_LOCK = text(f"SELECT {_COLUMNS} FROM {_SOURCE} WHERE j.id = :id FOR NO KEY UPDATE OF j")  # noqa: S608

_INSERT = text("""
    INSERT INTO schedules (project_id, name, timing, target, is_paused, pause_reason, next_nominal, next_at, created_by, role)
    VALUES (:project_id, :name, CAST(:timing AS jsonb), CAST(:target AS jsonb), :is_paused, :pause_reason, :next_nominal, :next_at,
            :created_by, :role)
    ON CONFLICT (project_id, name) DO NOTHING
    RETURNING id
""")

_UPDATE = text("""
    UPDATE schedules
    SET timing = CAST(:timing AS jsonb), target = CAST(:target AS jsonb), is_paused = :is_paused, pause_reason = :pause_reason,
        next_nominal = :next_nominal, next_at = :next_at, created_by = :created_by, role = :role, last_modified = now()
    WHERE id = :id
""")

_ADVANCE = text("""
    UPDATE schedules s
    SET next_nominal = v.nominal, next_at = v.at
    FROM unnest(CAST(:ids AS bigint[]), CAST(:nominals AS timestamptz[]), CAST(:ats AS timestamptz[])) AS v (id, nominal, at)
    WHERE s.id = v.id
""")

_PAUSE = text("""
    UPDATE schedules SET is_paused = true, pause_reason = :reason, last_modified = now() WHERE id = ANY(:ids) AND NOT is_paused
""")

_NOW = text("SELECT now()")
_DELETE = text("DELETE FROM schedules WHERE id = :id")
_NEXT = text("SELECT min(next_at) FROM schedules WHERE NOT is_paused")


def condition(
    *, project_id: ProjectId | None, names: Sequence[str], projects: Sequence[str], is_paused: bool | None
) -> RowCondition:
    """Return which schedules: of the caller's project, and by what lists are narrowed by."""
    parts = {
        "j.project_id = :project_id": project_id,
        "j.name = ANY(:names)": list(names) or None,
        "j.project_id = ANY(ARRAY(SELECT id FROM projects WHERE name = ANY(:projects)))": list(projects) or None,
        "j.is_paused = :is_paused": is_paused,
    }
    parameters: dict[str, Parameter] = {
        "project_id": project_id,
        "names": list(names),
        "projects": list(projects),
        "is_paused": is_paused,
    }
    alive = "j.project_id IN (SELECT id FROM projects WHERE deleted IS NULL)"
    given = [sql for sql, value in parts.items() if value is not None]
    return RowCondition(" AND ".join([alive, *given]), parameters)


def now(tx: Connection) -> datetime:
    """Return the database's time, which schedules go by."""
    moment: datetime = tx.execute(_NOW).scalar_one()
    return moment


def due(tx: Connection, after: int, limit: int) -> list[ScheduleRow]:
    """Lock and return schedules behind the id `after` that are due, or of which something waits, by id.

    Those that somebody else has locked are left out.
    """
    return records.read_all(ScheduleRow, tx.execute(_DUE, {"after": after, "limit": limit}))


def next_due(tx: Connection) -> datetime | None:
    """Return when the next schedule is due; None when none ever is."""
    return tx.execute(_NEXT).scalar()


def lock(tx: Connection, schedule_id: int) -> ScheduleRow | None:
    """Lock a schedule and return it, None when there is none."""
    return records.read_optional(ScheduleRow, tx.execute(_LOCK, {"id": schedule_id}))


def insert(tx: Connection, new: NewSchedule) -> int | None:
    """Insert a schedule and return its id; None when its project has one of this name."""
    return tx.execute(_INSERT, _written(new)).scalar()


def update(tx: Connection, schedule_id: int, changed: NewSchedule) -> None:
    """Write what a locked schedule shall be; its name and project stay."""
    tx.execute(_UPDATE, {**_written(changed), "id": schedule_id})


def advance(tx: Connection, nexts: Sequence[tuple[int, datetime | None, datetime | None]]) -> None:
    """Write the next time of locked schedules, and the moment when each is looked at: (id, nominal, at)."""
    if nexts:
        columns = {
            "ids": [one[0] for one in nexts],
            "nominals": [one[1] for one in nexts],
            "ats": [one[2] for one in nexts],
        }
        tx.execute(_ADVANCE, columns)


def pause(tx: Connection, ids: Sequence[int], reason: str) -> None:
    """Pause schedules."""
    if ids:
        tx.execute(_PAUSE, {"ids": list(ids), "reason": reason})


def delete(tx: Connection, schedule_id: int) -> None:
    """Delete a schedule with what is known of its times; the jobs that it made stay."""
    tx.execute(_DELETE, {"id": schedule_id})


def _written(new: NewSchedule) -> dict[str, object]:
    facts: dict[str, object] = {name: getattr(new, name) for name in NewSchedule.__slots__}
    return {**facts, "timing": orjson.dumps(new.timing).decode(), "target": orjson.dumps(new.target).decode()}
