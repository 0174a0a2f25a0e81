"""Projects: the tenants, with their weight, quota and pause."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, NotRequired, TypedDict, cast
from uuid import UUID

import orjson
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from scheduler.documents import DemandsDocument, Document, QuotaDocument, RetentionDocument
from scheduler.identifiers import ProjectId
from scheduler.store import records
from scheduler.store.paging import Listing, Parameter, RowCondition, SortKey


class ProjectRow(NamedTuple):
    """A project as lists show it. `share` and `lag_s` are None while the scheduler has not written them."""

    id: ProjectId
    uuid: UUID
    name: str
    title: str
    weight: float
    is_paused: bool
    pause_reason: str | None
    quota: QuotaDocument
    retention: RetentionDocument
    demands: DemandsDocument
    created: datetime
    last_modified: datetime
    secret_types: list[str]
    share: float | None
    lag_s: float | None


class LockedProject(NamedTuple):
    """A project, read under its row lock."""

    id: ProjectId
    title: str
    weight: float
    quota: QuotaDocument
    retention: RetentionDocument
    demands: DemandsDocument
    is_paused: bool
    pause_reason: str | None
    secret_types: list[str]
    attributes: Document


class NewProject(TypedDict):
    """A project to insert, by column."""

    name: str
    title: str
    weight: float
    quota: QuotaDocument
    retention: RetentionDocument
    secret_types: list[str]
    demands: DemandsDocument
    attributes: NotRequired[Document]


PROJECTS = Listing(
    ProjectRow,
    "projects j",
    """j.id, j.uuid, j.name, j.title, j.weight, j.is_paused, j.pause_reason, j.quota, j.retention, j.demands, j.created,
       j.last_modified, j.secret_types, u.share, u.lag_s""",
    "projects j ON j.id = page.id LEFT JOIN usage u ON u.project_id = j.id",
    {
        "id": SortKey("j.id", "bigint"),
        "name": SortKey('j.name COLLATE "C"', "text"),
        "weight": SortKey("j.weight", "float8"),
        "created": SortKey("j.created", "timestamptz"),
        "last_modified": SortKey("j.last_modified", "timestamptz"),
    },
)

_INSERT = text("""
    INSERT INTO projects (name, title, weight, quota, retention, demands, secret_types, attributes, created_by)
    VALUES (:name, :title, :weight, CAST(:quota AS jsonb), CAST(:retention AS jsonb), CAST(:demands AS jsonb), :secret_types,
            CAST(:attributes AS jsonb), :created_by)
    ON CONFLICT (name) DO NOTHING
    RETURNING id
""")

_LOCK = text("""
    SELECT id, title, weight, quota, retention, demands, is_paused, pause_reason, secret_types, attributes
    FROM projects WHERE name = :name AND deleted IS NULL FOR NO KEY UPDATE
""")

_UPDATE = text("""
    UPDATE projects
    SET title = :title, weight = :weight, quota = CAST(:quota AS jsonb), retention = CAST(:retention AS jsonb),
        demands = CAST(:demands AS jsonb), is_paused = :is_paused, pause_reason = :pause_reason,
        secret_types = :secret_types, attributes = CAST(:attributes AS jsonb), last_modified = now()
    WHERE id = :id
""")

_BY_UUID = text("SELECT id, name, uuid FROM projects WHERE uuid = :uuid AND deleted IS NULL")

_NAMES = text("""
    SELECT j.id, j.name, COALESCE(u.lag_s, 0) AS lag_s
    FROM projects j LEFT JOIN usage u ON u.project_id = j.id
    WHERE j.id = ANY(:ids)
""")

_DEMANDS = text("SELECT demands FROM projects WHERE id = :id")

_LIVE_TOKENS = text("""
    SELECT count(*) FROM tokens
    WHERE project_id = :id AND revoked IS NULL AND (expires IS NULL OR expires > now())
""")

# Its name is free again: no name of a user's has a tilde.
_HIDE = text("""
    UPDATE projects SET deleted = now(), name = name || '~' || id, last_modified = now()
    WHERE id = :id AND deleted IS NULL
    RETURNING name
