"""What was aged out: whether there was such a job, and how much it has been."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from scheduler.identifiers import JobId, ProjectId
from scheduler.store import records


@dataclass(frozen=True, slots=True)
class PurgedAmount:
    """How much of one kind (`jobs`, `output` of executions, `files`) of a project was aged out, and when last."""

    project_id: ProjectId
    what: str
    count: int
    size: int
    last: datetime


_WHEN = text("""
    SELECT at FROM purges
    WHERE ids IS NOT NULL
      AND (CAST(:project_id AS bigint) IS NULL OR project_id = :project_id)
      AND lower(ids) <= :job_id AND ids @> CAST(:job_id AS bigint)
    LIMIT 1
""")

_AMOUNTS = text("""
    SELECT project_id, what, sum(count)::bigint AS count, sum(bytes)::bigint AS size, max(at) AS last
    FROM purges
    GROUP BY project_id, what
    ORDER BY project_id, what
""")


def when(tx: Connection, job_id: JobId, *, project_id: ProjectId | None) -> datetime | None:
    """Return when a job was aged out; None when there was none of this id, or none in this project."""
    return tx.execute(_WHEN, {"job_id": job_id, "project_id": project_id}).scalar()


def amounts(tx: Connection) -> Sequence[PurgedAmount]:
    """Return how much was aged out of each project since it began."""
    return records.read_all(PurgedAmount, tx.execute(_AMOUNTS))
