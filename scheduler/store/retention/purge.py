"""Deleting what is due, in sets. Each function looks again, under the row's lock, that it still is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import Connection, text

from scheduler.identifiers import FileId, JobId, ProjectId
from scheduler.store import records
from scheduler.store.retention.due import ChangedJob


class PurgedFile(NamedTuple):
    """Where the content of a deleted file lies: the workspace's URL and the path in it."""

    url: str
    path: str


@dataclass(frozen=True, slots=True)
class PurgeResult:
    """What one batch has deleted: how many, how many bytes of it, and the contents that are to be removed after the commit."""

    count: int = 0
    size: int = 0
    contents: Sequence[PurgedFile] = field(default=())


# Whoever works with one of these jobs keeps it: the next sweep sees it again. What was read with another status or time
# has been changed since, and is judged anew.
_LOCK = text("""
    SELECT j.id
    FROM jobs j
    JOIN unnest(CAST(:ids AS bigint[]), CAST(:statuses AS text[]), CAST(:changed AS timestamptz[]))
         AS seen (id, status, changed)
      ON seen.id = j.id AND seen.status = j.status AND seen.changed = j.last_modified
    WHERE j.id = ANY(:ids)
      AND j.status IN ('COMPLETED', 'FAILED', 'CANCELED')
      AND NOT j.is_pinned
      AND NOT EXISTS (SELECT FROM executions x WHERE x.job_id = j.id AND x.released_at IS NULL)
      -- A workflow that is not over keeps all its jobs.
      AND (j.workflow_id IS NULL
           OR NOT EXISTS (SELECT FROM workflows w WHERE w.id = j.workflow_id AND w.state IS NULL))
      -- Whoever needs it and has not ended may still ask how it ended, and for what it made.
      AND (j.followers = 0 OR NOT EXISTS (
          SELECT FROM job_needs n JOIN jobs f ON f.id = n.job_id
          WHERE f.status IN ('PENDING_UPLOAD', 'PENDING', 'BLOCKED', 'QUEUED', 'RUNNING')
            AND (n.needs_id = j.id AND n.group_id IS NULL
                 OR n.group_id IN (SELECT m.group_id FROM group_members m WHERE m.job_id = j.id))))
    ORDER BY j.id
    FOR UPDATE SKIP LOCKED
""")

_EXECUTIONS = text("SELECT id FROM executions WHERE job_id = ANY(:ids) AND (NOT :printed OR output_purged IS NULL)")

_CHUNKS = text("""
    WITH gone AS (
        DELETE FROM output_chunks WHERE execution_id = ANY(:executions) RETURNING execution_id, octet_length(data) AS size
    )
    SELECT COALESCE(array_agg(DISTINCT execution_id), '{}') AS executions, COALESCE(sum(size), 0)::bigint AS size FROM gone
""")

_MARK = text("UPDATE executions SET output_purged = now() WHERE id = ANY(:executions)")

# Outputs of attempts that were not accepted: nobody ever saw them.
_UNSEEN = text("""
    WITH gone AS (
        DELETE FROM files WHERE execution_id = ANY(:executions) AND NOT is_published RETURNING workspace_id, path, is_deleted
    )
    SELECT w.url, gone.path FROM gone JOIN workspaces w ON w.id = gone.workspace_id WHERE NOT gone.is_deleted
""")

