"""Named errors: the rows of the catalogue, the built-in ones kept as the code has them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import NamedTuple, Required, TypedDict

from sqlalchemy import Connection, text

from scheduler.identifiers import ErrorId, ProjectId
from scheduler.rules.lifecycle.failures import FailureClass
from scheduler.store import records
from scheduler.store.paging import Listing, RowCondition, SortKey

_SEED = text("""
    INSERT INTO errors (name, title, description, category, should_be_retried, is_builtin)
    SELECT v.name, v.title, v.description, v.category, v.retried, true
    FROM unnest(CAST(:names AS text[]), CAST(:titles AS text[]), CAST(:descriptions AS text[]),
                CAST(:categories AS text[]), CAST(:retried AS boolean[]))
         AS v (name, title, description, category, retried)
    ORDER BY v.name
    ON CONFLICT (name) WHERE project_id IS NULL DO UPDATE
    SET title = EXCLUDED.title, description = EXCLUDED.description, category = EXCLUDED.category,
        should_be_retried = EXCLUDED.should_be_retried, is_builtin = true, last_modified = now()
    WHERE (errors.title, errors.description, errors.category, errors.should_be_retried, errors.is_builtin)
          IS DISTINCT FROM (EXCLUDED.title, EXCLUDED.description, EXCLUDED.category, EXCLUDED.should_be_retried, true)
""")

_NAMES = text("SELECT name FROM errors WHERE project_id IS NULL OR project_id = :owner")

_BUILT_IN = text("SELECT 1 FROM errors WHERE name = :name AND is_builtin")


def seed(tx: Connection, failures: Iterable[FailureClass]) -> None:
    """Make the built-in errors what they are in the code; safe to repeat."""
    rows = list(failures)
    parameters = {
        "names": [row.name for row in rows],
        "titles": [row.title for row in rows],
        "descriptions": [row.description for row in rows],
        "categories": [row.category.value for row in rows],
        "retried": [row.should_be_retried for row in rows],
    }
    tx.execute(_SEED, parameters)


def names(tx: Connection, owner: ProjectId | None) -> frozenset[str]:
    """Return the names of the errors that a type of this owner may mean: its own and the installation's."""
    return frozenset(tx.execute(_NAMES, {"owner": owner}).scalars())


def is_built_in(tx: Connection, name: str) -> bool:
    """Return whether an error of this name is built in."""
    return tx.execute(_BUILT_IN, {"name": name}).scalar() is not None


class ErrorRow(NamedTuple):
    """A named error as lists show it."""

    id: ErrorId
    name: str
    title: str
    description: str
    category: str
    should_be_retried: bool
    is_builtin: bool
    created: datetime
    last_modified: datetime
    project: str | None


class LockedError(NamedTuple):
    """A named error, read under its row lock."""

    name: str
    title: str
    description: str
    category: str
    should_be_retried: bool
    is_builtin: bool
    project_id: ProjectId | None


class ErrorChanges(TypedDict, total=False):
    """The changes to a named error, by column."""

    title: str
    description: str
    category: str
    should_be_retried: bool


class NewError(ErrorChanges):
    """A named error that an operator adds; `project_id` None is the installation's."""

    name: Required[str]
    project_id: Required[ProjectId | None]


@dataclass(frozen=True, slots=True)
class ErrorFilter:
    """Which errors. Values of one field are alternatives, fields narrow; times are of the last change.

    `seen_by` leaves out what other projects than this one own.
    """

    started: datetime | None = None
    ended: datetime | None = None
    id: tuple[int, ...] = ()
    name: tuple[str, ...] = ()
    category: tuple[str, ...] = ()
    is_builtin: bool | None = None
    project: tuple[str, ...] = ()
    seen_by: ProjectId | None = None


_CONDITIONS = {
    "started": "j.last_modified >= :started",
    "ended": "j.last_modified <= :ended",
    "id": "j.id = ANY(:id)",
    "name": "j.name = ANY(:name)",
    "category": "j.category = ANY(:category)",
    "is_builtin": "j.is_builtin = :is_builtin",
    "project": "j.project_id = ANY(ARRAY(SELECT id FROM projects WHERE name = ANY(:project)))",
    "seen_by": "(j.project_id IS NULL OR j.project_id = :seen_by)",
}

ERRORS = Listing(
    ErrorRow,
    "errors j",
    """j.id, j.name, j.title, j.description, j.category, j.should_be_retried, j.is_builtin, j.created,
       j.last_modified, p.name AS project""",
    "errors j ON j.id = page.id LEFT JOIN projects p ON p.id = j.project_id",
    {
        "id": SortKey("j.id", "bigint"),
        "name": SortKey('j.name COLLATE "C"', "text"),
        "title": SortKey('j.title COLLATE "C"', "text"),
        "category": SortKey('j.category COLLATE "C"', "text"),
        "created": SortKey("j.created", "timestamptz"),
        "last_modified": SortKey("j.last_modified", "timestamptz"),
    },
)

_INSERT = text("""
    INSERT INTO errors (name, title, description, category, should_be_retried, project_id)
    VALUES (:name, :title, :description, :category, :should_be_retried, :project_id)
    ON CONFLICT DO NOTHING
    RETURNING id
""")

_LOCK = text("""
    SELECT name, title, description, category, should_be_retried, is_builtin, project_id
    FROM errors WHERE id = :id FOR NO KEY UPDATE
""")

_UPDATE = text("""
    UPDATE errors
    SET title = :title, description = :description, category = :category, should_be_retried = :should_be_retried,
        last_modified = now()
    WHERE id = :id
""")


def condition(chosen: ErrorFilter) -> RowCondition:
    """Return the filter as SQL."""
    given = {one.name: getattr(chosen, one.name) for one in fields(chosen)}
    given = {name: value for name, value in given.items() if value is not None and value != ()}
    parameters = {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()}
    return RowCondition(" AND ".join(_CONDITIONS[name] for name in given) or "true", parameters)


def insert(tx: Connection, new: NewError) -> ErrorId | None:
    """Insert an operator's error and return its id; None when its owner has one of this name."""
    return tx.execute(_INSERT, dict(new)).scalar()


def lock(tx: Connection, error_id: ErrorId) -> LockedError | None:
    """Lock an error and return what it is, None when there is none."""
    return records.read_optional(LockedError, tx.execute(_LOCK, {"id": error_id}))


def update(tx: Connection, error_id: ErrorId, changed: LockedError) -> None:
    """Write what an error says; its name stays, job types refer to it."""
    tx.execute(_UPDATE, {**changed._asdict(), "id": error_id})
