"""What a run learns of its schedule, and in whose name it is made."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson
import structlog
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from scheduler.errors import GangerError
from scheduler.events import FIRING_FAILED
from scheduler.identity import Caller, Role
from scheduler.store.schedules.schedules import ScheduleRow

ACTOR = "schedule"

UNMADE = (
    *(GangerError, DBAPIError, PoolTimeout),
    *(ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError),
)
"""The errors that a run may end with for what its project has written, foreseen or not: the schedules of others go on."""

log = structlog.get_logger()


def maker(row: ScheduleRow) -> Caller:
    """Return who makes the runs of a schedule: whoever wrote what it makes, with the role of then, in its project alone."""
    return Caller(row.created_by, row.creator or ACTOR, Role[row.role.upper()], row.project_id, row.project)


def variables(row: ScheduleRow, nominal: datetime, before: datetime | None) -> dict[str, str]:
    """Return the variables that a run for this time gets; `before` is the time of the newest run that was completed."""
    found = {"GANGER_SCHEDULE": row.name, "GANGER_NOMINAL_TIME": _iso(nominal)}
    return found if before is None else {**found, "GANGER_PREVIOUS_TIME": _iso(before)}


def reason(error: Exception, row: ScheduleRow) -> str:
    """Return why a run of a schedule was not made, for whoever reads its history; what is none of its faults stands in the log.

    Raises the error where the database is away or busy: the time waits then.
    """
    if isinstance(error, GangerError):
        return str(error)
    if isinstance(error, OperationalError | PoolTimeout):
        raise error
    log.error(FIRING_FAILED, schedule_id=row.id, project=row.project, exc_info=error)
    return "it could not be made, for a reason that the scheduler's log has"


def as_json(row: ScheduleRow, nominal: datetime, before: datetime | None) -> str:
    """Return these variables as JSON."""
    return orjson.dumps(variables(row, nominal, before)).decode()


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
