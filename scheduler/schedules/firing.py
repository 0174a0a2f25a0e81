"""Firing: the leader's turn of schedules. What is due is decided, written and made in one transaction.

The row of a time is written first, and its key is schedule and time: whoever comes second, another leader or a repeat after a crash, finds
it there and makes nothing. The database's clock says what is due; should it jump back, nothing fires twice, and a jump ahead is as downtime.
Times of workflows wait until `workflow_runs` makes each in a transaction of its own: to check a definition takes longer than a turn may.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Connection

from scheduler.jobs import submit
from scheduler.jobs.new_job import NewJob
from scheduler.jobs.submit import Submission
from scheduler.rules.schedule import overlap
from scheduler.rules.schedule.overlap import FiringKind, ScheduleDecision
from scheduler.runtime import Runtime
from scheduler.schedules import definition, target, told, workflow_runs
from scheduler.schedules.workflow_runs import DueRun
from scheduler.store.schedules import firings, schedules
from scheduler.store.schedules.firings import NewFiring, OpenFiring
from scheduler.store.schedules.schedules import ScheduleRow

AT_ONCE = 500
"""Schedules of one transaction."""

LONGEST_S, SHORTEST_S = 1.0, 0.02
QUIET_S = 10.0
"""The longest pause while no time waits for its turn: who changes a schedule nudges."""

When = tuple[int, datetime]
"""A schedule and one of its times."""


@dataclass(frozen=True, slots=True)
class ScheduleTurn:
    """What a turn has left: the last schedule that it looked at, None at the end, and times whose workflows are to be run."""

    last: int | None
    runs: Sequence[DueRun] = ()


def step(rt: Runtime) -> float:
    """Let everything that is due fire, and return the seconds until the next turn."""
    found, runs = turn(rt), list[DueRun]()
    while found.last is not None:
        runs += found.runs
        found = turn(rt, found.last)
    left_over = workflow_runs.make(rt, [*runs, *found.runs])
    with rt.db.begin() as tx:
        following, now, waits = schedules.next_due(tx), schedules.now(tx), firings.any_waits(tx)
    longest = LONGEST_S if waits else QUIET_S
    left = longest if following is None else (following - now).total_seconds()
    return SHORTEST_S if left_over else min(max(left, SHORTEST_S), longest)


def turn(rt: Runtime, after: int = 0) -> ScheduleTurn:
    """Look at schedules behind the id `after` that are due, or of which something waits; return what is left to do.

    One transaction, safe to repeat.
    """
    unwanted: list[OpenFiring] = []
    with rt.db.begin() as tx:
        rows = schedules.due(tx, after, AT_ONCE)
        if not rows:
            return ScheduleTurn(None)
        ids = [row.id for row in rows]
        firings.settle(tx, ids)
        standing: dict[int, list[OpenFiring]] = defaultdict(list)
        for one in firings.open_ones(tx, ids):
            standing[one.schedule_id].append(one)
        rows = _pause_failing(tx, rows)
        now = schedules.now(tx)
        decisions = {row.id: _decide(row, now, standing[row.id]) for row in rows}
        slow = {row.id: row for row in rows if target.is_workflow(row.target)}
        due = _of_backfills(standing)
        made = _write(tx, decisions, slow) | firings.take(tx, [one for one in due if one[0] not in slow])
        start(tx, rt, rows, sorted(made))
        _advance(tx, rows, decisions)
        for schedule_id, decision in decisions.items():
            if decision.cancel_live:
                unwanted += [one for one in standing[schedule_id] if _is_regular(one)]
    workflow_runs.cancel(rt, unwanted, "a newer run of its schedule is due")
    if made:
        rt.nudge("tick")
    fired = [(key, one) for key in slow for one, _ in decisions[key].fire]
    runs = [DueRun(slow[key], one) for key, one in sorted([*fired, *(one for one in due if one[0] in slow)])]
    return ScheduleTurn(rows[-1].id if len(rows) == AT_ONCE else None, runs)


def start(tx: Connection, rt: Runtime, rows: Sequence[ScheduleRow], made: Sequence[When]) -> None:
    """Make the jobs of these times, whose rows are there, and write which; a job that is refused is written with its reason."""
    by_id = {row.id: row for row in rows}
    before = firings.last_completed(tx, sorted({schedule_id for schedule_id, _ in made})) if made else {}
    groups: dict[tuple[str, str, int], list[When]] = defaultdict(list)
    for when in made:
        row = by_id[when[0]]
        groups[row.project, row.role, row.created_by].append(when)
    for several in groups.values():
        _submit(tx, rt, by_id, several, before)


def _submit(
    tx: Connection,
    rt: Runtime,
    by_id: Mapping[int, ScheduleRow],
    several: Sequence[When],
    before: Mapping[int, datetime],
) -> None:
    """Make the jobs of one project and one maker at once; where one of them is refused, each by itself."""
    rows = [by_id[schedule_id] for schedule_id, _ in several]
    jobs = [NewJob(**cast("dict[str, Any]", {**row.target, "project": row.project})) for row in rows]
    caller = told.maker(rows[0])
    try:
        with tx.begin_nested():
            ids = submit.create(tx, rt, caller, Submission(jobs))
    except told.UNMADE as error:
        if len(several) == 1:
            firings.failed(tx, [(*several[0], told.reason(error, rows[0]))])
            return
        for when in several:
            _submit(tx, rt, by_id, [when], before)
        return
    variables = [
        told.as_json(row, nominal, before.get(row.id)) for row, (_, nominal) in zip(rows, several, strict=True)
    ]
    firings.started(tx, [(*when, job_id) for when, job_id in zip(several, ids, strict=True)], variables)


def _decide(row: ScheduleRow, now: datetime, standing: Sequence[OpenFiring]) -> ScheduleDecision:
    regular = [one for one in standing if _is_regular(one)]
    waiting = [(one.nominal, one.kind) for one in regular if one.outcome == "WAITING"]
    rule = definition.rule(definition.stored(row.timing), row.name)
    first = None if row.is_paused else row.next_nominal
    decision = overlap.decide(rule, first, now, len(regular) - len(waiting), [] if row.is_paused else waiting)
    if row.is_paused:
        decision.following = row.next_nominal
    return decision


def _is_regular(one: OpenFiring) -> bool:
    return one.kind is not FiringKind.BACKFILL


def _write(tx: Connection, decisions: Mapping[int, ScheduleDecision], slow: Collection[int]) -> set[When]:
    """Write what becomes of each time; return those whose jobs are to be made now. Those of the `slow` wait."""
    new: list[NewFiring] = []
    waited: list[When] = []
    for schedule_id, decision in decisions.items():
        new += [
            NewFiring(schedule_id, one, FiringKind.REGULAR.value, "SKIPPED", reason) for one, reason in decision.skip
        ]
        new += [NewFiring(schedule_id, one, kind.value, "WAITING") for one, kind in decision.wait]
        outcome = "WAITING" if schedule_id in slow else "FAILED"
        new += [NewFiring(schedule_id, one, kind.value, outcome) for one, kind in decision.fire]
        waited += [] if schedule_id in slow else [(schedule_id, one) for one, _ in decision.fire]
    firings.skip(tx, [(key, one, overlap.REPLACED) for key, decision in decisions.items() for one in decision.replaced])
    fresh = firings.insert(tx, new)
    mine = set(waited)
    return (fresh & mine) | firings.take(tx, sorted(mine - fresh))


def _of_backfills(standing: Mapping[int, Sequence[OpenFiring]]) -> list[When]:
    """Return the times of backfills that there is room for."""
    found: list[When] = []
    for schedule_id, several in standing.items():
        own = [one for one in several if one.kind is FiringKind.BACKFILL]
        live = sum(one.outcome == "LIVE" for one in own)
        for one in own:
            if one.outcome == "WAITING" and live < (one.at_once or 1):
                found.append((schedule_id, one.nominal))
                live += 1
    return found


def _advance(tx: Connection, rows: Sequence[ScheduleRow], decisions: Mapping[int, ScheduleDecision]) -> None:
    moved = []
    for row in rows:
        following = decisions[row.id].following
        if following != row.next_nominal:
            rule = definition.rule(definition.stored(row.timing), row.name)
            moved.append((row.id, following, None if following is None else rule.due_at(following)))
    schedules.advance(tx, moved)


def _pause_failing(tx: Connection, rows: Sequence[ScheduleRow]) -> list[ScheduleRow]:
    """Pause the schedules whose newest runs have all failed, as many as each of them bears; return the rows as they are then."""
    bears = {row.id: most for row in rows if (most := definition.stored(row.timing).pause_after_failures) is not None}
    failing = set(firings.failures(tx, bears)) - {row.id for row in rows if row.is_paused}
    schedules.pause(tx, sorted(failing), "its newest runs have all failed")
    return [row._replace(is_paused=True) if row.id in failing else row for row in rows]
