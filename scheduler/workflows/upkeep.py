"""Upkeep of runs by the leader: their end is noticed, a failure stops what is to stop, and a cancel goes on until all is ended."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection

from scheduler.identifiers import JobId
from scheduler.jobs import cancel
from scheduler.rules.workflow.state import state_of
from scheduler.runtime import Runtime
from scheduler.store.workflows import changes, events, workflows

ACTOR = "scheduler"
CANCELED_AT_ONCE = 1_000
"""Jobs that one transaction cancels; a cancel of more goes on with the leader's next turns."""

_DUE_AT_ONCE = 50
_PATIENCE_S = 600.0
"""After which a run that was never written in full is taken away: whoever wrote it is gone."""


def finish(tx: Connection, job_ids: Collection[JobId]) -> list[int]:
    """Mark the runs of these jobs as ended where nothing of them moves any more; revive those that began anew.

    Return the runs of the jobs, which may have something to stop.
    """
    ids = workflows.of_jobs(tx, job_ids)
    if ids:
        for one in changes.revive(tx, ids):
            events.write(tx, one, "GO_ON", ACTOR, "a job of it began anew")
        _mark(tx, ids)
    return ids


def stop_failed(rt: Runtime, ids: Collection[int]) -> int:
    """Cancel what has not started in those of these runs that stop at a failure and have one; return how many jobs."""
    with rt.db.begin() as tx:
        wanted = changes.to_stop(tx, ids, CANCELED_AT_ONCE) if ids else []
    if not wanted:
        return 0
    reason = "another job of its workflow failed"
    return len(cancel.cancel(rt, wanted, actor=ACTOR, reason=reason).moved)


def turn(rt: Runtime) -> int:
    """Go on with what is being cancelled, cancel what is over its time, and undo what was never written; return how many runs."""
    with rt.db.begin() as tx:
        due = changes.due(tx, _PATIENCE_S, _DUE_AT_ONCE)
    for one in due:
        if one.is_open:
            with rt.db.begin() as tx:
                changes.undo(tx, one.id)
            continue
        if one.is_late and not one.is_canceled:
            why = f"it was not done within {one.timeout_s} s"
            with rt.db.begin() as tx:
                workflows.cancel(tx, one.id, ACTOR, why)
                events.write(tx, one.id, "CANCEL", ACTOR, why)
        cancel_jobs(rt, one.id, with_finally=False, actor=ACTOR, reason="its workflow was cancelled")
        with rt.db.begin() as tx:
            _mark(tx, [one.id])
    return len(due)


def cancel_jobs(rt: Runtime, workflow_id: int, *, with_finally: bool, actor: str, reason: str | None) -> int:
    """Cancel up to 1,000 jobs of a run that have not ended, parents first; return how many."""
    with rt.db.begin() as tx:
        wanted = workflows.to_cancel(tx, workflow_id, CANCELED_AT_ONCE, with_finally=with_finally)
    return len(cancel.cancel(rt, wanted, actor=actor, reason=reason).moved) if wanted else 0


def _mark(tx: Connection, ids: Collection[int]) -> None:
    resting = workflows.at_rest(tx, ids)
    if not resting:
        return
    canceled = workflows.canceled(tx, resting)
    ended = [
        (one, state_of(found.counts, is_canceled=one in canceled), found.started, found.ended)
        for one, found in workflows.counts(tx, resting).items()
        if not found.counts.live
    ]
    marked = workflows.mark_ended(tx, [(one, str(state), started, at) for one, state, started, at in ended])
    events.write_ends(tx, sorted(marked))
