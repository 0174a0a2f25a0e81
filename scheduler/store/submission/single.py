"""The submission of one job by one statement: what it goes to is checked, its rows are written, and all columns of it come back.

Project and type are read before, and remembered. `SubmissionTarget.mark` names the very versions of their rows; the statement writes nothing
if these are not the newest any more, so that what a process remembers can never be out of date.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import orjson
from sqlalchemy import Connection

from scheduler.identifiers import JobTypeId
from scheduler.store import by_key
from scheduler.store.admin import job_types
from scheduler.store.admin.job_types import ResolvedType
from scheduler.store.jobs import detail
from scheduler.store.jobs.detail import JobRest
from scheduler.store.jobs.listing import JobRow
from scheduler.store.jobs.submissions import OF_JOBS, GroupedJob, JobGroup, Project

_PROJECT = "pr.id AS to_id, pr.name AS to_name, pr.quota, pr.demands"
_OF_PROJECT = len(Project._fields)


def _target(which: str) -> str:
    """Return the statement that reads a project and a type that one of its jobs may be of."""
    return f"""
        SELECT {_PROJECT}, found.*, concat(pr.id, ' ', pr.xmin, ' ', found.job_type_id, ' ', found.row_version) AS mark
        FROM projects pr
        CROSS JOIN LATERAL (
            {job_types.resolved(which, "pr.id", more=", t.xmin AS row_version")} {job_types.newest("%(type_version)s::text")}
        ) AS found
        WHERE pr.name = %(to_project)s AND pr.deleted IS NULL
    """  # noqa: S608 - our own columns


_BY_ID = _target("t.id = %(type_id)s")
_BY_NAME = _target("t.name = %(type_name)s AND (%(type_version)s::text IS NULL OR t.version = %(type_version)s)")


def _submission(target: str) -> str:
    """Return the statement that writes one job. What is read of it afterwards is read from what was written, by the names of its tables."""
    return f"""
        WITH target AS MATERIALIZED ({target}
        ), made AS MATERIALIZED (
            SELECT nextval('jobs_id_seq') AS id FROM target WHERE mark = %(mark)s
        ), taken AS (
            INSERT INTO idempotency (project_id, key, digest, job_ids)
            SELECT %(project_id)s, %(key)s, %(digest)s, ARRAY[made.id] FROM made WHERE %(key)s::text IS NOT NULL
            ON CONFLICT (project_id, key) DO NOTHING
            RETURNING key
        ), new AS MATERIALIZED (
            SELECT id FROM made WHERE %(key)s::text IS NULL OR EXISTS (SELECT FROM taken)
        ), jobs AS (
            INSERT INTO jobs (id, project_id, name, queued, {", ".join(OF_JOBS)})
            SELECT new.id, %(project_id)s, %(name)s, CASE WHEN %(status)s = 'QUEUED' THEN now() END,
                   {", ".join(f"%({name})s" for name in OF_JOBS)}
            FROM new
            RETURNING *
        ), trigger_events AS (
            INSERT INTO trigger_events (type, description) SELECT 'USER', %(event)s::jsonb FROM new RETURNING *
        ), job_specs AS (
            INSERT INTO job_specs (job_id, data, overrides, labels, created_by, event_id)
            SELECT new.id, %(data)s::jsonb, %(overrides)s::jsonb, %(labels)s::jsonb, %(created_by)s, trigger_events.id
            FROM new, trigger_events
            RETURNING *
        )
        {detail.WHOLE}
    """  # noqa: S608 - our own columns


_INSERT_BY_ID, _INSERT_BY_NAME = _submission(_BY_ID), _submission(_BY_NAME)


@dataclass(frozen=True, slots=True)
class TypeReference:
    """How a job names its type: by its id, or by name and version; without a version the newest is meant."""

    id: JobTypeId | None
    name: str | None = None
    version: str | None = None

    def parameters(self, project: str) -> dict[str, object]:
        """Return the parameters of the statements that read a type."""
        return {"to_project": project, "type_id": self.id, "type_name": self.name, "type_version": self.version}


@dataclass(frozen=True, slots=True)
class SubmissionTarget:
    """A project, the type that a reference means there, and the mark of both as they were read."""

    project: Project
    type: ResolvedType
    mark: str


def target(tx: Connection, project: str, reference: TypeReference) -> SubmissionTarget | None:
    """Return what a job goes to; None if there is no such project, or no such type that it could be of."""
    statement = _BY_NAME if reference.id is None else _BY_ID
    found = by_key.rows(tx, statement, reference.parameters(project))
    if not found:
        return None
    row = found[0]
    return SubmissionTarget(Project(*row[:_OF_PROJECT]), ResolvedType(*row[_OF_PROJECT:-2]), row[-1])


def insert(
    tx: Connection,
    to: SubmissionTarget,
    reference: TypeReference,
    group: JobGroup,
    row: GroupedJob,
    creator: tuple[int, str],
    key: tuple[str, bytes] | None,
) -> tuple[JobRow, JobRest] | None:
    """Insert one job and return all columns of it, as `detail.whole` does.

    None, and nothing is written, if its key was used before, or if project or type are not as they were read. `creator` is id and name
    of the token that submits, `key` the idempotency key with the digest of its request.
    """
    overrides = orjson.loads(group.overrides)
    if row.environment is not None:
        overrides["environment"] = row.environment
    parameters: Mapping[str, object] = {
        **{name: getattr(group, name) for name in OF_JOBS},
        **reference.parameters(to.project.name),
        "mark": to.mark,
        "project_id": to.project.id,
        "name": row.name,
        "key": None if key is None else key[0],
        "digest": None if key is None else key[1],
        "event": _json({"user": creator[1], "jobs": 1}),
        "data": _json(row.data),
        "overrides": _json(overrides),
        "labels": None if row.labels is None else _json(row.labels),
        "created_by": creator[0],
    }
    return detail.first(by_key.rows(tx, _INSERT_BY_NAME if reference.id is None else _INSERT_BY_ID, parameters))


def _json(value: object) -> str:
    return orjson.dumps(value).decode()
