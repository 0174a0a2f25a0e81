"""Tokens: only their SHA-256 is kept, so that nobody who reads the database can use them."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from scheduler.identifiers import ProjectId
from scheduler.store import records


class ValidToken(NamedTuple):
    """A token that is valid now. `project_id` None means every project; a node's token has no role."""

    id: int
    kind: str
    name: str
    role: str | None
    project_id: ProjectId | None
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


def find(tx: Connection, sha256: bytes) -> ValidToken | None:
    """Return the token with this digest, None when there is none or it is revoked or expired."""
    return records.read_optional(ValidToken, tx.execute(_FIND, {"sha256": sha256}))


def touch(tx: Connection, token_id: int) -> None:
    """Write that a token is used now, to the minute."""
    tx.execute(_TOUCH, {"id": token_id})


def insert(
    tx: Connection,
    *,
    kind: str,
    name: str,
    sha256: bytes,
    role: str | None,
    project_id: ProjectId | None,
    expires: datetime | None = None,
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


def project_id(tx: Connection, name: str) -> ProjectId | None:
    """Return the id of a project, None when there is no such project."""
    return tx.execute(_PROJECT, {"name": name}).scalar()


def serialize(tx: Connection, word: str) -> None:
    """Let one transaction at a time pass for this word."""
    tx.execute(_LOCK, {"word": word})


def revoke_digest(tx: Connection, sha256: bytes) -> None:
    """Revoke the token with this digest; safe to repeat."""
    tx.execute(_REVOKE_DIGEST, {"sha256": sha256})
