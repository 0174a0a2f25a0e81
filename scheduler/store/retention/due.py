"""Finding what a project keeps no longer: a walk over its jobs and its files, oldest change first, window by window.

A window is so many rows of an index, whatever they are: its cost is the same in a project where little is due.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from scheduler.documents import RetentionDocument
from scheduler.identifiers import FileId, JobId, ProjectId
from scheduler.store import records


class RetainingProject(NamedTuple):
    """A project and what it says about retention."""

    id: ProjectId
    name: str
    retention: RetentionDocument
    is_deleted: bool = False


class ChangedJob(NamedTuple):
    """A job with its status and the time of its last change."""

    id: JobId
    status: str
    last_modified: datetime


class ChangedFile(NamedTuple):
    """An output file of a job, with the time of its last change."""

    id: FileId
    last_modified: datetime
    is_output: bool


_PROJECTS = text("SELECT id, name, retention, deleted IS NOT NULL AS is_deleted FROM projects ORDER BY id")

_JOBS = text("""
    SELECT id, status, last_modified
    FROM jobs
    WHERE project_id = :project_id AND (last_modified, id) > (:at, :id) AND last_modified < :before
    ORDER BY last_modified, id
    LIMIT :limit
""")

_FILES = text("""
    SELECT id, last_modified, job_id IS NOT NULL AND is_published AND NOT is_deleted AS is_output
    FROM files
    WHERE project_id = :project_id AND (last_modified, id) > (:at, :id) AND last_modified < :before
    ORDER BY last_modified, id
    LIMIT :limit
""")

_NEWEST = text("""
    SELECT last_modified
    FROM jobs
    WHERE project_id = :project_id AND status IN ('COMPLETED', 'FAILED', 'CANCELED')
    ORDER BY last_modified DESC, id DESC
    OFFSET :kept - 1
    LIMIT 1
""")

# Newest first, until the sum is over the limit: the first job over it is the newest whose output is too much.
_OUTPUT_LIMIT = text("""
    WITH sizes AS (
        SELECT j.last_modified, sum(octet_length(c.data)) AS size
        FROM jobs j
        JOIN executions x ON x.job_id = j.id AND x.output_purged IS NULL
        JOIN output_chunks c ON c.execution_id = x.id
        WHERE j.project_id = :project_id
        GROUP BY j.id, j.last_modified
    ), sums AS (
        SELECT last_modified, sum(size) OVER (ORDER BY last_modified DESC) AS so_far FROM sizes
    )
    SELECT min(last_modified) FILTER (WHERE so_far <= :kept) AS kept, count(*) FILTER (WHERE so_far > :kept) AS over,
           max(last_modified) AS newest
    FROM sums
""")

_FILES_LIMIT = text("""
    WITH sums AS (
        SELECT last_modified, sum(file_size) OVER (ORDER BY last_modified DESC) AS so_far
        FROM files
        WHERE project_id = :project_id AND job_id IS NOT NULL AND is_published AND NOT is_deleted
    )
    SELECT min(last_modified) FILTER (WHERE so_far <= :kept) AS kept, count(*) FILTER (WHERE so_far > :kept) AS over,
           max(last_modified) AS newest
    FROM sums
""")

_OUTPUT_SIZE = text("SELECT pg_total_relation_size('output_chunks')")


class _Limit(NamedTuple):
    kept: datetime | None
    over: int
    newest: datetime | None


def projects(tx: Connection) -> list[RetainingProject]:
    """Return every project with what it says about retention."""
    return records.read_all(RetainingProject, tx.execute(_PROJECTS))


def jobs(
    tx: Connection, *, project_id: ProjectId, at: datetime, after: int, before: datetime, limit: int
) -> list[ChangedJob]:
    """Return the next jobs of a project behind (`at`, id `after`) that changed before a moment, oldest change first."""
    parameters = {"project_id": project_id, "at": at, "id": after, "before": before, "limit": limit}
    return records.read_all(ChangedJob, tx.execute(_JOBS, parameters))


def files(
    tx: Connection, *, project_id: ProjectId, at: datetime, after: int, before: datetime, limit: int
) -> list[ChangedFile]:
    """Return the next files of a project, likewise."""
    parameters = {"project_id": project_id, "at": at, "id": after, "before": before, "limit": limit}
    return records.read_all(ChangedFile, tx.execute(_FILES, parameters))


def oldest_of_newest(tx: Connection, project_id: ProjectId, kept: int) -> datetime | None:
    """Return when the oldest of the `kept` newest ended jobs changed last; None when there are not so many."""
    return tx.execute(_NEWEST, {"project_id": project_id, "kept": kept}).scalar()


def take_time(tx: Connection) -> None:
    """Let the sums of this transaction run for minutes: they are made once a sweep, and lock nothing."""
    tx.exec_driver_sql("SET LOCAL statement_timeout = '300s'")


def output_within(tx: Connection, project_id: ProjectId, kept: int) -> datetime | None:
    """Return the oldest change among the newest jobs whose output is `kept` bytes together; None when all of it is within."""
    if int(tx.execute(_OUTPUT_SIZE).scalar_one()) <= kept:
        return None
    return _within(records.read_one(_Limit, tx.execute(_OUTPUT_LIMIT, {"project_id": project_id, "kept": kept})))


def files_within(tx: Connection, project_id: ProjectId, kept: int) -> datetime | None:
    """Return the oldest change among the newest output files that are `kept` bytes together; None when all are within."""
    return _within(records.read_one(_Limit, tx.execute(_FILES_LIMIT, {"project_id": project_id, "kept": kept})))


def _within(limit: _Limit) -> datetime | None:
    """Where even the newest is too large, nothing but it is kept."""
    return (limit.kept or limit.newest) if limit.over else None
