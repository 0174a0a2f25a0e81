"""What happened to a run as a whole: made, cancelled, begun anew, held, ended. What happened to its jobs is told of each of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from scheduler.store import records


class WorkflowEvent(NamedTuple):
    """One event of a run; `state` is that in which it ended."""

    event: str
    state: str | None
    actor: str | None
    reason: str | None
    at: datetime


_WRITE = text("""
    INSERT INTO workflow_events (workflow_id, event, actor, reason) VALUES (:id, :event, :actor, :reason)
""")

_ENDED = text("""
    INSERT INTO workflow_events (workflow_id, event, state)
    SELECT w.id, 'END', w.state FROM workflows w WHERE w.id = ANY(:ids) ORDER BY w.id
""")

_PAGE = text("""
    SELECT event, state, actor, reason, at FROM workflow_events
    WHERE workflow_id = :id ORDER BY id LIMIT :limit OFFSET :skipped
""")

_COUNT = text("SELECT count(*) FROM workflow_events WHERE workflow_id = :id")


def write(tx: Connection, workflow_id: int, event: str, actor: str | None, reason: str | None = None) -> None:
    """Write that something was done to a run: RUN, CANCEL, RESTART, HOLD, RELEASE or GO_ON."""
    tx.execute(_WRITE, {"id": workflow_id, "event": event, "actor": actor, "reason": reason})


def write_ends(tx: Connection, ids: Sequence[int]) -> None:
    """Write that these runs have ended, each in the state that it has."""
    if ids:
        tx.execute(_ENDED, {"ids": list(ids)})


def page(tx: Connection, workflow_id: int, skipped: int, limit: int) -> tuple[list[WorkflowEvent], int]:
    """Return events of a run, the oldest first, and how many there are."""
    rows = tx.execute(_PAGE, {"id": workflow_id, "skipped": skipped, "limit": limit})
    return records.read_all(WorkflowEvent, rows), int(tx.execute(_COUNT, {"id": workflow_id}).scalar_one())
