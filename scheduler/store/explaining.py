"""The facts from which it is told why a job stands where it stands."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, text

_FACTS = text("""
    SELECT j.id, j.status, j.is_held, j.hold_reason, j.not_before, j.not_before > now() AS is_early, j.num_exes,
           j.max_tries, j.forgiven, j.withdrawals, j.attempt, j.shape_id, j.queued,
           s.cpus, s.mem, s.disk, s.custom, s.pool, s.constraints, q.message,
           p.name AS project, p.is_paused AS project_paused, p.pause_reason AS project_reason,
           t.name AS type_name, t.version AS type_version, t.is_paused AS type_paused, t.pause_reason AS type_reason,
           t.max_scheduled,
           l.is_paused AS scheduler_paused, l.pause_reason AS scheduler_reason,
           e.name AS error_name, e.title AS error_title, e.description AS error_description, e.category,
           e.should_be_retried,
           (SELECT count(*) FROM executions x JOIN jobs o ON o.id = x.job_id
            WHERE x.released_at IS NULL AND o.job_type_id = j.job_type_id) AS scheduled_of_type,
           EXISTS (SELECT FROM executions x WHERE x.job_id = j.id AND x.released_at IS NULL) AS has_live_execution
    FROM jobs j
    JOIN shapes s ON s.id = j.shape_id
    JOIN projects p ON p.id = j.project_id
    JOIN job_types t ON t.id = j.job_type_id
    JOIN job_specs q ON q.job_id = j.id
    CROSS JOIN leader l
    LEFT JOIN errors e ON e.id = j.error_id
    WHERE j.id = :id AND l.name = 'scheduler'
""")

_AHEAD = text("""
    SELECT count(*) FROM (
        SELECT FROM jobs j
        WHERE j.status = 'QUEUED' AND j.shape_id = :shape_id AND (j.queued, j.id) < (:queued, :id)
        LIMIT 10000
    ) AS ahead
""")

_LAST = text("""
    SELECT x.id, x.attempt, x.status, x.why, x.message, x.created, x.started, x.ended, x.job_exit_code,
           n.id AS node_id, n.name AS node_name
    FROM executions x JOIN nodes n ON n.id = x.node_id
    WHERE x.job_id = :id
    ORDER BY x.created DESC, x.attempt DESC
    LIMIT 1
""")


def facts(tx: Connection, job_id: int) -> Any:
    """Return everything about a job that decides whether it may be placed."""
    return tx.execute(_FACTS, {"id": job_id}).one()


def ahead(tx: Connection, row: Any) -> int:
    """Return how many jobs of the same shape were queued before; at most 10,000 are counted."""
    return int(tx.execute(_AHEAD, {"shape_id": row.shape_id, "queued": row.queued, "id": row.id}).scalar_one())


def last_execution(tx: Connection, job_id: int) -> Any:
    """Return the newest execution of a job with its node, None when it was never placed."""
    return tx.execute(_LAST, {"id": job_id}).one_or_none()
