"""Verbs of people about schedules: make, change, pause, trigger, fill up, look at.

Nothing that is due in the past is made by a change: its next time is the first one after now.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import Connection

from scheduler.documents import Document
from scheduler.errors import Conflict, InvalidInput, NotFound
from scheduler.identifiers import ProjectId
from scheduler.identity import Caller, Role
from scheduler.jobs import cancel, priorities, resolve, submit
from scheduler.jobs.entry_faults import EntryError
from scheduler.jobs.new_job import NewJob
from scheduler.rules.schedule import instants
from scheduler.rules.schedule.overlap import FiringKind, ScheduleRule
from scheduler.runtime import Runtime
from scheduler.schedules import definition, firing
from scheduler.schedules.definition import ScheduleTiming
from scheduler.store import paging
from scheduler.store.admin import audit
from scheduler.store.jobs.submissions import Project
from scheduler.store.paging import PageWindow, RowCondition, RowPage
from scheduler.store.schedules import firings, schedules
from scheduler.store.schedules.firings import FiringRow, NewFiring
from scheduler.store.schedules.schedules import NewSchedule, ScheduleRow

SHOWN = 5
"""Coming times that are shown of a schedule."""

MOST_FILLED = 1_000
"""Most times of one backfill."""

_NOT_OF_SCHEDULES = ("needs", "wiring", "conditions", "key", "group", "not_before")


@dataclass(frozen=True, slots=True)
class ScheduleChange:
    """What a change says; None stays as it is, but for `pause_reason`, which goes with a pause."""

    timing: ScheduleTiming | None = None
    target: NewJob | None = None
    is_paused: bool | None = None
    pause_reason: str | None = None
    catch_up: bool = False


@dataclass(frozen=True, slots=True)
class BackfillRequest:
    """Which times are filled up: those after `start` up to `end`, newest first if `newest_first`, so many at once.

    With `only_missing` the times of which something was decided before are left out; they cannot fire again in any case.
    """

    start: datetime
    end: datetime
    at_once: int = 1
    newest_first: bool = False
    only_missing: bool = True


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
    rt: Runtime, caller: Caller, name: str, timing: ScheduleTiming, target: NewJob, pause: str | None = None
) -> ScheduleRow:
    """Make a schedule and return it; with `pause` it is paused for that reason.

    Raises InvalidInput for a timing without a time, and for a job that could not be submitted; Conflict for a name that is taken.
    """
    rule = definition.rule(timing, name)
    with rt.db.begin() as tx:
        project = submit.project_of(tx, submit.project_name(caller, [target]))
        _check_target(tx, rt, caller, project, target)
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
        row = _locked(tx, caller, made)
    rt.nudge("schedules")
    return row


def change(rt: Runtime, caller: Caller, schedule_id: int, wanted: ScheduleChange) -> ScheduleRow:
    """Change a schedule, pause it or let it go on, and return it. Raises NotFound, InvalidInput.

    Times that were missed during a pause are never made up for, unless `catch_up` is said with its end.
    """
    with rt.db.begin() as tx:
        row = _locked(tx, caller, schedule_id)
        timing = wanted.timing or definition.stored(row.timing)
        target = wanted.target or NewJob(**cast("dict[str, Any]", row.target))
        if wanted.target is not None:
            target = dataclasses.replace(target, project=row.project)
            _check_target(tx, rt, caller, submit.project_of(tx, row.project), target)
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
        row = _locked(tx, caller, schedule_id)
    rt.nudge("schedules")
    return row


def delete(rt: Runtime, caller: Caller, schedule_id: int) -> None:
    """Delete a schedule; the jobs that it made stay. Raises NotFound."""
    with rt.db.begin() as tx:
        _locked(tx, caller, schedule_id)
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
        return firings.page(tx, schedule_id, skipped, limit)


def coming(timing: ScheduleTiming, name: str, now: datetime, count: int = SHOWN) -> ComingTimes:
    """Return the next times of a schedule, and the change of clocks that lies among them or up to a day around."""
    rule = definition.rule(timing, name)
    found = instants.upcoming(rule.times, now, count)
    if not found:
        return ComingTimes(rule=rule)
    near = instants.change_near(
        rule.times.zone,
        max(now, found[0] - timedelta(days=1)),
        min(found[-1], found[0] + timedelta(days=366)) + timedelta(days=1),
    )
    return ComingTimes(found, rule, None if near is None else ClockChange(*near))


def trigger(rt: Runtime, caller: Caller, schedule_id: int, *, force: bool) -> FiringRow:
    """Make a run now, whose time is now; without `force` only if no run is live. Raises NotFound, Conflict."""
    with rt.db.begin() as tx:
        row = _locked(tx, caller, schedule_id)
        rule = definition.rule(definition.stored(row.timing), row.name)
        firings.settle(tx, [row.id])
        taken = [one for one in firings.open_ones(tx, [row.id]) if one.kind is not FiringKind.BACKFILL]
        if not force and len(taken) >= rule.at_once:
            raise Conflict("a run of this schedule is live; with force another is made beside it")
        moment = schedules.now(tx)
        firings.insert(tx, [NewFiring(row.id, moment, FiringKind.TRIGGER.value, "FAILED")])
        firing.start(tx, rt, [row], [(row.id, moment)])
        audit.write(tx, caller.name, "schedule.trigger", f"schedule:{schedule_id}")
        made = next(one for one in firings.page(tx, row.id, 0, 10)[0] if one.nominal == moment)
    rt.nudge("tick")
    return made


def backfill(
    rt: Runtime, caller: Caller, schedule_id: int, wanted: BackfillRequest, *, dry_run: bool
) -> list[datetime]:
    """Let runs be made for past times, so many at once; return these times in their order. Raises NotFound, InvalidInput.

    With `dry_run` nothing is made. They are counted apart from regular runs, and go on through a pause.
    """
    with rt.db.begin() as tx:
        row = _locked(tx, caller, schedule_id)
        rule = definition.rule(definition.stored(row.timing), row.name)
        if wanted.end > schedules.now(tx):
            raise InvalidInput("a backfill is for the past", field="to")
        decided = firings.known(tx, row.id, wanted.start, wanted.end)
        found: list[datetime] = []
        for moment in instants.between(rule.times, wanted.start - timedelta(microseconds=1), wanted.end):
            if moment not in decided:
                found.append(moment)
            elif not wanted.only_missing:
                raise Conflict(
                    f"something was decided of {moment:%Y-%m-%dT%H:%M:%SZ} before: no time fires twice",
                    field="only_missing",
                )
            if len(found) > MOST_FILLED:
                raise InvalidInput(f"a backfill has at most {MOST_FILLED} times; name a shorter span", field="from")
        ordered = found[::-1] if wanted.newest_first else found
        if not dry_run:
            kind = FiringKind.BACKFILL.value
            firings.insert(
                tx,
                [
                    NewFiring(row.id, one, kind, "WAITING", None, wanted.at_once, place)
                    for place, one in enumerate(ordered, 1)
                ],
            )
            audit.write(tx, caller.name, "schedule.backfill", f"schedule:{schedule_id}", detail={"count": len(ordered)})
    rt.nudge("schedules")
    return ordered


def end_backfill(rt: Runtime, caller: Caller, schedule_id: int) -> int:
    """End the backfills of a schedule: what waits is skipped, what runs is cancelled. Return how many of both. Raises NotFound."""
    with rt.db.begin() as tx:
        row = _locked(tx, caller, schedule_id)
        dropped = firings.drop_backfill(tx, row.id, f"the backfill was ended by {caller.name}")
        running = [
            one.job_id
            for one in firings.open_ones(tx, [row.id])
            if one.kind is FiringKind.BACKFILL and one.job_id is not None
        ]
        audit.write(
            tx,
            caller.name,
            "schedule.end-backfill",
            f"schedule:{schedule_id}",
            detail={"count": dropped + len(running)},
        )
    cancel.cancel(rt, running, actor=caller.name, reason="the backfill was ended")
    return dropped + len(running)


def _locked(tx: Connection, caller: Caller, schedule_id: int) -> ScheduleRow:
    row = schedules.lock(tx, schedule_id)
    if row is None or caller.project_id not in {None, row.project_id}:
        raise NotFound(f"there is no schedule {schedule_id}")
    return row


def _following(rule: ScheduleRule, now: datetime) -> datetime | None:
    return instants.after(rule.times, now)


def _check_target(tx: Connection, rt: Runtime, caller: Caller, project: Project, target: NewJob) -> None:
    """Raise what a submission of this job would."""
    for name in _NOT_OF_SCHEDULES:
        if getattr(target, name, None) is not None:
            raise InvalidInput(f"the job of a schedule has no {name}", field=f"job.{name}")
    priorities.check(rt.settings, caller, target.priority, "job.priority")
    try:
        resolve.tried(tx, rt, project, [target])
    except EntryError as error:
        raise error.named(None) from None


def _written(
    caller: Caller,
    project_id: ProjectId,
    name: str,
    timing: ScheduleTiming,
    target: NewJob,
    pause: str | None,
    rule: ScheduleRule,
    following: datetime | None,
) -> NewSchedule:
    assert caller.role is not None, "nodes reach none of this"  # noqa: S101 - checked by the route
    plain = {one.name: getattr(target, one.name) for one in dataclasses.fields(target)}
    empty = {one.name: one.default for one in dataclasses.fields(target)}
    return NewSchedule(
        project_id=project_id,
        name=name,
        timing=timing.document(),
        target=cast("Document", {key: value for key, value in plain.items() if value != empty[key]}),
        is_paused=pause is not None,
        pause_reason=pause,
        next_nominal=following,
        next_at=None if following is None else rule.due_at(following),
        created_by=caller.token_id,
        role=Role(caller.role).name.lower(),
    )
