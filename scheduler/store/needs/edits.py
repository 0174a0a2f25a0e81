"""The needs of a job that is there, as they are changed: what it has, and what goes."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, text

from scheduler.documents import JsonValue
from scheduler.identifiers import JobId, ProjectId
from scheduler.store import records


class EditedJob(NamedTuple):
    """A job with its needs in short; `is_open` if it is still to become several."""

    project_id: ProjectId
    is_open: bool
    needs: list[JsonValue]


_SHOWN = """
    COALESCE((SELECT jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
        'job', CASE WHEN n.group_id IS NULL THEN n.needs_id END, 'group', n.group_id, 'after', n.after)) ORDER BY n.position)
     FROM (SELECT * FROM job_needs WHERE job_id = :id ORDER BY position LIMIT 100) AS n), '[]'::jsonb)
"""
_READ = text(f"""
    SELECT j.project_id,
           EXISTS (SELECT FROM job_plans l WHERE l.job_id = j.id AND NULLIF(l.expansion, 'null') IS NOT NULL) AS is_open,
           {_SHOWN} AS needs
    FROM jobs j WHERE j.id = :id
""")  # noqa: S608 - our own text
_NEEDS = text(f"SELECT {_SHOWN}")

_DROP = text("DELETE FROM job_needs WHERE job_id = :id AND NOT wires")
_KEPT = text("SELECT COALESCE(max(position) + 1, 0) FROM job_needs WHERE job_id = :id")


def read(tx: Connection, job_id: JobId) -> EditedJob | None:
    """Return a job with what it needs, the first hundred of that; None where there is none."""
    return records.read_optional(EditedJob, tx.execute(_READ, {"id": job_id}))


def shown(tx: Connection, job_id: JobId) -> list[JsonValue]:
    """Return what a job needs now, in short."""
    found: list[JsonValue] = tx.execute(_NEEDS, {"id": job_id}).scalar_one()
    return found


def drop(tx: Connection, job_id: JobId) -> int:
    """Delete the needs of a job whose outputs it does not take; return the first place behind those that are left."""
    tx.execute(_DROP, {"id": job_id})
    return int(tx.execute(_KEPT, {"id": job_id}).scalar_one())
