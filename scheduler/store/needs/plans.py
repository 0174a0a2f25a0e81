"""What is to be done with jobs whose needs are satisfied, what their parents made, and writing the inputs that come of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import orjson
from sqlalchemy import Connection, text

from scheduler.documents import Document, JobDataDocument, JobResults
from scheduler.identifiers import JobId, ProjectId, ShapeId
from scheduler.store import records

_PLANS = text("""
    SELECT l.job_id, l.wiring, l.conditions, NULLIF(l.expansion, 'null') AS expansion, NULLIF(l.cache, 'null') AS cache, r.definition, q.data, q.overrides, j.project_id, j.shape_id, j.mem, j.disk_in, j.disk_out,
           t.name AS type_name, t.version AS type_version, r.revision_num
    FROM job_plans l
    JOIN jobs j ON j.id = l.job_id
    JOIN job_specs q ON q.job_id = l.job_id
    JOIN job_type_revisions r ON r.id = j.revision_id
    JOIN job_types t ON t.id = j.job_type_id
    WHERE l.job_id = ANY(:ids)
""")

_RESULTS = text("""
    SELECT n.job_id, n.position, CASE WHEN p.status = 'COMPLETED' THEN q.results END AS results
    FROM job_needs n
    LEFT JOIN group_members m ON m.group_id = n.group_id
    JOIN jobs p ON p.id = COALESCE(m.job_id, n.needs_id)
    JOIN job_specs q ON q.job_id = p.id
    WHERE n.job_id = ANY(:ids) AND n.wires AND (n.group_id IS NULL OR m.job_id IS NOT NULL)
    ORDER BY n.job_id, n.position, m.position
""")

_WRITE = text("""
    UPDATE job_specs q
    SET data = v.value
    FROM jsonb_each(CAST(:data AS jsonb)) AS v
    WHERE q.job_id = CAST(v.key AS bigint)
""")

_MESSAGES = text("""
    UPDATE job_specs q
    SET message = v.value
    FROM jsonb_each_text(CAST(:messages AS jsonb)) AS v
    WHERE q.job_id = CAST(v.key AS bigint)
""")

_AMOUNTS = text("""
    UPDATE jobs j
    SET disk_in = v.disk_in, mem = v.mem, disk_out = v.disk_out, shape_id = v.shape_id
    FROM unnest(CAST(:ids AS bigint[]), CAST(:disk_in AS bigint[]), CAST(:mem AS bigint[]), CAST(:disk_out AS bigint[]),
                CAST(:shapes AS bigint[])) AS v (id, disk_in, mem, disk_out, shape_id)
    WHERE j.id = v.id
""")

_SHAPES = text("SELECT * FROM shapes WHERE id = ANY(:ids)")


class ReleasedJob(NamedTuple):
    """A job whose needs are satisfied, and that takes something of them."""

    job_id: JobId
    wiring: dict[str, Document]
    conditions: list[Document]
    expansion: Document | None
    cache: Document | None
    definition: Document
    data: JobDataDocument
    overrides: Document
    project_id: ProjectId
    shape_id: ShapeId
    mem: int
    disk_in: int
    disk_out: int
    type_name: str
    type_version: str
    revision_num: int


class NeededResults(NamedTuple):
    """What a parent made, for the need in that place of a job; None where it did not complete."""

    job_id: JobId
    position: int
    results: JobResults | None


class SuppliedAmounts(NamedTuple):
    """What a job asks for once the size of its input is known, in thousandths."""

    id: JobId
    disk_in: int
    mem: int
    disk_out: int
    shape_id: ShapeId


def read(tx: Connection, ids: Sequence[JobId]) -> list[ReleasedJob]:
    """Return those of these jobs that take something of others."""
    return records.read_all(ReleasedJob, tx.execute(_PLANS, {"ids": list(ids)}))


def results(tx: Connection, ids: Sequence[JobId]) -> list[NeededResults]:
    """Return what the parents made of which these jobs take something, in the order of needs and members."""
    return records.read_all(NeededResults, tx.execute(_RESULTS, {"ids": list(ids)}))


def write(tx: Connection, data: Mapping[JobId, JobDataDocument]) -> None:
    """Write the data of these jobs."""
    if data:
        tx.execute(_WRITE, {"data": orjson.dumps({str(one): given for one, given in data.items()}).decode()})


def write_messages(tx: Connection, messages: Mapping[JobId, str]) -> None:
    """Write why these jobs cannot run."""
    if messages:
        tx.execute(_MESSAGES, {"messages": orjson.dumps({str(one): said for one, said in messages.items()}).decode()})


def write_amounts(tx: Connection, rows: Sequence[SuppliedAmounts]) -> None:
    """Write what these jobs ask for now."""
    if rows:
        columns = {name: [getattr(row, name) for row in rows] for name in ("disk_in", "mem", "disk_out")}
        shapes = [row.shape_id for row in rows]
        tx.execute(_AMOUNTS, {"ids": [row.id for row in rows], "shapes": shapes, **columns})


def shapes(tx: Connection, ids: Sequence[ShapeId]) -> dict[ShapeId, dict[str, object]]:
    """Return the columns of these shapes, by id."""
    return {row.id: dict(row._mapping) for row in tx.execute(_SHAPES, {"ids": sorted(set(ids))})}  # noqa: SLF001