""")

_REVOKE = text("UPDATE tokens SET revoked = now() WHERE project_id = :id AND revoked IS NULL")

_FORGET = (
    text("DELETE FROM usage WHERE project_id = :id"),
    text("DELETE FROM deletions WHERE project_id = :id"),
    text("DELETE FROM tokens WHERE project_id = :id"),
    text("DELETE FROM projects WHERE id = :id"),
)


class NamedProject(NamedTuple):
    """A project by all its names."""

    id: ProjectId
    name: str
    uuid: UUID


def names_and_debts(tx: Connection, ids: Sequence[int]) -> dict[int, tuple[str, float]]:
    """Return the name of each project, and how many seconds of the whole fleet the others owe it."""
    return {row.id: (row.name, row.lag_s) for row in tx.execute(_NAMES, {"ids": list(ids)})}


def by_uuid(tx: Connection, uuid: UUID) -> NamedProject | None:
    """Return a project by its UUID; None when there is none."""
    return records.read_optional(NamedProject, tx.execute(_BY_UUID, {"uuid": uuid}))


def condition(names: tuple[str, ...], *, is_paused: bool | None, project_id: ProjectId | None) -> RowCondition:
    """Return which projects: by name, by pause, and bounded to one for a caller who may see no other."""
    parts = {
        "j.name = ANY(:names)": names or None,
        "j.is_paused = :is_paused": is_paused,
        "j.id = :project_id": project_id,
    }
    parameters: dict[str, Parameter] = {"names": list(names), "is_paused": is_paused, "project_id": project_id}
    given = [sql for sql, value in parts.items() if value is not None]
    return RowCondition(" AND ".join(["j.deleted IS NULL", *given]), parameters)


def insert(tx: Connection, new: NewProject, created_by: str = "") -> ProjectId | None:
    """Insert a project and return its id; None when the name is taken."""
    documents = {
        "quota": _json(new["quota"]),
        "retention": _json(new["retention"]),
        "demands": _json(new["demands"]),
        "attributes": _json(new.get("attributes", {})),
    }
    return tx.execute(_INSERT, {**new, **documents, "created_by": created_by}).scalar()


def lock(tx: Connection, name: str) -> LockedProject | None:
    """Lock a project and return what it is, None when there is none of this name."""
    return records.read_optional(LockedProject, tx.execute(_LOCK, {"name": name}))


def update(tx: Connection, changed: LockedProject) -> None:
    """Write what a locked project shall be; its name stays."""
    documents = {
        "quota": _json(changed.quota),
        "retention": _json(changed.retention),
        "demands": _json(changed.demands),
        "attributes": _json(changed.attributes),
    }
    tx.execute(_UPDATE, {**changed._asdict(), **documents})


def demands(tx: Connection, project_id: ProjectId) -> DemandsDocument:
    """Return what a project demands of the nodes and images that its jobs get."""
    return cast("DemandsDocument", tx.execute(_DEMANDS, {"id": project_id}).scalar() or {})


def live_tokens(tx: Connection, project_id: ProjectId) -> int:
    """Return how many valid tokens are bound to a project."""
    return int(tx.execute(_LIVE_TOKENS, {"id": project_id}).scalar_one())


def hide(tx: Connection, project_id: ProjectId) -> str | None:
    """Mark a project as deleted, revoke its tokens, and return the name it has from now on; None when it was."""
    tx.execute(_REVOKE, {"id": project_id})
    return tx.execute(_HIDE, {"id": project_id}).scalar()


def delete(tx: Connection, project_id: ProjectId) -> bool:
    """Delete a project with its ended tokens; False, and nothing done, while anything else belongs to it."""
    try:
        with tx.begin_nested():
            for statement in _FORGET:
                tx.execute(statement, {"id": project_id})
    except IntegrityError:
        return False
    return True


def _json(document: QuotaDocument | RetentionDocument | DemandsDocument | Document) -> str:
    return orjson.dumps(document).decode()
