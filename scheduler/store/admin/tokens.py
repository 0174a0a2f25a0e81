"""Tokens: only their SHA-256 is kept, so that nobody who reads the database can use them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class Token:
    """A token that is valid now. `project_id` None means every project; a node's token has no role."""

    id: int
    kind: str
    name: str
    role: str | None
    project_id: int | None
    project: str | None


_FIND = text("""
    SELECT t.id, t.kind, t.name, t.role, t.project_id, p.name AS project
    FROM tokens t
    LEFT JOIN projects p ON p.id = t.project_id
    WHERE t.sha256 = :sha256
      AND t.revoked IS NULL
      AND (t.expires IS NULL OR t.expires > now())
""")

_INSERT = text("""
    INSERT INTO tokens (kind, name, sha256, role, project_id, expires)
    VALUES (:kind, :name, :sha256, :role, :project_id, :expires)
    RETURNING id
""")

_REVOKE_DIGEST = text("UPDATE tokens SET revoked = now() WHERE sha256 = :sha256 AND revoked IS NULL")

_TOUCH = text("""
    UPDATE tokens SET last_used = now()
    WHERE id = :id AND (last_used IS NULL OR last_used < now() - interval '1 minute')
""")

_PROJECT = text("SELECT id FROM projects WHERE name = :name")

_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:word, 0))")


def find(tx: Connection, sha256: bytes) -> Token | None:
    """Return the token with this digest, None when there is none or it is revoked or expired."""
    row = tx.execute(_FIND, {"sha256": sha256}).one_or_none()
    return None if row is None else Token(**row._mapping)  # noqa: SLF001


def touch(tx: Connection, token_id: int) -> None:
    """Note that a token is used, to the minute."""
    tx.execute(_TOUCH, {"id": token_id})


def insert(
    tx: Connection,
    *,
    kind: str,
    name: str,
    sha256: bytes,
    role: str | None,
    project_id: int | None,
    expires: Any = None,
) -> int:
    """Insert a token and return its id."""
    parameters = {
        "kind": kind,
        "name": name,
        "sha256": sha256,
        "role": role,
        "project_id": project_id,
        "expires": expires,
    }
    return int(tx.execute(_INSERT, parameters).scalar_one())


def project_id(tx: Connection, name: str) -> int | None:
    """Return the id of a project, None when there is no such project."""
    found = tx.execute(_PROJECT, {"name": name}).scalar()
    return None if found is None else int(found)


def serialize(tx: Connection, word: str) -> None:
    """Let one transaction at a time pass for this word."""
    tx.execute(_LOCK, {"word": word})


def revoke_digest(tx: Connection, sha256: bytes) -> None:
    """Revoke the token with this digest; safe to repeat."""
    tx.execute(_REVOKE_DIGEST, {"sha256": sha256})
