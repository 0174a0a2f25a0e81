"""Events that are no move: things done to a job that leave its status as it is."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, text

from scheduler.identifiers import JobId

_RECORD = text("""
    INSERT INTO events (job_id, event, "from", "to", attempt, actor, reason)
    SELECT id, :event, status, status, attempt, :actor, :reason
    FROM jobs
    WHERE id = ANY(:ids)
""")


def record(tx: Connection, ids: Sequence[JobId], event: str, *, actor: str, reason: str | None) -> None:
    """Write one event row per job, from its status to the same."""
    if ids:
        tx.execute(_RECORD, {"ids": list(ids), "event": event, "actor": actor, "reason": reason})
