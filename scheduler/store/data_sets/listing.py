"""Lists of data sets and of their versions, as the API pages them."""

from __future__ import annotations

from collections.abc import Sequence

from scheduler.identifiers import DataSetId, ProjectId
from scheduler.store.data_sets.sets import DataSetRow
from scheduler.store.data_sets.versions import VersionRow
from scheduler.store.paging import Listing, Parameter, RowCondition, SortKey

DATA_SETS = Listing(
    DataSetRow,
    "data_sets j",
    """j.id, j.uuid, j.project_id, p.name AS project, p.uuid AS project_uuid, j.kind, j.name, j.definition, j.about, j.latest,
       j.created_by, j.created_by_name, j.modified_by, j.modified_by_name, j.created, j.last_modified, j.deleted""",
    "data_sets j ON j.id = page.id JOIN projects p ON p.id = j.project_id",
    {
        "id": SortKey("j.id", "bigint"),
        "name": SortKey('j.name COLLATE "C"', "text"),
        "created": SortKey("j.created", "timestamptz"),
        "last_modified": SortKey("j.last_modified", "timestamptz"),
    },
)

VERSIONS = Listing(
    VersionRow,
    "data_set_versions j",
    ", ".join(f"j.{name}" for name in VersionRow._fields),
    "data_set_versions j ON j.id = page.id",
    {"number": SortKey("j.number", "int"), "created": SortKey("j.created", "timestamptz")},
)


def condition(
    ids: Sequence[int],
    names: Sequence[str],
    projects: Sequence[str],
    *,
    is_deleted: bool,
    project_id: ProjectId | None,
) -> RowCondition:
    """Return which data sets: by id, name and project, bounded to one project for a caller who may see no other."""
    parts = {
        "j.id = ANY(:ids)": bool(ids),
        "j.name = ANY(:names)": bool(names),
        "j.project_id IN (SELECT id FROM projects WHERE name = ANY(:projects))": bool(projects),
        "j.project_id = :project_id": project_id is not None,
    }
    deleted = "j.deleted IS NOT NULL" if is_deleted else "j.deleted IS NULL"
    parameters: dict[str, Parameter] = {
        "ids": [*ids],
        "names": [*names],
        "projects": [*projects],
        "project_id": project_id,
    }
    return RowCondition(" AND ".join([deleted, *(sql for sql, is_asked in parts.items() if is_asked)]), parameters)


def of_set(data_set_id: DataSetId) -> RowCondition:
    """Return the versions of one data set."""
    return RowCondition("j.data_set_id = :data_set_id", {"data_set_id": data_set_id})
