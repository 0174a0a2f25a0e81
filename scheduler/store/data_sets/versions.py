"""Versions of data sets, and the files that they hold on to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import Connection, text

from scheduler.identifiers import DataSetId, JobId
from scheduler.rules.data_sets.documents import ColumnDocument, RangeDocument
from scheduler.rules.data_sets.groups import GroupDocument
from scheduler.store import records


class VersionRow(NamedTuple):
    """A version. `bounds` are those of the blocks that it changed, None where it changed none."""

    id: int
    uuid: UUID
    data_set_id: DataSetId
    number: int
    parent: int
    base: int | None
    job_id: JobId
    comment: str
    columns: list[ColumnDocument]
    groups: list[GroupDocument]
    bounds: dict[str, RangeDocument] | None
    created_by: int
    created_by_name: str
    created: datetime


class NewVersion(NamedTuple):
    """A version to insert."""

    uuid: UUID
    data_set_id: DataSetId
    number: int
    base: int | None
    job_id: JobId
    comment: str
    columns: list[ColumnDocument]
    groups: list[GroupDocument]
    bounds: dict[str, RangeDocument] | None
    created_by: int
    created_by_name: str


_COLUMNS = ", ".join(VersionRow._fields)

_INSERT = text("""
    INSERT INTO data_set_versions (uuid, data_set_id, number, parent, base, job_id, comment, columns, groups, bounds, created_by,
                                   created_by_name)
    VALUES (:uuid, :data_set_id, :number, :number - 1, :base, :job_id, :comment, CAST(:columns AS jsonb), CAST(:groups AS jsonb),
            NULLIF(CAST(:bounds AS jsonb), 'null'), :created_by, :created_by_name)
""")

_KEEP = text("""
    INSERT INTO data_set_files (file_id, data_set_id)
    SELECT v.file_id, :data_set_id FROM unnest(CAST(:ids AS bigint[])) AS v (file_id)
    ON CONFLICT (file_id) DO NOTHING
""")

_NUMBERED = text(f"SELECT {_COLUMNS} FROM data_set_versions WHERE data_set_id = :id AND number = :number")  # noqa: S608 - our own text
_BY_UUID = text(f"SELECT {_COLUMNS} FROM data_set_versions WHERE data_set_id = :id AND uuid = :uuid")  # noqa: S608
_PAGE = text(f"""
    SELECT {_COLUMNS} FROM data_set_versions WHERE data_set_id = :id ORDER BY number DESC LIMIT :limit OFFSET :offset
""")  # noqa: S608
_COUNT = text("SELECT count(*) FROM data_set_versions WHERE data_set_id = :id")
_KEPT = text("SELECT data_set_id FROM data_set_files WHERE file_id = :id")


def insert(tx: Connection, new: NewVersion) -> None:
    """Insert a version, and hold on to the files of its columns."""
    documents = {
        "columns": orjson.dumps(new.columns).decode(),
        "groups": orjson.dumps(new.groups).decode(),
        "bounds": orjson.dumps(new.bounds).decode(),
    }
    tx.execute(_INSERT, {**new._asdict(), **documents})
    ids = sorted(_file_ids(new.columns))
    if ids:
        tx.execute(_KEEP, {"ids": ids, "data_set_id": new.data_set_id})


def numbered(tx: Connection, data_set_id: DataSetId, number: int) -> VersionRow | None:
    """Return one version by its number; None when there is none."""
    return records.read_optional(VersionRow, tx.execute(_NUMBERED, {"id": data_set_id, "number": number}))


def by_uuid(tx: Connection, data_set_id: DataSetId, uuid: UUID) -> VersionRow | None:
    """Return one version by its UUID; None when there is none."""
    return records.read_optional(VersionRow, tx.execute(_BY_UUID, {"id": data_set_id, "uuid": uuid}))


def page(tx: Connection, data_set_id: DataSetId, offset: int, limit: int) -> tuple[list[VersionRow], int]:
    """Return part of the versions of a data set, the newest first, and how many there are in all."""
    rows = records.read_all(VersionRow, tx.execute(_PAGE, {"id": data_set_id, "offset": offset, "limit": limit}))
    return rows, int(tx.execute(_COUNT, {"id": data_set_id}).scalar_one())


def keeper(tx: Connection, file_id: int) -> DataSetId | None:
    """Return the data set that holds on to a file; None when none does."""
    found: DataSetId | None = tx.execute(_KEPT, {"id": file_id}).scalar()
    return found


def _file_ids(columns: Sequence[ColumnDocument]) -> Iterable[int]:
    return (column["file_id"] for column in columns if "file_id" in column)
