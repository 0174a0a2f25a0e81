"""Ready: a job goes to the queue. Its needs are satisfied and its time has come; the last of the two to happen fires this."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from scheduler.identifiers import JobId
from scheduler.rules.lifecycle.moves import JobEvent
from scheduler.store.jobs import jobs


def ready(tx: Connection, steps: Sequence[jobs.JobMove]) -> list[JobId]:
    """Queue PENDING jobs, whose rows the caller has locked; return those that moved."""
    return jobs.move(tx, JobEvent.READY, steps, "scheduler")
