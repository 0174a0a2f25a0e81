"""Reports on data sets: their specifications, and what runs of them have told. Results stay as long as their set."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import Connection, text

from scheduler.documents import Document, JsonValue
from scheduler.identifiers import DataSetId, JobId
from scheduler.rules.data_sets.reports import ReportDocument
from scheduler.store import records


class SpecificationRow(NamedTuple):
    """What a report tells. `revision` grows with what makes its results another kind of figures."""

    id: int
    uuid: UUID
    data_set_id: DataSetId
    name: str
    description: str | None
    autorun: bool
    revision: int
    asked: ReportDocument
    created_by: int
    created_by_name: str
    last_result: datetime | None
    last_version: int | None


class ResultRow(NamedTuple):
    """What one run has told of one version."""

    id: int
    uuid: UUID
    specification_id: int
    specification: Document
    version: int
    told: Document
    created: datetime


class NewResult(NamedTuple):
    """A result to insert. `specification` is what it was made of: name, description, revision, and the units and titles of columns."""

    uuid: UUID
    specification_id: int
    specification: Document
    version: int
    told: Document


_FIELDS = """
    s.id, s.uuid, s.data_set_id, s.name, s.description, s.autorun, s.revision, s.asked, s.created_by, s.created_by_name,
    (SELECT r.created FROM data_set_reports r WHERE r.specification_id = s.id ORDER BY r.id DESC LIMIT 1) AS last_result,
    (SELECT r.version FROM data_set_reports r WHERE r.specification_id = s.id ORDER BY r.id DESC LIMIT 1) AS last_version
"""

_INSERT = text("""
    INSERT INTO data_set_specifications (data_set_id, name, description, autorun, asked, created_by, created_by_name)
    VALUES (:data_set_id, :name, :description, :autorun, CAST(:asked AS jsonb), :by, :by_name)
    RETURNING uuid
""")

_UPDATE = text("""
    UPDATE data_set_specifications
    SET name = :name, description = :description, autorun = :autorun, asked = CAST(:asked AS jsonb),
        revision = CASE WHEN asked = CAST(:asked AS jsonb) THEN revision ELSE revision + 1 END
    WHERE id = :id
""")

_ONE = text(f"SELECT {_FIELDS} FROM data_set_specifications s WHERE s.data_set_id = :id AND s.uuid = :uuid")  # noqa: S608 - our own text
_PAGE = text(f"""
    SELECT {_FIELDS} FROM data_set_specifications s WHERE s.data_set_id = :id ORDER BY s.id DESC LIMIT :limit OFFSET :offset
""")  # noqa: S608
_COUNT = text("SELECT count(*) FROM data_set_specifications WHERE data_set_id = :id")
_OWN = text(f"SELECT {_FIELDS} FROM data_set_specifications s WHERE s.data_set_id = :id AND s.autorun ORDER BY s.id")  # noqa: S608

_RESULT = ", ".join(ResultRow._fields)
_TELL = text("""
    INSERT INTO data_set_reports (uuid, specification_id, specification, version, told)
    VALUES (:uuid, :specification_id, CAST(:specification AS jsonb), :version, CAST(:told AS jsonb))
""")
_TOLD = text(f"SELECT {_RESULT} FROM data_set_reports WHERE specification_id = :id AND uuid = :uuid")  # noqa: S608
_TOLD_PAGE = text(f"""
    SELECT {_RESULT} FROM data_set_reports WHERE specification_id = :id ORDER BY id DESC LIMIT :limit OFFSET :offset
""")  # noqa: S608
_TOLD_COUNT = text("SELECT count(*) FROM data_set_reports WHERE specification_id = :id")
_TOLD_OF = text("""
    SELECT uuid FROM data_set_reports
    WHERE specification_id = :id AND version = :version AND CAST(specification ->> 'revision' AS integer) = :revision
    ORDER BY id DESC LIMIT 1
""")
_JOB_OF = text("""
    SELECT job_id FROM data_set_jobs
    WHERE data_set_id = :id AND work = 'report' AND request ->> 'result_uuid' = CAST(:uuid AS text)
