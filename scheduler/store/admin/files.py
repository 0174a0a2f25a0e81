"""Files: what is known of each; where its bytes lie is `path` beneath its workspace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import Connection, text

from scheduler.documents import Document, JobDataDocument
from scheduler.identifiers import Attempt, ExecutionId, FileId, JobId, JobTypeId, NodeId, ProjectId
from scheduler.store import records
from scheduler.store.paging import Listing, RowCondition, SortKey


@dataclass(frozen=True, slots=True)
class FileFilter:
    """Which files. Values of one field are alternatives, fields narrow; `project_id` is the caller's bound."""

    project_id: int | None = None
    uuid: UUID | None = None
    file_id: tuple[int, ...] = ()
    file_name: tuple[str, ...] = ()
    media_type: tuple[str, ...] = ()
    job_id: tuple[int, ...] = ()
    workspace: tuple[str, ...] = ()
    project: tuple[str, ...] = ()
    sha256: tuple[str, ...] = ()
    started: datetime | None = None
    ended: datetime | None = None


class FileRow(NamedTuple):
    """A file as lists show it, with its workspace and its project; `path` is where it lies beneath the workspace."""

    id: FileId
    uuid: UUID
    file_name: str
    media_type: str
    file_size: int
    sha256: str
    path: str
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
    workspace_url: str
    project: str


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file to insert. An output of an attempt names its job, execution and output; it is published later."""

    project_id: ProjectId
    workspace_id: int
    file_name: str
    media_type: str
    file_size: int
    sha256: str
    path: str
    job_id: JobId | None = None
    execution_id: ExecutionId | None = None
    output: str | None = None
    is_published: bool = True


class StoredOutput(NamedTuple):
    """An output file of an attempt that is there already."""

    id: FileId
    sha256: str


class WritingExecution(NamedTuple):
    """The facts that decide whether a node may add outputs to an execution, and where they go."""

    job_id: JobId
    attempt: Attempt
    node_id: NodeId
    claim_token: str | None
    released: bool
    project_id: ProjectId
    data: JobDataDocument


_CONDITIONS = {
    "project_id": "j.project_id = :project_id",
    "uuid": "j.uuid = :uuid",
    "file_id": "j.id = ANY(:file_id)",
    "file_name": "j.file_name = ANY(:file_name)",
    "media_type": "j.media_type = ANY(:media_type)",
    "job_id": "j.job_id = ANY(:job_id)",
    "workspace": "j.workspace_id = ANY(ARRAY(SELECT id FROM workspaces WHERE name = ANY(:workspace)))",
    "project": "j.project_id = ANY(ARRAY(SELECT id FROM projects WHERE name = ANY(:project)))",
    "sha256": "j.sha256 = ANY(:sha256)",
    "started": "j.last_modified >= :started",
    "ended": "j.last_modified <= :ended",
}

KEYS = {
    "id": SortKey("j.id", "bigint"),
    "created": SortKey("j.created", "timestamptz"),
    "last_modified": SortKey("j.last_modified", "timestamptz"),
    "file_name": SortKey('j.file_name COLLATE "C"', "text"),
    "file_size": SortKey("j.file_size", "bigint"),
}

_COLUMNS = """
    j.id, j.uuid, j.file_name, j.media_type, j.file_size, j.sha256, j.path, j.is_deleted, j.is_published, j.published,
    j.created, j.deleted, j.last_modified, j.meta_data, j.job_id, j.execution_id, j.output,
    j.data_started, j.data_ended, j.geometry, j.unpublished, o.job_type_id, t.is_operational,
    w.id AS workspace_id, w.name AS workspace_name, w.url AS workspace_url, p.name AS project
"""

FILES = Listing(
    FileRow,
    "files j",
    _COLUMNS,
    """files j ON j.id = page.id JOIN workspaces w ON w.id = j.workspace_id JOIN projects p ON p.id = j.project_id
       LEFT JOIN jobs o ON o.id = j.job_id LEFT JOIN job_types t ON t.id = o.job_type_id""",
    KEYS,
)

_INSERT = text("""
    INSERT INTO files (project_id, workspace_id, file_name, media_type, file_size, sha256, path,
                       job_id, execution_id, output, is_published, published)
    VALUES (:project_id, :workspace_id, :file_name, :media_type, :file_size, :sha256, :path,
            :job_id, :execution_id, :output, :is_published, CASE WHEN :is_published THEN now() END)
    ON CONFLICT (execution_id, output, file_name) DO NOTHING
    RETURNING id
""")

_INSERT_OUTPUTS = text("""
    INSERT INTO files (project_id, workspace_id, file_name, media_type, file_size, sha256, path,
                       job_id, execution_id, output, is_published)
    SELECT project_id, workspace_id, file_name, media_type, file_size, sha256, path,
           job_id, execution_id, output, is_published
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS new (
        project_id bigint, workspace_id bigint, file_name text, media_type text, file_size bigint, sha256 text, path text,
        job_id bigint, execution_id bigint, output text, is_published boolean)
    ON CONFLICT (execution_id, output, file_name) DO NOTHING
    RETURNING path
