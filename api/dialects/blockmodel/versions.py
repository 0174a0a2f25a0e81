"""Versions of a block model: updates that make them, queries that read them, and lists."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast
from uuid import uuid4

from flask import g

from api.dialects import paging
from api.dialects.blockmodel import boxes, deltas, groups, place, upload, view
from api.dialects.blockmodel.bodies import ColumnsBody, DeltaBody, InputBody, OutputBody, QueryBody, UpdateBody
from api.dialects.paging import OffsetQuery
from api.http import api_runtime
from api.http.answers import Answer
from api.http.routing import ApiCall, Routes
from api.http.schema.fields import Query
from scheduler.data_sets import working
from scheduler.data_sets.working import QueryCriteria
from scheduler.documents import Document, JsonValue
from scheduler.errors import InvalidInput
from scheduler.identity import Role
from scheduler.rules.data_sets import grid as grids
from scheduler.rules.data_sets.documents import (
    ChangesDocument,
    GridDocument,
    MetadataDocument,
    UpdateDocument,
)
from scheduler.rules.data_sets.groups import SEPARATOR

routes = Routes("block model versions")


class ModelVersionsQuery(OffsetQuery):
    """Which part of a list."""

    limit: paging.Limit = 50
    filter: str = ""


class ModelVersionQuery(Query):
    """How much of a version."""

    include_changes: paging.Flag = False


@routes.get(f"{place.MODEL}/versions", role=Role.VIEWER, any_query=True)
def list_block_model_versions(
    call: ApiCall, org: str, workspace: str, model: str, query: ModelVersionsQuery
) -> dict[str, Any]:
    """The versions of a block model, the newest first."""
    row = place.model(call, org, workspace, model)
    if query.filter not in {"", "latest"}:
        raise InvalidInput("the only filter is latest", field="filter")
    if query.filter == "latest":
        newest, _ = working.page_of_versions(call.rt, row, 0, 1)
        shown = paging.part(query, [view.version(one, row.uuid) for one in newest])
    else:
        rows, total = working.page_of_versions(call.rt, row, query.offset, query.limit)
        shown = paging.page(query, [view.version(one, row.uuid) for one in rows], total)
    return {**shown, "referenced_units": []}


@routes.get(f"{place.MODEL}/versions/<version>", role=Role.VIEWER, any_query=True)
def get_block_model_version(
    call: ApiCall, org: str, workspace: str, model: str, version: str, query: ModelVersionQuery
) -> dict[str, Any]:
    """One version; with `include_changes` what it changed."""
    row = place.model(call, org, workspace, model)
    found = working.version(call.rt, row, place.uuid(version, "version"))
    shown = view.version(found, row.uuid)
    return {**shown, "changes": deltas.changes(call, row, found)} if query.include_changes else {**shown}


@routes.post(f"{place.MODEL}/versions/<version>/delta", role=Role.VIEWER, any_query=True, answers={304: None})
def get_block_model_deltas(
    call: ApiCall, org: str, workspace: str, model: str, version: str, body: DeltaBody
) -> Answer[dict[str, Any] | None]:
    """What has changed after a version, within a box; 304 for nothing."""
    row = place.model(call, org, workspace, model)
    bbox = boxes.bbox_of(body.bbox)
    assert bbox is not None  # noqa: S101 - a delta has one
    found = deltas.between(call, row, place.uuid(version, "version"), body, bbox)
    return Answer(None, 304) if found is None else Answer(found, 200)


@routes.patch(f"{place.MODEL}/blocks", role=Role.SUBMITTER, any_query=True)
def update_block_model(call: ApiCall, org: str, workspace: str, model: str, body: UpdateBody) -> Answer[dict[str, Any]]:
    """Ask for an update: the job awaits a file, or only the word that it may begin."""
    row = place.model(call, org, workspace, model)
    asked = _asked(body)
    started = working.update(call.rt, call.caller, row, asked, api_runtime.of_this_app().forecaster.admission)
    columns = (body.columns or ColumnsBody()).model_dump(mode="json")
    echoed = {**g.body, "columns": columns, "update_type": body.update_type}
    if body.input_options is not None:  # which clients tell by its format
        echoed["input_options"] = {**echoed["input_options"], "file_format": body.input_options.meant_format}
    answer: dict[str, Any] = {
        "changes": echoed,
        "job_url": place.job_url(call, row.project_uuid, row.uuid, started.job_uuid),
        "job_uuid": started.job_uuid,
        "version_uuid": started.version_uuid,
        # Also where no file is needed: a client that deletes columns with a table beside it sends the table all the same.
        "upload_url": upload.address(call, started.job_id),
    }
    return Answer(answer, 202)


@routes.post(f"{place.MODEL}/blocks", role=Role.VIEWER, any_query=True)
def query_block_model(call: ApiCall, org: str, workspace: str, model: str, body: QueryBody) -> dict[str, Any]:
    """Ask for blocks of a version; the job writes them to a file."""
    row = place.model(call, org, workspace, model)
    output, own = body.output_options or OutputBody(), body.qualified_title_separator or SEPARATOR
    bbox = boxes.bbox_of(body.bbox)
    criteria = QueryCriteria(
        columns=[one.replace(own, SEPARATOR) for one in body.columns],
        version_uuid=body.version_uuid,
        bbox=bbox,
        geometry=body.geometry_columns or "indices",
        format=output.meant_format,
        delimiter=output.delimiter or ",",
        by_id=output.column_headers == "id",
        separator=own,
        exclude_null_rows=output.exclude_null_rows is not False,
    )
    started, version, asked = working.query(
        call.rt, call.caller, row, criteria, api_runtime.of_this_app().forecaster.admission
    )
    return {
        "bbox": bbox or grids.whole(cast("GridDocument", row.definition["grid"])),
        "bm_uuid": row.uuid,
        "columns": asked["names"],
        "job_url": place.job_url(call, row.project_uuid, row.uuid, started.job_uuid),
        "mapping": view.mapping(asked["columns"], version.groups),
        "version_id": version.number,
        "version_uuid": version.uuid,
    }


def _asked(body: UpdateBody) -> UpdateDocument:
    columns = body.columns or ColumnsBody()
    if body.geometry_change:
        raise InvalidInput("the blocks of a regular block model cannot be changed", field="geometry_change")
    own = body.qualified_title_separator or SEPARATOR

    def meant(title: str) -> str:
        return title.replace(own, SEPARATOR)

    changes: ChangesDocument = {
        "new": [
            {
                "col_id": str(uuid4()),
                "title": one.title,
                "data_type": one.data_type,
                "unit_id": one.unit_id,
                "tags": cast("Document | None", one.tags),
                "group": meant(one.group or ""),
            }
            for one in columns.new
        ],
        "update": [meant(one) for one in columns.update],
        "delete": [meant(one) for one in columns.delete],
        "rename": [{"title": meant(one.title), "new_title": one.new_title} for one in columns.rename],
        "metadata": _metadata(columns, meant),
    }
    changes_groups = groups.asked(body, meant)
    if changes_groups is not None:
        changes["groups"] = changes_groups
    if not any(changes.values()):
        raise InvalidInput("the update changes nothing", field="columns")
    return {
        "changes": changes,
        "merge": body.update_type == "merge",
        "input": {**_input(body.input_options), **({} if own == SEPARATOR else {"separator": own})},
        "comment": body.comment or "",
    }


def _metadata(columns: ColumnsBody, meant: Callable[[str], str]) -> list[MetadataDocument]:
    told: list[MetadataDocument] = []
    for one in columns.update_metadata or ():
        given = one.values.model_dump(exclude_unset=True)
        said: MetadataDocument = {"title": meant(one.title)}
        if given.get("group") is not None:
            said["group"] = meant(given["group"])
        if given.get("title") is not None:
            said["new_title"] = given["title"]
        if "unit_id" in given:
            said["unit_id"] = given["unit_id"]
        if given.get("tags") is not None:
            said["tags"] = given["tags"]
        told.append(said)
    return told


def _input(given: InputBody | None) -> Document:
    """Return how the file is written; Parquet, where nothing is said."""
    if given is None:
        return {"file_format": "parquet"}
    if given.meant_format == "datamine":
        raise InvalidInput("files are CSV or Parquet here", field="input_options.file_format")
    renamed: dict[str, JsonValue] = {}
    for number, one in enumerate(given.column_name_mapping or ()):
        name, title = one.csv_name or one.file_column_name, one.new_title or one.column_title
        if name is None or title is None:
            field = f"input_options.column_name_mapping[{number}]"
            raise InvalidInput("it has the name of a column in the file, and its title", field=field)
        renamed[name] = title
    plain = given.model_dump(exclude={"column_name_mapping"}, exclude_none=True)
    return {**plain, "file_format": given.meant_format, "renamed": renamed}
