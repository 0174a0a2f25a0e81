"""The jobs of data sets: which set each is for, what it was asked, and what was wrong with its data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import Connection, text

from scheduler.documents import Document, JsonValue
from scheduler.identifiers import DataSetId, ExecutionId, JobId
from scheduler.store import records


class DataSetJob(NamedTuple):
    """A job of a data set. `version_uuid` is the version that it reads, or the one that it will make."""

    job_id: JobId
    job_uuid: UUID
    data_set_id: DataSetId
    work: str
    version_uuid: UUID
    request: Document
    problem: Document | None
    created_by: int
    created_by_name: str


class DataSetJobState(NamedTuple):
    """How a job is doing: its status, and what is known of its end. `was_started` holds from its first placement on."""

    status: str
    was_started: bool
    error: str | None
    error_title: str | None
    category: str | None
    reason: str | None
    message: str | None
    output_file: UUID | None


class MadeFile(NamedTuple):
    """An output file of an execution, by the name that the program gave it."""

    id: int
    output: str
    file_name: str


_COLUMNS = ", ".join(DataSetJob._fields)

_INSERT = text("""
    INSERT INTO data_set_jobs (job_id, job_uuid, data_set_id, work, version_uuid, request, created_by, created_by_name)
    SELECT id, uuid, :data_set_id, :work, :version_uuid, CAST(:request AS jsonb), :created_by, :created_by_name
    FROM jobs WHERE id = :job_id
    RETURNING job_uuid
""")

_BY_ID = text(f"SELECT {_COLUMNS} FROM data_set_jobs WHERE job_id = ANY(:ids)")  # noqa: S608 - our own text
_BY_UUID = text(f"SELECT {_COLUMNS} FROM data_set_jobs WHERE data_set_id = :id AND job_uuid = :uuid")  # noqa: S608

_PROBLEM = text("UPDATE data_set_jobs SET problem = CAST(:problem AS jsonb) WHERE job_id = :job_id")

_FILES = text("SELECT id, output, file_name FROM files WHERE execution_id = :id AND NOT is_deleted")

_STATE = text("""
    SELECT j.status, j.attempt > 0 AS was_started, e.name AS error, e.title AS error_title, e.category,
           (SELECT v.reason FROM events v WHERE v.job_id = j.id ORDER BY v.id DESC LIMIT 1) AS reason, (SELECT x.message FROM executions x WHERE x.job_id = j.id ORDER BY x.id DESC LIMIT 1) AS message,
           (SELECT f.uuid FROM files f JOIN executions x ON x.id = f.execution_id
            WHERE x.job_id = j.id AND x.attempt = j.result_attempt AND f.output = 'result' AND f.is_published AND NOT f.is_deleted
            LIMIT 1) AS output_file
    FROM jobs j
    JOIN job_specs s ON s.job_id = j.id
    LEFT JOIN errors e ON e.id = j.error_id
    WHERE j.id = :id
""")

_OPEN = text("""
    SELECT EXISTS (
        SELECT FROM data_set_jobs d JOIN jobs j ON j.id = d.job_id
        WHERE d.data_set_id = :id AND d.work NOT IN ('query', 'report') AND j.status NOT IN ('COMPLETED', 'FAILED', 'CANCELED')
    )
""")


_MADE_BY = text("""
    SELECT CAST(d.request ->> 'merge' AS boolean) AS merge,
           CAST(s.results #>> '{properties,result,rows}' AS bigint) AS rows
    FROM data_set_jobs d LEFT JOIN job_specs s ON s.job_id = d.job_id
    WHERE d.job_id = :id
""")


def insert(
    tx: Connection,
    job_id: JobId,
    data_set_id: DataSetId,
    work: str,
    version_uuid: UUID,
    request: Mapping[str, JsonValue],
    created_by: int,
    created_by_name: str,
) -> UUID:
    """Note what a new job does with a data set; return the job's UUID."""
    parameters = {
        "job_id": job_id,
        "data_set_id": data_set_id,
        "work": work,
        "version_uuid": version_uuid,
        "request": orjson.dumps(request).decode(),
        "created_by": created_by,
        "created_by_name": created_by_name,
    }
    made: UUID = tx.execute(_INSERT, parameters).scalar_one()
    return made


def by_id(tx: Connection, job_ids: Iterable[JobId]) -> dict[JobId, DataSetJob]:
    """Return those of these jobs that are a data set's, by their ids."""
    ids = sorted(set(job_ids))
    return {row.job_id: row for row in records.read_all(DataSetJob, tx.execute(_BY_ID, {"ids": ids}))} if ids else {}


def by_uuid(tx: Connection, data_set_id: DataSetId, uuid: UUID) -> DataSetJob | None:
    """Return a job of a data set by its UUID; None when there is none."""
    return records.read_optional(DataSetJob, tx.execute(_BY_UUID, {"id": data_set_id, "uuid": uuid}))


def note_problem(tx: Connection, job_id: JobId, problem: Mapping[str, JsonValue]) -> None:
    """Write what was wrong with the data that a job got."""
    tx.execute(_PROBLEM, {"job_id": job_id, "problem": orjson.dumps(problem).decode()})


def files(tx: Connection, execution_id: ExecutionId) -> list[MadeFile]:
    """Return the output files of an execution, published or not."""
    return records.read_all(MadeFile, tx.execute(_FILES, {"id": execution_id}))


def state(tx: Connection, job_id: JobId) -> DataSetJobState | None:
    """Return how a job is doing; None when it has aged out."""
    return records.read_optional(DataSetJobState, tx.execute(_STATE, {"id": job_id}))


def made_by(tx: Connection, job_id: JobId) -> tuple[bool | None, int | None]:
    """Return whether an update merges its rows, and how many its file had; None of what is not known."""
    found = tx.execute(_MADE_BY, {"id": job_id}).one_or_none()
    return (None, None) if found is None else (found.merge, found.rows)


def is_any_open(tx: Connection, data_set_id: DataSetId) -> bool:
    """Tell whether a job that will make a version of the set has not ended."""
    return bool(tx.execute(_OPEN, {"id": data_set_id}).scalar_one())
