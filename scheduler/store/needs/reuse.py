"""What jobs whose results may be reused are known by, and the results that are there for a key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import orjson
from sqlalchemy import Connection, text

from scheduler.documents import JobResults
from scheduler.identifiers import JobId, ProjectId
from scheduler.store import records


@dataclass(frozen=True, slots=True)
class ReuseRecord:
    """A job by its key and the parts of it. `missed` says why nothing was reused, `reused_from` what was."""

    job_id: JobId
    project_id: ProjectId
    key: bytes
    parts: Mapping[str, str]
    missed: str | None = None
    reused_from: JobId | None = None


class ReusableJob(NamedTuple):
    """A COMPLETED job with the same key: when it began and ended, what it made, and the job that could not read a file of that."""

    id: JobId
    started: datetime | None
    ended: datetime
    is_old: bool
    results: JobResults | None
    doubted_by: JobId | None


class ReuseOutcome(NamedTuple):
    """What became of the reuse for a job."""

    key: str
    reused_from: JobId | None
    missed: str | None


class LikeJob(NamedTuple):
    """The newest job of the same type and name, by its parts."""

    job_id: JobId
    parts: dict[str, str]


_WRITE = text("""
    INSERT INTO job_cache (job_id, project_id, key, parts, missed, reused_from)
    SELECT v.job_id, v.project_id, v.key, v.parts, v.missed, v.reused_from
    FROM unnest(CAST(:job_id AS bigint[]), CAST(:project_id AS bigint[]), CAST(:key AS bytea[]), CAST(:parts AS jsonb[]),
                CAST(:missed AS text[]), CAST(:reused_from AS bigint[])) AS v (job_id, project_id, key, parts, missed, reused_from)
    ON CONFLICT (job_id) DO UPDATE SET key = EXCLUDED.key, parts = EXCLUDED.parts, missed = EXCLUDED.missed,
        reused_from = EXCLUDED.reused_from, doubted_by = NULL
""")

# What an operator said is done, or was reused itself, is no result of a run.
_FIND = text("""
    SELECT j.id, j.started, j.ended, j.ended < now() - make_interval(secs => :valid_s) AS is_old, q.results, c.doubted_by
    FROM job_cache c
    JOIN jobs j ON j.id = c.job_id
    JOIN job_specs q ON q.job_id = j.id
    WHERE c.project_id = :project_id AND c.key = :key AND c.reused_from IS NULL AND j.id <> :job_id
      AND j.status = 'COMPLETED' AND j.forced_by IS NULL
    ORDER BY j.ended DESC
    LIMIT :limit
""")

_RUNNING = text("""
    SELECT j.id
    FROM job_cache c JOIN jobs j ON j.id = c.job_id
    WHERE c.project_id = :project_id AND c.key = :key AND c.reused_from IS NULL AND j.id < :job_id
      AND j.status IN ('QUEUED', 'RUNNING')
    ORDER BY j.id
    LIMIT 1
""")

# Its row is passed over where somebody has locked it: who waits is looked at again.
_LOCK_LIVE = text("""
    UPDATE jobs SET followers = GREATEST(followers, 1)
    WHERE id = (SELECT id FROM jobs WHERE id = :id AND status IN ('PENDING', 'QUEUED', 'RUNNING') FOR NO KEY UPDATE SKIP LOCKED)
    RETURNING id
""")

_WAIT = text("""
    WITH known AS (
        UPDATE job_needs SET settled = NULL
        WHERE job_id = :job_id AND needs_id = :needs_id AND after = 'ANY' AND group_id IS NULL RETURNING job_id
    )
    INSERT INTO job_needs (job_id, position, needs_id, after)
    SELECT :job_id, (SELECT COALESCE(max(position) + 1, 0) FROM job_needs WHERE job_id = :job_id), :needs_id, 'ANY'
    WHERE NOT EXISTS (SELECT FROM known)
""")

_LIKE = text("""
    SELECT c.job_id, c.parts
    FROM (
        SELECT job_id, parts FROM job_cache WHERE project_id = :project_id AND job_id <> :job_id AND key <> ''
        ORDER BY job_id DESC LIMIT 200
    ) AS c
    JOIN jobs j ON j.id = c.job_id
    JOIN jobs o ON o.id = :job_id AND o.job_type_id = j.job_type_id AND o.name IS NOT DISTINCT FROM j.name
    ORDER BY c.job_id DESC
    LIMIT 1
""")

_HASHES = text("""
    SELECT id, sha256 FROM files WHERE id = ANY(:ids) AND project_id = :project_id AND is_published AND NOT is_deleted
