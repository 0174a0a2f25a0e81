"""Named definitions of workflows: a name of a project, and its revisions, which never change."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from scheduler.identifiers import ProjectId
from scheduler.store import records
from scheduler.store.paging import Listing, Parameter, RowCondition, SortKey


class WorkflowTypeRow(NamedTuple):
    """A named definition with the number of its newest revision."""

    id: int
    project_id: ProjectId
    project: str
    name: str
    revision_num: int
    archived: datetime | None
    created: datetime
    last_modified: datetime


class SavedRevision(NamedTuple):
    """One revision of a named definition, with its text."""

    id: int
    revision_num: int
    definition: str
    created_by: str | None
    created: datetime


_COLUMNS = "j.id, j.project_id, p.name AS project, j.name, j.revision_num, j.archived, j.created, j.last_modified"

WORKFLOW_TYPES = Listing(
    WorkflowTypeRow,
    "workflow_types j",
    _COLUMNS,
    "workflow_types j ON j.id = page.id JOIN projects p ON p.id = j.project_id",
    {
        "id": SortKey("j.id", "bigint"),
        "name": SortKey('j.name COLLATE "C"', "text"),
        "last_modified": SortKey("j.last_modified", "timestamptz"),
    },
)

_LOCK = text(f"""
    SELECT {_COLUMNS} FROM workflow_types j JOIN projects p ON p.id = j.project_id WHERE j.id = :id FOR NO KEY UPDATE OF j
""")  # noqa: S608 - our own text

_INSERT = text("""
    INSERT INTO workflow_types (project_id, name) VALUES (:project_id, :name)
    ON CONFLICT (project_id, name) DO NOTHING
    RETURNING id
""")

_BY_NAME = text("""
    SELECT id FROM workflow_types WHERE project_id = :project_id AND name = :name FOR NO KEY UPDATE
""")

_REVISE = text("""
    UPDATE workflow_types
    SET revision_num = :number, archived = NULL, last_modified = now()
    WHERE id = :id
""")

_INSERT_REVISION = text("""
    INSERT INTO workflow_revisions (workflow_type_id, revision_num, definition, created_by)
    VALUES (:id, :number, :definition, :created_by)
""")

_ARCHIVE = text("""
    UPDATE workflow_types SET archived = COALESCE(archived, now()), last_modified = now() WHERE id = :id
""")

_REVISION_COLUMNS = "r.id, r.revision_num, r.definition, k.name AS created_by, r.created"

_REVISIONS = text(f"""
    SELECT {_REVISION_COLUMNS}
    FROM workflow_revisions r LEFT JOIN tokens k ON k.id = r.created_by
    WHERE r.workflow_type_id = :id
    ORDER BY r.revision_num DESC
    LIMIT :limit OFFSET :skipped
""")  # noqa: S608 - our own text

_ONE_REVISION = text(f"""
    SELECT {_REVISION_COLUMNS}
    FROM workflow_revisions r LEFT JOIN tokens k ON k.id = r.created_by
    WHERE r.workflow_type_id = :id AND r.revision_num = :number
""")  # noqa: S608 - our own text

# Without a number the newest one, unless the name is archived.
_MEANT = text(f"""
    SELECT {_REVISION_COLUMNS}
    FROM workflow_types t
    JOIN workflow_revisions r ON r.workflow_type_id = t.id AND r.revision_num = COALESCE(:number, t.revision_num)
    LEFT JOIN tokens k ON k.id = r.created_by
    WHERE t.project_id = :project_id AND t.name = :name AND (t.archived IS NULL OR CAST(:number AS int) IS NOT NULL)
""")  # noqa: S608 - our own text


def condition(*, project_id: ProjectId | None, names: Sequence[str], archived: bool) -> RowCondition:
    """Return which named definitions: of the caller's project, of these names, without archived ones unless they are meant."""
    parts = ["j.project_id IN (SELECT id FROM projects WHERE deleted IS NULL)"]
    parameters: dict[str, Parameter] = {}
    if project_id is not None:
        parts.append("j.project_id = :project_id")
        parameters["project_id"] = project_id
    if names:
        parts.append("j.name = ANY(:names)")
        parameters["names"] = list(names)
    if not archived:
        parts.append("j.archived IS NULL")
    return RowCondition(" AND ".join(parts), parameters)


def lock(tx: Connection, type_id: int) -> WorkflowTypeRow | None:
    """Lock a named definition and return it; None when there is none."""
    return records.read_optional(WorkflowTypeRow, tx.execute(_LOCK, {"id": type_id}))


def take(tx: Connection, project_id: ProjectId, name: str) -> tuple[int, bool]:
    """Return the id of a name, locked, and whether it is new."""
    asked = {"project_id": project_id, "name": name}
    made = tx.execute(_INSERT, asked).scalar()
    return (int(made), True) if made is not None else (int(tx.execute(_BY_NAME, asked).scalar_one()), False)


def revise(tx: Connection, type_id: int, number: int, definition: str, created_by: int) -> None:
    """Write a revision and make it the newest; the name is not archived then."""
    tx.execute(_INSERT_REVISION, {"id": type_id, "number": number, "definition": definition, "created_by": created_by})
    tx.execute(_REVISE, {"id": type_id, "number": number})


def archive(tx: Connection, type_id: int) -> None:
    """Let nobody run a named definition any more, but by the number of a revision."""
    tx.execute(_ARCHIVE, {"id": type_id})


def revisions(tx: Connection, type_id: int, skipped: int, limit: int) -> list[SavedRevision]:
    """Return revisions, the newest first."""
    return records.read_all(SavedRevision, tx.execute(_REVISIONS, {"id": type_id, "skipped": skipped, "limit": limit}))


def revision(tx: Connection, type_id: int, number: int) -> SavedRevision | None:
    """Return one revision, None when there is none."""
    return records.read_optional(SavedRevision, tx.execute(_ONE_REVISION, {"id": type_id, "number": number}))


def meant(tx: Connection, project_id: ProjectId, name: str, number: int | None) -> SavedRevision | None:
    """Return the revision of this number, or the newest of a name; None when there is none."""
    asked = {"project_id": project_id, "name": name, "number": number}
    return records.read_optional(SavedRevision, tx.execute(_MEANT, asked))
