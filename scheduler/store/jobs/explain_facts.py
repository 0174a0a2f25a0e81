"""The facts from which it is told why a job stands where it stands."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from scheduler.identifiers import Attempt, ExecutionId, JobId, JobTypeId, NodeId, ProjectId, ShapeId
from scheduler.store import records

_FACTS = text("""
    SELECT j.id, j.status, j.members, j.is_held, j.hold_reason, j.not_before, j.num_exes,
           j.max_tries, j.forgiven, j.withdrawals, j.attempt, j.shape_id, j.queued, j.is_skipped,
           s.pool, q.message,
           p.name AS project, p.pause_reason AS project_reason,
           t.name AS type_name, t.version AS type_version, t.pause_reason AS type_reason,
           l.pause_reason AS scheduler_reason,
           e.name AS error_name, e.title AS error_title, e.description AS error_description, e.category,
           e.should_be_retried, j.ended, c.actor AS canceled_by, c.reason AS canceled_why,
           EXISTS (SELECT FROM executions x WHERE x.job_id = j.id AND x.released_at IS NULL) AS has_live_execution
    FROM jobs j
    JOIN shapes s ON s.id = j.shape_id
    JOIN projects p ON p.id = j.project_id
    JOIN job_types t ON t.id = j.job_type_id
    JOIN job_specs q ON q.job_id = j.id
    CROSS JOIN leader l
    LEFT JOIN errors e ON e.id = j.error_id
    LEFT JOIN LATERAL (
        SELECT actor, reason FROM events WHERE job_id = j.id AND event = 'CANCEL' AND j.status = 'CANCELED' ORDER BY id DESC LIMIT 1
    ) AS c ON true
    WHERE j.id = :id AND l.name = 'scheduler'
""")

_PAUSE_REASONS = text("""
    SELECT t.id, p.name AS project, p.pause_reason AS project_reason, t.name AS type_name, t.version AS type_version,
           t.pause_reason AS type_reason, l.pause_reason AS scheduler_reason, 0 AS num_exes
    FROM projects p
    CROSS JOIN leader l
    CROSS JOIN job_types t
    WHERE p.id = :project_id AND t.id = ANY(:types) AND l.name = 'scheduler'
""")

_LAST = text("""
    SELECT x.id, x.attempt, x.member, x.status, x.why, x.message, x.created, x.started, x.ended, x.job_exit_code, x.preempted_for,
           n.id AS node_id, n.name AS node_name,
           CASE WHEN x.is_ahead AND x.status IN ('QUEUED', 'AHEAD') THEN (
               SELECT count(*) FROM executions o JOIN jobs j ON j.id = x.job_id JOIN jobs p ON p.id = o.job_id
               WHERE o.node_id = x.node_id AND o.released_at IS NULL AND o.is_ahead AND o.status IN ('QUEUED', 'AHEAD')
                 AND (p.priority, o.id) < (j.priority, x.id)
           ) END AS before
    FROM executions x JOIN nodes n ON n.id = x.node_id
    WHERE x.job_id = :id AND x.attempt = (SELECT max(attempt) FROM executions WHERE job_id = :id)
    ORDER BY x.status IN ('FAILED', 'LOST') DESC,
             CASE WHEN x.status IN ('FAILED', 'LOST') THEN x.cancel_requested IS NOT NULL END,
             CASE WHEN x.status IN ('FAILED', 'LOST') THEN x.ended END, x.member
    LIMIT 1
""")

_MEMBERS = text("""
    SELECT x.id, x.member, x.status, n.id AS node_id, n.name AS node_name
    FROM jobs j
    JOIN executions x ON x.job_id = j.id AND x.attempt = j.attempt
    JOIN nodes n ON n.id = x.node_id
    WHERE j.id = :id
    ORDER BY x.member
""")


class JobFacts(NamedTuple):
    """Everything about a job that decides whether it may be placed, and how it ended if it has.

    The reasons are those of pauses that operators gave.
    """

    id: JobId
    status: str
    members: int
    is_held: bool
    hold_reason: str | None
    not_before: datetime | None
    num_exes: int
    max_tries: int
    forgiven: int
    withdrawals: int
    attempt: Attempt
    shape_id: ShapeId
    queued: datetime | None
    is_skipped: bool
    pool: str | None
    message: str | None
    project: str
    project_reason: str | None
    type_name: str
    type_version: str
    type_reason: str | None
    scheduler_reason: str | None
    error_name: str | None
    error_title: str | None
    error_description: str | None
    category: str | None
    should_be_retried: bool | None
    ended: datetime | None
    canceled_by: str | None
    canceled_why: str | None
    has_live_execution: bool


class PauseReasons(NamedTuple):
    """The facts from which a new job of one type and project is told why it would wait; `num_exes` is 0, as of a job never tried."""

    id: JobTypeId
    project: str
    project_reason: str | None
    type_name: str
    type_version: str
    type_reason: str | None
    scheduler_reason: str | None
    num_exes: int


class LastExecution(NamedTuple):
    """The newest execution of a job with its node. `before`: how many start there before it; None unless it waits ahead of room."""

    id: ExecutionId
    attempt: Attempt
    member: int
    status: str
    why: str | None
    message: str | None
    created: datetime
    started: datetime | None
    ended: datetime | None
    job_exit_code: int | None
    preempted_for: JobId | None
    node_id: NodeId
    node_name: str
    before: int | None


class MemberPlace(NamedTuple):
    """One execution of a job's newest attempt with its node."""

    id: ExecutionId
    member: int
    status: str
    node_id: NodeId
    node_name: str


def facts(tx: Connection, job_id: JobId) -> JobFacts:
    """Return everything about a job that decides whether it may be placed."""
    return records.read_one(JobFacts, tx.execute(_FACTS, {"id": job_id}))


def pause_reasons(tx: Connection, project_id: ProjectId, types: Collection[JobTypeId]) -> dict[JobTypeId, PauseReasons]:
    """Return by job type what a new job of it and of this project would be said to wait for."""
    result = tx.execute(_PAUSE_REASONS, {"project_id": project_id, "types": sorted(types)})
    return {row.id: row for row in records.read_all(PauseReasons, result)}


def last_execution(tx: Connection, job_id: JobId) -> LastExecution | None:
    """Return the newest execution of a job, of a gang the one that failed; None when it was never placed."""
    return records.read_optional(LastExecution, tx.execute(_LAST, {"id": job_id}))


def members(tx: Connection, job_id: JobId) -> list[MemberPlace]:
    """Return the executions of a job's newest attempt, in the order of its members."""
    return records.read_all(MemberPlace, tx.execute(_MEMBERS, {"id": job_id}))
