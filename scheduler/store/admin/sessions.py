"""Sessions of browsers, and the one-time codes that begin them: digests only, as with tokens."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from scheduler.identifiers import ProjectId
from scheduler.store import records


class LiveSession(NamedTuple):
    """A session that is valid now, and the token that it was begun with."""

    id: int
    token_id: int
    name: str
    role: str
    project_id: ProjectId | None
    project: str | None
    expires: datetime | None


class SessionRow(NamedTuple):
    """A session as its owner sees it."""

    id: int
    created: datetime
    seen: datetime
    ends: datetime
    browser: str


# A session lives while the very secret does that it was begun with: revoking, expiry and rotation of the token end it.
_VALID = """
    s.ends > now() AND s.seen > now() - make_interval(secs => :idle_s)
    AND t.revoked IS NULL AND (t.expires IS NULL OR t.expires > now())
    AND (t.sha256 = s.token_sha256 OR t.previous_sha256 = s.token_sha256 AND t.previous_until > now())
"""

_FIND = text(f"""
    SELECT s.id, t.id AS token_id, t.name, t.role, t.project_id, p.name AS project, t.expires
    FROM sessions s JOIN tokens t ON t.id = s.token_id LEFT JOIN projects p ON p.id = t.project_id
    WHERE s.sha256 = :sha256 AND t.kind = 'user' AND {_VALID}
""")  # noqa: S608 - our own text

_TOUCH = text("UPDATE sessions SET seen = now() WHERE id = :id AND seen < now() - interval '1 minute'")

_LIST = text(f"""
    SELECT s.id, s.created, s.seen, s.ends, s.browser
    FROM sessions s JOIN tokens t ON t.id = s.token_id
    WHERE s.token_id = :token_id AND {_VALID}
    ORDER BY s.seen DESC
    LIMIT 100
""")  # noqa: S608 - likewise

_INSERT = text("""
    INSERT INTO sessions (sha256, token_id, token_sha256, browser, ends)
    VALUES (:sha256, :token_id, :token_sha256, :browser, now() + make_interval(secs => :longest_s))
""")

_SWEEP = text("DELETE FROM sessions WHERE ends < now() OR seen < now() - make_interval(secs => :idle_s)")
_SWEEP_CODES = text("DELETE FROM login_codes WHERE expires < now()")
_END = text("DELETE FROM sessions WHERE sha256 = :sha256")
_END_ALL = text("DELETE FROM sessions WHERE token_id = :token_id")

_INSERT_CODE = text("""
    INSERT INTO login_codes (sha256, token_id, token_sha256, expires)
    SELECT :sha256, t.id, t.sha256, now() + make_interval(secs => :valid_s) FROM tokens t WHERE t.id = :token_id
""")

# Taking a code away is what using it means: of two who try, one finds it.
_TAKE_CODE = text("""
    DELETE FROM login_codes c USING tokens t
    WHERE c.sha256 = :sha256 AND c.expires > now() AND t.id = c.token_id AND t.sha256 = c.token_sha256
      AND t.kind = 'user' AND t.revoked IS NULL AND (t.expires IS NULL OR t.expires > now())
    RETURNING c.token_id, c.token_sha256
""")


class TakenLogin(NamedTuple):
    """The token that a one-time code stood for."""

    token_id: int
    token_sha256: bytes


def find(tx: Connection, sha256: bytes, *, idle_s: float) -> LiveSession | None:
    """Return the session with this digest, None when it has ended."""
    return records.read_optional(LiveSession, tx.execute(_FIND, {"sha256": sha256, "idle_s": idle_s}))


def touch(tx: Connection, session_id: int) -> None:
    """Write that a session is used now, to the minute."""
    tx.execute(_TOUCH, {"id": session_id})


def of_token(tx: Connection, token_id: int, *, idle_s: float) -> list[SessionRow]:
    """Return the sessions of a token, the last used first, at most a hundred."""
    return records.read_all(SessionRow, tx.execute(_LIST, {"token_id": token_id, "idle_s": idle_s}))


def insert(
    tx: Connection, sha256: bytes, token_id: int, token_sha256: bytes, *, browser: str, longest_s: float, idle_s: float
) -> None:
    """Insert a session, and delete those that are over."""
    tx.execute(_SWEEP, {"idle_s": idle_s})
    parameters = {"sha256": sha256, "token_id": token_id, "token_sha256": token_sha256}
    tx.execute(_INSERT, {**parameters, "browser": browser, "longest_s": longest_s})


def end(tx: Connection, sha256: bytes) -> None:
    """Delete a session; safe to repeat."""
    tx.execute(_END, {"sha256": sha256})


def end_all(tx: Connection, token_id: int) -> None:
    """Delete every session of a token."""
    tx.execute(_END_ALL, {"token_id": token_id})


def insert_code(tx: Connection, sha256: bytes, token_id: int, *, valid_s: float) -> None:
    """Insert a one-time code for a token, and delete those that are over."""
    tx.execute(_SWEEP_CODES)
    tx.execute(_INSERT_CODE, {"sha256": sha256, "token_id": token_id, "valid_s": valid_s})


def take_code(tx: Connection, sha256: bytes) -> TakenLogin | None:
    """Use a one-time code up; None when there is none, or it is over, or its token is."""
    return records.read_optional(TakenLogin, tx.execute(_TAKE_CODE, {"sha256": sha256}))
