"""All there is about one job: what it was given, what it made, what happened to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, text

_DETAIL = text("""
    SELECT q.data, q.overrides, q.results, q.message, r.definition, r.created AS revision_created,
           t.created AS type_created, t.archived, t.paused, t.pause_reason, t.last_modified AS type_last_modified,
           t.revision_num AS type_revision_num, t.max_scheduled, s.constraints, k.name AS created_by
    FROM jobs j
    JOIN job_specs q ON q.job_id = j.id
    JOIN job_type_revisions r ON r.id = j.revision_id
    JOIN job_types t ON t.id = j.job_type_id
    JOIN shapes s ON s.id = j.shape_id
    LEFT JOIN tokens k ON k.id = q.created_by
    WHERE j.id = :id
""")

_FILES = text("""
    SELECT f.id, f.uuid, f.file_name, f.media_type, f.file_size, f.sha256, f.is_deleted, f.is_published, f.published,
           f.created, f.deleted, f.last_modified, f.meta_data, f.job_id, f.execution_id, f.output,
           w.id AS workspace_id, w.name AS workspace_name, p.name AS project
    FROM files f
    JOIN workspaces w ON w.id = f.workspace_id
    JOIN projects p ON p.id = f.project_id
    WHERE f.id = ANY(:ids)
""")

_EVENTS = text("""
    SELECT id, at, event, "from", "to", attempt, actor, reason
    FROM events
    WHERE job_id = :job_id
    ORDER BY id
    LIMIT :limit
""")

_BIRTH = text("""
    SELECT j.created, j.not_before, j.round, COALESCE(k.name, '') AS actor,
           COALESCE(
               (SELECT e."from" FROM events e WHERE e.job_id = j.id ORDER BY e.id LIMIT 1),
               j.status) AS first_status
    FROM jobs j
    JOIN job_specs q ON q.job_id = j.id
    LEFT JOIN tokens k ON k.id = q.created_by
    WHERE j.id = :job_id
""")


def detail(tx: Connection, job_id: int) -> Any:
    """Return what the list does not show of a job: documents, and more of its type."""
    return tx.execute(_DETAIL, {"id": job_id}).one()


def files(tx: Connection, ids: Sequence[int]) -> dict[int, Any]:
    """Return files by id, deleted ones included; unknown ids are left out."""
    return {row.id: row for row in tx.execute(_FILES, {"ids": list(ids)})} if ids else {}


def birth(tx: Connection, job_id: int) -> Any:
    """Return `created`, `actor` and `first_status`: what the submission of a job looked like."""
    return tx.execute(_BIRTH, {"job_id": job_id}).one()


def events(tx: Connection, job_id: int, limit: int) -> list[Any]:
    """Return a job's changes of status, oldest first."""
    return list(tx.execute(_EVENTS, {"job_id": job_id, "limit": limit}))