""")

_DELETE = (
    text("""
        DELETE FROM data_set_reports r USING data_set_specifications s
        WHERE s.id = r.specification_id AND s.data_set_id = :id
    """),
    text("DELETE FROM data_set_specifications WHERE data_set_id = :id"),
)


def insert(
    tx: Connection,
    data_set_id: DataSetId,
    name: str,
    description: str | None,
    asked: ReportDocument,
    *,
    autorun: bool,
    by: int,
    by_name: str,
) -> UUID:
    """Insert a specification and return its UUID."""
    parameters = {
        "data_set_id": data_set_id,
        "name": name,
        "description": description,
        "autorun": autorun,
        "asked": orjson.dumps(asked).decode(),
        "by": by,
        "by_name": by_name,
    }
    made: UUID = tx.execute(_INSERT, parameters).scalar_one()
    return made


def update(
    tx: Connection, row: SpecificationRow, name: str, description: str | None, asked: ReportDocument, *, autorun: bool
) -> None:
    """Change a specification; another question makes another revision of it."""
    parameters = {
        "id": row.id,
        "name": name,
        "description": description,
        "autorun": autorun,
        "asked": orjson.dumps(asked).decode(),
    }
    tx.execute(_UPDATE, parameters)


def one(tx: Connection, data_set_id: DataSetId, uuid: UUID) -> SpecificationRow | None:
    """Return a specification of a data set; None when there is none."""
    return records.read_optional(SpecificationRow, tx.execute(_ONE, {"id": data_set_id, "uuid": uuid}))


def page(tx: Connection, data_set_id: DataSetId, offset: int, limit: int) -> tuple[list[SpecificationRow], int]:
    """Return part of a data set's specifications, the newest first, and how many there are."""
    parameters = {"id": data_set_id, "offset": offset, "limit": limit}
    rows = records.read_all(SpecificationRow, tx.execute(_PAGE, parameters))
    return rows, count(tx, data_set_id)


def count(tx: Connection, data_set_id: DataSetId) -> int:
    """Return how many specifications a data set has."""
    return int(tx.execute(_COUNT, {"id": data_set_id}).scalar_one())


def running_alone(tx: Connection, data_set_id: DataSetId) -> list[SpecificationRow]:
    """Return the specifications that are run with each new version."""
    return records.read_all(SpecificationRow, tx.execute(_OWN, {"id": data_set_id}))


def tell(tx: Connection, new: NewResult) -> None:
    """Insert a result."""
    documents: Mapping[str, JsonValue] = {
        "specification": orjson.dumps(new.specification).decode(),
        "told": orjson.dumps(new.told).decode(),
    }
    tx.execute(_TELL, {**new._asdict(), **documents})


def told(tx: Connection, specification_id: int, uuid: UUID) -> ResultRow | None:
    """Return a result; None when there is none."""
    return records.read_optional(ResultRow, tx.execute(_TOLD, {"id": specification_id, "uuid": uuid}))


def page_of_results(tx: Connection, specification_id: int, offset: int, limit: int) -> tuple[list[ResultRow], int]:
    """Return part of a specification's results, the newest first, and how many there are."""
    parameters = {"id": specification_id, "offset": offset, "limit": limit}
    rows = records.read_all(ResultRow, tx.execute(_TOLD_PAGE, parameters))
    return rows, int(tx.execute(_TOLD_COUNT, {"id": specification_id}).scalar_one())


def told_of(tx: Connection, row: SpecificationRow, version: int) -> UUID | None:
    """Return the newest result that a specification has as it is now for a version; None without one."""
    found: UUID | None = tx.execute(_TOLD_OF, {"id": row.id, "version": version, "revision": row.revision}).scalar()
    return found


def job_of(tx: Connection, data_set_id: DataSetId, result: UUID) -> JobId | None:
    """Return the job that makes, or has made, a result; None when nothing is known of it."""
    found: int | None = tx.execute(_JOB_OF, {"id": data_set_id, "uuid": result}).scalar()
    return None if found is None else JobId(found)


def delete_all(tx: Connection, data_set_id: DataSetId) -> None:
    """Delete all specifications of a data set with their results."""
    for statement in _DELETE:
        tx.execute(statement, {"id": data_set_id})
