"""Workspaces: where files lie, by URL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, text

from scheduler.store.paging import Condition, Key, Listing

_SEED = text("""
    INSERT INTO workspaces (name, title, url, is_default)
    SELECT :name, 'Local files', :url, NOT EXISTS (SELECT FROM workspaces WHERE is_default)
    ON CONFLICT (name) DO NOTHING
""")

_DEFAULT = text("SELECT id, name, url, is_active FROM workspaces WHERE is_default")

_FIND = text("SELECT id, name, url, is_active FROM workspaces WHERE id = :id")

WORKSPACES = Listing(
    "workspaces j",
    "j.*",
    "workspaces j ON j.id = page.id",
    {
        "id": Key("j.id", "bigint"),
        "name": Key('j.name COLLATE "C"', "text"),
        "created": Key("j.created", "timestamptz"),
        "last_modified": Key("j.last_modified", "timestamptz"),
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


def default(tx: Connection) -> Any:
    """Return `id`, `name`, `url` and `is_active` of the default workspace, None when there is none."""
    return tx.execute(_DEFAULT).one_or_none()


def find(tx: Connection, workspace_id: int) -> Any:
    """Return `id`, `name`, `url` and `is_active` of a workspace, None when there is none."""
    return tx.execute(_FIND, {"id": workspace_id}).one_or_none()


def condition(ids: tuple[int, ...], names: tuple[str, ...], *, is_active: bool | None) -> Condition:
    """Return which workspaces: alternatives within ids and names, everything where nothing is given."""
    parts = {"j.id = ANY(:ids)": ids, "j.name = ANY(:names)": names}
    sql = [part for part, value in parts.items() if value]
    if is_active is not None:
        sql.append("j.is_active = :is_active")
    return Condition(" AND ".join(sql) or "true", {"ids": list(ids), "names": list(names), "is_active": is_active})


def lock(tx: Connection, workspace_id: int) -> dict[str, Any] | None:
    """Lock a workspace and return its columns, None when there is none."""
    row = tx.execute(_LOCK, {"id": workspace_id}).one_or_none()
    return None if row is None else dict(row._mapping)  # noqa: SLF001


def insert(tx: Connection, facts: Mapping[str, Any]) -> int | None:
    """Insert a workspace and return its id; None when the name is taken."""
    made = tx.execute(_INSERT, dict(facts)).scalar()
    return None if made is None else int(made)


def update(tx: Connection, workspace_id: int, facts: Mapping[str, Any]) -> None:
    """Write what a workspace is; its name stays."""
    tx.execute(_UPDATE, {**facts, "id": workspace_id})


def clear_default(tx: Connection) -> None:
    """Leave no workspace the default; the caller makes another one so in the same transaction."""
    tx.execute(_NO_DEFAULT)
