"""Uploads: what a job awaits, and the content that has come for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import Connection, text

from scheduler.identifiers import FileId, JobId, ProjectId
from scheduler.rules.job_type.awaited import AwaitedInput, UploadedContent
from scheduler.store import records


class NewUpload(NamedTuple):
    """An input that a new job awaits."""

    asked: AwaitedInput
    max_size: int
    expires: datetime
    mem_grows: bool
    disk_grows: bool


class UploadRow(NamedTuple):
    """An upload in full, and the status of its job (None: the job was purged)."""

    id: int
    uuid: UUID
    job_id: JobId
    project_id: ProjectId
    workspace_id: int
    workspace_url: str
    name: str
    file_name: str
    media_type: str | None
    max_size: int
    sha256: str | None
    is_optional: bool
    expires: datetime
    mem_grows: bool
    disk_grows: bool
    stage: UUID
    staged_bytes: int
    staged_blocks: int
    path: str | None
    size: int | None
    digest: str | None
    type: str | None
    received: datetime | None
    file_id: FileId | None
    job_status: str | None

    @property
    def asked(self) -> AwaitedInput:
        """What was asked of it."""
        return AwaitedInput(self.name, self.file_name, self.media_type, self.max_size, self.sha256, self.is_optional)

    @property
    def came(self) -> UploadedContent | None:
        """What has come as a whole."""
        return None if self.size is None or self.digest is None else UploadedContent(self.size, self.digest, self.type)

    @property
    def is_open(self) -> bool:
        """Whether it takes content still."""
        return self.job_status == "PENDING_UPLOAD"


class StagedContent(NamedTuple):
    """What is to be removed of an upload: its workspace, the folder of its stage, and its content if no file has become of it."""

    workspace_url: str
    stage: UUID
    path: str | None


_INSERT = text("""
    INSERT INTO uploads (job_id, project_id, workspace_id, name, file_name, media_type, max_size, sha256, is_optional,
                         expires, mem_grows, disk_grows)
    SELECT v.job_id, :project_id, :workspace_id, v.name, v.file_name, v.media_type, v.max_size, v.sha256, v.is_optional,
           v.expires, v.mem_grows, v.disk_grows
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS v (
        job_id bigint, name text, file_name text, media_type text, max_size bigint, sha256 text, is_optional boolean,
        expires timestamptz, mem_grows boolean, disk_grows boolean)
""")

_READ = """
    SELECT u.id, u.uuid, u.job_id, u.project_id, u.workspace_id, w.url AS workspace_url, u.name, u.file_name, u.media_type,
           u.max_size, u.sha256, u.is_optional, u.expires, u.mem_grows, u.disk_grows, u.stage, u.staged_bytes,
           u.staged_blocks, u.path, u.size, u.digest, u.type, u.received, u.file_id, j.status AS job_status
    FROM uploads u JOIN workspaces w ON w.id = u.workspace_id LEFT JOIN jobs j ON j.id = u.job_id
"""
_FIND = text(f"{_READ} WHERE u.uuid = :uuid")
# Whoever ends the wait of a job locks its row: content that comes meanwhile is either there before, or too late.
_LOCK_JOB = text("SELECT FROM jobs WHERE id = (SELECT job_id FROM uploads WHERE uuid = :uuid) FOR SHARE")
_LOCK = text(f"{_READ} WHERE u.uuid = :uuid FOR NO KEY UPDATE OF u")
_OF_JOBS = text(f"{_READ} WHERE u.job_id = ANY(:job_ids) ORDER BY u.id")

_SET_CONTENT = text("""
    UPDATE uploads
    SET path = :path, size = :size, digest = :digest, type = :type, received = now(), cleared = NULL
    WHERE id = :id
""")

_TAKE = text("""
    UPDATE uploads u
    SET file_id = (SELECT f.id FROM files f WHERE f.uuid = u.uuid), taken = now()
    WHERE u.job_id = ANY(:job_ids)
    RETURNING u.id, u.file_id
""")

_FILES = text("""
    INSERT INTO files (uuid, project_id, workspace_id, file_name, media_type, file_size, sha256, path, published)
    SELECT u.uuid, u.project_id, u.workspace_id, u.file_name, v.media_type, u.size, u.digest, u.path, now()
    FROM uploads u
    JOIN unnest(CAST(:ids AS bigint[]), CAST(:media_types AS text[])) AS v (id, media_type) ON v.id = u.id
    WHERE u.path IS NOT NULL
    ON CONFLICT (uuid) DO NOTHING
""")

_RENEW = text("UPDATE uploads SET expires = :expires, cleared = NULL WHERE job_id = ANY(:job_ids) AND taken IS NULL")

_AWAITING = text("SELECT DISTINCT job_id FROM uploads WHERE job_id = ANY(:job_ids) AND taken IS NULL")

_OVERDUE = text("""
    SELECT j.id
    FROM jobs j
    WHERE j.id IN (
        SELECT u.job_id FROM uploads u WHERE u.cleared IS NULL AND u.expires <= now() ORDER BY u.expires LIMIT :limit)
      AND j.status = 'PENDING_UPLOAD'
    ORDER BY j.id
    FOR NO KEY UPDATE SKIP LOCKED
