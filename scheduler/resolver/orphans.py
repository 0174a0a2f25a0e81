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


@dataclass(slots=True)
class CanceledOrphans:
    """What is left to do after the commit: nodes to tell of cancels, and runs whose jobs are to be cancelled."""

    nodes: set[str] = field(default_factory=set)
    runs: list[int] = field(default_factory=list)


def close(tx: Connection, told: Collection[JobId], found: CanceledOrphans) -> None:
    """Cancel what those of these jobs have submitted that are cancelled now; what that has submitted is told in its turn.

    Jobs that somebody has locked, and those beyond the first thousand, are left for the next round.
    """
    wanted = children.live(tx, told, _AT_ONCE)
    if wanted:
        done = cancel.within(tx, [one.job_id for one in wanted], actor=ACTOR, reason=WHY, wait=False)
        found.nodes.update(done.nodes)
        seen = {*done.result.moved, *done.result.unchanged}
        left = {one.parent_job_id for one in wanted if one.job_id not in seen}
        changes.tell(tx, left | ({one.parent_job_id for one in wanted} if len(wanted) == _AT_ONCE else set()))
    for run in children.live_runs(tx, told):
        workflows.cancel(tx, run, ACTOR, WHY)
        events.write(tx, run, "CANCEL", ACTOR, WHY)
        found.runs.append(run)


def follow_up(rt: Runtime, found: CanceledOrphans) -> None:
    """Tell nodes and begin with the runs; a leader that does not come to it has its nodes' next beats, and its upkeep of runs."""
    rt.ring(sorted(found.nodes))
    for run in found.runs:
        upkeep.cancel_jobs(rt, run, with_finally=False, actor=ACTOR, reason=WHY)
