"""Block models: made, listed, described, deleted and restored."""

from __future__ import annotations

from typing import Any, cast

from flask import request

from api.dialects import paging
from api.dialects.blockmodel import place, view
from api.dialects.blockmodel.bodies import CreateBody, DescribeBody
from api.dialects.paging import OffsetPage, OffsetQuery
from api.http import api_runtime
from api.http.answers import Answer
from api.http.routing import ApiCall, Routes
from scheduler.data_sets import changing
from scheduler.data_sets.changing import NewBlockModel
from scheduler.documents import Document
from scheduler.errors import FaultList, InvalidInput
from scheduler.identifiers import ProjectId
from scheduler.identity import Role
from scheduler.rules.data_sets.documents import GridDocument
from scheduler.rules.data_sets.words import BLOCK_MODEL
from scheduler.store.data_sets.sets import DataSetFilter, DataSetOrder

routes = Routes("block models")

_ORDERS = {
    "name": DataSetOrder.NAME,
    "created_at": DataSetOrder.CREATED,
    "last_updated_at": DataSetOrder.MODIFIED,
}


class ModelsQuery(OffsetQuery):
    """Which part of a list, in which order, and whether it is of deleted block models."""

    limit: paging.Limit = 50
    deleted: paging.Flag = False
    order_by: str = ""


@routes.get(place.MODELS, role=Role.VIEWER, any_query=True)
def list_block_models(call: ApiCall, org: str, workspace: str, query: ModelsQuery) -> OffsetPage[dict[str, Any]]:
    """The block models of a workspace, the last updated first."""
    project_id, _, uuid = place.project(call, org, workspace)
    chosen = DataSetFilter(ProjectId(project_id), BLOCK_MODEL, deleted=query.deleted, order=_order(query.order_by))
    rows, total = changing.page(call.rt, call.caller, chosen, query.offset, query.limit)
    return paging.page(query, [view.model(row, call.rt.settings.organization, uuid) for row in rows], total)


@routes.get(f"{place.ORGANIZATION}/block-models", role=Role.VIEWER, any_query=True)
def list_block_models_of_organization(call: ApiCall, org: str, query: ModelsQuery) -> OffsetPage[dict[str, Any]]:
    """The block models of all workspaces that the caller may see."""
    own = place.organization(call, org)
    chosen = DataSetFilter(None, BLOCK_MODEL, deleted=query.deleted, order=_order(query.order_by))
    rows, total = changing.page(call.rt, call.caller, chosen, query.offset, query.limit)
    return paging.page(query, [view.model(row, own, row.project_uuid) for row in rows], total)


@routes.post(place.MODELS, role=Role.SUBMITTER, any_query=True)
def create_block_model(call: ApiCall, org: str, workspace: str, body: CreateBody) -> Answer[dict[str, Any]]:
    """Make a block model; the job makes its first version."""
    _, name, uuid = place.project(call, org, workspace)
    about = {
        "description": body.description,
        "size_unit_id": body.size_unit_id,
        "coordinate_reference_system": body.coordinate_reference_system,
        "object_path": body.object_path,
        "fill_subblocks": body.fill_subblocks or None,
    }
    said: Document = {key: value for key, value in about.items() if value is not None}
    new = NewBlockModel(name, body.name, _grid(body), said, body.comment or "")
    row, started = changing.create(call.rt, call.caller, new, api_runtime.of_this_app().forecaster.admission)
    made = view.model(row, call.rt.settings.organization, uuid)
    return Answer({**made, "job_url": place.job_url(call, uuid, row.uuid, started.job_uuid)}, 201)


@routes.get(place.MODEL, role=Role.VIEWER, any_query=True)
def get_block_model(call: ApiCall, org: str, workspace: str, model: str, query: ModelsQuery) -> dict[str, Any]:
    """One block model."""
    row = place.model(call, org, workspace, model, deleted=query.deleted)
    return view.model(row, call.rt.settings.organization, row.project_uuid)


@routes.patch(place.MODEL, role=Role.SUBMITTER, any_query=True)
def describe_block_model(call: ApiCall, org: str, workspace: str, model: str) -> dict[str, Any]:
    """Give a block model another name, or say other things of it; clients that say nothing send no body."""
    row = place.model(call, org, workspace, model)
    body = place.body(call, DescribeBody)
    given = body.model_dump(exclude_unset=True)
    name = given.pop("name", row.name)
    if name is None:
        raise InvalidInput("a block model has a name", field="name")
    changed = changing.describe(call.rt, call.caller, row.uuid, row.project, name, given)
    return view.model(changed, call.rt.settings.organization, row.project_uuid)


@routes.delete(place.MODEL, role=Role.SUBMITTER, any_query=True)
def delete_block_model(call: ApiCall, org: str, workspace: str, model: str) -> Answer[None]:
    """Delete a block model; it can be restored."""
    row = place.model(call, org, workspace, model)
    changing.delete(call.rt, call.caller, row.uuid, row.project)
    return Answer(None, 204)


@routes.post(place.MODEL, role=Role.SUBMITTER, any_query=True)
def restore_block_model(call: ApiCall, org: str, workspace: str, model: str) -> Answer[dict[str, Any]]:
    """Restore a deleted block model: `?deleted=false`."""
    if request.args.get("deleted", "").lower() != "false":
        raise InvalidInput("the only thing that can be asked for here is deleted=false", field="deleted")
    row = place.model(call, org, workspace, model, deleted=True)
    restored = changing.restore(call.rt, call.caller, row.uuid, row.project)
    return Answer(view.model(restored, call.rt.settings.organization, row.project_uuid), 202)


def _grid(body: CreateBody) -> GridDocument:
    size, faults = body.size_options, FaultList()
    if size.model_type != "regular":
        sentence = f"only regular block models are kept here, not {size.model_type[:40]!r}"
        raise InvalidInput(sentence, field="size_options.model_type")
    if size.n_blocks is None or size.block_size is None:
        faults.note("a regular block model has n_blocks and block_size", field="size_options")
        faults.raise_all()
    counts, sides = size.n_blocks, size.block_size
    assert counts is not None  # noqa: S101 - noted above
    assert sides is not None  # noqa: S101 - likewise
    return {
        "blocks": [counts.nx, counts.ny, counts.nz],
        "size": [sides.x, sides.y, sides.z],
        "origin": [body.model_origin.x, body.model_origin.y, body.model_origin.z],
        "rotation": [{"axis": turn.axis, "angle": turn.angle} for turn in body.block_rotation],
    }


def _order(word: str) -> tuple[tuple[DataSetOrder, bool], ...]:
    """Return what `order_by` says: fields with commas between, each after `asc:` or `desc:` if anything."""
    found: dict[DataSetOrder, bool] = {}
    for part in filter(None, word.split(",")):
        direction, _, name = part.strip().rpartition(":")
        if name not in _ORDERS or direction not in {"", "asc", "desc"} or _ORDERS[name] in found:
            names = ", ".join(_ORDERS)
            raise InvalidInput(f"it is a list of {names}, each once, after asc: or desc: if anything", field="order_by")
        found[_ORDERS[name]] = direction == "desc"
    return cast("tuple[tuple[DataSetOrder, bool], ...]", tuple(found.items()))