""")

_OUTPUTS = text("""
    SELECT f.output, f.file_name, f.id, f.sha256
    FROM files f
    JOIN unnest(CAST(:outputs AS text[]), CAST(:names AS text[])) AS asked (output, file_name)
      ON asked.output = f.output AND asked.file_name = f.file_name
    WHERE f.execution_id = :execution_id
""")

_OUTPUT = text("""
    SELECT id, sha256 FROM files
    WHERE execution_id = :execution_id AND output = :output AND file_name = :file_name
""")

_DELETE = text("""
    UPDATE files
    SET is_deleted = true, deleted = now(), last_modified = now(),
        unpublished = CASE WHEN is_published THEN now() END
    WHERE id = :id AND NOT is_deleted
    RETURNING id
""")

_REPLACE = text("""
    UPDATE files
    SET workspace_id = :workspace_id, file_name = :file_name, media_type = :media_type, file_size = :file_size,
        sha256 = :sha256, path = :path, last_modified = now()
    WHERE id = :id AND path = :before AND NOT is_deleted
    RETURNING id
""")

_IN_USE = text("""
    SELECT j.id
    FROM jobs j JOIN job_specs s ON s.job_id = j.id
    WHERE j.status IN ('PENDING_UPLOAD', 'PENDING', 'BLOCKED', 'QUEUED', 'RUNNING')
      AND j.disk_in > 0
      AND (jsonb_path_exists(s.data, '$.input_data[*].file_id ? (@ == $id)', jsonb_build_object('id', CAST(:id AS bigint)))
           OR jsonb_path_exists(s.data, '$.input_data[*].file_ids[*] ? (@ == $id)', jsonb_build_object('id', CAST(:id AS bigint))))
    LIMIT 1
""")

_EXECUTION = text("""
    SELECT x.job_id, x.attempt, x.node_id, x.claim_token, x.released_at IS NOT NULL AS released, j.project_id, s.data
    FROM executions x JOIN jobs j ON j.id = x.job_id JOIN job_specs s ON s.job_id = j.id
    WHERE x.id = :id
""")


def condition(chosen: FileFilter) -> RowCondition:
    """Return the filter as SQL; deleted and unpublished files are in no list."""
    given = {one.name: getattr(chosen, one.name) for one in fields(chosen)}
    given = {name: value for name, value in given.items() if value is not None and value != ()}
    parameters = {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()}
    parts = ["j.is_published", "NOT j.is_deleted", *(_CONDITIONS[name] for name in given)]
    return RowCondition(" AND ".join(parts), parameters)


def insert(tx: Connection, new: NewFile) -> FileId | None:
    """Insert a file and return its id; None when this output of this attempt is there already."""
    return tx.execute(_INSERT, asdict(new)).scalar()


def output(tx: Connection, execution_id: ExecutionId, name: str, file_name: str) -> StoredOutput | None:
    """Return an attempt's output file, None when it is not there."""
    parameters = {"execution_id": execution_id, "output": name, "file_name": file_name}
    return records.read_optional(StoredOutput, tx.execute(_OUTPUT, parameters))


def insert_outputs(tx: Connection, new: Sequence[NewFile]) -> frozenset[str]:
    """Insert output files; return the paths of those that were not there already."""
    if not new:
        return frozenset()
    rows = orjson.dumps([asdict(one) for one in new]).decode()
    return frozenset(tx.execute(_INSERT_OUTPUTS, {"rows": rows}).scalars())


def outputs(
    tx: Connection, execution_id: ExecutionId, keys: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], StoredOutput]:
    """Return those of an attempt's output files that are there, by output and file name."""
    parameters = {
        "execution_id": execution_id,
        "outputs": [output for output, _ in keys],
        "names": [name for _, name in keys],
    }
    found = tx.execute(_OUTPUTS, parameters)
    return {(row.output, row.file_name): StoredOutput(row.id, row.sha256) for row in found}


def delete(tx: Connection, file_id: FileId) -> bool:
    """Mark a file as deleted; False when it was."""
    return tx.execute(_DELETE, {"id": file_id}).scalar() is not None


def replace(tx: Connection, file_id: FileId, before: str, new: NewFile) -> bool:
    """Give a file another content, name and type; False when its content is no longer the one at `before`."""
    return tx.execute(_REPLACE, {**asdict(new), "id": file_id, "before": before}).scalar() is not None


def needed_by(tx: Connection, file_id: FileId) -> JobId | None:
    """Return a job that has not ended and reads this file, None when there is none."""
    return tx.execute(_IN_USE, {"id": file_id}).scalar()


def execution(tx: Connection, execution_id: ExecutionId) -> WritingExecution | None:
    """Return what decides whether a node may add outputs to an execution, None when there is none."""
    return records.read_optional(WritingExecution, tx.execute(_EXECUTION, {"id": execution_id}))
