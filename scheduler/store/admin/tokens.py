"""Tokens: only their SHA-256 is kept, so that nobody who reads the database can use them."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from scheduler.identifiers import ProjectId
from scheduler.store import records
from scheduler.store.nodes.credentials import NO_LIMITS, JoinLimits


class ValidToken(NamedTuple):
    """A token that is valid now. `project_id` None means every project; a node's token has no role.

    `is_touched`: that it is used was written less than a minute ago.
    """

    id: int
    kind: str
    name: str
    role: str | None
    project_id: ProjectId | None
    project: str | None
    expires: datetime | None
    is_touched: bool


_FIND = text("""
    SELECT t.id, t.kind, t.name, t.role, t.project_id, p.name AS project, t.expires,
           COALESCE(t.last_used >= now() - interval '1 minute', false) AS is_touched
    FROM tokens t
    LEFT JOIN projects p ON p.id = t.project_id
    WHERE (t.sha256 = :sha256 OR t.previous_sha256 = :sha256 AND t.previous_until > now())
      AND t.revoked IS NULL
      AND (t.expires IS NULL OR t.expires > now())
""")

_INSERT = text("""
    INSERT INTO tokens (kind, name, sha256, role, project_id, expires, nodes, pools, project_ids)
    VALUES (:kind, :name, :sha256, :role, :project_id, :expires, :nodes, :pools, :project_ids)
    RETURNING id
""")

_REVOKE_DIGEST = text("UPDATE tokens SET revoked = now() WHERE sha256 = :sha256 AND revoked IS NULL")

_TOUCH = text("""
    UPDATE tokens SET last_used = now()
    WHERE id = :id AND (last_used IS NULL OR last_used < now() - interval '1 minute')
""")

_ROTATE = text("""
    UPDATE tokens
    SET previous_sha256 = sha256, previous_until = now() + make_interval(secs => :overlap_s), sha256 = :sha256, expires = :expires
    WHERE id = :id
""")

_PROJECT = text("SELECT id FROM projects WHERE name = :name AND deleted IS NULL")

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
    limits: JoinLimits = NO_LIMITS,
) -> int:
    """Insert a token and return its id; `limits` are a node's."""
    parameters = {
        "kind": kind,
        "name": name,
        "sha256": sha256,
        "role": role,
        "project_id": project_id,
        "expires": expires,
        **limits._asdict(),
    }
    return int(tx.execute(_INSERT, parameters).scalar_one())


def rotate(tx: Connection, token_id: int, sha256: bytes, *, overlap_s: int, expires: datetime | None) -> None:
    """Change a token for another one; the one that it had is taken for `overlap_s` seconds more."""
    parameters = {"id": token_id, "sha256": sha256, "overlap_s": overlap_s, "expires": expires}
    tx.execute(_ROTATE, parameters)


def project_id(tx: Connection, name: str) -> ProjectId | None:
    """Return the id of a project, None when there is no such project."""
    return tx.execute(_PROJECT, {"name": name}).scalar()


def serialize(tx: Connection, word: str) -> None:
    """Let one transaction at a time pass for this word."""
    tx.execute(_LOCK, {"word": word})


def revoke_digest(tx: Connection, sha256: bytes) -> None:
    """Revoke the token with this digest; safe to repeat."""
    tx.execute(_REVOKE_DIGEST, {"sha256": sha256})
