"""The statements of a requeue beside the move itself: the tries that a job had asked for, and another priority."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, text

from scheduler.identifiers import JobId
from scheduler.store.jobs import shapes
from scheduler.store.jobs.shapes import NewShape

_ALLOWED = text("""
    SELECT j.id,
           -- Jobs of before 0009 have not kept it; in its first round a job's tries are what it asked for.
           COALESCE(j.requested_tries, CASE WHEN j.round = 1 THEN j.max_tries END,
                    CAST(r.definition ->> 'max_tries' AS int)) AS max_tries
    FROM jobs j JOIN job_type_revisions r ON r.id = j.revision_id
    WHERE j.id = ANY(:ids)
""")

_SHAPES = text("""
    SELECT DISTINCT s.* FROM jobs j JOIN shapes s ON s.id = j.shape_id
    WHERE j.id = ANY(:ids) AND s.priority <> :priority
""")

_SET_PRIORITY = text("""
    UPDATE jobs j
    SET priority = :priority, shape_id = v.after, last_modified = now(), moved_xid = pg_current_xact_id()
    FROM unnest(CAST(:before AS bigint[]), CAST(:after AS bigint[])) AS v (before, after)
    WHERE j.id = ANY(:ids) AND j.shape_id = v.before
""")


def allowed_tries(tx: Connection, ids: Sequence[JobId]) -> dict[JobId, int]:
    """Return how many tries each job gets in a new round: as many as it asked for, or else as its type allows."""
    return {row.id: row.max_tries for row in tx.execute(_ALLOWED, {"ids": list(ids)})}


def set_priority(tx: Connection, ids: Sequence[JobId], priority: int) -> None:
    """Give jobs another priority; as it is part of their shape, they get another of those too."""
    rows = list(tx.execute(_SHAPES, {"ids": list(ids), "priority": priority}))
    wanted = {row.id: _with_priority(row._mapping, priority) for row in rows}  # noqa: SLF001
    if not wanted:
        return
    made = shapes.intern(tx, list(wanted.values()))
    after = [made[shape.digest()] for shape in wanted.values()]
    tx.execute(_SET_PRIORITY, {"ids": list(ids), "priority": priority, "before": list(wanted), "after": after})


def _with_priority(row: object, priority: int) -> NewShape:
    facts = dict(row)  # type: ignore[call-overload]  # a row's mapping
    return NewShape(**{**{name: facts[name] for name in NewShape.__slots__}, "priority": priority})
