"""Data sets: what they are called, what never changes of them, and who changed them last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import Connection, text

from scheduler.documents import Document, JsonValue
from scheduler.identifiers import DataSetId, ProjectId
from scheduler.store import records


class DataSetRow(NamedTuple):
    """A data set. `definition` never changes, `about` is what people say of it; `latest` is 0 before it has a version."""

    id: DataSetId
    uuid: UUID
    project_id: ProjectId
    project: str
    project_uuid: UUID
    kind: str
    name: str
    definition: Document
    about: Document
    latest: int
    created_by: int
    created_by_name: str
    modified_by: int
    modified_by_name: str
    created: datetime
    last_modified: datetime
    deleted: datetime | None


@dataclass(frozen=True, slots=True)
class VersionAuthor:
    """The token that makes or changes something, with its name."""

    token_id: int
    name: str


_COLUMNS = """d.id, d.uuid, d.project_id, p.name AS project, p.uuid AS project_uuid, d.kind, d.name, d.definition, d.about, d.latest, d.created_by,
    d.created_by_name, d.modified_by, d.modified_by_name, d.created, d.last_modified, d.deleted"""
_FROM = "data_sets d JOIN projects p ON p.id = d.project_id"

_INSERT = text("""
    INSERT INTO data_sets (project_id, kind, name, definition, about, created_by, created_by_name, modified_by, modified_by_name)
    VALUES (:project_id, :kind, :name, CAST(:definition AS jsonb), CAST(:about AS jsonb), :by, :by_name, :by, :by_name)
    ON CONFLICT (project_id, kind, name) WHERE deleted IS NULL DO NOTHING
    RETURNING id
""")

_BY_UUID = text(f"SELECT {_COLUMNS} FROM {_FROM} WHERE d.uuid = :uuid")  # noqa: S608 - our own text
_BY_ID = text(f"SELECT {_COLUMNS} FROM {_FROM} WHERE d.id = :id")  # noqa: S608
_LOCK = text(f"SELECT {_COLUMNS} FROM {_FROM} WHERE d.id = :id FOR NO KEY UPDATE OF d")  # noqa: S608

# Those of one project, or of all; `deleted` is null where it does not matter.
_CHOSEN = """
    (CAST(:project_id AS bigint) IS NULL OR d.project_id = :project_id)
    AND (CAST(:kind AS text) IS NULL OR d.kind = :kind)
    AND (CAST(:name AS text) IS NULL OR d.name = :name)
    AND (CAST(:deleted AS boolean) IS NULL OR (d.deleted IS NOT NULL) = :deleted)
"""
_PAGE = f"SELECT {_COLUMNS} FROM {_FROM} WHERE {_CHOSEN} ORDER BY {{order}} LIMIT :limit OFFSET :offset"  # noqa: S608
_COUNT = text(f"SELECT count(*) FROM data_sets d WHERE {_CHOSEN}")  # noqa: S608

_UPDATE = text("""
    UPDATE data_sets d
    SET name = :name, about = CAST(:about AS jsonb), modified_by = :by, modified_by_name = :by_name, last_modified = now()
    WHERE id = :id
      AND NOT EXISTS (
        SELECT FROM data_sets o
        WHERE o.project_id = d.project_id AND o.kind = d.kind AND o.name = :name AND o.deleted IS NULL AND o.id <> d.id
      )
""")

_DELETE = text("""
    UPDATE data_sets
    SET deleted = now(), last_modified = now(), modified_by = :by, modified_by_name = :by_name
    WHERE id = :id AND deleted IS NULL
""")

_RESTORE = text("""
    UPDATE data_sets d
    SET deleted = NULL, last_modified = now(), modified_by = :by, modified_by_name = :by_name
    WHERE id = :id
      AND NOT EXISTS (
        SELECT FROM data_sets o
        WHERE o.project_id = d.project_id AND o.kind = d.kind AND o.name = d.name AND o.deleted IS NULL AND o.id <> d.id
      )
""")

_NEXT = text("""
    UPDATE data_sets
    SET latest = :number, last_modified = now(), modified_by = :by, modified_by_name = :by_name
    WHERE id = :id AND latest = :number - 1
