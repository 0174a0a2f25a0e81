"""All there is about one job: what it was given, what it made, what happened to it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, text

from scheduler.documents import ConstraintDocument, Document, JobDataDocument, JobResults
from scheduler.identifiers import Attempt, ExecutionId, FileId, JobId, JobTypeId, ProjectId
from scheduler.store import by_key, records
from scheduler.store.jobs.listing import JOBS, JOINS, JobRow

_REST = """
           q.data, q.overrides, q.results, q.message, r.definition, r.created AS revision_created,
           t.created AS type_created, t.archived, t.paused, t.pause_reason, t.last_modified AS type_last_modified,
           t.revision_num AS type_revision_num, t.max_scheduled, s.constraints, k.name AS created_by,
           j.is_pinned, j.forced_by, v.description AS event_description,
           (SELECT jsonb_agg(n.shown ORDER BY n.position) FROM (
               SELECT n.position, jsonb_build_object(
                   'job', CASE WHEN n.group_id IS NULL THEN n.needs_id END, 'group', n.group_id, 'group_name', g.name,
                   'after', n.after, 'any_member', n.any_member, 'tolerate', n.tolerate,
                   'allow_skipped', n.allow_skipped, 'settled', n.settled, 'status', p.status) AS shown
               FROM job_needs n
               LEFT JOIN job_groups g ON g.id = n.group_id
               LEFT JOIN jobs p ON p.id = n.needs_id AND n.group_id IS NULL
               WHERE n.job_id = j.id ORDER BY n.position LIMIT 100
           ) AS n) AS needs,
           (SELECT g.name FROM group_members m JOIN job_groups g ON g.id = m.group_id
            WHERE m.job_id = j.id AND g.name IS NOT NULL ORDER BY g.id LIMIT 1) AS group_name,
           EXISTS (SELECT FROM uploads u WHERE u.job_id = j.id) AS has_uploads,
           (SELECT jsonb_build_object('key', encode(c.key, 'hex'), 'reused_from', c.reused_from, 'missed', c.missed)
            FROM job_cache c WHERE c.job_id = j.id) AS cache,
           (SELECT l.needs_within_s FROM job_plans l WHERE l.job_id = j.id) AS needs_within_s,
           (SELECT a.parent_job_id FROM job_parents a WHERE a.job_id = j.id) AS parent_job_id
"""

WHOLE = f"""
    SELECT {JOBS.columns}, {_REST}
    FROM jobs j
    {JOINS}
    LEFT JOIN tokens k ON k.id = q.created_by
"""  # noqa: S608 - our own columns
"""All columns of jobs, which `first` reads."""

_ONE = f"{WHOLE} WHERE j.id = %(id)s AND (j.project_id = %(project_id)s OR %(project_id)s::bigint IS NULL)"

_FILES = text("""
    SELECT f.id, f.uuid, f.file_name, f.media_type, f.file_size, f.sha256, f.is_deleted, f.is_published, f.published,
           f.created, f.deleted, f.last_modified, f.meta_data, f.job_id, f.execution_id, f.output,
           f.data_started, f.data_ended, f.geometry, f.unpublished, o.job_type_id, t.is_operational,
           w.id AS workspace_id, w.name AS workspace_name, p.name AS project
    FROM files f
    LEFT JOIN jobs o ON o.id = f.job_id
    LEFT JOIN job_types t ON t.id = o.job_type_id
    JOIN workspaces w ON w.id = f.workspace_id
    JOIN projects p ON p.id = f.project_id
    WHERE f.id = ANY(:ids) AND p.name = ANY(:projects)
""")

_DATA = "SELECT job_id, data FROM job_specs WHERE job_id = ANY(%(ids)s)"

_EVENTS = text("""
    SELECT id, at, event, "from" AS from_status, "to" AS to_status, attempt, actor, reason
    FROM events
    WHERE job_id = :job_id
    ORDER BY id
    LIMIT :limit OFFSET :skipped
""")

_COUNT_EVENTS = text("SELECT count(*) FROM events WHERE job_id = :job_id")

_SUBMISSION = text("""
    SELECT j.created, COALESCE(k.name, '') AS actor,
           COALESCE(
               (SELECT e."from" FROM events e WHERE e.job_id = j.id ORDER BY e.id LIMIT 1),
               j.status) AS first_status
    FROM jobs j
    JOIN job_specs q ON q.job_id = j.id
    LEFT JOIN tokens k ON k.id = q.created_by
    WHERE j.id = :job_id
