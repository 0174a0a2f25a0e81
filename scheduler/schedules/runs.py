"""Runs of a schedule that people ask for: one now, or one for each of its times that are past."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from scheduler.errors import Conflict, InvalidInput
from scheduler.identity import Caller
from scheduler.rules.schedule import instants
from scheduler.rules.schedule.overlap import FiringKind
from scheduler.runtime import Runtime
from scheduler.schedules import definition, firing, schedules, workflow_runs
from scheduler.schedules import target as targets
from scheduler.schedules.workflow_runs import DueRun
from scheduler.store.admin import audit
from scheduler.store.schedules import firings
from scheduler.store.schedules import schedules as rows
from scheduler.store.schedules.firings import FiringRow, NewFiring

MOST_FILLED = 1_000
"""Most times of one backfill."""


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


def trigger(rt: Runtime, caller: Caller, schedule_id: int, *, force: bool) -> FiringRow:
    """Make a run now, whose time is now; without `force` only if no run is live. Raises NotFound, Conflict."""
    with rt.db.begin() as tx:
        row = schedules.locked(tx, caller, schedule_id)
        rule = definition.rule(definition.stored(row.timing), row.name)
        firings.settle(tx, [row.id])
        taken = [one for one in firings.open_ones(tx, [row.id]) if one.kind is not FiringKind.BACKFILL]
        if not force and len(taken) >= rule.at_once:
            raise Conflict("a run of this schedule is live; with force another is made beside it")
        moment = rows.now(tx)
        is_slow = targets.is_workflow(row.target)
        firings.insert(tx, [NewFiring(row.id, moment, FiringKind.TRIGGER.value, "WAITING" if is_slow else "FAILED")])
        if not is_slow:
            firing.start(tx, rt, [row], [(row.id, moment)])
        audit.write(tx, caller.name, "schedule.trigger", f"schedule:{schedule_id}")
    if is_slow:
        workflow_runs.make_one(rt, DueRun(row, moment))
    rt.nudge("tick")
    with rt.db.begin() as tx:
        made = [one for one in firings.page(tx, row.id, 0, 10)[0] if one.nominal == moment]
        return schedules.with_states(tx, made)[0]


def backfill(
    rt: Runtime, caller: Caller, schedule_id: int, wanted: BackfillRequest, *, dry_run: bool
) -> list[datetime]:
    """Let runs be made for past times, so many at once; return these times in their order. Raises NotFound, InvalidInput.

    With `dry_run` nothing is made. They are counted apart from regular runs, and go on through a pause.
    """
    with rt.db.begin() as tx:
        row = schedules.locked(tx, caller, schedule_id)
        rule = definition.rule(definition.stored(row.timing), row.name)
        if wanted.end > rows.now(tx):
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
        row = schedules.locked(tx, caller, schedule_id)
        dropped = firings.drop_backfill(tx, row.id, f"the backfill was ended by {caller.name}")
        running = [
            one for one in firings.open_ones(tx, [row.id]) if one.kind is FiringKind.BACKFILL and one.outcome == "LIVE"
        ]
        audit.write(
            tx,
            caller.name,
            "schedule.end-backfill",
            f"schedule:{schedule_id}",
            detail={"count": dropped + len(running)},
        )
    workflow_runs.cancel(rt, running, "the backfill was ended", caller.name)
    return dropped + len(running)