""")

# The job's row is locked, too: a job that is requeued awaits its inputs again, and what comes then is not to be cleared.
_CLEAR = text("""
    WITH over AS (
        SELECT u.id, u.stage, u.workspace_id, CASE WHEN u.taken IS NULL THEN u.path END AS path, u.taken IS NULL AS is_lost
        FROM uploads u JOIN jobs j ON j.id = u.job_id
        WHERE u.cleared IS NULL AND j.status <> 'PENDING_UPLOAD'
        ORDER BY u.id
        LIMIT :limit
        FOR NO KEY UPDATE OF u SKIP LOCKED
        FOR SHARE OF j SKIP LOCKED
    ), gone AS (
        DELETE FROM upload_blocks b USING over WHERE b.upload_id = over.id
    ), cleared AS (
        UPDATE uploads u
        SET cleared = now(), stage = gen_random_uuid(), staged_bytes = 0, staged_blocks = 0,
            path = CASE WHEN over.is_lost THEN NULL ELSE u.path END, size = CASE WHEN over.is_lost THEN NULL ELSE u.size END,
            digest = CASE WHEN over.is_lost THEN NULL ELSE u.digest END,
            received = CASE WHEN over.is_lost THEN NULL ELSE u.received END
        FROM over WHERE u.id = over.id
    )
    SELECT w.url AS workspace_url, over.stage, over.path FROM over JOIN workspaces w ON w.id = over.workspace_id
""")

_FORGET = text("""
    WITH over AS (
        SELECT u.id FROM uploads u
        WHERE u.cleared IS NULL AND NOT EXISTS (SELECT FROM jobs j WHERE j.id = u.job_id)
        ORDER BY u.id
        LIMIT :limit
        FOR UPDATE SKIP LOCKED
    ), blocks AS (
        DELETE FROM upload_blocks b USING over WHERE b.upload_id = over.id
    ), gone AS (
        DELETE FROM uploads u USING over WHERE u.id = over.id
        RETURNING u.workspace_id, u.stage, CASE WHEN u.taken IS NULL THEN u.path END AS path
    )
    SELECT w.url AS workspace_url, gone.stage, gone.path FROM gone JOIN workspaces w ON w.id = gone.workspace_id
""")


def insert(tx: Connection, project_id: ProjectId, workspace_id: int, new: Mapping[JobId, Sequence[NewUpload]]) -> None:
    """Insert what new jobs await, in one statement."""
    rows = [_row(job_id, one) for job_id, awaits in new.items() for one in awaits]
    parameters = {"project_id": project_id, "workspace_id": workspace_id, "rows": orjson.dumps(rows).decode()}
    tx.execute(_INSERT, parameters)


def find(tx: Connection, uuid: UUID) -> UploadRow | None:
    """Return an upload, None when there is none."""
    return records.read_optional(UploadRow, tx.execute(_FIND, {"uuid": uuid}))


def lock(tx: Connection, uuid: UUID) -> UploadRow | None:
    """Return an upload, None when there is none. Its job cannot end the wait before this transaction is over."""
    tx.execute(_LOCK_JOB, {"uuid": uuid})
    return records.read_optional(UploadRow, tx.execute(_LOCK, {"uuid": uuid}))


def of_jobs(tx: Connection, job_ids: Sequence[JobId]) -> list[UploadRow]:
    """Return the uploads of these jobs, in the order in which they were asked for."""
    return records.read_all(UploadRow, tx.execute(_OF_JOBS, {"job_ids": list(job_ids)}))


def set_content(tx: Connection, upload_id: int, path: str, came: UploadedContent) -> None:
    """Note content that is there as a whole, in place of what was there before."""
    parameters = {"id": upload_id, "path": path, "size": came.size, "digest": came.sha256, "type": came.media_type}
    tx.execute(_SET_CONTENT, parameters)


def take(tx: Connection, job_ids: Sequence[JobId], media_types: Mapping[int, str]) -> dict[int, FileId]:
    """Make files of the content of these jobs' uploads, and return their ids by those of the uploads.

    The files have the media types by the ids of their uploads, and their uuids. What has not come is done without.
    """
    tx.execute(_FILES, {"ids": [*media_types], "media_types": [*media_types.values()]})
    taken = tx.execute(_TAKE, {"job_ids": list(job_ids)})
    return {row.id: row.file_id for row in taken if row.file_id is not None}


def renew(tx: Connection, job_ids: Sequence[JobId], expires: datetime) -> None:
    """Let jobs await what has not come until another moment."""
    tx.execute(_RENEW, {"job_ids": list(job_ids), "expires": expires})


def awaiting(tx: Connection, job_ids: Sequence[JobId]) -> frozenset[JobId]:
    """Return those of these jobs that have never got what they await."""
    return frozenset(tx.execute(_AWAITING, {"job_ids": list(job_ids)}).scalars())


def overdue(tx: Connection, limit: int) -> list[JobId]:
    """Lock and return jobs whose inputs were not uploaded in time."""
    return list(tx.execute(_OVERDUE, {"limit": limit}).scalars())


def clear(tx: Connection, limit: int) -> list[StagedContent]:
    """Forget what was staged for jobs that await it no longer, and return it, for its removal after the commit."""
    left = records.read_all(StagedContent, tx.execute(_CLEAR, {"limit": limit}))
    return left + records.read_all(StagedContent, tx.execute(_FORGET, {"limit": limit}))


def _row(job_id: JobId, new: NewUpload) -> dict[str, object]:
    asked = new.asked
    return {
        "job_id": job_id,
        "name": asked.name,
        "file_name": asked.file_name or asked.name,
        "media_type": asked.media_type,
        "max_size": new.max_size,
        "sha256": asked.sha256,
        "is_optional": asked.optional,
        "expires": new.expires,
        "mem_grows": new.mem_grows,
        "disk_grows": new.disk_grows,
    }
