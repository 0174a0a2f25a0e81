"""Renew: a job that has ended begins anew, and waits for its needs again."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from scheduler.identifiers import JobId
from scheduler.rules.lifecycle.moves import JobEvent
from scheduler.store.jobs import jobs, requeues


def renew(tx: Connection, locked: Sequence[jobs.LockedJob], *, actor: str, reason: str | None = None) -> list[JobId]:
    """Bring FAILED and CANCELED jobs, whose rows the caller has locked, to PENDING with new tries; return those that moved.

    The resolver judges them with its next turn.
    """
    if not locked:
        return []
    tries = requeues.allowed_tries(tx, [job.id for job in locked])
    steps = [jobs.JobMove(job.id, job.attempt, max_tries=tries[job.id], reason=reason) for job in locked]
    return jobs.move(tx, JobEvent.RENEW, steps, actor)
