"""Everything a node must know to run what it has claimed, read in one go for a batch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, text

from scheduler.documents import Document, JobDataDocument
from scheduler.identifiers import Attempt, ExecutionId, FileId, JobId, ProjectId, RevisionId
from scheduler.store import records

# OFFSET 0: the job of each execution, whatever the statistics say. In an order of its own the planner once began with all jobs.
_SPECS = text("""
    SELECT x.id AS execution_id, x.attempt, x.member, j.members, x.claim_token AS token, x.cpus, x.mem, x.disk, x.custom, x.lease_s,
           j.job_id, j.job_name, j.timeout_s, x.status = 'AHEAD' AS ahead, j.priority,
           j.num_exes + CASE WHEN x.started IS NULL THEN 1 ELSE 0 END AS tries,
           j.type_name, j.type_version, j.project, j.may_have_secrets, j.definition, j.data, j.overrides
    FROM executions x
    CROSS JOIN LATERAL (
        SELECT j.id AS job_id, j.name AS job_name, j.timeout_s, j.members, j.priority, j.num_exes,
               t.name AS type_name, t.version AS type_version, p.name AS project,
               t.project_id IS NOT NULL OR t.name = ANY(p.secret_types) AS may_have_secrets,
               r.definition, s.data, s.overrides
        FROM jobs j
        JOIN job_specs s ON s.job_id = j.id
        JOIN job_types t ON t.id = j.job_type_id
        JOIN job_type_revisions r ON r.id = j.revision_id
        JOIN projects p ON p.id = j.project_id
        WHERE j.id = x.job_id
        OFFSET 0
    ) AS j
    WHERE x.id = ANY(:ids)
    ORDER BY x.id
""")

_GANG_NODES = text("""
    SELECT x.job_id, x.attempt, array_agg(n.name ORDER BY x.member) AS nodes
    FROM unnest(CAST(:jobs AS bigint[]), CAST(:attempts AS int[])) AS v (job_id, attempt)
    JOIN executions x ON x.job_id = v.job_id AND x.attempt = v.attempt
    JOIN nodes n ON n.id = x.node_id
    GROUP BY x.job_id, x.attempt
""")

_FILES = text("""
    SELECT f.id, p.name AS project, f.file_name, f.file_size, f.sha256, f.path, w.url
    FROM files f
    JOIN workspaces w ON w.id = f.workspace_id
    JOIN projects p ON p.id = f.project_id
    WHERE f.id = ANY(:ids)
""")


_MAPPINGS = text("""
    SELECT r.id, COALESCE(r.definition -> 'exit_codes', '{}') AS exit_codes, t.project_id
    FROM job_type_revisions r JOIN job_types t ON t.id = r.job_type_id
    WHERE r.id = ANY(:ids)
""")

_PROGRAMS = text("""
    SELECT concat_ws('/', j.project_id, j.revision_id, s.overrides -> 'command' ->> 0)
    FROM jobs j
    JOIN job_specs s ON s.job_id = j.id
    WHERE j.id = ANY(:ids)
""")


class TaskSpecRow(NamedTuple):
    """One execution with its job, type, revision and data: what its task spec is made of.

    Without `may_have_secrets` the revision gets none of the project's secrets; the job may still name its own.
    """

    execution_id: ExecutionId
    attempt: Attempt
    member: int
    members: int
    token: str
    cpus: int
    mem: int
    disk: int
    custom: dict[str, int] | None
    lease_s: float
    job_id: JobId
    job_name: str | None
    timeout_s: int | None
    ahead: bool
    priority: int
    tries: int
    type_name: str
    type_version: str
    project: str
    may_have_secrets: bool
    definition: Document
    data: JobDataDocument
    overrides: Document


class ExitCodeErrors(NamedTuple):
    """Which error each exit code means, by name; `owner` is the type's project, None the installation."""

    exit_codes: dict[str, str]
    owner: ProjectId | None


class StoredFile(NamedTuple):
    """A file that a node reads: its identity, its size in bytes, and where it lies: `path` beneath the workspace's `url`.

    A job reads files of its own `project` alone, whatever its data say: nodes and programs have a hand in these.
    """

    id: FileId
    project: str
    file_name: str
    file_size: int
    sha256: str
    path: str
    url: str


def read(tx: Connection, execution_ids: Sequence[ExecutionId]) -> list[TaskSpecRow]:
    """Return one row per execution, by its id."""
    return records.read_all(TaskSpecRow, tx.execute(_SPECS, {"ids": list(execution_ids)}))


def gang_nodes(tx: Connection, attempts: Iterable[tuple[JobId, Attempt]]) -> dict[tuple[JobId, Attempt], list[str]]:
    """Return for each attempt (job, attempt) of a gang the names of its members' nodes, in their order."""
    wanted = sorted(set(attempts))
    parameters = {"jobs": [one[0] for one in wanted], "attempts": [one[1] for one in wanted]}
    return {(row.job_id, row.attempt): row.nodes for row in tx.execute(_GANG_NODES, parameters)} if wanted else {}


def files(tx: Connection, ids: Sequence[int]) -> dict[int, StoredFile]:
    """Return the files with these ids and where they lie; unknown ids are left out."""
    return {row.id: row for row in records.read_all(StoredFile, tx.execute(_FILES, {"ids": list(ids)}))} if ids else {}


def programs(tx: Connection, job_ids: Iterable[JobId]) -> list[str]:
    """Return what these jobs start: project, revision of the type, and the program where the job names its own."""
    return list(tx.execute(_PROGRAMS, {"ids": sorted(set(job_ids))}).scalars())


def error_mappings(tx: Connection, revision_ids: Iterable[RevisionId]) -> dict[RevisionId, ExitCodeErrors]:
    """Return for each revision which exit code means which error, and whose errors are meant."""
    rows = tx.execute(_MAPPINGS, {"ids": sorted(revision_ids)})
    return {row.id: ExitCodeErrors(row.exit_codes, row.project_id) for row in rows}
