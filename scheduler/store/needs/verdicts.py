"""Looking at needs: which are not satisfied, what the sweep finds overlooked, and which parents a job waits for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, text

from scheduler.identifiers import JobId
from scheduler.store import records
from scheduler.store.needs import truth

_UNSATISFIED = text("""
    SELECT DISTINCT job_id FROM job_needs WHERE job_id = ANY(:ids) AND settled IS DISTINCT FROM 'OK'
""")

# What a change of was told is the resolver's, which has not come to it yet. A need for a start stays satisfied when the
# parent goes back to the queue.
_TOLD = "EXISTS (SELECT FROM need_changes c WHERE c.job_id = {job})"
OVERLOOKED = f"""
    SELECT n.needs_id AS id, 'needed by job ' || n.job_id AS detail
    FROM job_needs n
    JOIN jobs f ON f.id = n.job_id AND f.status IN ('PENDING', 'BLOCKED')
    CROSS JOIN LATERAL (SELECT p.id, {truth.STATE} AS state FROM jobs p WHERE p.id = n.needs_id OFFSET 0) AS p
    WHERE n.group_id IS NULL
      AND n.settled IS DISTINCT FROM ({truth.EFFECT})
      AND NOT (n.after = 'START' AND n.settled = 'OK')
      AND NOT {_TOLD.format(job="n.needs_id")}
    UNION ALL
    SELECT j.id, 'stands at ' || j.status || ', its needs say ' || v.verdict
    FROM jobs j
    CROSS JOIN LATERAL (SELECT {truth.VERDICT} AS verdict) AS v
    WHERE j.status IN ('PENDING', 'BLOCKED')
      AND EXISTS (SELECT FROM job_needs n WHERE n.job_id = j.id)
      AND (j.status = 'PENDING' AND v.verdict <> 'WAIT' AND NOT (v.verdict = 'READY' AND j.not_before > now())
           OR j.status = 'BLOCKED' AND v.verdict <> 'BLOCK')
      AND NOT {_TOLD.format(job="j.id")}
      AND NOT EXISTS (SELECT FROM job_needs n JOIN need_changes c ON c.job_id = n.needs_id WHERE n.job_id = j.id)
"""  # noqa: S608 - our own text
"""Jobs whose standing has not reached those that need them, and jobs that do not stand where their needs put them."""

_OVERLOOKED = text(f"SELECT DISTINCT id FROM ({OVERLOOKED}) AS found LIMIT :limit")  # noqa: S608 - our own text

_OPEN_NEEDS = text("""
    SELECT n.position, n.needs_id, n.group_id, n.after, n.any_member, n.tolerate, n.settled, n.wires,
           p.status, p.is_skipped, p.name, e.title AS error, q.message, g.name AS group_name,
           m.size, m.left, m.bad
    FROM job_needs n
    LEFT JOIN jobs p ON p.id = n.needs_id AND n.group_id IS NULL
    LEFT JOIN job_specs q ON q.job_id = p.id
    LEFT JOIN errors e ON e.id = p.error_id
    LEFT JOIN job_groups g ON g.id = n.group_id
    LEFT JOIN LATERAL (
        SELECT count(*) AS size, count(*) FILTER (WHERE outcome IS NULL OR outcome = 'STARTED') AS left,
               count(*) FILTER (WHERE outcome IN ('FAILED', 'CANCELED', 'UNSTARTED', 'BLOCKED')) AS bad
        FROM group_members WHERE group_id = n.group_id
    ) AS m ON n.group_id IS NOT NULL
    WHERE n.job_id = :id AND n.settled IS DISTINCT FROM 'OK'
    ORDER BY n.settled NULLS LAST, n.position
    LIMIT :limit
