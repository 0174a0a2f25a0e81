"""Where the jobs of a run stand, by step, and which steps need which, read from the jobs themselves."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from scheduler.identifiers import JobId
from scheduler.store import records

_COUNTS = text("""
    SELECT m.step, CASE WHEN j.is_skipped THEN 'SKIPPED' ELSE j.status END AS stands, count(*) AS jobs, min(m.job_id) AS first,
           min(j.started) AS started, max(j.ended) AS ended
    FROM workflow_jobs m JOIN jobs j ON j.id = m.job_id
    WHERE m.workflow_id = :id AND m.superseded_by IS NULL
    GROUP BY 1, 2
""")

_STEPS = text("SELECT step FROM workflow_jobs WHERE workflow_id = :id GROUP BY step ORDER BY min(job_id)")

_PARENTS = text("""
    SELECT DISTINCT f.step AS follower, p.step AS parent
    FROM workflow_jobs f
    JOIN job_needs n ON n.job_id = f.job_id
    JOIN workflow_jobs p ON p.job_id = n.needs_id AND p.workflow_id = f.workflow_id
    WHERE f.workflow_id = :id AND p.step <> f.step
""")


class StepCount(NamedTuple):
    """How many jobs of a step stand where, the first of them, and from when to when; SKIPPED are told from CANCELED."""

    step: str
    stands: str
    jobs: int
    first: JobId
    started: datetime | None
    ended: datetime | None


def counts(tx: Connection, workflow_id: int) -> list[StepCount]:
    """Return how many jobs of each step stand where."""
    return records.read_all(StepCount, tx.execute(_COUNTS, {"id": workflow_id}))


def parents(tx: Connection, workflow_id: int) -> dict[str, list[str]]:
    """Return the steps, parents first, each with those that it needs."""
    found: dict[str, list[str]] = {step: [] for step in tx.execute(_STEPS, {"id": workflow_id}).scalars()}
    for row in tx.execute(_PARENTS, {"id": workflow_id}):
        found[row.follower].append(row.parent)
    return {step: sorted(needed) for step, needed in found.items()}
