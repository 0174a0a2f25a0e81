"""Groups of columns, as updates change them and versions show them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast
from uuid import uuid4

from api.dialects.blockmodel.bodies import GroupsBody, GroupValuesBody, UpdateBody
from scheduler.documents import Document
from scheduler.rules.data_sets.groups import INHERIT, GroupChangesDocument, GroupDocument, Groups, GroupValuesDocument


def asked(body: UpdateBody, meant: Callable[[str], str]) -> GroupChangesDocument | None:
    """Return what an update does to groups, None for nothing; `meant` writes a path as it is kept."""
    given = body.groups or GroupsBody()
    spared = [meant(one) for one in body.group_missing_column_override or ()]
    if not (given.new or given.update_metadata or given.delete or spared):
        return None
    return {
        "new": [
            {
                "group_uuid": str(uuid4()),
                "title": one.title,
                "parent": meant(one.parent_group or ""),
                "missing": one.missing_column_policy or INHERIT,
                "hidden": one.is_hidden,
                "tags": cast("Document | None", one.tags),
            }
            for one in given.new
        ],
        "update": [_values(meant(one.title), one.values, meant) for one in given.update_metadata],
        "delete": [meant(one) for one in given.delete],
        "use_previous": spared,
    }


def shown(grouped: Sequence[GroupDocument]) -> list[dict[str, Any]]:
    """Return the groups of a version."""
    own = Groups(grouped)
    return [
        {
            "group_uuid": one["group_uuid"],
            "title": one["title"],
            "parent_group_uuid": one.get("parent"),
            "is_hidden": bool(one.get("hidden")),
            "missing_column_policy": one["missing"],
            "resolved_missing_column_policy": own.resolved(one["group_uuid"]),
            **({"tags": one["tags"]} if one.get("tags") else {}),
        }
        for one in grouped
    ]


def _values(path: str, given: GroupValuesBody, meant: Callable[[str], str]) -> GroupValuesDocument:
    said: GroupValuesDocument = {"group": path}
    if given.title is not None:
        said["title"] = given.title
    if given.parent_group is not None:
        said["parent"] = meant(given.parent_group)
    if given.missing_column_policy is not None:
        said["missing"] = given.missing_column_policy
    if given.is_hidden is not None:
        said["hidden"] = given.is_hidden
    if given.tags is not None:
        said["tags"] = cast("Document", given.tags)
    return said
