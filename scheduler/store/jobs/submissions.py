"""Writing new jobs: the key first, then all rows of a batch in a few statements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import NamedTuple

import orjson
from sqlalchemy import Connection, text

from scheduler.documents import DemandsDocument, Document, QuotaDocument
from scheduler.identifiers import FileId, JobId, JobTypeId, ProjectId, RevisionId, ShapeId
from scheduler.store import arrays, by_key, records
from scheduler.store.schema.tables import jobs


@dataclass(frozen=True, slots=True)
class UsedIdempotencyKey:
    """The submission that an idempotency key stands for: the digest of the body it came with, and the jobs it made."""

    digest: bytes
    job_ids: list[JobId]


@dataclass(frozen=True, slots=True)
class JobGroup:
    """The fields that many jobs of one batch have in common; each distinct combination is sent once."""

    job_type_id: JobTypeId
    revision_id: RevisionId
    shape_id: ShapeId
    status: str
    priority: int
    max_tries: int
    requested_tries: int
    members: int
    cpus: int
    mem: int
    disk_in: int
    disk_out: int
    timeout_s: int | None
    not_before: datetime | None
    requested_not_before: datetime | None
    is_held: bool
    hold_reason: str | None
    pool: str | None
    overrides: str


@dataclass(frozen=True, slots=True)
class GroupedJob:
    """One job: its group by number, and what is its own."""

    group: int
    name: str | None
    data: Document
    environment: dict[str, str] | None = None
    labels: dict[str, str] | None = None
    followers: int = 0
    """Whether others of its batch need it: 1 its end, 2 its start too."""


_TAKE_KEYS = text("""
    INSERT INTO idempotency (project_id, key, digest)
    SELECT :project_id, v.key, v.digest
    FROM unnest(CAST(:keys AS text[]), CAST(:digests AS bytea[])) AS v (key, digest)
    ON CONFLICT (project_id, key) DO NOTHING
    RETURNING key
""")

_KEYS = text("SELECT key, digest, job_ids FROM idempotency WHERE project_id = :project_id AND key = ANY(:keys)")

_FILL_KEYS = text("""
    UPDATE idempotency i
    SET job_ids = string_to_array(v.ids, ',')::bigint[]
    FROM unnest(CAST(:keys AS text[]), CAST(:ids AS text[])) AS v (key, ids)
    WHERE i.project_id = :project_id AND i.key = v.key
""")

_IDS = text("SELECT array_agg(nextval('jobs_id_seq')) FROM generate_series(1, :count)")

OF_JOBS = tuple(each.name for each in fields(JobGroup) if each.name != "overrides")
"""The columns of `jobs` that a group has; the overrides are stored with the specs."""

# One JSON text a column: ten thousand values are written and read several times faster than as an array.
_JOBS = text(f"""
    INSERT INTO jobs (id, project_id, workflow_id, name, followers, queued, {", ".join(OF_JOBS)})
    SELECT v.id, :project_id, CAST(:workflow_id AS bigint), v.name, v.followers, CASE WHEN g.status = 'QUEUED' THEN now() END, {", ".join(f"g.{name}" for name in OF_JOBS)}
    FROM (
        SELECT CAST(c.id AS bigint) AS id, CAST(c.n AS int) AS n, c.name, CAST(c.followers AS smallint) AS followers
        FROM ROWS FROM (jsonb_array_elements(CAST(:ids AS jsonb)), jsonb_array_elements(CAST(:groups AS jsonb)),
                        jsonb_array_elements_text(CAST(:names AS jsonb)), jsonb_array_elements(CAST(:followers AS jsonb)))
             AS c (id, n, name, followers)
    ) AS v
    JOIN {arrays.unnest(jobs, OF_JOBS)} WITH ORDINALITY AS g ({", ".join(OF_JOBS)}, n) USING (n)
    ORDER BY v.id
""")  # noqa: S608 - the only text put in is the list of columns above

_SPECS = text("""
    INSERT INTO job_specs (job_id, data, overrides, labels, created_by, event_id)
    SELECT v.id, v.data,
           CASE WHEN v.environment = 'null' THEN g.overrides
                ELSE g.overrides || jsonb_build_object('environment', v.environment) END,
           NULLIF(v.labels, 'null'), :created_by, :event_id
    FROM (
        SELECT CAST(c.id AS bigint) AS id, CAST(c.n AS int) AS n, c.data, c.environment, c.labels
        FROM ROWS FROM (jsonb_array_elements(CAST(:ids AS jsonb)), jsonb_array_elements(CAST(:groups AS jsonb)),
                        jsonb_array_elements(CAST(:data AS jsonb)), jsonb_array_elements(CAST(:environments AS jsonb)),
                        jsonb_array_elements(CAST(:labels AS jsonb))) AS c (id, n, data, environment, labels)
    ) AS v
    JOIN unnest(CAST(:overrides AS jsonb[])) WITH ORDINALITY AS g (overrides, n) USING (n)
    ORDER BY v.id
""")

_EVENT = text("""
    INSERT INTO trigger_events (type, description)
    VALUES ('USER', CAST(:description AS jsonb))
    RETURNING id
""")

_FILES = text("""
    SELECT id, media_type, file_size
    FROM files
    WHERE id = ANY(:ids) AND project_id = :project_id AND is_published AND NOT is_deleted
