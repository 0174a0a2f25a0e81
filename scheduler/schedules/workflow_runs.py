"""The runs of workflows that are due: each waits as a row, and is made in a transaction of its own, in which the row says so.

A definition is read and checked before, while nothing is locked. Who crashes in between leaves the time waiting, and the next turn makes it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from scheduler.jobs import cancel as job_cancel
from scheduler.runtime import Runtime
from scheduler.schedules import target, told
from scheduler.schedules.target import WorkflowTarget
from scheduler.store.schedules import firings, schedules
from scheduler.store.schedules.firings import OpenFiring
from scheduler.store.schedules.schedules import ScheduleRow
from scheduler.workflows import running, verbs
from scheduler.workflows.running import ReadyWorkflow

LONGEST_S = 5.0
"""So long workflows are made before other schedules have their turn again."""


class DueRun(NamedTuple):
    """A time of a schedule that waits for its workflow to be run."""

    row: ScheduleRow
    nominal: datetime


def make(rt: Runtime, due: Sequence[DueRun]) -> int:
    """Make the workflows of these times, one after the other; return how many are left for the next turn."""
    begun = time.monotonic()
    for number, one in enumerate(due):
        if time.monotonic() - begun > LONGEST_S:
            return len(due) - number
        make_one(rt, one)
    return 0


def make_one(rt: Runtime, due: DueRun) -> None:
    """Make the workflow of a time that waits, unless somebody else has; one that is refused is written with its reason."""
    wanted = target.read(due.row.target)
    assert isinstance(wanted, WorkflowTarget), "of others jobs are made"  # noqa: S101 - promised by the caller
    with rt.db.begin() as tx:
        before = firings.last_completed(tx, [due.row.id]).get(due.row.id)
    variables = told.variables(due.row, due.nominal, before)
    try:
        ready = running.prepare(rt, told.maker(due.row), target.request(wanted, due.row.project, variables))
        is_made = _run(rt, due, ready)
    except told.UNMADE as error:
        _fail(rt, due, told.reason(error, due.row))
        return
    if is_made:
        rt.nudge("tick")


def cancel(rt: Runtime, unwanted: Sequence[OpenFiring], reason: str, actor: str = told.ACTOR) -> None:
    """Cancel what these firings have made. A workflow that is being cancelled goes on with what it runs finally."""
    jobs = [one.job_id for one in unwanted if one.job_id is not None]
    if jobs:
        job_cancel.cancel(rt, jobs, actor=actor, reason=reason)
    for one in unwanted:
        if one.workflow_id is not None:
            verbs.close(rt, one.workflow_id, actor=actor, reason=reason)


def _run(rt: Runtime, due: DueRun, ready: ReadyWorkflow) -> bool:
    with rt.db.begin() as tx:
        if schedules.lock(tx, due.row.id) is None or not firings.take(tx, [(due.row.id, due.nominal)]):
            return False
        made = running.create(tx, rt, told.maker(due.row), ready)
        firings.run(tx, due.row.id, due.nominal, made)
    return True


def _fail(rt: Runtime, due: DueRun, reason: str) -> None:
    with rt.db.begin() as tx:
        if firings.take(tx, [(due.row.id, due.nominal)]):
            firings.failed(tx, [(due.row.id, due.nominal, reason)])