_DELETE = (
    text("DELETE FROM executions WHERE id = ANY(:executions)"),
    text("DELETE FROM events WHERE job_id = ANY(:ids)"),
    text("DELETE FROM deletions WHERE kind = 'job' AND object_id = ANY(:ids)"),
    # An event goes with the last of the jobs that it made.
    text("""
        WITH gone AS (DELETE FROM job_specs WHERE job_id = ANY(:ids) RETURNING event_id)
        DELETE FROM trigger_events v
        WHERE v.id IN (SELECT event_id FROM gone)
          AND NOT EXISTS (SELECT FROM job_specs q WHERE q.event_id = v.id AND q.job_id <> ALL(:ids))
    """),
    text("DELETE FROM job_needs WHERE job_id = ANY(:ids)"),
    text("DELETE FROM job_plans WHERE job_id = ANY(:ids)"),
    text("DELETE FROM job_cache WHERE job_id = ANY(:ids)"),
    text("DELETE FROM job_parents WHERE job_id = ANY(:ids)"),
    text("DELETE FROM need_deadlines WHERE job_id = ANY(:ids)"),
    # A workflow goes with the last of its jobs.
    text("""
        WITH gone AS (DELETE FROM workflow_jobs WHERE job_id = ANY(:ids) RETURNING workflow_id)
        DELETE FROM workflows w
        WHERE w.id IN (SELECT workflow_id FROM gone)
          AND NOT EXISTS (SELECT FROM workflow_jobs m WHERE m.workflow_id = w.id AND m.job_id <> ALL(:ids))
    """),
    # A group goes with the last of its members.
    text("""
        WITH gone AS (DELETE FROM group_members WHERE job_id = ANY(:ids) RETURNING group_id)
        DELETE FROM job_groups g
        WHERE g.id IN (SELECT group_id FROM gone)
          AND NOT EXISTS (SELECT FROM group_members m WHERE m.group_id = g.id AND m.job_id <> ALL(:ids))
    """),
    # What a version says of itself stands with it: it stays when the job that made it goes.
    text("DELETE FROM data_set_jobs WHERE job_id = ANY(:ids)"),
    text("DELETE FROM jobs WHERE id = ANY(:ids)"),
)

_RECORD = text("""
    INSERT INTO purges (project_id, what, count, bytes, ids)
    SELECT :project_id, :what, :count, :bytes,
           (SELECT range_agg(int8range(id, id, '[]')) FROM unnest(CAST(:ids AS bigint[])) AS one (id))
""")

# What jobs that have not ended read is kept, and what pinned jobs made, or reused. The inputs are looked at once for each batch.
_FILES = text("""
    WITH needed AS (
        SELECT DISTINCT CAST(named #>> '{}' AS bigint) AS id
        FROM jobs j
        JOIN job_specs s ON s.job_id = j.id
        CROSS JOIN LATERAL (
            SELECT jsonb_path_query(s.data, '$.input_data[*].file_id') AS named
            UNION ALL
            SELECT jsonb_path_query(s.data, '$.input_data[*].file_ids[*]')
        ) AS inputs
        WHERE j.project_id = :project_id
          AND (j.status IN ('PENDING_UPLOAD', 'PENDING', 'BLOCKED', 'QUEUED', 'RUNNING') OR j.is_pinned)
    ), gone AS (
        UPDATE files f
        SET is_deleted = true, deleted = now(), unpublished = now(), last_modified = now()
        WHERE f.id = ANY(:ids) AND f.is_published AND NOT f.is_deleted
          AND NOT EXISTS (SELECT FROM needed n WHERE n.id = f.id)
          AND NOT EXISTS (SELECT FROM data_set_files d WHERE d.file_id = f.id)
          AND NOT EXISTS (
              SELECT FROM (SELECT f.job_id AS id UNION ALL SELECT c.job_id FROM job_cache c WHERE c.reused_from = f.job_id) AS o
              WHERE EXISTS (SELECT FROM jobs j WHERE j.id = o.id AND j.is_pinned)
                 OR EXISTS (
                     SELECT FROM job_needs n JOIN jobs w ON w.id = n.job_id
                     WHERE n.wires AND w.status IN ('PENDING_UPLOAD', 'PENDING', 'BLOCKED', 'QUEUED', 'RUNNING')
                       AND (n.needs_id = o.id AND n.group_id IS NULL
                            OR n.group_id IN (SELECT m.group_id FROM group_members m WHERE m.job_id = o.id))))
        RETURNING f.workspace_id, f.path, f.file_size
    )
    SELECT w.url, gone.path, gone.file_size FROM gone JOIN workspaces w ON w.id = gone.workspace_id
""")