""")


class DataSetOrder(StrEnum):
    """Fields that a list can be ordered by, as SQL."""

    NAME = 'd.name COLLATE "C"'
    CREATED = "d.created"
    MODIFIED = "d.last_modified"


@dataclass(frozen=True, slots=True)
class DataSetFilter:
    """Which data sets; None is any."""

    project_id: ProjectId | None = None
    kind: str | None = None
    name: str | None = None
    deleted: bool | None = False
    order: Sequence[tuple[DataSetOrder, bool]] = ()
    """Fields with whether the largest comes first; then, or without any, the last changed."""


def insert(
    tx: Connection,
    project_id: ProjectId,
    kind: str,
    name: str,
    definition: Mapping[str, JsonValue],
    about: Mapping[str, JsonValue],
    author: VersionAuthor,
) -> DataSetId | None:
    """Insert a data set and return its id; None when the name is taken by one that is not deleted."""
    parameters = {
        "project_id": project_id,
        "kind": kind,
        "name": name,
        "definition": orjson.dumps(definition).decode(),
        "about": orjson.dumps(about).decode(),
        **_by(author),
    }
    made: int | None = tx.execute(_INSERT, parameters).scalar()
    return None if made is None else DataSetId(made)


def by_uuid(tx: Connection, uuid: UUID) -> DataSetRow | None:
    """Return a data set, deleted or not; None when there is none."""
    return records.read_optional(DataSetRow, tx.execute(_BY_UUID, {"uuid": uuid}))


def by_id(tx: Connection, data_set_id: DataSetId) -> DataSetRow | None:
    """Return a data set, deleted or not; None when there is none."""
    return records.read_optional(DataSetRow, tx.execute(_BY_ID, {"id": data_set_id}))


def lock(tx: Connection, data_set_id: DataSetId) -> DataSetRow | None:
    """Lock a data set and return it, None once it is purged; jobs are locked before their data sets."""
    return records.read_optional(DataSetRow, tx.execute(_LOCK, {"id": data_set_id}))


def page(tx: Connection, chosen: DataSetFilter, offset: int, limit: int) -> tuple[list[DataSetRow], int]:
    """Return part of a list, the last changed first, and how many there are in all."""
    parameters = {
        "project_id": chosen.project_id,
        "kind": chosen.kind,
        "name": chosen.name,
        "deleted": chosen.deleted,
    }
    fields = [f"{field} DESC" if is_descending else str(field) for field, is_descending in chosen.order]
    order = ", ".join([*fields, "d.last_modified DESC", "d.id DESC"])
    statement = text(_PAGE.format(order=order))
    rows = records.read_all(DataSetRow, tx.execute(statement, {**parameters, "offset": offset, "limit": limit}))
    return rows, int(tx.execute(_COUNT, parameters).scalar_one())


def update(
    tx: Connection, data_set_id: DataSetId, name: str, about: Mapping[str, JsonValue], author: VersionAuthor
) -> bool:
    """Write the name of a locked data set and what is said of it; False when another one has the name."""
    parameters = {"id": data_set_id, "name": name, "about": orjson.dumps(about).decode(), **_by(author)}
    return bool(tx.execute(_UPDATE, parameters).rowcount)


def delete(tx: Connection, data_set_id: DataSetId, author: VersionAuthor) -> None:
    """Mark a data set as deleted; nothing of it is lost."""
    tx.execute(_DELETE, {"id": data_set_id, **_by(author)})


def restore(tx: Connection, data_set_id: DataSetId, author: VersionAuthor) -> bool:
    """Take the mark away; False when another data set has its name by now."""
    return bool(tx.execute(_RESTORE, {"id": data_set_id, **_by(author)}).rowcount)


def advance(tx: Connection, data_set_id: DataSetId, number: int, author: VersionAuthor) -> bool:
    """Make a version the newest one; False, and nothing done, unless it follows the one that was."""
    return bool(tx.execute(_NEXT, {"id": data_set_id, "number": number, **_by(author)}).rowcount)


def _by(author: VersionAuthor) -> dict[str, int | str]:
    return {"by": author.token_id, "by_name": author.name}
