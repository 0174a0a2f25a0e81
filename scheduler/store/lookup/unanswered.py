"""Files and projects that nobody has asked for since they were made: what was sent for them, for half a minute.

A client that did not hear the answer sends the same again. Rows go with the next one that is written, or when somebody asks.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from sqlalchemy import Connection, text

from scheduler.identifiers import FileId, ProjectId

UnansweredKind: TypeAlias = Literal["file", "project"]

KEPT_S: Final = 60.0

# Rows that another request is taking away are left to it.
_FORGET_OLD = text("""
    DELETE FROM unanswered
    WHERE (kind, object_id) IN (
        SELECT kind, object_id FROM unanswered WHERE created < now() - make_interval(secs => :kept) FOR UPDATE SKIP LOCKED
    )
""")
_WRITE = text("INSERT INTO unanswered (kind, object_id, digest) VALUES (:kind, :id, :digest)")

_DUE = """
    u.digest = :digest AND u.kind = :kind AND (u.created <= now() - make_interval(secs => :least) OR u.is_lost)
      AND u.created > now() - make_interval(secs => :most)
"""
_FILE = text(f"""
    SELECT f.id
    FROM unanswered u JOIN files f ON f.id = u.object_id
    WHERE {_DUE} AND f.project_id = :project_id AND NOT f.is_deleted
    ORDER BY f.id DESC
    LIMIT 1
""")  # noqa: S608 - our own text

# Whoever has put something into it knows it.
_PROJECT = text(f"""
    SELECT p.id
    FROM unanswered u JOIN projects p ON p.id = u.object_id
    WHERE {_DUE} AND p.deleted IS NULL
      AND NOT EXISTS (SELECT FROM files f WHERE f.project_id = p.id)
      AND NOT EXISTS (SELECT FROM jobs j WHERE j.project_id = p.id)
    ORDER BY p.id DESC
    LIMIT 1
""")  # noqa: S608 - our own text

_LOSE = text("UPDATE unanswered SET is_lost = true WHERE kind = :kind AND object_id = :id")
_FORGET = text("DELETE FROM unanswered WHERE kind = :kind AND object_id = :id")


def write(tx: Connection, kind: UnansweredKind, object_id: int, digest: str) -> None:
    """Note what was sent for a file or a project that is made now; what is old is forgotten."""
    tx.execute(_FORGET_OLD, {"kept": KEPT_S})
    tx.execute(_WRITE, {"kind": kind, "id": object_id, "digest": digest})


def file(tx: Connection, project_id: ProjectId, digest: str, *, least_s: float, most_s: float) -> FileId | None:
    """Return the newest file for which this was sent, and whose age in seconds is between the two, or below the second if its client was gone."""
    asked = {"kind": "file", "project_id": project_id, "digest": digest, "least": least_s, "most": most_s}
    return tx.execute(_FILE, asked).scalar()


def project(tx: Connection, digest: str, *, least_s: float, most_s: float) -> ProjectId | None:
    """Return the newest project for which this was sent, likewise; one that has files or jobs is known to somebody."""
    return tx.execute(_PROJECT, {"kind": "project", "digest": digest, "least": least_s, "most": most_s}).scalar()


def lose(tx: Connection, kind: UnansweredKind, object_id: int) -> None:
    """Note that the client was gone before it was answered; safe to repeat."""
    tx.execute(_LOSE, {"kind": kind, "id": object_id})


def forget(tx: Connection, kind: UnansweredKind, object_id: int) -> None:
    """Note that somebody knows it; safe to repeat."""
    tx.execute(_FORGET, {"kind": kind, "id": object_id})
