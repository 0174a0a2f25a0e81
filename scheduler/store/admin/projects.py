"""Projects: the tenants, with their weight, quota and pause."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from scheduler.store.paging import Condition, Key, Listing

PROJECTS = Listing(
    "projects j",
    "j.*, u.share, u.lag_s",
    "projects j ON j.id = page.id LEFT JOIN usage u ON u.project_id = j.id",
    {
        "id": Key("j.id", "bigint"),
        "name": Key('j.name COLLATE "C"', "text"),
        "weight": Key("j.weight", "float8"),
        "created": Key("j.created", "timestamptz"),
        "last_modified": Key("j.last_modified", "timestamptz"),
    },
)

_INSERT = text("""
    INSERT INTO projects (name, title, weight, quota)
    VALUES (:name, :title, :weight, CAST(:quota AS jsonb))
    ON CONFLICT (name) DO NOTHING
    RETURNING id
""")

_LOCK = text("""
    SELECT id, title, weight, quota, is_paused, pause_reason FROM projects WHERE name = :name FOR NO KEY UPDATE
""")

_UPDATE = text("""
    UPDATE projects
    SET title = :title, weight = :weight, quota = CAST(:quota AS jsonb), is_paused = :is_paused,
        pause_reason = :pause_reason, last_modified = now()
    WHERE id = :id
""")

_LIVE_TOKENS = text("""
    SELECT count(*) FROM tokens
    WHERE project_id = :id AND revoked IS NULL AND (expires IS NULL OR expires > now())
""")

_FORGET = (
    text("DELETE FROM usage WHERE project_id = :id"),
    text("DELETE FROM tokens WHERE project_id = :id"),
    text("DELETE FROM projects WHERE id = :id"),
)


def condition(names: tuple[str, ...], *, is_paused: bool | None, project_id: int | None) -> Condition:
    """Return which projects: by name, by pause, and bounded to one for a caller who may see no other."""
    parts = {
        "j.name = ANY(:names)": names or None,
        "j.is_paused = :is_paused": is_paused,
        "j.id = :project_id": project_id,
    }
    parameters = {"names": list(names), "is_paused": is_paused, "project_id": project_id}
    return Condition(" AND ".join(sql for sql, value in parts.items() if value is not None) or "true", parameters)


def insert(tx: Connection, facts: Mapping[str, Any]) -> int | None:
    """Insert a project and return its id; None when the name is taken."""
    made = tx.execute(_INSERT, _written(facts)).scalar()
    return None if made is None else int(made)


def lock(tx: Connection, name: str) -> dict[str, Any] | None:
    """Lock a project and return its columns, None when there is none of this name."""
    row = tx.execute(_LOCK, {"name": name}).one_or_none()
    return None if row is None else dict(row._mapping)  # noqa: SLF001


def update(tx: Connection, facts: Mapping[str, Any]) -> None:
    """Write what a locked project is; its name stays."""
    tx.execute(_UPDATE, _written(facts))


def live_tokens(tx: Connection, project_id: int) -> int:
    """Return how many valid tokens are bound to a project."""
    return int(tx.execute(_LIVE_TOKENS, {"id": project_id}).scalar_one())


def delete(tx: Connection, project_id: int) -> bool:
    """Delete a project with its ended tokens; False, and nothing done, while anything else belongs to it."""
    try:
        with tx.begin_nested():
            for statement in _FORGET:
                tx.execute(statement, {"id": project_id})
    except IntegrityError:
        return False
    return True


def _written(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {**facts, "quota": orjson.dumps(facts["quota"]).decode()}