""")


_OF_ROW = len(JobRow._fields)


class JobRest(NamedTuple):
    """The fields of a job that lists do not show: its documents, more of its type, and the name of the token that submitted it."""

    data: JobDataDocument
    overrides: Document
    results: JobResults | None
    message: str | None
    definition: Document
    revision_created: datetime
    type_created: datetime
    archived: datetime | None
    paused: datetime | None
    pause_reason: str | None
    type_last_modified: datetime
    type_revision_num: int
    max_scheduled: int | None
    constraints: list[ConstraintDocument]
    created_by: str | None
    is_pinned: bool
    forced_by: str | None
    event_description: Document | None
    needs: list[Any] | None
    group_name: str | None
    has_uploads: bool
    cache: Document | None
    needs_within_s: int | None
    parent_job_id: JobId | None


class NamedFile(NamedTuple):
    """A file that a job's data or results name, with its workspace and its project."""

    id: FileId
    uuid: UUID
    file_name: str
    media_type: str
    file_size: int
    sha256: str
    is_deleted: bool
    is_published: bool
    published: datetime | None
    created: datetime
    deleted: datetime | None
    last_modified: datetime
    meta_data: Document
    job_id: JobId | None
    execution_id: ExecutionId | None
    output: str | None
    data_started: datetime | None
    data_ended: datetime | None
    geometry: Document | None
    unpublished: datetime | None
    job_type_id: JobTypeId | None
    is_operational: bool | None
    workspace_id: int
    workspace_name: str
    project: str


class JobEventRow(NamedTuple):
    """One change of a job's status, or something done to it that left the status as it was."""

    id: int
    at: datetime
    event: str
    from_status: str | None
    to_status: str
    attempt: Attempt
    actor: str
    reason: str | None


class SubmissionRow(NamedTuple):
    """How a job was submitted: when, by whom, and with which status it began."""

    created: datetime
    actor: str
    first_status: str


def whole(tx: Connection, job_id: JobId, project_id: ProjectId | None) -> tuple[JobRow, JobRest] | None:
    """Return all columns of a job, None where there is none, or none in this project (None: in any)."""
    return first(by_key.rows(tx, _ONE, {"id": job_id, "project_id": project_id}))


def first(found: Sequence[tuple[Any, ...]]) -> tuple[JobRow, JobRest] | None:
    """Return the first job of what `WHOLE` has read, None if it is nothing."""
    if not found:
        return None
    return JobRow._make(found[0][:_OF_ROW]), JobRest._make(found[0][_OF_ROW:])


def data(tx: Connection, ids: Collection[JobId]) -> dict[JobId, JobDataDocument]:
    """Return what each of these jobs was given."""
    return dict(by_key.rows(tx, _DATA, {"ids": list(ids)})) if ids else {}


def files(tx: Connection, ids: Collection[int], projects: Collection[str]) -> dict[int, NamedFile]:
    """Return files of these projects by id, deleted ones included; others are left out.

    The ids come from what clients and nodes say of jobs, so the projects are those of the jobs.
    """
    if not ids:
        return {}
    found = tx.execute(_FILES, {"ids": sorted(ids), "projects": sorted(projects)})
    return {row.id: row for row in records.read_all(NamedFile, found)}


def submission(tx: Connection, job_id: JobId) -> SubmissionRow:
    """Return how a job was submitted."""
    return records.read_one(SubmissionRow, tx.execute(_SUBMISSION, {"job_id": job_id}))


def events(tx: Connection, job_id: JobId, skipped: int, limit: int) -> list[JobEventRow]:
    """Return a job's events, oldest first, without the first `skipped`."""
    return records.read_all(JobEventRow, tx.execute(_EVENTS, {"job_id": job_id, "skipped": skipped, "limit": limit}))


def count_events(tx: Connection, job_id: JobId) -> int:
    """Return how many events a job has."""
    return int(tx.execute(_COUNT_EVENTS, {"job_id": job_id}).scalar_one())
