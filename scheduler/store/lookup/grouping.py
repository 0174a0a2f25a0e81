"""Jobs counted in groups: by status, job type, project, node, error, pool, priority, or the value of a label."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, text

from scheduler.rules.lifecycle.moves import JobStatus
from scheduler.store import records
from scheduler.store.paging import COUNT_EXACTLY, Parameter, RowCondition


@dataclass(frozen=True, slots=True)
class JobGroupCount:
    """How many of the jobs that match have one value. Not `exact`: it is of the first `COUNT_EXACTLY` that match."""

    key: str
    value: str | None
    count: int
    exact: bool


KEYS = {
    "job_type": ("t.name || ' ' || t.version", "JOIN job_types t ON t.id = g.job_type_id"),
    "project": ("p.name", "JOIN projects p ON p.id = g.project_id"),
    "node": ("n.name", "LEFT JOIN nodes n ON n.id = g.node_id"),
    "error": ("e.name", "LEFT JOIN errors e ON e.id = g.error_id"),
    "pool": ("g.pool", ""),
    "priority": ("g.priority::text", ""),
    "label": ("q.labels ->> :label_key", "JOIN job_specs q ON q.job_id = g.id"),
}
"""The values of each key beside `status`, and the join that has them."""


def groups(
    tx: Connection, condition: RowCondition, key: str, *, most: int, label: str | None = None
) -> list[JobGroupCount]:
    """Return the groups of the jobs that match, the largest first; `label` is the key of the labels that `key` label means."""
    if key == "status":
        return _by_status(tx, condition)
    expression, join = KEYS[key]
    statement = text(f"""
        WITH matching AS (SELECT j.id FROM jobs j {" ".join(condition.joins)} WHERE {condition.sql} LIMIT :limit)
        SELECT CAST(:key AS text) AS key, CAST({expression} AS text) AS value, count(*) AS count,
               (SELECT count(*) FROM matching) < :limit AS exact
        FROM matching JOIN jobs g ON g.id = matching.id {join}
        GROUP BY 2 ORDER BY 3 DESC, 2 LIMIT :most
    """)  # noqa: S608 - our own text; what clients send is in the parameters
    parameters: dict[str, Parameter] = {**condition.parameters, "key": key, "most": most, "limit": COUNT_EXACTLY + 1}
    if key == "label":
        parameters["label_key"] = label
    return records.read_all(JobGroupCount, tx.execute(statement, parameters))


def _by_status(tx: Connection, condition: RowCondition) -> list[JobGroupCount]:
    """Count each status by itself, as far as is cheap: an index has the jobs of each."""
    statement = text(f"""
        SELECT 'status' AS key, s.status AS value, c.count, c.count <= :most AS exact
        FROM unnest(CAST(:statuses AS text[])) AS s (status),
             LATERAL (SELECT count(*) AS count FROM (
                 SELECT 1 FROM jobs j {" ".join(condition.joins)}
                 WHERE j.status = s.status AND {condition.sql} LIMIT :limit) AS counted) AS c
        WHERE c.count > 0
        ORDER BY c.count DESC, s.status
    """)  # noqa: S608 - likewise
    parameters = {
        **condition.parameters,
        "statuses": list(JobStatus),
        "limit": COUNT_EXACTLY + 1,
        "most": COUNT_EXACTLY,
    }
    return records.read_all(JobGroupCount, tx.execute(statement, parameters))


def of_others(tx: Connection, condition: RowCondition, token_id: int) -> int:
    """Return how many of the jobs that match somebody else has submitted, counted among the first `COUNT_EXACTLY`."""
    statement = text(f"""
        SELECT count(*) FROM (
            SELECT j.id FROM jobs j {" ".join(condition.joins)} WHERE {condition.sql} LIMIT :limit) AS matching
        JOIN job_specs q ON q.job_id = matching.id
        WHERE q.created_by IS DISTINCT FROM :token_id
    """)  # noqa: S608 - likewise
    return int(
        tx.execute(statement, {**condition.parameters, "limit": COUNT_EXACTLY, "token_id": token_id}).scalar_one()
    )
