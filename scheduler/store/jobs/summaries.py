"""Jobs in short, with what they were given and what they made: read by their ids, many at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from scheduler.documents import JobDataDocument, JobResults
from scheduler.identifiers import Attempt, JobId, ProjectId
from scheduler.rules.lifecycle.moves import FINAL_JOB, JobStatus
from scheduler.store import records
from scheduler.store.searching import SearchedTable


@dataclass(frozen=True, slots=True)
class JobSummary:
    """A job in short. `stage` is one of STAGES; `started` is the first try's start, `ended` the last one's end."""

    id: JobId
    project_id: ProjectId
    name: str | None
    type_name: str
    stage: str
    attempt: Attempt
    created: datetime
    started: datetime | None
    ended: datetime | None
    error: str | None
    message: str | None
    workflow_id: int | None
    needs: list[JobId]
    data: JobDataDocument
    results: JobResults | None


STAGES = ("WAITING", "ACTIVE", "COMPLETED", "FAILED", "CANCELED")
"""What became of a job, as seen from far: a job that was ever placed is ACTIVE until it ends, also while it waits for another try."""

_FINAL = ", ".join(f"'{status}'" for status in sorted(FINAL_JOB))
_STAGE = f"""CASE
    WHEN j.status IN ({_FINAL}) THEN j.status
    WHEN j.status = '{JobStatus.BLOCKED}' THEN '{JobStatus.CANCELED}'
    WHEN j.status = '{JobStatus.RUNNING}' OR j.attempt > 0 THEN 'ACTIVE'
    ELSE 'WAITING' END"""

_STARTED = "COALESCE((SELECT min(x.started) FROM executions x WHERE x.job_id = j.id), j.started)"

_MESSAGE = """CASE WHEN j.error_id IS NOT NULL THEN COALESCE(q.message, (
    SELECT x.message FROM executions x WHERE x.job_id = j.id AND x.attempt = j.attempt
    ORDER BY x.error_id IS DISTINCT FROM j.error_id, x.member LIMIT 1)) END"""

_NEEDS = """ARRAY(
    SELECT DISTINCT COALESCE(m.job_id, n.needs_id)
    FROM job_needs n LEFT JOIN group_members m ON m.group_id = n.group_id
    WHERE n.job_id = j.id ORDER BY 1)"""

TABLE = SearchedTable(
    "jobs j JOIN job_types t ON t.id = j.job_type_id",
    {"id": "CAST(j.id AS text)", "name": "j.name", "type": "t.name", "state": _STAGE},
    {"id": "j.id", "name": 'j.name COLLATE "C"', "created": "j.created", "started": _STARTED, "finished": "j.ended"},
)
"""Jobs can be searched by id, name, type and stage."""

_READ = text(f"""
    SELECT j.id, j.project_id, j.name, t.name AS type_name, {_STAGE} AS stage, j.attempt, j.created,
           {_STARTED} AS started, j.ended, CASE WHEN j.error_id IS NOT NULL THEN e.title END AS error, {_MESSAGE} AS message,
           j.workflow_id, {_NEEDS} AS needs, q.data, q.results
    FROM unnest(CAST(:ids AS bigint[])) WITH ORDINALITY AS wanted (id, n)
    JOIN jobs j ON j.id = wanted.id
    JOIN job_types t ON t.id = j.job_type_id
    JOIN job_specs q ON q.job_id = j.id
    LEFT JOIN errors e ON e.id = j.error_id
    ORDER BY wanted.n
""")  # noqa: S608 - our own text


def read(tx: Connection, ids: Sequence[JobId]) -> list[JobSummary]:
    """Return jobs by their ids, in this order; those that are gone are left out."""
    return records.read_all(JobSummary, tx.execute(_READ, {"ids": list(ids)}))
