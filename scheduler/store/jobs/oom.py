"""Jobs whose next try asks for more memory than the last one: their wish is read, their shape is changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, text

from scheduler.documents import ConstraintDocument, Document, ShapeOptions
from scheduler.identifiers import JobId, JobTypeId, ProjectId
from scheduler.store import records
from scheduler.store.jobs import shapes
from scheduler.store.jobs.shapes import NewShape

_WISHES = text("""
    SELECT j.id, COALESCE(q.overrides -> 'on_oom', r.definition -> 'on_oom') AS on_oom,
           s.project_id, s.job_type_id, s.priority, s.cpus, s.mem, s.disk, s.pool, s.custom, s.constraints, s.options,
           (SELECT max(most.mem) FROM (
                SELECT n.mem FROM nodes n JOIN pools p ON p.id = n.pool_id
                WHERE n.archived IS NULL AND n.state <> 'GONE' AND n.cpus >= s.cpus AND n.disk >= s.disk
                  AND (s.pool IS NULL OR s.pool = p.name)
                UNION ALL
                SELECT CAST(COALESCE(p.template, d.detail -> 'template') ->> 'mem' AS bigint)
                FROM pools p LEFT JOIN pool_states d ON d.pool_id = p.id
                WHERE (p.sizing = 'fixed' AND p.size > 0 OR p.sizing = 'auto' AND (p.largest IS NULL OR p.largest > 0))
                  AND jsonb_typeof(COALESCE(p.template, d.detail -> 'template')) = 'object'
                  AND (s.pool IS NULL OR s.pool = p.name)
           ) AS most) AS largest_node
    FROM jobs j
    JOIN job_specs q ON q.job_id = j.id
    JOIN job_type_revisions r ON r.id = j.revision_id
    JOIN shapes s ON s.id = j.shape_id
    WHERE j.id = ANY(:ids)
""")

_GROW = text("""
    UPDATE jobs j
    SET mem = v.mem, shape_id = v.shape_id, last_modified = now()
    FROM unnest(CAST(:ids AS bigint[]), CAST(:mem AS bigint[]), CAST(:shapes AS bigint[])) AS v (id, mem, shape_id)
    WHERE j.id = v.id
""")


class OomRequest(NamedTuple):
    """The wish of a job after a lack of memory (`on_oom`, None: nothing), its present shape, and what it could get."""

    id: JobId
    on_oom: Document | None
    project_id: ProjectId
    job_type_id: JobTypeId
    priority: int
    cpus: int
    mem: int
    disk: int
    pool: str | None
    custom: dict[str, int]
    constraints: list[ConstraintDocument]
    options: ShapeOptions
    largest_node: int | None
    """The memory of the largest node that it could have, of those there are and those that pools may start."""


def wishes(tx: Connection, job_ids: Sequence[JobId]) -> list[OomRequest]:
    """Return for each job what it wants after a lack of memory."""
    return records.read_all(OomRequest, tx.execute(_WISHES, {"ids": list(job_ids)}))


def grow(tx: Connection, rows: Sequence[OomRequest], mem: Mapping[JobId, int]) -> None:
    """Give jobs, by id, this much memory from their next try on; `rows` are those of `wishes`, locked by the caller."""
    grown = {row.id: _shape(row, mem[row.id]) for row in rows if row.id in mem}
    ids = shapes.intern(tx, list(grown.values()))
    tx.execute(
        _GROW,
        {
            "ids": list(grown),
            "mem": [shape.mem for shape in grown.values()],
            "shapes": [ids[shape.digest()] for shape in grown.values()],
        },
    )


def _shape(row: OomRequest, mem: int) -> NewShape:
    return NewShape(
        project_id=row.project_id,
        job_type_id=row.job_type_id,
        priority=row.priority,
        cpus=row.cpus,
        mem=mem,
        disk=row.disk,
        pool=row.pool,
        custom=row.custom,
        constraints=row.constraints,
        options=row.options,
    )
