"""Data sets: tables of a project that jobs change, version by version. Jobs make the versions, and queries are jobs as well."""

from __future__ import annotations

from typing import cast
from uuid import uuid4

from api.http import api_runtime, paging
from api.http.answers import Answer
from api.http.data_sets import view
from api.http.data_sets.schema import (
    DataSetBody,
    DataSetJobView,
    DataSetList,
    DataSetQueryBody,
    DataSetsQuery,
    DataSetUpdateBody,
    DataSetVersionList,
    DataSetVersionView,
    DataSetView,
    NewDataSetView,
    VersionsQuery,
)
from api.http.links import public
from api.http.routing import ApiCall, Routes
from scheduler.data_sets import changing, working
from scheduler.data_sets.changing import NewBlockModel
from scheduler.data_sets.working import QueryCriteria
from scheduler.documents import Document
from scheduler.errors import InvalidInput
from scheduler.identifiers import DataSetId
from scheduler.identity import Role
from scheduler.jobs import submit
from scheduler.rules.data_sets.documents import GridDocument, RangeDocument, UpdateDocument
from scheduler.store.data_sets import listing
from scheduler.store.data_sets.sets import DataSetRow

routes = Routes("data sets")

_AXES = ({"i_minmax", "j_minmax", "k_minmax"}, {"x_minmax", "y_minmax", "z_minmax"})


@routes.get("/data-sets/", role=Role.VIEWER, answers={200: DataSetList}, orders=tuple(listing.DATA_SETS.keys))
def list_data_sets(call: ApiCall, query: DataSetsQuery) -> DataSetList:
    """Data sets, the last changed first; deleted ones with `is_deleted=true`."""
    asked = paging.window(query, tuple(listing.DATA_SETS.keys), ["-last_modified"])
    chosen = listing.condition(
        query.id, query.name, query.project, is_deleted=query.is_deleted, project_id=call.caller.project_id
    )
    return paging.envelope(changing.listed(call.rt, chosen, asked), asked, view.entry)


@routes.post("/data-sets/", role=Role.SUBMITTER, answers={201: NewDataSetView})
def create_data_set(call: ApiCall, body: DataSetBody) -> Answer[NewDataSetView]:
    """Make a block model; a job makes its first version."""
    about: Document = {} if body.description is None else {"description": body.description}
    project = submit.named_project(call.caller, body.project)
    new = NewBlockModel(project, body.name, cast("GridDocument", body.grid.model_dump()), about, body.comment)
    row, started = changing.create(call.rt, call.caller, new, api_runtime.of_this_app().forecaster.admission)
    made: NewDataSetView = {"data_set": view.entry(row), "job": view.job(started)}
    return Answer(made, 201, {"Location": public.url(f"/data-sets/{row.id}/")})


@routes.get("/data-sets/<id:data_set_id>/", role=Role.VIEWER, answers={200: DataSetView})
def show_data_set(call: ApiCall, data_set_id: int) -> DataSetView:
    """One data set, deleted or not."""
    return view.entry(_found(call, data_set_id, deleted=True))


@routes.delete("/data-sets/<id:data_set_id>/", role=Role.SUBMITTER, answers={204: None})
def delete_data_set(call: ApiCall, data_set_id: int) -> Answer[None]:
    """Delete a data set; it can be restored with all its versions."""
    changing.delete(call.rt, call.caller, _found(call, data_set_id).uuid)
    return Answer(None, 204)


@routes.post("/data-sets/<id:data_set_id>/restore/", role=Role.SUBMITTER, answers={200: DataSetView})
def restore_data_set(call: ApiCall, data_set_id: int) -> DataSetView:
    """Restore a deleted data set; one that is not deleted stays as it is."""
    return view.entry(changing.restore(call.rt, call.caller, _found(call, data_set_id, deleted=True).uuid))


@routes.get(
    "/data-sets/<id:data_set_id>/versions/",
    role=Role.VIEWER,
    answers={200: DataSetVersionList},
    orders=tuple(listing.VERSIONS.keys),
)
def list_data_set_versions(call: ApiCall, data_set_id: int, query: VersionsQuery) -> DataSetVersionList:
    """The versions of a data set, the newest first."""
    row = _found(call, data_set_id, deleted=True)
    asked = paging.window(query, tuple(listing.VERSIONS.keys), ["-number"])
    return paging.envelope(changing.listed_versions(call.rt, row, asked), asked, view.version)


@routes.get("/data-sets/<id:data_set_id>/versions/<id:number>/", role=Role.VIEWER, answers={200: DataSetVersionView})
def show_data_set_version(call: ApiCall, data_set_id: int, number: int) -> DataSetVersionView:
    """One version, by its number."""
    return view.version(working.numbered(call.rt, _found(call, data_set_id, deleted=True), number))


@routes.post("/data-sets/<id:data_set_id>/updates/", role=Role.SUBMITTER, answers={201: DataSetJobView})
def update_data_set(call: ApiCall, data_set_id: int, body: DataSetUpdateBody) -> Answer[DataSetJobView]:
    """Ask for an update. Its job awaits the input `data` if a file brings values, and in any case `POST /jobs/{id}/uploaded/`."""
    row = _found(call, data_set_id)
    asked = _asked(body)
    started = working.update(call.rt, call.caller, row, asked, api_runtime.of_this_app().forecaster.admission)
    return Answer(view.job(started), 201, {"Location": public.url(f"/jobs/{started.job_id}/")})


@routes.post("/data-sets/<id:data_set_id>/queries/", role=Role.VIEWER, answers={201: DataSetJobView})
def query_data_set(call: ApiCall, data_set_id: int, body: DataSetQueryBody) -> Answer[DataSetJobView]:
    """Ask for blocks of one version. Its job writes them to its output file `result`."""
    row = _found(call, data_set_id)
    if body.box is not None and set(body.box) not in _AXES:
        raise InvalidInput("a box has i_minmax, j_minmax and k_minmax, or the same of x, y and z", field="box")
    version = None if body.version is None else working.numbered(call.rt, row, body.version).uuid
    box = None if body.box is None else {name: one.model_dump() for name, one in body.box.items()}
    criteria = QueryCriteria(
        body.columns,
        version,
        bbox=cast("dict[str, RangeDocument] | None", box),
        geometry="coordinates" if body.centres else "indices",
        format=body.format,
        exclude_null_rows=not body.null_rows,
    )
    started, _, _ = working.query(call.rt, call.caller, row, criteria, api_runtime.of_this_app().forecaster.admission)
    return Answer(view.job(started), 201, {"Location": public.url(f"/jobs/{started.job_id}/")})


def _found(call: ApiCall, data_set_id: int, *, deleted: bool = False) -> DataSetRow:
    return changing.get_by_id(call.rt, call.caller, DataSetId(data_set_id), deleted=deleted)


def _asked(body: DataSetUpdateBody) -> UpdateDocument:
    if not (body.new or body.update or body.delete or body.rename):
        raise InvalidInput("the update changes nothing")
    return {
        "changes": {
            "new": [
                {
                    "col_id": str(uuid4()),
                    "title": one.title,
                    "data_type": one.data_type,
                    "unit_id": one.unit_id,
                    "tags": None,
                }
                for one in body.new
            ],
            "update": body.update,
            "delete": body.delete,
            "rename": [{"title": one.title, "new_title": one.new_title} for one in body.rename],
            "metadata": [],
        },
        "merge": body.merge,
        "input": {"file_format": body.format},
        "comment": body.comment,
    }
