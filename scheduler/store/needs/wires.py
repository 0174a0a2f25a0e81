"""Which types the parents are of whose outputs a job takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, text

from scheduler.identifiers import JobId, RevisionId
from scheduler.store import records

# Of a group the first member stands for all.
_PARENTS = text("""
    SELECT n.job_id, n.position, n.group_id IS NOT NULL AND NOT n.any_member AS is_several, p.revision_id
    FROM job_needs n
    LEFT JOIN LATERAL (
        SELECT m.job_id FROM group_members m WHERE m.group_id = n.group_id ORDER BY m.position LIMIT 1
    ) AS m ON n.group_id IS NOT NULL
    JOIN jobs p ON p.id = COALESCE(m.job_id, n.needs_id)
    WHERE n.job_id = ANY(:ids) AND n.wires
""")


class WiredParent(NamedTuple):
    """The parent that a need of a job is for, by its place: its revision, and whether there are several of them."""

    job_id: JobId
    position: int
    is_several: bool
    revision_id: RevisionId


def parents(tx: Connection, ids: Sequence[JobId]) -> list[WiredParent]:
    """Return the parents whose outputs these jobs take."""
    return records.read_all(WiredParent, tx.execute(_PARENTS, {"ids": list(ids)})) if ids else []