""")

# An input is named with the job that failed; the file says which job made it.
_DOUBT = text("""
    UPDATE job_cache c
    SET doubted_by = made.by
    FROM (
        SELECT f.job_id, max(s.job_id) AS by
        FROM job_specs s
        CROSS JOIN LATERAL (
            SELECT jsonb_path_query(s.data, '$.input_data[*].file_id') AS named
            UNION ALL
            SELECT jsonb_path_query(s.data, '$.input_data[*].file_ids[*]')
        ) AS inputs
        JOIN files f ON f.id = CAST(inputs.named #>> '{}' AS bigint)
        WHERE s.job_id = ANY(:ids) AND f.job_id IS NOT NULL
        GROUP BY f.job_id
    ) AS made
    WHERE c.job_id = made.job_id AND c.reused_from IS NULL
""")

_SECRETS = text("SELECT name, last_modified FROM secrets WHERE project_id = :project_id AND name = ANY(:names)")

_OUTCOME = text("SELECT encode(key, 'hex') AS key, reused_from, missed FROM job_cache WHERE job_id = :id")

_FORGET = text("""
    DELETE FROM job_cache c
    USING jobs j, job_types t
    WHERE j.id = c.job_id AND t.id = j.job_type_id AND c.reused_from IS NULL
      AND (c.project_id = :project_id OR CAST(:project_id AS bigint) IS NULL)
      AND (t.name = :name OR CAST(:name AS text) IS NULL) AND (t.version = :version OR CAST(:version AS text) IS NULL)
    RETURNING c.job_id
""")


def write(tx: Connection, rows: Sequence[ReuseRecord]) -> None:
    """Write what jobs are known by; of a new round, in place of what was known."""
    if rows:
        columns: dict[str, list[object]] = {
            name: [getattr(one, name) for one in rows] for name in ReuseRecord.__slots__
        }
        tx.execute(_WRITE, {**columns, "parts": [orjson.dumps(one.parts).decode() for one in rows]})


def find(
    tx: Connection, project_id: ProjectId, job_id: JobId, key: bytes, valid_s: int, limit: int
) -> list[ReusableJob]:
    """Return other jobs of this key that have completed, the newest first."""
    asked = {"project_id": project_id, "job_id": job_id, "key": key, "valid_s": valid_s, "limit": limit}
    return records.read_all(ReusableJob, tx.execute(_FIND, asked))


def running(tx: Connection, project_id: ProjectId, job_id: JobId, key: bytes) -> JobId | None:
    """Return an earlier job of this key that waits in the queue or runs; None where there is none."""
    return tx.execute(_RUNNING, {"project_id": project_id, "job_id": job_id, "key": key}).scalar()


def wait_for(tx: Connection, job_id: JobId, needs_id: JobId) -> bool:
    """Let a job wait for the end of an earlier one, whichever; False if that has ended or is locked: look again."""
    if tx.execute(_LOCK_LIVE, {"id": needs_id}).first() is None:
        return False
    tx.execute(_WAIT, {"job_id": job_id, "needs_id": needs_id})
    return True


def like(tx: Connection, project_id: ProjectId, job_id: JobId) -> LikeJob | None:
    """Return the newest of the last jobs with a key that has this one's type and name; None where there is none."""
    return records.read_optional(LikeJob, tx.execute(_LIKE, {"project_id": project_id, "job_id": job_id}))


def hashes(tx: Connection, project_id: ProjectId, ids: Sequence[int]) -> dict[int, str]:
    """Return the SHA-256 of those of these files of a project that are there, by id."""
    return (
        {row.id: row.sha256 for row in tx.execute(_HASHES, {"project_id": project_id, "ids": list(ids)})} if ids else {}
    )


def doubt(tx: Connection, ids: Sequence[JobId]) -> None:
    """Let nobody reuse the results that made files which these jobs could not have as they were made."""
    if ids:
        tx.execute(_DOUBT, {"ids": list(ids)})


def secrets(tx: Connection, project_id: ProjectId, names: Sequence[str]) -> dict[str, datetime]:
    """Return when each of these secrets of a project was last written."""
    asked = {"project_id": project_id, "names": list(names)}
    return {row.name: row.last_modified for row in tx.execute(_SECRETS, asked)} if names else {}


def outcome(tx: Connection, job_id: JobId) -> ReuseOutcome | None:
    """Return what became of the reuse for a job; None where it is off, or nobody has looked yet."""
    return records.read_optional(ReuseOutcome, tx.execute(_OUTCOME, {"id": job_id}))


def forget(tx: Connection, project_id: ProjectId | None, name: str | None, version: str | None) -> int:
    """Let nobody reuse the results of these types any more; return of how many jobs. None is all."""
    return len(tx.execute(_FORGET, {"project_id": project_id, "name": name, "version": version}).all())
