"""Pins: jobs that users keep, whatever the limits say."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, text

from scheduler.identifiers import JobId

_PIN = text("""
    UPDATE jobs SET is_pinned = :pinned, last_modified = now()
    WHERE id = ANY(:ids) AND is_pinned <> :pinned
    RETURNING id
""")


def pin(tx: Connection, ids: Sequence[JobId], *, pinned: bool) -> list[JobId]:
    """Set or clear the pin of jobs, whatever their status; return the ids whose pin changed. Their age counts from now."""
    return list(tx.execute(_PIN, {"ids": list(ids), "pinned": pinned}).scalars())
