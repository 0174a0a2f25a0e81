"""What a run learns of its schedule, and in whose name it is made."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson

from scheduler.identity import Caller, Role
from scheduler.store.schedules.schedules import ScheduleRow

ACTOR = "schedule"


def maker(row: ScheduleRow) -> Caller:
    """Return who makes the runs of a schedule: whoever wrote what it makes, with the role of then, in its project alone."""
    return Caller(row.created_by, row.creator or ACTOR, Role[row.role.upper()], row.project_id, row.project)


def variables(row: ScheduleRow, nominal: datetime, before: datetime | None) -> dict[str, str]:
    """Return the variables that a run for this time gets; `before` is the time of the newest run that was completed."""
    found = {"GANGER_SCHEDULE": row.name, "GANGER_NOMINAL_TIME": _iso(nominal)}
    return found if before is None else {**found, "GANGER_PREVIOUS_TIME": _iso(before)}


def as_json(row: ScheduleRow, nominal: datetime, before: datetime | None) -> str:
    """Return these variables as JSON."""
    return orjson.dumps(variables(row, nominal, before)).decode()


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
