"""Requeue: by an operator's decision, jobs that failed or were cancelled start a new round with new tries."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import Connection

from scheduler.identifiers import JobId
from scheduler.needs.renew import renew
from scheduler.rules.lifecycle.moves import JobEvent, allows
from scheduler.runtime import Runtime
from scheduler.store.jobs import jobs, requeues
from scheduler.store.needs import verdicts
from scheduler.store.uploads import inputs, uploads


def requeue(
    rt: Runtime, job_ids: Sequence[JobId], *, actor: str, reason: str | None = None, priority: int | None = None
) -> list[int]:
    """Queue FAILED and CANCELED jobs again; return their ids. Other jobs do not change.

    Those whose needs are not satisfied, or were not, are PENDING until the resolver has judged them.
    One transaction. Each job gets as many new tries as it had at first, its own number or its type's. What it
    asked for still holds: it waits until its `not_before`, and it waits while it is held. A job whose last execution still runs (because it
    was cancelled a moment ago) waits in the queue until that execution is dead. `priority` is the new priority of the jobs.
    A job that never got an input that it awaits is PENDING_UPLOAD again.
    """
    with rt.db.begin() as tx:
        locked = jobs.lock(tx, job_ids)
        again = [job for job in locked.values() if allows(JobEvent.REQUEUE, job.status)]
        waiting = verdicts.unsatisfied(tx, [job.id for job in again])
        awaiting = uploads.awaiting(tx, [job.id for job in again])
        ready = [job for job in again if job.id not in waiting | awaiting]
        tries = requeues.allowed_tries(tx, [job.id for job in again])
        steps = [jobs.JobMove(job.id, job.attempt, max_tries=tries[job.id], reason=reason) for job in again]
        fresh = {job.id for job in ready}
        moved = jobs.move(tx, JobEvent.REQUEUE, [step for step in steps if step.job_id in fresh], actor)
        moved += renew(tx, [job for job in again if job.id in waiting - awaiting], actor=actor, reason=reason)
        moved += _await(tx, rt, [step for step in steps if step.job_id in awaiting], actor)
        if moved and priority is not None:
            requeues.set_priority(tx, moved, priority)
    if moved:
        rt.nudge("tick")
    return sorted(moved)


def _await(tx: Connection, rt: Runtime, steps: Sequence[jobs.JobMove], actor: str) -> list[JobId]:
    """Let jobs await once more what never came."""
    moved = jobs.move(tx, JobEvent.AWAIT, steps, actor)
    if moved:
        uploads.renew(tx, moved, rt.now() + timedelta(seconds=rt.settings.upload_wait_s))
        inputs.set_messages(tx, [(job_id, None) for job_id in moved])
    return moved
