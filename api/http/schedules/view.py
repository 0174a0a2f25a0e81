"""Schedules as the API shows them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import cast

from api.http.jobs.new_job import asked_for
from api.http.schedules.schema import ComingTime, FiringView, SchedulePreview, ScheduleView
from scheduler.rules.schedule.overlap import ScheduleRule
from scheduler.schedules import definition, schedules, target
from scheduler.schedules.schedules import ClockChange, ComingTimes
from scheduler.schedules.target import WorkflowTarget
from scheduler.store.schedules.firings import FiringRow
from scheduler.store.schedules.schedules import ScheduleRow


def entry(row: ScheduleRow, now: datetime) -> ScheduleView:
    """Return a schedule, with its coming times as they are at `now`; a paused one has none."""
    timing = definition.stored(row.timing)
    coming = preview(ComingTimes() if row.is_paused else schedules.coming(timing, row.name, now, row.next_nominal))
    return cast(
        "ScheduleView",
        {
            "id": row.id,
            "project": row.project,
            "name": row.name,
            **{name: getattr(timing, name) for name in timing.__slots__},
            "job": None if target.is_workflow(row.target) else asked_for(row.target),
            "workflow": _workflow(row),
            "is_paused": row.is_paused,
            "pause_reason": row.pause_reason,
            **coming,
            "created_by": row.creator,
            "created": row.created,
            "last_modified": row.last_modified,
        },
    )


def preview(coming: ComingTimes) -> SchedulePreview:
    """Return coming times, and a sentence about the change of clocks among them."""
    rule = coming.rule
    shown = [] if rule is None else [_time(rule, one) for one in coming.times]
    change = None if rule is None or coming.change is None else _sentence(rule, coming.change)
    return {"next": shown, "clock_change": change}


def firing(row: FiringRow) -> FiringView:
    """Return what became of a time."""
    return cast(
        "FiringView",
        {
            "nominal": row.nominal,
            "kind": row.kind,
            "outcome": row.outcome,
            "reason": row.reason,
            "job": row.job_id,
            "workflow": row.workflow_id,
            "status": row.status,
            "at": row.at,
        },
    )


def _workflow(row: ScheduleRow) -> dict[str, object] | None:
    """Return the workflow that a schedule runs, in the words in which it is asked for."""
    wanted = target.read(row.target)
    if not isinstance(wanted, WorkflowTarget):
        return None
    facts = {name: getattr(wanted, name) for name in wanted.__slots__ if name != "type_name"}
    return {"type": wanted.type_name, **{name: value for name, value in facts.items() if value not in (None, {})}}


def _time(rule: ScheduleRule, moment: datetime) -> ComingTime:
    return {"utc": moment, "local": moment.astimezone(rule.times.zone).isoformat(), "made": rule.due_at(moment)}


def _sentence(rule: ScheduleRule, change: ClockChange) -> str:
    ahead = change.after > change.before
    size = _length(change.after - change.before if ahead else change.before - change.after)
    moment = f"{change.at:%Y-%m-%d %H:%M} UTC"
    if rule.times.every is not None or rule.times.cron is None:
        effect = "these times do not depend on clocks"
    elif rule.times.cron.any_hour:
        effect = (
            "the hours that are left out have no run" if ahead else "the hour that comes twice has its runs both times"
        )
    else:
        effect = (
            "a time that is left out has its run at the first moment after the gap"
            if ahead
            else "a time that comes twice has its run the first time only"
        )
    return f"on {moment} clocks go {'forward' if ahead else 'back'} by {size}: {effect}"


def _length(span: timedelta) -> str:
    minutes = int(span.total_seconds()) // 60
    return f"{minutes // 60} h" if minutes % 60 == 0 else f"{minutes} min"