_KEYS = text("""
    DELETE FROM idempotency i
    USING (
        SELECT project_id, key FROM idempotency
        WHERE created < now() - make_interval(days => :days)
        ORDER BY created
        LIMIT :limit
    ) AS old
    WHERE i.project_id = old.project_id AND i.key = old.key
""")


class _Gone(NamedTuple):
    executions: list[int]
    size: int


class _GoneFile(NamedTuple):
    url: str
    path: str
    file_size: int


# Sessions of ours plan every statement anew. For a foreign key that would be a plan for each row that goes: five times the work.
_PLAN_ONCE = "SET LOCAL plan_cache_mode = auto"


def jobs(tx: Connection, project_id: ProjectId, due: Sequence[ChangedJob]) -> PurgeResult:
    """Delete jobs with their executions, events and output, and files of theirs that were never published.

    Published files stay: they are the project's. Jobs that changed since they were read, are pinned, or have an execution
    that is not released are passed over.
    """
    ids = _locked(tx, due)
    if not ids:
        return PurgeResult()
    executions = list(tx.execute(_EXECUTIONS, {"ids": ids, "printed": False}).scalars())
    gone = records.read_one(_Gone, tx.execute(_CHUNKS, {"executions": executions}))
    contents = records.read_all(PurgedFile, tx.execute(_UNSEEN, {"executions": executions}))
    tx.exec_driver_sql(_PLAN_ONCE)
    for statement in _DELETE:
        tx.execute(statement, {"executions": executions, "ids": ids})
    _record(tx, project_id, "jobs", len(ids), gone.size, ids)
    return PurgeResult(len(ids), gone.size, contents)


def output(tx: Connection, project_id: ProjectId, due: Sequence[ChangedJob]) -> PurgeResult:
    """Delete what the programs of these jobs printed; their executions say since when it is gone."""
    ids = _locked(tx, due)
    if not ids:
        return PurgeResult()
    executions = list(tx.execute(_EXECUTIONS, {"ids": ids, "printed": True}).scalars())
    gone = records.read_one(_Gone, tx.execute(_CHUNKS, {"executions": executions}))
    if not gone.executions:
        return PurgeResult()
    tx.execute(_MARK, {"executions": gone.executions})
    _record(tx, project_id, "output", len(gone.executions), gone.size)
    return PurgeResult(len(gone.executions), gone.size)


def files(tx: Connection, project_id: ProjectId, ids: Sequence[FileId]) -> PurgeResult:
    """Mark output files as deleted, but not those that versions hold, that jobs which have not ended read, or that are pinned."""
    rows = records.read_all(_GoneFile, tx.execute(_FILES, {"project_id": project_id, "ids": list(ids)}))
    if not rows:
        return PurgeResult()
    size = sum(row.file_size for row in rows)
    _record(tx, project_id, "files", len(rows), size)
    return PurgeResult(len(rows), size, [PurgedFile(row.url, row.path) for row in rows])


def data_set(tx: Connection, project_id: ProjectId, freed: Sequence[FileId]) -> PurgeResult:
    """Record that a data set is gone, and let go of the files that only its versions held, unless something else keeps them."""
    left = files(tx, project_id, freed) if freed else PurgeResult()
    _record(tx, project_id, "data-sets", 1, left.size)
    return PurgeResult(1, left.size, left.contents)


def keys(tx: Connection, *, older_than_days: int, limit: int) -> int:
    """Delete idempotency keys that are older; return how many."""
    return int(tx.execute(_KEYS, {"days": older_than_days, "limit": limit}).rowcount)


def _locked(tx: Connection, due: Sequence[ChangedJob]) -> list[JobId]:
    columns = {
        "ids": [job.id for job in due],
        "statuses": [job.status for job in due],
        "changed": [job.last_modified for job in due],
    }
    return list(tx.execute(_LOCK, columns).scalars())


def _record(
    tx: Connection, project_id: ProjectId, what: str, count: int, size: int, ids: Sequence[JobId] | None = None
) -> None:
    tx.execute(
        _RECORD,
        {"project_id": project_id, "what": what, "count": count, "bytes": size, "ids": None if ids is None else [*ids]},
    )
