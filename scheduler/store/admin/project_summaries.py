"""Projects in short: read by their ids, many at a time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from scheduler.documents import Document
from scheduler.identifiers import ProjectId
from scheduler.store import records
from scheduler.store.searching import SearchedTable


class ProjectSummary(NamedTuple):
    """A project in short. `title` is its name where it has no title; `attributes` is what faces keep of it."""

    id: ProjectId
    name: str
    title: str
    created_by: str
    attributes: Document
    created: datetime
    last_modified: datetime


_TITLE = "COALESCE(NULLIF(j.title, ''), j.name)"

TABLE = SearchedTable(
    "projects j",
    {"id": "CAST(j.id AS text)", "user": "j.created_by", "name": _TITLE},
    {
        "id": "j.id",
        "user": 'j.created_by COLLATE "C"',
        "name": f'{_TITLE} COLLATE "C"',
        "created": "j.created",
        "modified": "j.last_modified",
    },
)
"""Projects can be searched by id, maker and title."""

_READ = text(f"""
    SELECT j.id, j.name, {_TITLE} AS title, j.created_by, j.attributes, j.created, j.last_modified
    FROM unnest(CAST(:ids AS bigint[])) WITH ORDINALITY AS wanted (id, n) JOIN projects j ON j.id = wanted.id
    WHERE j.deleted IS NULL
    ORDER BY wanted.n
""")  # noqa: S608 - our own text

_ID = text("SELECT id FROM projects WHERE name = :name AND deleted IS NULL")


def read(tx: Connection, ids: Sequence[ProjectId]) -> list[ProjectSummary]:
    """Return projects by their ids, in this order; those that are gone are left out."""
    return records.read_all(ProjectSummary, tx.execute(_READ, {"ids": list(ids)}))


def named(tx: Connection, name: str) -> ProjectId | None:
    """Return the id of the project of this name, None when there is none."""
    return tx.execute(_ID, {"name": name}).scalar()
