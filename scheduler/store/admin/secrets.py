"""Secrets of projects as they are stored: sealed by `scheduler.admin.secrets`, or plain where an earlier release wrote them.

A row has either `value`, or `sealed` and the id of the key that opens it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from scheduler.identifiers import ProjectId
from scheduler.store import records

_SET = text("""
    INSERT INTO secrets (project_id, name, key_id, sealed)
    VALUES (:project_id, :name, :key_id, :sealed)
    ON CONFLICT (project_id, name) DO UPDATE
    SET value = NULL, key_id = EXCLUDED.key_id, sealed = EXCLUDED.sealed, last_modified = now()
    RETURNING created = last_modified AS is_new
""")

_LIST = text("SELECT name, created, last_modified FROM secrets WHERE project_id = :project_id ORDER BY name")
_REMOVE = text("DELETE FROM secrets WHERE project_id = :project_id AND name = :name RETURNING name")
_KNOWN = text("SELECT name FROM secrets WHERE project_id = :project_id AND name = ANY(:names)")
_NAMED = text("""
    SELECT p.name AS project, s.id, s.project_id, s.name, s.value, s.key_id, s.sealed
    FROM unnest(CAST(:projects AS text[]), CAST(:names AS text[])) AS v (project, name)
    JOIN projects p ON p.name = v.project
    JOIN secrets s ON s.project_id = p.id AND s.name = v.name
""")
_NOT_UNDER = text("""
    SELECT p.name AS project, s.id, s.project_id, s.name, s.value, s.key_id, s.sealed
    FROM secrets s JOIN projects p ON p.id = s.project_id
    WHERE s.value IS NOT NULL OR s.key_id IS DISTINCT FROM :key_id
    ORDER BY s.id
    FOR UPDATE OF s
""")
_RESEAL = text("""
    UPDATE secrets SET value = NULL, key_id = :key_id, sealed = v.sealed
    FROM unnest(CAST(:ids AS bigint[]), CAST(:sealed AS bytea[])) AS v (id, sealed)
    WHERE secrets.id = v.id
""")


class SecretEntry(NamedTuple):
    """A secret without its value: its name, and when it was made and last set."""

    name: str
    created: datetime
    last_modified: datetime


class StoredSecret(NamedTuple):
    """A secret as stored: `value` in plain text, or `sealed` with the key of this id."""

    project: str
    id: int
    project_id: ProjectId
    name: str
    value: str | None
    key_id: str | None
    sealed: bytes | None


def write(tx: Connection, project_id: ProjectId, name: str, key_id: str, sealed: bytes) -> bool:
    """Set a secret; True if there was none of that name."""
    parameters = {"project_id": project_id, "name": name, "key_id": key_id, "sealed": sealed}
    return bool(tx.execute(_SET, parameters).scalar())


def entries(tx: Connection, project_id: ProjectId) -> list[SecretEntry]:
    """Return a project's secrets without their values, by name."""
    return records.read_all(SecretEntry, tx.execute(_LIST, {"project_id": project_id}))


def remove(tx: Connection, project_id: ProjectId, name: str) -> bool:
    """Delete a secret; False if there is none."""
    return tx.execute(_REMOVE, {"project_id": project_id, "name": name}).scalar() is not None


def known(tx: Connection, project_id: ProjectId, names: Sequence[str]) -> frozenset[str]:
    """Return which of these names a project has secrets under."""
    return frozenset(tx.execute(_KNOWN, {"project_id": project_id, "names": list(names)}).scalars())


def named(tx: Connection, wanted: Iterable[tuple[str, str]]) -> list[StoredSecret]:
    """Return secrets by (project, name), as stored; those that are gone are left out."""
    pairs = sorted(set(wanted))
    if not pairs:
        return []
    parameters = {"projects": [pair[0] for pair in pairs], "names": [pair[1] for pair in pairs]}
    return records.read_all(StoredSecret, tx.execute(_NAMED, parameters))


def not_under(tx: Connection, key_id: str | None) -> list[StoredSecret]:
    """Lock and return all secrets that are plain or sealed with another key than this one."""
    return records.read_all(StoredSecret, tx.execute(_NOT_UNDER, {"key_id": key_id}))


def reseal(tx: Connection, key_id: str, sealed: Sequence[tuple[int, bytes]]) -> None:
    """Store the same secrets, by row id, as sealed with this key; when they were set stays as it is."""
    if sealed:
        tx.execute(_RESEAL, {"key_id": key_id, "ids": [one[0] for one in sealed], "sealed": [one[1] for one in sealed]})
