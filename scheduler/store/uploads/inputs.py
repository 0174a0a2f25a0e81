"""Jobs that get inputs after they were submitted: their data, and the amounts that follow from the size of their input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import orjson
from sqlalchemy import Connection, text

from scheduler.documents import ConstraintDocument, Document, JobDataDocument, ShapeOptions
from scheduler.identifiers import JobId, JobTypeId, ProjectId, RevisionId
from scheduler.store import records
from scheduler.store.jobs import shapes
from scheduler.store.jobs.shapes import NewShape

_READ = text("""
    SELECT j.id, j.revision_id, r.definition, q.overrides, q.data, j.mem, j.disk_in, j.disk_out, j.not_before > now() AS is_later,
           EXISTS (SELECT FROM job_needs n WHERE n.job_id = j.id) AS has_needs,
           s.project_id, s.job_type_id, s.priority, s.cpus, s.mem AS shape_mem, s.disk AS shape_disk, s.pool, s.custom,
           s.constraints, s.options
    FROM jobs j
    JOIN job_specs q ON q.job_id = j.id
    JOIN job_type_revisions r ON r.id = j.revision_id
    JOIN shapes s ON s.id = j.shape_id
    WHERE j.id = ANY(:ids)
    ORDER BY j.id
""")

_FILE_SIZES = text("SELECT COALESCE(sum(file_size), 0)::bigint FROM files WHERE id = ANY(:ids)")

_SET_AMOUNTS = text("""
    UPDATE jobs j
    SET mem = v.mem, disk_in = v.disk_in, disk_out = v.disk_out, shape_id = v.shape_id
    FROM unnest(CAST(:ids AS bigint[]), CAST(:mem AS bigint[]), CAST(:disk_in AS bigint[]), CAST(:disk_out AS bigint[]),
                CAST(:shapes AS bigint[])) AS v (id, mem, disk_in, disk_out, shape_id)
    WHERE j.id = v.id
""")

_SET_DATA = text("""
    UPDATE job_specs q
    SET data = v.data
    FROM unnest(CAST(:ids AS bigint[]), CAST(:data AS jsonb[])) AS v (id, data)
    WHERE q.job_id = v.id
""")

_SET_MESSAGES = text("""
    UPDATE job_specs q
    SET message = v.message
    FROM unnest(CAST(:ids AS bigint[]), CAST(:messages AS text[])) AS v (id, message)
    WHERE q.job_id = v.id
""")


class JobToFill(NamedTuple):
    """A job that may get inputs: its type's definition, its data so far, its amounts and its shape, in thousandths."""

    id: JobId
    revision_id: RevisionId
    definition: Document
    overrides: Document
    data: JobDataDocument
    mem: int
    disk_in: int
    disk_out: int
    is_later: bool | None
    has_needs: bool
    project_id: ProjectId
    job_type_id: JobTypeId
    priority: int
    cpus: int
    shape_mem: int
    shape_disk: int
    pool: str | None
    custom: dict[str, int]
    constraints: list[ConstraintDocument]
    options: ShapeOptions


@dataclass(frozen=True, slots=True)
class JobAmounts:
    """Amounts that follow from the input of a job: its own, and those of its shape, which are stepped."""

    mem: int
    disk_in: int
    disk_out: int
    shape_mem: int
    shape_disk: int


def read(tx: Connection, ids: Sequence[JobId]) -> list[JobToFill]:
    """Return these jobs; the caller has locked them."""
    return records.read_all(JobToFill, tx.execute(_READ, {"ids": list(ids)}))


def size_of(tx: Connection, file_ids: Sequence[int]) -> int:
    """Return how many bytes these files have together."""
    return int(tx.execute(_FILE_SIZES, {"ids": list(file_ids)}).scalar_one())


def fill(tx: Connection, filled: Sequence[tuple[JobToFill, JobDataDocument, JobAmounts]]) -> None:
    """Give jobs, which are locked and not placed, this data and these amounts."""
    if not filled:
        return
    shapes_of = [_shape(job, amounts) for job, _, amounts in filled]
    ids = shapes.intern(tx, shapes_of)
    jobs = [job.id for job, _, _ in filled]
    tx.execute(_SET_DATA, {"ids": jobs, "data": [orjson.dumps(data).decode() for _, data, _ in filled]})
    tx.execute(
        _SET_AMOUNTS,
        {
            "ids": jobs,
            "mem": [amounts.mem for _, _, amounts in filled],
            "disk_in": [amounts.disk_in for _, _, amounts in filled],
            "disk_out": [amounts.disk_out for _, _, amounts in filled],
            "shapes": [ids[shape.digest()] for shape in shapes_of],
        },
    )


def set_messages(tx: Connection, messages: Sequence[tuple[JobId, str | None]]) -> None:
    """Write the sentence that says why each of these jobs ended without a try; None takes it away."""
    parameters = {"ids": [job_id for job_id, _ in messages], "messages": [message for _, message in messages]}
    tx.execute(_SET_MESSAGES, parameters)


def _shape(job: JobToFill, amounts: JobAmounts) -> NewShape:
    return NewShape(
        project_id=job.project_id,
        job_type_id=job.job_type_id,
        priority=job.priority,
        cpus=job.cpus,
        mem=amounts.shape_mem,
        disk=amounts.shape_disk,
        pool=job.pool,
        custom=job.custom,
        constraints=job.constraints,
        options=job.options,
    )