""")

# Along what is broken, each step to the first parent that ended badly, until one that was not blocked itself.
_CULPRIT = text("""
    WITH RECURSIVE up AS (
        SELECT CAST(:id AS bigint) AS id, 0 AS depth
        UNION ALL
        SELECT b.id, up.depth + 1
        FROM up
        CROSS JOIN LATERAL (
            SELECT COALESCE(m.job_id, n.needs_id) AS id
            FROM job_needs n
            LEFT JOIN group_members m ON m.group_id = n.group_id
                 AND m.outcome IN ('FAILED', 'CANCELED', 'UNSTARTED', 'BLOCKED')
            WHERE n.job_id = up.id AND n.settled = 'BROKEN' AND (n.group_id IS NULL OR m.job_id IS NOT NULL)
            ORDER BY m.outcome = 'BLOCKED' NULLS FIRST, n.position, m.position
            LIMIT 1
        ) AS b
        WHERE up.depth < 10000
    )
    SELECT j.id, j.name, j.status, e.name AS error, e.title AS error_title, q.message, up.depth
    FROM up
    JOIN jobs j ON j.id = up.id
    LEFT JOIN job_specs q ON q.job_id = j.id
    LEFT JOIN errors e ON e.id = j.error_id
    WHERE up.depth > 0
    ORDER BY up.depth DESC
    LIMIT 1
""")


# Needs of a job of a workflow for jobs of another one: what a rerun has borrowed.
_BORROWED = text("""
    SELECT n.needs_id AS id, m.step, m.workflow_id, n.group_id IS NOT NULL AS is_group, p.status, n.settled
    FROM job_needs n
    JOIN jobs j ON j.id = n.job_id
    JOIN workflow_jobs m ON m.job_id = n.needs_id AND m.workflow_id <> j.workflow_id
    JOIN jobs p ON p.id = n.needs_id
    WHERE n.job_id = :id
    ORDER BY n.position
    LIMIT :limit
""")


class BorrowedNeed(NamedTuple):
    """A need for a job of an earlier run, or for all jobs of a step of it: the job (the last of them), its step, and that run."""

    id: JobId
    step: str
    workflow_id: int
    is_group: bool
    status: str
    settled: str | None


class OpenNeed(NamedTuple):
    """A need that is not satisfied, with its parent or its group; `left` members have not ended, and `bad` ended badly."""

    position: int
    needs_id: JobId
    group_id: int | None
    after: str
    any_member: bool
    tolerate: int
    settled: str | None
    wires: bool
    status: str | None
    is_skipped: bool | None
    name: str | None
    error: str | None
    message: str | None
    group_name: str | None
    size: int | None
    left: int | None
    bad: int | None


class CulpritJob(NamedTuple):
    """The job at the root of what blocks another, and how many steps it is away."""

    id: JobId
    name: str | None
    status: str
    error: str | None
    error_title: str | None
    message: str | None
    depth: int


def unsatisfied(tx: Connection, ids: Sequence[JobId]) -> set[JobId]:
    """Return those of these jobs of which a need is not satisfied."""
    return set(tx.execute(_UNSATISFIED, {"ids": list(ids)}).scalars())


def overlooked(tx: Connection, limit: int) -> list[JobId]:
    """Return jobs that the resolver should have looked at and has not; there should be none."""
    return list(tx.execute(_OVERLOOKED, {"limit": limit}).scalars())


def open_needs(tx: Connection, job_id: JobId, limit: int) -> list[OpenNeed]:
    """Return the needs of a job that are not satisfied, the broken ones first."""
    return records.read_all(OpenNeed, tx.execute(_OPEN_NEEDS, {"id": job_id, "limit": limit}))


def culprit(tx: Connection, job_id: JobId) -> CulpritJob | None:
    """Return the job whose end blocks this one, at the beginning of the chain; None where nothing is broken."""
    return records.read_optional(CulpritJob, tx.execute(_CULPRIT, {"id": job_id}))


def borrowed(tx: Connection, job_id: JobId, limit: int) -> list[BorrowedNeed]:
    """Return what a job of a workflow has of jobs of an earlier one."""
    return records.read_all(BorrowedNeed, tx.execute(_BORROWED, {"id": job_id, "limit": limit}))
