"""For whom executions were told to stop, and who waits for that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, text

from scheduler.identifiers import ExecutionId, JobId
from scheduler.rules.lifecycle.outcome import StopReason

_RECORD = text("""
    UPDATE executions x
    SET preempted_for = v.urgent
    FROM unnest(CAST(:victims AS bigint[]), CAST(:urgents AS bigint[])) AS v (victim, urgent)
    WHERE x.job_id = v.victim
      AND x.job_id = ANY(:victims)
      AND x.released_at IS NULL
      AND x.cancel_requested = :reason
      AND x.preempted_for IS NULL
""")

_AWAITED = text("""
    SELECT job_id, count(*) AS stopped
    FROM executions
    WHERE preempted_for = :id AND released_at IS NULL
    GROUP BY job_id
    ORDER BY job_id
""")

_JOBS_OF = text(
    "SELECT job_id, count(*) AS stopped FROM executions WHERE id = ANY(:ids) GROUP BY job_id ORDER BY job_id"
)


def record(tx: Connection, urgents: Mapping[JobId, JobId], *, reason: StopReason) -> None:
    """Write for which urgent job each victim's executions were just told to stop for this reason, by the victim."""
    parameters = {"victims": list(urgents), "urgents": list(urgents.values()), "reason": reason}
    tx.execute(_RECORD, parameters)


def awaited(tx: Connection, job_id: JobId) -> dict[JobId, int]:
    """Return how many executions are being stopped for a job, by the job that they are of."""
    return {row.job_id: row.stopped for row in tx.execute(_AWAITED, {"id": job_id})}


def jobs_of(tx: Connection, execution_ids: Iterable[ExecutionId]) -> dict[JobId, int]:
    """Return how many of these executions each job has."""
    return {row.job_id: row.stopped for row in tx.execute(_JOBS_OF, {"ids": list(execution_ids)})}