""")

_PROJECT = "SELECT id, name, quota, demands FROM projects WHERE name = %(name)s AND deleted IS NULL"

_WAITING = text("""
    SELECT count(*) FROM (
        SELECT FROM jobs
        WHERE project_id = :project_id AND status IN ('PENDING_UPLOAD', 'PENDING', 'BLOCKED', 'QUEUED')
        LIMIT :limit
    ) AS counted
""")


def take_keys(tx: Connection, project_id: ProjectId, keys: dict[str, bytes]) -> dict[str, UsedIdempotencyKey]:
    """Take these keys for this transaction; return those that somebody took before, with what they stand for.

    Waits for a transaction that holds one of them. Keys are taken in order, so that two batches cannot lock each other.
    """
    names = sorted(keys)
    parameters = {"project_id": project_id, "keys": names, "digests": [keys[name] for name in names]}
    taken = set(tx.execute(_TAKE_KEYS, parameters).scalars())
    before = [name for name in names if name not in taken]
    if not before:
        return {}
    rows = tx.execute(_KEYS, {"project_id": project_id, "keys": before})
    return {row.key: UsedIdempotencyKey(bytes(row.digest), list(row.job_ids)) for row in rows}


def known_keys(tx: Connection, project_id: ProjectId, keys: Sequence[str]) -> dict[str, UsedIdempotencyKey]:
    """Return what those of these keys stand for that somebody has used; takes none."""
    rows = tx.execute(_KEYS, {"project_id": project_id, "keys": list(keys)})
    return {row.key: UsedIdempotencyKey(bytes(row.digest), list(row.job_ids)) for row in rows}


def fill_keys(tx: Connection, project_id: ProjectId, made: dict[str, list[JobId]]) -> None:
    """Write which jobs each taken key stands for."""
    parameters = {
        "project_id": project_id,
        "keys": list(made),
        "ids": [",".join(map(str, ids)) for ids in made.values()],
    }
    tx.execute(_FILL_KEYS, parameters)


def take_ids(tx: Connection, counts: Sequence[int]) -> list[list[JobId]]:
    """Return so many new ids for each job: its own first, and then those that are kept free behind it."""
    ids: list[JobId] = list(tx.execute(_IDS, {"count": sum(counts)}).scalar_one())
    taken = iter(ids)
    return [[next(taken) for _ in range(count)] for count in counts]


def insert(
    tx: Connection,
    project_id: ProjectId,
    groups: Sequence[JobGroup],
    rows: Sequence[GroupedJob],
    created_by: int,
    creator: str = "",
    workflow_id: int | None = None,
    ids: Sequence[JobId] | None = None,
) -> list[JobId]:
    """Insert jobs with their specs, and the event that made them, and return their ids, one per row in the same order.

    `created_by` is the id of the token that submits, `creator` its name, `workflow_id` the workflow that they belong to.
    """
    event = {"description": _json({"user": creator, "jobs": len(rows)})}
    ids = list(tx.execute(_IDS, {"count": len(rows)}).scalar_one()) if ids is None else list(ids)
    own = {"ids": _json(ids), "groups": _json([row.group + 1 for row in rows])}
    each = {"names": _json([row.name for row in rows]), "followers": _json([row.followers for row in rows])}
    tx.execute(
        _JOBS,
        {
            **own,
            **each,
            **arrays.parameters(jobs, OF_JOBS, groups),
            "project_id": project_id,
            "workflow_id": workflow_id,
        },
    )
    specs = {
        **own,
        "data": _json([row.data for row in rows]),
        "overrides": [group.overrides for group in groups],
        "environments": _json([row.environment for row in rows]),
        "labels": _json([row.labels for row in rows]),
        "created_by": created_by,
        "event_id": tx.execute(_EVENT, event).scalar_one(),
    }
    tx.execute(_SPECS, specs)
    return ids


class ReadableFile(NamedTuple):
    """A file that a job may read."""

    id: FileId
    media_type: str
    file_size: int


class Project(NamedTuple):
    """The project that jobs are submitted to, what it may have, and what it demands of the nodes and images of its jobs."""

    id: ProjectId
    name: str
    quota: QuotaDocument
    demands: DemandsDocument


def files(tx: Connection, project_id: ProjectId, ids: Sequence[int]) -> dict[int, ReadableFile]:
    """Return by id the files that a job of this project may read; others are left out."""
    result = tx.execute(_FILES, {"ids": list(ids), "project_id": project_id})
    return {row.id: row for row in records.read_all(ReadableFile, result)}


def project(tx: Connection, name: str) -> Project | None:
    """Return a project by its name, None when there is no such project."""
    found = by_key.rows(tx, _PROJECT, {"name": name})
    return Project(*found[0]) if found else None


def waiting(tx: Connection, project_id: ProjectId, limit: int) -> int:
    """Return how many jobs of a project wait, counted up to `limit`."""
    return int(tx.execute(_WAITING, {"project_id": project_id, "limit": limit}).scalar_one())


def read_only(tx: Connection) -> None:
    """Let this transaction write nothing: whatever tries to fails."""
    tx.execute(text("SET TRANSACTION READ ONLY"))


def _json(values: Sequence[object] | Mapping[str, object]) -> str:
    return orjson.dumps(values).decode()
