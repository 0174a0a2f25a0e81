"""Named definitions of workflows: save, revise, list, show, archive."""

from __future__ import annotations

from api.http import paging
from api.http.answers import Answer
from api.http.links import public
from api.http.paging import PageQuery
from api.http.routing import ApiCall, Routes
from api.http.workflow_types.schema import (
    WorkflowRevisionBody,
    WorkflowRevisionList,
    WorkflowRevisionView,
    WorkflowTypeBody,
    WorkflowTypeInList,
    WorkflowTypeList,
    WorkflowTypesQuery,
    WorkflowTypeView,
)
from scheduler.identity import Role
from scheduler.store.workflows.saved import WORKFLOW_TYPES, SavedRevision, WorkflowTypeRow
from scheduler.workflows import saved
from scheduler.workflows.saved import SavedType

routes = Routes("workflow_types")
ORDERS = tuple(WORKFLOW_TYPES.keys)


@routes.get("/workflow-types/", role=Role.VIEWER, answers={200: WorkflowTypeList}, orders=ORDERS)
def list_workflow_types(call: ApiCall, query: WorkflowTypesQuery) -> WorkflowTypeList:
    """Named definitions by name, without those that are archived."""
    asked = paging.window(query, ORDERS, ["name"])
    found = saved.listed(call.rt, call.caller, asked, query.name, archived=query.archived)
    return paging.envelope(found, asked, _entry)


@routes.post(
    "/workflow-types/",
    role=Role.SUBMITTER,
    body_limit=lambda rt: rt.settings.max_jobs_body,
    answers={201: WorkflowTypeView},
)
def create_workflow_type(call: ApiCall, body: WorkflowTypeBody) -> Answer[WorkflowTypeView]:
    """Save a definition under a new name; a run names it with `type`. It is checked, but for the inputs that a run is given."""
    kept = saved.save(call.rt, call.caller, body.name, body.definition, body.project)
    return Answer(_view(kept), 201, {"Location": public.url(f"/workflow-types/{kept.row.id}/")})


@routes.get("/workflow-types/<id:workflow_type_id>/", role=Role.VIEWER, answers={200: WorkflowTypeView})
def show_workflow_type(call: ApiCall, workflow_type_id: int) -> WorkflowTypeView:
    """A named definition with the text of its newest revision."""
    return _view(saved.get(call.rt, call.caller, workflow_type_id))


@routes.delete("/workflow-types/<id:workflow_type_id>/", role=Role.SUBMITTER, answers={204: None})
def archive_workflow_type(call: ApiCall, workflow_type_id: int) -> Answer[None]:
    """Archive a named definition: it is run no more, its runs and revisions stay. A new revision brings it back."""
    saved.archive(call.rt, call.caller, workflow_type_id)
    return Answer(None, 204)


@routes.get("/workflow-types/<id:workflow_type_id>/revisions/", role=Role.VIEWER, answers={200: WorkflowRevisionList})
def list_workflow_revisions(call: ApiCall, workflow_type_id: int, query: PageQuery) -> WorkflowRevisionList:
    """The revisions of a named definition, the newest first."""
    skipped = paging.first_of(query)
    rows, count = saved.revisions(call.rt, call.caller, workflow_type_id, skipped, query.page_size)
    return paging.numbered(query, [_revision(row) for row in rows], count)


@routes.post(
    "/workflow-types/<id:workflow_type_id>/revisions/",
    role=Role.SUBMITTER,
    body_limit=lambda rt: rt.settings.max_jobs_body,
    answers={200: WorkflowTypeView},
)
def revise_workflow_type(call: ApiCall, workflow_type_id: int, body: WorkflowRevisionBody) -> WorkflowTypeView:
    """Save a new revision; runs keep the one that they started with. The text of the newest one makes no new one."""
    return _view(saved.revise(call.rt, call.caller, workflow_type_id, body.definition))


@routes.get(
    "/workflow-types/<id:workflow_type_id>/revisions/<id:revision_num>/",
    role=Role.VIEWER,
    answers={200: WorkflowTypeView},
)
def show_workflow_revision(call: ApiCall, workflow_type_id: int, revision_num: int) -> WorkflowTypeView:
    """A named definition with the text of this revision."""
    return _view(saved.get(call.rt, call.caller, workflow_type_id, revision_num))


def _entry(row: WorkflowTypeRow) -> WorkflowTypeInList:
    return {
        "id": row.id,
        "name": row.name,
        "project": row.project,
        "revision": row.revision_num,
        "archived": row.archived,
        "created": row.created,
        "last_modified": row.last_modified,
    }


def _view(found: SavedType) -> WorkflowTypeView:
    revision = found.revision
    return {
        **_entry(found.row),
        "definition": revision.definition,
        "definition_revision": revision.revision_num,
        "revised": revision.created,
        "revised_by": revision.created_by,
    }


def _revision(row: SavedRevision) -> WorkflowRevisionView:
    return {"revision": row.revision_num, "created": row.created, "created_by": row.created_by}
