"""The facts from which it is told why a job stands where it stands."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, text

_FACTS = text("""
    SELECT j.id, j.status, j.members, j.is_held, j.hold_reason, j.not_before, j.num_exes,
           j.max_tries, j.forgiven, j.withdrawals, j.attempt, j.shape_id, j.queued,
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

_CALLED = text("""
    SELECT t.id, p.name AS project, p.pause_reason AS project_reason, t.name AS type_name, t.version AS type_version,
           t.pause_reason AS type_reason, l.pause_reason AS scheduler_reason, 0 AS num_exes
    FROM projects p
    CROSS JOIN leader l
    CROSS JOIN job_types t
    WHERE p.id = :project_id AND t.id = ANY(:types) AND l.name = 'scheduler'
""")

_LAST = text("""
    SELECT x.id, x.attempt, x.member, x.status, x.why, x.message, x.created, x.started, x.ended, x.job_exit_code, x.preempted_for,
           n.id AS node_id, n.name AS node_name
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


def facts(tx: Connection, job_id: int) -> Any:
    """Return everything about a job that decides whether it may be placed."""
    return tx.execute(_FACTS, {"id": job_id}).one()


def called(tx: Connection, project_id: int, types: Collection[int]) -> dict[int, Any]:
    """Return by job type what a job of it and of this project would be said to wait for, as the facts of a job have it."""
    return {row.id: row for row in tx.execute(_CALLED, {"project_id": project_id, "types": sorted(types)})}


def last_execution(tx: Connection, job_id: int) -> Any:
    """Return the newest execution of a job with its node, of a gang the one that failed; None when it was never placed."""
    return tx.execute(_LAST, {"id": job_id}).one_or_none()


def members(tx: Connection, job_id: int) -> list[Any]:
    """Return the executions of a job's newest attempt with their nodes, in the order of its members."""
    return list(tx.execute(_MEMBERS, {"id": job_id}))
