"""The published `evo-blockmodels` client keeps columns in groups."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from evo.blockmodels.data import ColumnMetadataUpdate, GroupDefinition, GroupMetadataUpdate, qualify_column_titles
from evo.blockmodels.endpoints import models
from evo.common.exceptions import BadRequestException

from tests.clients.evo_client import Client, indexed, raises


async def columns_in_groups(client: Client) -> None:
    """Groups are made, filled, renamed, moved, hidden and deleted; columns are called by their paths, also with another separator."""
    bm, _ = await client.a_model()
    definitions = [
        GroupDefinition(title="Assays", tags={"lab": 7}, missing_column_policy=models.MissingColumnPolicy.REJECT),
        GroupDefinition(title="Geo ü", parent_group="Assays"),
    ]
    made = await client.models.update_groups(bm.id, new=definitions, comment="groups")
    top, inner = made.group_by_qualified_title("Assays"), made.group_by_qualified_title("Assays▸Geo ü")
    assert (top.tags, inner.parent_group_uuid, made.comment) == ({"lab": 7}, top.group_uuid, "groups")
    assert (inner.missing_column_policy.value, inner.resolved_missing_column_policy.value) == ("INHERIT", "REJECT")
    table, paths = qualify_column_titles(
        indexed([(0, 0, 0), (1, 0, 0)], Au=pa.array([1.0, 2.0]), Cu=pa.array([5, 6]), rock=pa.array(["a", "b"])),
        {"Au": "Assays", "Cu": "Assays▸Geo ü"},
    )
    filled = await client.models.add_new_columns(bm.id, table, units={"Assays▸Au": "g/t"}, column_groups=paths)
    titles = {
        column.title: filled.qualified_group_title(group) if (group := filled.group_for_column(column)) else None
        for column in filled.columns
    }
    assert titles == {"Au": "Assays", "Cu": "Assays▸Geo ü", "rock": None}

    await _changed(client, bm, top)
    old = await client.models.get_version(bm.id, filled.version_uuid)
    assert old.group_by_qualified_title("Assays▸Geo ü") is not None, "versions stay as they were"


async def _changed(client: Client, bm: Any, top: Any) -> None:
    async def names(*columns: str, **said: Any) -> list[str]:
        named = {"geometry_columns": models.GeometryColumns.indices, "column_headers": models.ColumnHeaderType.name}
        found = await client.models.query_block_model_as_table(bm.id, [*columns], **named, **said)
        return list(found.schema.names[3:])

    assert await names("*") == ["Assays▸Au", "Assays▸Geo ü▸Cu", "rock"]
    assert await names("Assays|Au", "rock", separator="|") == ["Assays|Au", "rock"]
    merge = models.UpdateType.merge
    again = indexed([(1, 0, 0)], **{"Assays.Geo ü.Cu": pa.array([9]), "Assays.Zn": pa.array([1.0])})
    await client.models.update_block_model_columns(
        bm.id, again, ["Assays.Zn"], {"Assays.Geo ü.Cu"}, column_groups={"Assays.Zn": "Assays"}, update_type=merge, separator=".",
        group_missing_column_override={"Assays": models.MissingColumnPolicy.USE_PREVIOUS},
    )  # fmt: skip
    only = indexed([(1, 0, 0)], **{"Assays▸Zn": pa.array([2.0])})
    await raises(BadRequestException, client.models.update_block_model_columns(bm.id, only, [], {"Assays▸Zn"}))
    changes = {
        "Assays": GroupMetadataUpdate(
            new_title="Lab", missing_column_policy=models.MissingColumnPolicy.INHERIT, tags={}
        ),
        "Assays▸Geo ü": GroupMetadataUpdate(parent_group="", is_hidden=True),
    }
    moved = await client.models.update_groups(bm.id, update=changes)
    assert moved.group_by_uuid(top.group_uuid).title == "Lab"
    assert await names("*") == ["Lab▸Au", "Lab▸Zn", "rock"], "what is hidden is asked for by its name"
    assert await names("Geo ü▸Cu") == ["Geo ü▸Cu"]
    await client.models.update_block_model_columns(
        bm.id, indexed([(0, 0, 0)], **{"Lab▸Zn": pa.array([4.0])}), [], {"Lab▸Zn"}, update_type=merge
    )
    await client.models.update_column_metadata(
        bm.id, {"Geo ü▸Cu": ColumnMetadataUpdate(group=""), "rock": ColumnMetadataUpdate(group="Lab")}
    )
    await client.models.rename_block_model_columns(bm.id, {"Lab▸Au": "Gold"})
    assert await names("*") == ["Cu", "Lab▸Gold", "Lab▸rock", "Lab▸Zn"]
    await raises(BadRequestException, client.models.update_groups(bm.id, delete=["Lab"]))
    last = await client.models.update_groups(bm.id, delete=["Geo ü"])
    assert [group.title for group in last.groups] == ["Lab"]
    for wrong in (
        {"new": [GroupDefinition(title="Lab")]}, {"new": [GroupDefinition(title="a▸b")]}, {"delete": ["nothing"]},
        {"new": [GroupDefinition(title="x", parent_group="nothing")]}, {"update": {"Lab": GroupMetadataUpdate(parent_group="Lab")}},
    ):  # fmt: skip
        await raises(BadRequestException, client.models.update_groups(bm.id, **wrong))
