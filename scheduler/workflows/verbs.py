"""What people do with runs: cancel, restart, hold, release, delete."""

from __future__ import annotations

from scheduler.errors import Conflict
from scheduler.identity import Caller
from scheduler.jobs import hold as job_hold
from scheduler.needs.renew import renew
from scheduler.runtime import Runtime
from scheduler.store.jobs import jobs
from scheduler.store.retention import purge
from scheduler.store.retention.due import ChangedJob
from scheduler.store.workflows import changes, events, workflows
from scheduler.workflows import handlers, lookup, upkeep
from scheduler.workflows.lookup import ShownWorkflow

_PART = 5_000


def cancel(rt: Runtime, caller: Caller, workflow_id: int, *, reason: str | None = None) -> ShownWorkflow:
    """Cancel all of a run that has not ended, but what runs finally; a second cancel stops that, too. Return the run.

    It is closed at once; of a large one the leader goes on cancelling. Raises NotFound, Conflict for one that has ended.
    """
    with rt.db.begin() as tx:
        lookup.one(tx, caller, workflow_id)
        before = changes.lock(tx, workflow_id)
        if before.state is not None:
            raise Conflict(f"the workflow has ended: it is {before.state}")
        workflows.cancel(tx, workflow_id, caller.name, reason)
        events.write(tx, workflow_id, "CANCEL", caller.name, reason)
    why = reason or "its workflow was cancelled"
    upkeep.cancel_jobs(rt, workflow_id, with_finally=before.is_canceled, actor=caller.name, reason=why)
    rt.nudge("tick")
    return lookup.get(rt, caller, workflow_id)


def close(rt: Runtime, workflow_id: int, *, actor: str, reason: str) -> None:
    """Cancel a run in the name of the installation; one that is being cancelled, has ended or is gone stays as it is."""
    with rt.db.begin() as tx:
        before = changes.lock_if_there(tx, workflow_id)
        if before is None or before.state is not None or before.is_canceled:
            return
        workflows.cancel(tx, workflow_id, actor, reason)
        events.write(tx, workflow_id, "CANCEL", actor, reason)
    upkeep.cancel_jobs(rt, workflow_id, with_finally=False, actor=actor, reason=reason)
    rt.nudge("tick")


def restart(rt: Runtime, caller: Caller, workflow_id: int, *, reason: str | None = None) -> ShownWorkflow:
    """Begin anew what failed or was cancelled, and with it what that blocked; what is COMPLETED stays. Return the run.

    What follows an end, whichever, or a failure, and has run already, gets a fresh copy that takes its place. Raises NotFound, Conflict where nothing failed and nothing was cancelled.
    """
    with rt.db.begin() as tx:
        row = lookup.one(tx, caller, workflow_id)
        changes.lock(tx, workflow_id)
        wanted = changes.to_restart(tx, workflow_id)
        if not wanted:
            raise Conflict("nothing of the workflow failed or was cancelled: there is nothing to restart")
        changes.reopen(tx, workflow_id)
        events.write(tx, workflow_id, "RESTART", caller.name, reason)
        handled = handlers.to_copy(tx, row)
        begun = set(wanted) - set(handled)
        renew(tx, list(jobs.lock(tx, sorted(begun)).values()), actor=caller.name, reason=reason)
        handlers.copy(tx, row, handled)
    rt.nudge("tick")
    return lookup.get(rt, caller, workflow_id)


def hold(rt: Runtime, caller: Caller, workflow_id: int, *, held: bool, reason: str | None = None) -> ShownWorkflow:
    """Hold all jobs of a run that have not started, or release them; return the run. Raises NotFound."""
    with rt.db.begin() as tx:
        lookup.one(tx, caller, workflow_id)
        changes.hold(tx, workflow_id, held=held)
        events.write(tx, workflow_id, "HOLD" if held else "RELEASE", caller.name, reason)
    after = 0
    while True:
        with rt.db.begin() as tx:
            ids = changes.job_ids(tx, workflow_id, after=after, limit=_PART)
        if not ids:
            break
        after = ids[-1]
        act = job_hold.hold if held else job_hold.release
        act(rt, ids, actor=caller.name, reason=reason or ("its workflow is held" if held else None))
    return lookup.get(rt, caller, workflow_id)


def delete(rt: Runtime, caller: Caller, workflow_id: int) -> None:
    """Delete a run that has ended, with its jobs; files that they made stay. Raises NotFound, Conflict.

    A job that another one waits for, that is pinned, or whose processes are not dead yet, keeps the run.
    """
    with rt.db.begin() as tx:
        row = lookup.one(tx, caller, workflow_id)
        if changes.lock(tx, workflow_id).state is None:
            raise Conflict("the workflow has not ended; cancel it first")
    while True:
        with rt.db.begin() as tx:
            left = changes.to_purge(tx, workflow_id, _PART)
            if not left:
                changes.delete(tx, workflow_id)
                return
            if not purge.jobs(tx, row.project_id, [ChangedJob(*job) for job in left]).count:
                raise Conflict(
                    f"job {left[0].id} of the workflow is kept: another job waits for it, it is pinned, or it is being stopped"
                )
