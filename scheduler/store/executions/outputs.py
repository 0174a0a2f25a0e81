"""Outputs become visible with the report that is accepted, and only those of that attempt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import orjson
from sqlalchemy import Connection, text

from scheduler.documents import Document
from scheduler.identifiers import ExecutionId, FileId, JobId

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


_FACTS = text("""
    UPDATE files f
    SET data_started = v.data_started, data_ended = v.data_ended, geometry = NULLIF(v.geometry, 'null')
    FROM unnest(CAST(:executions AS bigint[]), CAST(:files AS bigint[]), CAST(:starts AS timestamptz[]),
                CAST(:ends AS timestamptz[]), CAST(:geometries AS jsonb[]))
         AS v (execution_id, file_id, data_started, data_ended, geometry)
    WHERE f.id = v.file_id AND f.execution_id = v.execution_id
""")


class FileFacts(NamedTuple):
    """What a program said of the data in a file of its execution."""

    execution_id: ExecutionId
    file_id: FileId
    data_started: datetime | None
    data_ended: datetime | None
    geometry: Document | None


def note_facts(tx: Connection, facts: Sequence[FileFacts]) -> None:
    """Write what programs said of their files; files of other executions are left alone."""
    if facts:
        parameters = {
            "executions": [one.execution_id for one in facts],
            "files": [one.file_id for one in facts],
            "starts": [one.data_started for one in facts],
            "ends": [one.data_ended for one in facts],
            "geometries": [orjson.dumps(one.geometry).decode() for one in facts],
        }
        tx.execute(_FACTS, parameters)


def publish(tx: Connection, jobs_by_execution: Mapping[ExecutionId, JobId]) -> None:
    """Show the files of these executions, and make their results the jobs' results."""
    parameters = {"execution_ids": sorted(jobs_by_execution)}
    tx.execute(_PUBLISH, parameters)
    tx.execute(_RESULTS, parameters)
