"""Block models, versions and the ends of jobs as the block model API shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast
from uuid import NAMESPACE_URL, UUID, uuid5

from typing_extensions import TypedDict

from api.dialects.blockmodel import groups
from scheduler.rules.data_sets import grid as grids
from scheduler.rules.data_sets.documents import ColumnDocument, GridDocument, RangeDocument
from scheduler.rules.data_sets.groups import GroupDocument, Groups, plain
from scheduler.store.data_sets.sets import DataSetRow
from scheduler.store.data_sets.versions import VersionRow

_TOKENS = uuid5(NAMESPACE_URL, "urn:ganger:tokens")


class UserView(TypedDict):
    """Whoever did something: a token, by a UUID that is made of its id, and its name."""

    id: UUID
    name: str
    email: str | None


class VersionView(TypedDict):
    """A version of a block model."""

    base_version_id: int | None
    bbox: Mapping[str, RangeDocument] | None
    bm_uuid: UUID
    comment: str
    created_at: datetime
    created_by: UserView
    geoscience_version_id: str | None
    mapping: dict[str, list[dict[str, Any]]]
    parent_version_id: int
    version_id: int
    version_uuid: UUID


def user(token_id: int, name: str) -> UserView:
    """Return a user; equal tokens are equal users."""
    return {"id": uuid5(_TOKENS, str(token_id)), "name": name, "email": None}


def model(row: DataSetRow, organization: UUID, workspace: UUID) -> dict[str, Any]:
    """Return a block model."""
    grid = cast("GridDocument", row.definition["grid"])
    about = row.about
    return {
        "bm_uuid": row.uuid,
        "name": row.name,
        "description": about.get("description"),
        "org_uuid": organization,
        "workspace_id": workspace,
        "model_origin": dict(zip("xyz", map(float, grid["origin"]), strict=True)),
        "block_rotation": [{"axis": turn["axis"], "angle": float(turn["angle"])} for turn in grid["rotation"]],
        "normalized_rotation": list(grids.normalized(grid)),
        "bbox": _floats(grids.extent(grid)),
        "size_options": {
            "model_type": "regular",
            "n_blocks": dict(zip(("nx", "ny", "nz"), grid["blocks"], strict=True)),
            "block_size": dict(zip("xyz", map(float, grid["size"]), strict=True)),
        },
        "size_unit_id": about.get("size_unit_id"),
        "coordinate_reference_system": about.get("coordinate_reference_system"),
        "fill_subblocks": bool(about.get("fill_subblocks", False)),
        "geoscience_object_id": None,
        "created_at": row.created,
        "created_by": user(row.created_by, row.created_by_name),
        "last_updated_at": row.last_modified,
        "last_updated_by": user(row.modified_by, row.modified_by_name),
    }


def version(row: VersionRow, bm_uuid: UUID) -> VersionView:
    """Return a version."""
    return {
        "base_version_id": row.base,
        "bbox": row.bounds,
        "bm_uuid": bm_uuid,
        "comment": row.comment,
        "created_at": row.created,
        "created_by": user(row.created_by, row.created_by_name),
        "geoscience_version_id": None,
        "mapping": mapping(row.columns, row.groups),
        "parent_version_id": row.parent,
        "version_id": row.number,
        "version_uuid": row.uuid,
    }


def mapping(
    columns: Sequence[ColumnDocument], grouped: Sequence[GroupDocument] = ()
) -> dict[str, list[dict[str, Any]]]:
    """Return the columns of a version, or those that a query reads, with the groups of the version."""
    own = Groups(grouped)
    shown = [
        {
            "col_id": column["col_id"],
            "title": plain(own.path(column.get("group_uuid")), column["title"]),
            "data_type": column["data_type"],
            "unit_id": column.get("unit_id"),
            **({"tags": column["tags"]} if column.get("tags") else {}),
            **({"group_uuid": column["group_uuid"]} if column.get("group_uuid") else {}),
        }
        for column in columns
    ]
    return {"columns": shown, "groups": groups.shown(grouped)}


def _floats(bounds: Mapping[str, RangeDocument]) -> dict[str, dict[str, float]]:
    return {name: {"min": float(one["min"]), "max": float(one["max"])} for name, one in bounds.items()}
