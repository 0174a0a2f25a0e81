"""What a run was given, and where the jobs of its steps stand that a later run would borrow."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from sqlalchemy import Connection, text

from scheduler.documents import Document, JobResults
from scheduler.identifiers import JobId
from scheduler.store import records

_GIVEN = text("SELECT given FROM workflows WHERE id = :id")

# A run that was itself a rerun has no jobs of the steps that it borrowed: they are those of the run before, and so on.
_STEPS = text("""
    WITH RECURSIVE runs AS (
        SELECT id, rerun_of, 0 AS depth FROM workflows WHERE id = :id
        UNION ALL
        SELECT w.id, w.rerun_of, r.depth + 1 FROM runs r JOIN workflows w ON w.id = r.rerun_of WHERE r.depth < 1000
    ), nearest AS (
        SELECT m.step, min(r.depth) AS depth FROM runs r JOIN workflow_jobs m ON m.workflow_id = r.id
        WHERE m.step = ANY(:steps) GROUP BY m.step
    )
    SELECT m.step, j.id AS job_id, j.status, j.is_skipped, m.allow_failure, m.member IS NOT NULL AS is_member,
           (SELECT max(g.group_id) FROM group_members g JOIN job_groups o ON o.id = g.group_id
            WHERE g.job_id = j.id AND o.name = m.step) AS group_id
    FROM nearest n
    JOIN runs r ON r.depth = n.depth
    JOIN workflow_jobs m ON m.workflow_id = r.id AND m.step = n.step AND m.superseded_by IS NULL
    JOIN jobs j ON j.id = m.job_id
    ORDER BY j.id
""")

_RESULTS = text("SELECT job_id, results FROM job_specs WHERE job_id = ANY(:ids) AND results IS NOT NULL")


class LentJob(NamedTuple):
    """A job of a run that another one would borrow, with the group of its step if that is several jobs."""

    step: str
    job_id: JobId
    status: str
    is_skipped: bool
    allow_failure: bool
    is_member: bool
    group_id: int | None


def given(tx: Connection, workflow_id: int) -> Document:
    """Return what a run was given beside its inputs: `parameters`, `assets`, `priority`."""
    found: Document = tx.execute(_GIVEN, {"id": workflow_id}).scalar_one()
    return found


def steps(tx: Connection, workflow_id: int, names: Collection[str]) -> list[LentJob]:
    """Return the jobs of these steps of a run, or of the runs that it borrowed them from."""
    return records.read_all(LentJob, tx.execute(_STEPS, {"id": workflow_id, "steps": sorted(names)}))


def results(tx: Connection, ids: Collection[JobId]) -> Mapping[JobId, JobResults]:
    """Return what these jobs have made."""
    return {row.job_id: row.results for row in tx.execute(_RESULTS, {"ids": sorted(ids)})} if ids else {}
