"""Workspaces: where files lie, by URL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, TypedDict

from sqlalchemy import Connection, text

from scheduler.identifiers import ProjectId
from scheduler.store import records
from scheduler.store.paging import Listing, Parameter, RowCondition, SortKey


class WorkspaceRow(NamedTuple):
    """A workspace as lists show it."""

    id: int
    name: str
    title: str
    url: str
    is_active: bool
    is_default: bool
    projects: list[str] | None
    register_role: str
    created: datetime
    last_modified: datetime


class Workspace(NamedTuple):
    """Where files lie: the URL beneath which each has its path, and who may put files there.

    `project_ids` None is every project; `register_role` is the least role that may register what lies there already.
    """

    id: int
    name: str
    url: str
    is_active: bool
    project_ids: list[int] | None
    register_role: str

    def serves(self, project_id: ProjectId) -> bool:
        """Tell whether files of a project may be put there."""
        return self.project_ids is None or project_id in self.project_ids


class LockedWorkspace(NamedTuple):
    """A workspace, read under its row lock."""

    name: str
    title: str
    url: str
    is_active: bool
    is_default: bool
    project_ids: list[int] | None
    register_role: str


class WorkspaceChanges(TypedDict, total=False):
    """The changes to a workspace, by column."""

    title: str
    url: str
    is_active: bool
    is_default: bool
    project_ids: list[int] | None
    register_role: str


class NewWorkspace(TypedDict):
    """A workspace to insert, by column."""

    name: str
    title: str
    url: str
    is_active: bool
    is_default: bool
    project_ids: list[int] | None
    register_role: str


_SEED = text("""
    INSERT INTO workspaces (name, title, url, is_default)
    SELECT :name, 'Local files', :url, NOT EXISTS (SELECT FROM workspaces WHERE is_default)
    ON CONFLICT (name) DO NOTHING
""")

_FOUND = "SELECT id, name, url, is_active, project_ids, register_role FROM workspaces WHERE"

_DEFAULT = text(f"{_FOUND} is_default")

_FIND = text(f"{_FOUND} id = :id")

_FIND_ALL = text(f"{_FOUND} id = ANY(:ids)")

_URLS = text("SELECT url FROM workspaces WHERE id IS DISTINCT FROM :but")

_PROJECTS = """
    CASE WHEN j.project_ids IS NOT NULL
    THEN ARRAY(SELECT p.name FROM projects p WHERE p.id = ANY(j.project_ids) ORDER BY p.name) END
"""


WORKSPACES = Listing(
    WorkspaceRow,
    "workspaces j",
    f"j.id, j.name, j.title, j.url, j.is_active, j.is_default, {_PROJECTS} AS projects, j.register_role, j.created, j.last_modified",
    "workspaces j ON j.id = page.id",
    {
        "id": SortKey("j.id", "bigint"),
        "name": SortKey('j.name COLLATE "C"', "text"),
        "created": SortKey("j.created", "timestamptz"),
        "last_modified": SortKey("j.last_modified", "timestamptz"),
    },
)

_LOCK = text("""
    SELECT name, title, url, is_active, is_default, project_ids, register_role FROM workspaces WHERE id = :id FOR UPDATE
""")

_INSERT = text("""
    INSERT INTO workspaces (name, title, url, is_active, is_default, project_ids, register_role)
    VALUES (:name, :title, :url, :is_active, :is_default, CAST(:project_ids AS bigint[]), :register_role)
    ON CONFLICT (name) DO NOTHING
    RETURNING id
""")

_UPDATE = text("""
    UPDATE workspaces
    SET title = :title, url = :url, is_active = :is_active, is_default = :is_default,
        project_ids = CAST(:project_ids AS bigint[]), register_role = :register_role, last_modified = now()
    WHERE id = :id
""")

_NO_DEFAULT = text("UPDATE workspaces SET is_default = false, last_modified = now() WHERE is_default")


def seed(tx: Connection, name: str, url: str) -> None:
    """Make the first workspace, default if there is none yet; one that is there stays as it is."""
    tx.execute(_SEED, {"name": name, "url": url})


def default(tx: Connection) -> Workspace | None:
    """Return the default workspace, None when there is none."""
    return records.read_optional(Workspace, tx.execute(_DEFAULT))


def find(tx: Connection, workspace_id: int) -> Workspace | None:
    """Return a workspace, None when there is none."""
    return records.read_optional(Workspace, tx.execute(_FIND, {"id": workspace_id}))


def find_all(tx: Connection, ids: Sequence[int]) -> dict[int, Workspace]:
    """Return those of these workspaces that there are, by id."""
    return {one.id: one for one in records.read_all(Workspace, tx.execute(_FIND_ALL, {"ids": list(ids)}))}


def urls(tx: Connection, but: int | None) -> list[str]:
    """Return the URLs of all workspaces but one."""
    return list(tx.execute(_URLS, {"but": but}).scalars())


def condition(
    ids: tuple[int, ...], names: tuple[str, ...], *, is_active: bool | None, project_id: ProjectId | None
) -> RowCondition:
    """Return which workspaces: alternatives within ids and names, everything where nothing is given.

    With `project_id` only those where files of this project may be put.
    """
    parts = {"j.id = ANY(:ids)": ids, "j.name = ANY(:names)": names}
    sql = [part for part, value in parts.items() if value]
    if is_active is not None:
        sql.append("j.is_active = :is_active")
    if project_id is not None:
        sql.append("(j.project_ids IS NULL OR :project_id = ANY(j.project_ids))")
    given: dict[str, Parameter] = {
        "ids": list(ids),
        "names": list(names),
        "is_active": is_active,
        "project_id": project_id,
    }
    return RowCondition(" AND ".join(sql) or "true", given)


def lock(tx: Connection, workspace_id: int) -> LockedWorkspace | None:
    """Lock a workspace and return what it is, None when there is none."""
    return records.read_optional(LockedWorkspace, tx.execute(_LOCK, {"id": workspace_id}))


def insert(tx: Connection, new: NewWorkspace) -> int | None:
    """Insert a workspace and return its id; None when the name is taken."""
    return tx.execute(_INSERT, dict(new)).scalar()


def update(tx: Connection, workspace_id: int, changed: LockedWorkspace) -> None:
    """Write what a workspace shall be; its name stays."""
    tx.execute(_UPDATE, {**changed._asdict(), "id": workspace_id})


def clear_default(tx: Connection) -> None:
    """Leave no workspace the default; the caller makes another one so in the same transaction."""
    tx.execute(_NO_DEFAULT)
