"""Job types and their revisions: written once, resolved for every submission."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class Resolved:
    """The revision a new job would get."""

    job_type_id: int
    name: str
    version: str
    is_active: bool
    is_long_running: bool
    revision_id: int
    revision_num: int


_COLUMNS = """t.id AS job_type_id, t.name, t.version, t.is_active, t.is_long_running,
    r.id AS revision_id, r.revision_num"""

_JOIN = "JOIN job_type_revisions r ON r.job_type_id = t.id AND r.revision_num = t.revision_num"

_BY_ID = text(f"SELECT {_COLUMNS} FROM job_types t {_JOIN} WHERE t.id = ANY(:ids)")  # noqa: S608

# With a version that one, archived or not; without, the newest active one, and only if all are archived the newest.
_BY_NAME = text(f"""
    SELECT v.name AS asked_name, v.version AS asked_version, found.*
    FROM unnest(CAST(:names AS text[]), CAST(:versions AS text[])) AS v (name, version)
    CROSS JOIN LATERAL (
        SELECT {_COLUMNS}
        FROM job_types t {_JOIN}
        WHERE t.name = v.name
          AND (v.version IS NULL OR t.version = v.version)
        ORDER BY t.is_active DESC, t.created DESC, t.id DESC
        LIMIT 1
    ) AS found
""")  # noqa: S608

_DEFINITIONS = text("SELECT id, definition FROM job_type_revisions WHERE id = ANY(:ids)")

_INSERT = text("""
    INSERT INTO job_types (name, version, title, description, category, author_name, author_url, icon_code,
                           is_system, is_long_running, is_operational, is_paused, pause_reason, paused, max_scheduled)
    VALUES (:name, :version, :title, :description, :category, :author_name, :author_url, :icon_code,
            :is_system, :is_long_running, :is_operational, :is_paused, :pause_reason,
            CASE WHEN :is_paused THEN now() END, :max_scheduled)
    ON CONFLICT (name, version) DO NOTHING
    RETURNING id
""")

_INSERT_REVISION = text("""
    INSERT INTO job_type_revisions (job_type_id, revision_num, definition)
    VALUES (:job_type_id, :revision_num, CAST(:definition AS jsonb))
    RETURNING id
""")

_LOCK = text("""
    SELECT t.*, r.definition
    FROM job_types t JOIN job_type_revisions r ON r.job_type_id = t.id AND r.revision_num = t.revision_num
    WHERE t.id = :id
    FOR NO KEY UPDATE OF t
""")

_FACTS = (
    "title", "description", "category", "author_name", "author_url", "icon_code", "is_long_running",
    "is_operational", "is_active", "is_paused", "pause_reason", "max_scheduled", "revision_num",
)  # fmt: skip

_UPDATE = text(f"""
    UPDATE job_types
    SET {", ".join(f"{name} = :{name}" for name in _FACTS)},
        paused = CASE WHEN NOT :is_paused THEN NULL WHEN is_paused THEN paused ELSE now() END,
        archived = CASE WHEN :is_active THEN NULL WHEN NOT is_active THEN archived ELSE now() END,
        last_modified = now()
    WHERE id = :id
""")  # noqa: S608 - the only text put in are our own column names


def by_id(tx: Connection, ids: Sequence[int]) -> dict[int, Resolved]:
    """Return the current revisions of these types; unknown ids are left out."""
    return {row.job_type_id: Resolved(**row._mapping) for row in tx.execute(_BY_ID, {"ids": list(ids)})}  # noqa: SLF001


def by_name(tx: Connection, wanted: Sequence[tuple[str, str | None]]) -> dict[tuple[str, str | None], Resolved]:
    """Return what each (name, version or None) means now; unknown ones are left out."""
    parameters = {"names": [name for name, _ in wanted], "versions": [version for _, version in wanted]}
    found = {}
    for row in tx.execute(_BY_NAME, parameters):
        facts = dict(row._mapping)  # noqa: SLF001
        asked = facts.pop("asked_name"), facts.pop("asked_version")
        found[asked] = Resolved(**facts)
    return found


def definitions(tx: Connection, revision_ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Return the definition documents of revisions."""
    return {row.id: row.definition for row in tx.execute(_DEFINITIONS, {"ids": list(revision_ids)})}


def insert(tx: Connection, facts: dict[str, Any], definition: dict[str, Any]) -> int | None:
    """Insert a type with its first revision and return its id; None when name and version are taken."""
    made = tx.execute(_INSERT, facts).scalar()
    if made is None:
        return None
    insert_revision(tx, int(made), 1, definition)
    return int(made)


def insert_revision(tx: Connection, job_type_id: int, revision_num: int, definition: dict[str, Any]) -> int:
    """Insert a revision and return its id."""
    parameters = {
        "job_type_id": job_type_id,
        "revision_num": revision_num,
        "definition": orjson.dumps(definition).decode(),
    }
    return int(tx.execute(_INSERT_REVISION, parameters).scalar_one())


def lock(tx: Connection, job_type_id: int) -> dict[str, Any] | None:
    """Lock a type and return its columns with the current `definition`; None when there is none."""
    row = tx.execute(_LOCK, {"id": job_type_id}).one_or_none()
    return None if row is None else dict(row._mapping)  # noqa: SLF001


def update(tx: Connection, job_type_id: int, facts: dict[str, Any]) -> None:
    """Write a locked type's columns; `facts` holds all that may change. Stamps `paused` and `archived`."""
    tx.execute(_UPDATE, {"id": job_type_id, **{name: facts[name] for name in _FACTS}})
