"""Secrets of projects: written, listed by name, and read only for the node that runs a job which names them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, text

_SET = text("""
    INSERT INTO secrets (project_id, name, value)
    VALUES (:project_id, :name, :value)
    ON CONFLICT (project_id, name) DO UPDATE SET value = EXCLUDED.value, last_modified = now()
    RETURNING created = last_modified AS is_new
""")

_LIST = text("SELECT name, created, last_modified FROM secrets WHERE project_id = :project_id ORDER BY name")
_REMOVE = text("DELETE FROM secrets WHERE project_id = :project_id AND name = :name RETURNING name")
_KNOWN = text("SELECT name FROM secrets WHERE project_id = :project_id AND name = ANY(:names)")
_VALUES = text("""
    SELECT p.name AS project, s.name, s.value
    FROM unnest(CAST(:projects AS text[]), CAST(:names AS text[])) AS v (project, name)
    JOIN projects p ON p.name = v.project
    JOIN secrets s ON s.project_id = p.id AND s.name = v.name
""")


def write(tx: Connection, project_id: int, name: str, value: str) -> bool:
    """Set a secret; True if there was none of that name."""
    return bool(tx.execute(_SET, {"project_id": project_id, "name": name, "value": value}).scalar())


def entries(tx: Connection, project_id: int) -> list[Any]:
    """Return `name`, `created` and `last_modified` of a project's secrets, by name; never their values."""
    return list(tx.execute(_LIST, {"project_id": project_id}))


def remove(tx: Connection, project_id: int, name: str) -> bool:
    """Delete a secret; False if there is none."""
    return tx.execute(_REMOVE, {"project_id": project_id, "name": name}).scalar() is not None


def known(tx: Connection, project_id: int, names: Sequence[str]) -> frozenset[str]:
    """Return which of these names a project has secrets under."""
    return frozenset(tx.execute(_KNOWN, {"project_id": project_id, "names": list(names)}).scalars())


def values(tx: Connection, wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Return the values of secrets by (project, name), for a node; those that are gone are left out."""
    pairs = sorted(set(wanted))
    if not pairs:
        return {}
    rows = tx.execute(_VALUES, {"projects": [pair[0] for pair in pairs], "names": [pair[1] for pair in pairs]})
    return {(row.project, row.name): row.value for row in rows}
