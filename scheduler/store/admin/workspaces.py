"""Workspaces: where files lie, by URL."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple, TypedDict

from sqlalchemy import Connection, text

from scheduler.store import records
from scheduler.store.paging import Listing, RowCondition, SortKey


class WorkspaceRow(NamedTuple):
    """A workspace as lists show it."""

    id: int
    name: str
    title: str
    url: str
    is_active: bool
    is_default: bool
    created: datetime
    last_modified: datetime


class Workspace(NamedTuple):
    """Where files lie: the URL beneath which each has its path."""

    id: int
    name: str
    url: str
    is_active: bool


class LockedWorkspace(NamedTuple):
    """What a workspace is, read under its row lock."""

    name: str
    title: str
    url: str
    is_active: bool
    is_default: bool


class WorkspaceChanges(TypedDict, total=False):
    """What can be changed of a workspace, by column."""

    title: str
    url: str
    is_active: bool
    is_default: bool


class NewWorkspace(TypedDict):
    """A workspace to insert, by column."""

    name: str
    title: str
    url: str
    is_active: bool
    is_default: bool


_SEED = text("""
    INSERT INTO workspaces (name, title, url, is_default)
    SELECT :name, 'Local files', :url, NOT EXISTS (SELECT FROM workspaces WHERE is_default)
    ON CONFLICT (name) DO NOTHING
""")

_DEFAULT = text("SELECT id, name, url, is_active FROM workspaces WHERE is_default")

_FIND = text("SELECT id, name, url, is_active FROM workspaces WHERE id = :id")

WORKSPACES = Listing(
    WorkspaceRow,
    "workspaces j",
    "j.id, j.name, j.title, j.url, j.is_active, j.is_default, j.created, j.last_modified",
    "workspaces j ON j.id = page.id",
    {
        "id": SortKey("j.id", "bigint"),
        "name": SortKey('j.name COLLATE "C"', "text"),
        "created": SortKey("j.created", "timestamptz"),
        "last_modified": SortKey("j.last_modified", "timestamptz"),
    },
)

_LOCK = text("SELECT name, title, url, is_active, is_default FROM workspaces WHERE id = :id FOR UPDATE")

_INSERT = text("""
    INSERT INTO workspaces (name, title, url, is_active, is_default)
    VALUES (:name, :title, :url, :is_active, :is_default)
    ON CONFLICT (name) DO NOTHING
    RETURNING id
""")

_UPDATE = text("""
    UPDATE workspaces
    SET title = :title, url = :url, is_active = :is_active, is_default = :is_default, last_modified = now()
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


def condition(ids: tuple[int, ...], names: tuple[str, ...], *, is_active: bool | None) -> RowCondition:
    """Return which workspaces: alternatives within ids and names, everything where nothing is given."""
    parts = {"j.id = ANY(:ids)": ids, "j.name = ANY(:names)": names}
    sql = [part for part, value in parts.items() if value]
    if is_active is not None:
        sql.append("j.is_active = :is_active")
    return RowCondition(" AND ".join(sql) or "true", {"ids": list(ids), "names": list(names), "is_active": is_active})


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
