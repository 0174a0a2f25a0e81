"""Outputs become visible with the report that is accepted, and only those of that attempt."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, text

from scheduler.identifiers import ExecutionId, JobId

_PUBLISH = text("""
    UPDATE files
    SET is_published = true, published = now(), last_modified = now()
    WHERE execution_id = ANY(:execution_ids)
      AND NOT is_published
      AND NOT is_deleted
""")

_RESULTS = text("""
    UPDATE job_specs s
    SET results = x.results, message = x.message
    FROM executions x
    WHERE x.id = ANY(:execution_ids)
      AND s.job_id = x.job_id
""")


def publish(tx: Connection, jobs_by_execution: Mapping[ExecutionId, JobId]) -> None:
    """Show the files of these executions, and make their results the jobs' results."""
    parameters = {"execution_ids": sorted(jobs_by_execution)}
    tx.execute(_PUBLISH, parameters)
    tx.execute(_RESULTS, parameters)
