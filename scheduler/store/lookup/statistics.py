"""What the runs of a job type took, and what they were given: figures of its latest executions."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from scheduler.identifiers import JobTypeId, ProjectId
from scheduler.store import records


class TypeRun(NamedTuple):
    """One try of a job of a type: how it ended, what it took, what was asked for it. Amounts are thousandths, memory of MiB."""

    status: str
    ended: datetime
    waited_s: float | None
    run_s: float | None
    peak_mem_mib: float | None
    cpu_s: float | None
    cpus: int
    mem: int
    forgiven: bool
    error: str | None


_RUNS = text("""
    SELECT x.status, x.ended, EXTRACT(epoch FROM x.created - j.queued)::float8 AS waited_s,
           EXTRACT(epoch FROM x.ended - x.started)::float8 AS run_s,
           (SELECT max((phase.value ->> 'peak_mem_mib')::float8) FROM jsonb_each(x.usage) AS phase) AS peak_mem_mib,
           (SELECT sum((phase.value ->> 'cpu_s')::float8) FROM jsonb_each(x.usage) AS phase) AS cpu_s,
           x.cpus, x.mem, x.status IN ('CANCELED', 'WITHDRAWN', 'LOST') AS forgiven, e.name AS error
    FROM (
        SELECT x.* FROM executions x JOIN jobs j ON j.id = x.job_id
        WHERE j.job_type_id = :type_id AND (CAST(:bound AS bigint) IS NULL OR j.project_id = :bound)
          AND x.ended IS NOT NULL AND x.created >= :since
        ORDER BY x.created DESC LIMIT :most
    ) AS x
    JOIN jobs j ON j.id = x.job_id
    LEFT JOIN errors e ON e.id = x.error_id
""")


def runs(tx: Connection, type_id: JobTypeId, *, bound: ProjectId | None, since: datetime, most: int) -> list[TypeRun]:
    """Return the latest tries of a type that have ended, at most so many, begun since a time."""
    parameters = {"type_id": type_id, "bound": bound, "since": since, "most": most}
    return records.read_all(TypeRun, tx.execute(_RUNS, parameters))
