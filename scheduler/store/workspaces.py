"""Workspaces: where files lie, by URL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, text

_SEED = text("""
    INSERT INTO workspaces (name, title, url, is_default)
    SELECT :name, 'Local files', :url, NOT EXISTS (SELECT FROM workspaces WHERE is_default)
    ON CONFLICT (name) DO NOTHING
""")

_DEFAULT = text("SELECT id, name, url, is_active FROM workspaces WHERE is_default")

_FIND = text("SELECT id, name, url, is_active FROM workspaces WHERE id = :id")


def seed(tx: Connection, name: str, url: str) -> None:
    """Make the first workspace, default if there is none yet; one that is there stays as it is."""
    tx.execute(_SEED, {"name": name, "url": url})


def default(tx: Connection) -> Any:
    """Return `id`, `name`, `url` and `is_active` of the default workspace, None when there is none."""
    return tx.execute(_DEFAULT).one_or_none()


def find(tx: Connection, workspace_id: int) -> Any:
    """Return `id`, `name`, `url` and `is_active` of a workspace, None when there is none."""
    return tx.execute(_FIND, {"id": workspace_id}).one_or_none()
