"""Job types and their revisions: written once, resolved for every submission."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple, TypedDict

import orjson
from sqlalchemy import Connection, text

from scheduler.documents import Document
from scheduler.identifiers import JobTypeId, ProjectId, RevisionId
from scheduler.rules.job_type import versions
from scheduler.store import records


class ResolvedType(NamedTuple):
    """The revision of a job type that a new job of a project would get.

    `project_id` is the type's owner, None the installation; with `may_have_secrets` the type may name the project's secrets.
    """

    job_type_id: JobTypeId
    name: str
    version: str
    is_active: bool
    is_long_running: bool
    revision_id: RevisionId
    revision_num: int
    project_id: ProjectId | None
    may_have_secrets: bool


class TypeChanges(TypedDict, total=False):
    """The changes to a job type beside its definition, by column."""

    title: str
    description: str
    category: str | None
    author_name: str | None
    author_url: str | None
    icon_code: str | None
    is_long_running: bool
    is_operational: bool
    is_active: bool
    is_paused: bool
    pause_reason: str | None
    max_scheduled: int | None


@dataclass(frozen=True, slots=True)
class NewJobType:
    """A job type to insert, with what is so where nothing is said."""

    name: str
    version: str
    title: str = ""
    description: str = ""
    category: str | None = None
    author_name: str | None = None
    author_url: str | None = None
    icon_code: str | None = None
    is_system: bool = False
    is_long_running: bool = False
    is_operational: bool = True
    is_active: bool = True
    is_paused: bool = False
    pause_reason: str | None = None
    max_scheduled: int | None = None
    project_id: ProjectId | None = None


class LockedType(NamedTuple):
    """A job type's columns that can change, read under its row lock, with the definition of its current revision."""

    is_system: bool
    title: str
    description: str
    category: str | None
    author_name: str | None
    author_url: str | None
    icon_code: str | None
    is_long_running: bool
    is_operational: bool
    is_active: bool
    is_paused: bool
    pause_reason: str | None
    max_scheduled: int | None
    revision_num: int
    project_id: ProjectId | None
    definition: Document


_JOIN = "JOIN job_type_revisions r ON r.job_type_id = t.id AND r.revision_num = t.revision_num"


def resolved(which: str, project: str = ":project_id", *, more: str = "") -> str:
    """Return the statement that reads the types which a project has to do with, the installation's and its own, in the form of `ResolvedType`.

    `project` is how the statement around it names the project's id; `more` are columns behind the others.
    """
    return f"""
        SELECT t.id AS job_type_id, t.name, t.version, t.is_active, t.is_long_running,
               r.id AS revision_id, r.revision_num, t.project_id,
               t.project_id IS NOT NULL OR EXISTS (
                   SELECT FROM projects p WHERE p.id = {project} AND t.name = ANY(p.secret_types)
               ) AS may_have_secrets{more}
        FROM job_types t {_JOIN}
        WHERE {which} AND (t.project_id IS NULL OR t.project_id = {project})
    """  # noqa: S608 - our own columns


def newest(version: str) -> str:
    """Return how those of one name come in order: the first is meant. `version` is how the statement around it names the version, null without one.

    A project's own types come before the installation's, but for the built-in ones. With a version that one, archived or
    not; without, the newest active one, and only if all are archived the newest.
    """
    return f"""ORDER BY NOT t.is_system, {version} IS NULL AND NOT t.is_active, t.project_id IS NULL, t.is_active DESC,
                 t.version_order COLLATE "C" DESC, t.created DESC, t.id DESC LIMIT 1"""


_BY_ID = text(resolved("t.id = ANY(:ids)"))

_BY_NAME = f"""
    SELECT v.name AS asked_name, v.version AS asked_version, found.*
    FROM unnest(CAST(:names AS text[]), CAST(:versions AS text[])) AS v (name, version)
    CROSS JOIN LATERAL (
        {resolved("t.name = v.name AND (v.version IS NULL OR t.version = v.version)")} {newest("v.version")}
    ) AS found
"""  # noqa: S608

_DEFINITIONS = text("SELECT id, definition FROM job_type_revisions WHERE id = ANY(:ids)")

_OWNED = text("""
    SELECT id FROM job_types WHERE name = :name AND version = :version AND project_id IS NOT DISTINCT FROM :project_id
""")

_BUILT_IN = text("SELECT 1 FROM job_types WHERE name = :name AND is_system")

_INSERT = text("""
    INSERT INTO job_types (name, version, title, description, category, author_name, author_url, icon_code,
                           is_system, is_long_running, is_operational, is_active, archived, is_paused, pause_reason,
                           paused, max_scheduled, project_id, version_order)
    VALUES (:name, :version, :title, :description, :category, :author_name, :author_url, :icon_code,
            :is_system, :is_long_running, :is_operational, :is_active, CASE WHEN NOT :is_active THEN now() END,
            :is_paused, :pause_reason, CASE WHEN :is_paused THEN now() END, :max_scheduled, :project_id, :version_order)
    ON CONFLICT DO NOTHING
    RETURNING id
""")

