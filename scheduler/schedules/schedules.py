"""Verbs of people about schedules: make, change, pause, look at. Runs by hand and for past times: `runs`.

Nothing that is due in the past is made by a change: its next time is the first one after now.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection

from scheduler.errors import Conflict, InvalidInput, NotFound
from scheduler.identifiers import ProjectId
from scheduler.identity import Caller, Role
from scheduler.jobs import submit
from scheduler.rules.schedule import instants
from scheduler.rules.schedule.overlap import ScheduleRule
from scheduler.runtime import Runtime
from scheduler.schedules import definition
from scheduler.schedules import target as targets
from scheduler.schedules.definition import ScheduleTiming
from scheduler.schedules.target import Target
from scheduler.store import paging
from scheduler.store.admin import audit
from scheduler.store.paging import PageWindow, RowCondition, RowPage
from scheduler.store.schedules import firings, schedules
from scheduler.store.schedules.firings import FiringRow
from scheduler.store.schedules.schedules import NewSchedule, ScheduleRow
from scheduler.workflows import lookup

SHOWN = 5
"""Coming times that are shown of a schedule."""


@dataclass(frozen=True, slots=True)
class ScheduleChange:
    """What a change says; None stays as it is, but for `pause_reason`, which goes with a pause."""

    timing: ScheduleTiming | None = None
    target: Target | None = None
    is_paused: bool | None = None
    pause_reason: str | None = None
    catch_up: bool = False


@dataclass(frozen=True, slots=True)
class ClockChange:
    """A change of clocks that lies among the coming times: when, and the offsets before and after."""

    at: datetime
    before: timedelta
    after: timedelta


@dataclass(frozen=True, slots=True)
class ComingTimes:
    """The coming times of a schedule, and the first change of clocks on the way to them."""

    times: list[datetime] = field(default_factory=list)
    rule: ScheduleRule | None = None
    change: ClockChange | None = None


def create(
    rt: Runtime,
    caller: Caller,
    name: str,
    timing: ScheduleTiming,
    target: Target,
    *,
    project_name: str | None = None,
    pause: str | None = None,
) -> ScheduleRow:
    """Make a schedule and return it; with `pause` it is paused for that reason.

    Raises InvalidInput for a timing without a time, and for a job or workflow that could not be submitted; Conflict for a name that is taken.
    """
    rule = definition.rule(timing, name)
    with rt.db.begin() as tx:
        project = submit.project_of(tx, submit.named_project(caller, project_name))
    targets.check(rt, caller, project, target)
    with rt.db.begin() as tx:
        following = _following(rule, schedules.now(tx))
        if following is None:
            raise InvalidInput("the schedule has no time in the next nine years", field="cron" if timing.cron else "at")
        new = _written(caller, project.id, name, timing, target, pause, rule, following)
        made = schedules.insert(tx, new)
        if made is None:
            raise Conflict(f"the project {project.name} has a schedule {name!r} already", field="name")
        audit.write(
            tx, caller.name, "schedule.create", f"schedule:{made}", detail={"name": name, "project": project.name}
        )
        row = locked(tx, caller, made)
    rt.nudge("schedules")
    return row


def change(rt: Runtime, caller: Caller, schedule_id: int, wanted: ScheduleChange) -> ScheduleRow:
    """Change a schedule, pause it or let it go on, and return it. Raises NotFound, InvalidInput.

    Times that were missed during a pause are never made up for, unless `catch_up` is said with its end.
    """
    if wanted.target is not None:
        with rt.db.begin() as tx:
            project = submit.project_of(tx, locked(tx, caller, schedule_id).project)
        targets.check(rt, caller, project, targets.of_project(wanted.target, project.name))
    with rt.db.begin() as tx:
        row = locked(tx, caller, schedule_id)
        timing = wanted.timing or definition.stored(row.timing)
        target = targets.of_project(wanted.target or targets.read(row.target), row.project)
        rule = definition.rule(timing, row.name)
        is_paused = row.is_paused if wanted.is_paused is None else wanted.is_paused
        reason = (wanted.pause_reason or row.pause_reason or "paused") if is_paused else None
        resumed = row.is_paused and not is_paused
        following = row.next_nominal
        if wanted.timing is not None or (resumed and not wanted.catch_up):
            following = _following(rule, schedules.now(tx))
        keeper = caller if wanted.target is not None else None
        new = _written(keeper or caller, row.project_id, row.name, timing, target, reason, rule, following)
        if keeper is None:
            new = dataclasses.replace(new, created_by=row.created_by, role=row.role)
        schedules.update(tx, schedule_id, new)
        audit.write(tx, caller.name, "schedule.change", f"schedule:{schedule_id}", reason=wanted.pause_reason)
        row = locked(tx, caller, schedule_id)
    rt.nudge("schedules")
    return row


def delete(rt: Runtime, caller: Caller, schedule_id: int) -> None:
    """Delete a schedule; the jobs and workflows that it made stay. Raises NotFound."""
    with rt.db.begin() as tx:
        locked(tx, caller, schedule_id)
        schedules.delete(tx, schedule_id)
        audit.write(tx, caller.name, "schedule.delete", f"schedule:{schedule_id}")


def get(rt: Runtime, caller: Caller, schedule_id: int) -> ScheduleRow:
    """Return a schedule; raises NotFound."""
    bound = schedules.condition(project_id=caller.project_id, names=(), projects=(), is_paused=None)
    only = RowCondition(f"j.id = :schedule_id AND {bound.sql}", {**bound.parameters, "schedule_id": schedule_id})
    with rt.db.begin() as tx:
        rows = paging.read(tx, schedules.SCHEDULES, only, PageWindow(1, 1, ())).rows
    if not rows:
        raise NotFound(f"there is no schedule {schedule_id}")
    return rows[0]


def page(
    rt: Runtime,
    caller: Caller,
    window: PageWindow,
    names: Sequence[str],
    projects: Sequence[str],
    *,
    is_paused: bool | None,
) -> RowPage[ScheduleRow]:
    """Return one page of schedules."""
    bound = schedules.condition(project_id=caller.project_id, names=names, projects=projects, is_paused=is_paused)
    with rt.db.begin() as tx:
        return paging.read(tx, schedules.SCHEDULES, bound, window)


def history(rt: Runtime, caller: Caller, schedule_id: int, skipped: int, limit: int) -> tuple[list[FiringRow], int]:
    """Return what became of the times of a schedule, the newest first, and how many there are. Raises NotFound."""
    get(rt, caller, schedule_id)
    with rt.db.begin() as tx:
        firings.settle(tx, [schedule_id])
        rows, count = firings.page(tx, schedule_id, skipped, limit)
        return with_states(tx, rows), count


def with_states(tx: Connection, rows: Sequence[FiringRow]) -> list[FiringRow]:
    """Return firings with the states of the workflows that are live, which are derived from where their jobs stand."""
    live = [one.workflow_id for one in rows if one.workflow_id is not None and one.status is None]
    states = lookup.states(tx, live)
    return [one._replace(status=states.get(one.workflow_id or 0, one.status)) for one in rows]


def coming(
    timing: ScheduleTiming, name: str, now: datetime, following: datetime | None = None, count: int = SHOWN
) -> ComingTimes:
    """Return the next times of a schedule, and the change of clocks that lies among them or up to a day around.

    `following` is the time that a schedule is due next: one that says no start counts from it.
    """
    rule = definition.rule(timing, name)
    if rule.times.every is not None and rule.times.start is None:
        rule = dataclasses.replace(rule, times=dataclasses.replace(rule.times, start=following))
    found = instants.upcoming(rule.times, now, count)
    if not found:
        return ComingTimes(rule=rule)
    near = instants.change_near(
        rule.times.zone,
        max(now, found[0] - timedelta(days=1)),
        min(found[-1], found[0] + timedelta(days=366)) + timedelta(days=1),
    )
    return ComingTimes(found, rule, None if near is None else ClockChange(*near))


def locked(tx: Connection, caller: Caller, schedule_id: int) -> ScheduleRow:
    """Lock a schedule that the caller may see and return it; raises NotFound."""
    row = schedules.lock(tx, schedule_id)
    if row is None or caller.project_id not in {None, row.project_id}:
        raise NotFound(f"there is no schedule {schedule_id}")
    return row


def _following(rule: ScheduleRule, now: datetime) -> datetime | None:
    # What is counted in elapsed time begins with a whole second, for people to read.
    return instants.after(rule.times, now if rule.times.every is None else now.replace(microsecond=0))


def _written(
    caller: Caller,
    project_id: ProjectId,
    name: str,
    timing: ScheduleTiming,
    target: Target,
    pause: str | None,
    rule: ScheduleRule,
    following: datetime | None,
) -> NewSchedule:
    assert caller.role is not None, "nodes reach none of this"  # noqa: S101 - checked by the route
    return NewSchedule(
        project_id=project_id,
        name=name,
        timing=timing.document(),
        target=targets.document(target),
        is_paused=pause is not None,
        pause_reason=pause,
        next_nominal=following,
        next_at=None if following is None else rule.due_at(following),
        created_by=caller.token_id,
        role=Role(caller.role).name.lower(),
    )
