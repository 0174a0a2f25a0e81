"""Orphans: when a job is cancelled, so is all that it has submitted, in the transaction that notices."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from sqlalchemy import Connection

from scheduler.identifiers import JobId
from scheduler.jobs import cancel
from scheduler.runtime import Runtime
from scheduler.store.needs import changes, children
from scheduler.store.workflows import events, workflows
from scheduler.workflows import upkeep

ACTOR = "scheduler"
WHY = "the job that submitted it was cancelled"

_AT_ONCE = 1_000
"""Most of one turn: one job may have submitted 100,000, and placing is not kept waiting by its cancel."""


@dataclass(slots=True)
class CanceledOrphans:
    """What is left to do after the commit: nodes to tell of cancels, and runs whose jobs are to be cancelled."""

    nodes: set[str] = field(default_factory=set)
    runs: list[int] = field(default_factory=list)
    is_full: bool = False
    """Some are left for the next turn."""


def close(tx: Connection, told: Collection[JobId], found: CanceledOrphans) -> None:
    """Cancel what those of these jobs have submitted that are cancelled now; what that has submitted is told in its turn.

    What somebody has locked, and what is beyond a thousand, is left for the next turn.
    """
    wanted = children.live(tx, told, _AT_ONCE)
    runs = children.live_runs(tx, told, _AT_ONCE)
    seen: set[JobId] = set()
    if wanted:
        done = cancel.within(tx, [one.job_id for one in wanted], actor=ACTOR, reason=WHY, wait=False)
        found.nodes.update(done.nodes)
        seen = {*done.result.moved, *done.result.unchanged}
    locked = set(children.lock_runs(tx, [one.workflow_id for one in runs]))
    for run in sorted(locked):
        workflows.cancel(tx, run, ACTOR, WHY)
        events.write(tx, run, "CANCEL", ACTOR, WHY)
        found.runs.append(run)
    left = {one.parent_job_id for one in wanted if one.job_id not in seen or len(wanted) == _AT_ONCE}
    left |= {one.parent_job_id for one in runs if one.workflow_id not in locked or len(runs) == _AT_ONCE}
    if left:
        changes.tell(tx, left)
        found.is_full = True


def follow_up(rt: Runtime, found: CanceledOrphans) -> None:
    """Tell nodes and begin with the runs; a leader that does not come to it has its nodes' next beats, and its upkeep of runs."""
    rt.ring(sorted(found.nodes))
    for run in found.runs:
        upkeep.cancel_jobs(rt, run, with_finally=False, actor=ACTOR, reason=WHY)