_INSERT_REVISION = text("""
    INSERT INTO job_type_revisions (job_type_id, revision_num, definition)
    VALUES (:job_type_id, :revision_num, CAST(:definition AS jsonb))
""")

_LOCK = text("""
    SELECT t.is_system, t.title, t.description, t.category, t.author_name, t.author_url, t.icon_code, t.is_long_running,
           t.is_operational, t.is_active, t.is_paused, t.pause_reason, t.max_scheduled, t.revision_num, t.project_id, r.definition
    FROM job_types t JOIN job_type_revisions r ON r.job_type_id = t.id AND r.revision_num = t.revision_num
    WHERE t.id = :id
    FOR NO KEY UPDATE OF t
""")

_CHANGEABLE = tuple(name for name in LockedType._fields if name not in {"is_system", "project_id", "definition"})

_UPDATE = text(f"""
    UPDATE job_types
    SET {", ".join(f"{name} = :{name}" for name in _CHANGEABLE)},
        paused = CASE WHEN NOT :is_paused THEN NULL WHEN is_paused THEN paused ELSE now() END,
        archived = CASE WHEN :is_active THEN NULL WHEN NOT is_active THEN archived ELSE now() END,
        last_modified = now()
    WHERE id = :id
""")  # noqa: S608 - the only text put in are our own column names


def by_id(tx: Connection, project_id: ProjectId, ids: Sequence[JobTypeId]) -> dict[JobTypeId, ResolvedType]:
    """Return the current revisions of these types; ids of other projects' types are left out like unknown ones."""
    rows = records.read_all(ResolvedType, tx.execute(_BY_ID, {"ids": list(ids), "project_id": project_id}))
    return {row.job_type_id: row for row in rows}


def by_name(
    tx: Connection, project_id: ProjectId, wanted: Sequence[tuple[str, str | None]]
) -> dict[tuple[str, str | None], ResolvedType]:
    """Return what each (name, version or None) means now in a project; unknown ones are left out."""
    parameters = {
        "names": [name for name, _ in wanted],
        "versions": [version for _, version in wanted],
        "project_id": project_id,
    }
    return {(name, version): ResolvedType(*found) for name, version, *found in records.run(tx, _BY_NAME, parameters)}


def definitions(tx: Connection, revision_ids: Sequence[RevisionId]) -> dict[RevisionId, Document]:
    """Return the definition documents of revisions."""
    return {row.id: row.definition for row in tx.execute(_DEFINITIONS, {"ids": list(revision_ids)})}


def insert(tx: Connection, new: NewJobType, definition: Document) -> JobTypeId | None:
    """Insert a type with its first revision and return its id; None when name and version are taken."""
    parameters = {**asdict(new), "version_order": versions.order(new.version)}
    made: JobTypeId | None = tx.execute(_INSERT, parameters).scalar()
    if made is not None:
        insert_revision(tx, made, 1, definition)
    return made


def insert_revision(tx: Connection, job_type_id: JobTypeId, revision_num: int, definition: Document) -> None:
    """Insert a revision of a type."""
    parameters = {
        "job_type_id": job_type_id,
        "revision_num": revision_num,
        "definition": orjson.dumps(definition).decode(),
    }
    tx.execute(_INSERT_REVISION, parameters)


def exists(tx: Connection, name: str, version: str, project_id: ProjectId | None) -> bool:
    """Return whether this owner has a type of this name and version."""
    return owned(tx, name, version, project_id) is not None


def owned(tx: Connection, name: str, version: str, project_id: ProjectId | None) -> JobTypeId | None:
    """Return the id of this owner's type of this name and version, None when there is none."""
    parameters = {"name": name, "version": version, "project_id": project_id}
    return tx.execute(_OWNED, parameters).scalar()


def is_built_in(tx: Connection, name: str) -> bool:
    """Return whether a type of this name is built in."""
    return tx.execute(_BUILT_IN, {"name": name}).scalar() is not None


def lock(tx: Connection, job_type_id: JobTypeId) -> LockedType | None:
    """Lock a type and return what can change of it, with the current definition; None when there is none."""
    return records.read_optional(LockedType, tx.execute(_LOCK, {"id": job_type_id}))


def update(tx: Connection, job_type_id: JobTypeId, changed: LockedType) -> None:
    """Write what a locked type shall be; its definition has a revision of its own. Stamps `paused` and `archived`."""
    tx.execute(_UPDATE, {"id": job_type_id, **{name: getattr(changed, name) for name in _CHANGEABLE}})
