"""Workspaces: where files are stored."""

from __future__ import annotations

from typing import cast

from flask import request

from api.http import paging
from api.http.answers import Answer
from api.http.auth import permit_everywhere
from api.http.routing import ApiCall, Routes
from api.http.schema.fields import changes
from api.http.workspaces import view
from api.http.workspaces.schema import WorkspaceBody, WorkspaceChange, WorkspaceList, WorkspacesQuery, WorkspaceView
from scheduler.errors import InvalidInput
from scheduler.files import workspaces
from scheduler.identity import Role
from scheduler.store.admin import workspaces as stored
from scheduler.store.admin.workspaces import NewWorkspace, WorkspaceChanges

routes = Routes("workspaces")


@routes.get("/workspaces/", role=Role.VIEWER, answers={200: WorkspaceList}, orders=tuple(stored.WORKSPACES.keys))
def list_workspaces(call: ApiCall, query: WorkspacesQuery) -> WorkspaceList:
    """Workspaces by name."""
    asked = paging.window(query, tuple(stored.WORKSPACES.keys), ["name"])
    chosen = stored.condition(tuple(query.id), tuple(query.name), is_active=query.is_active)
    return paging.envelope(workspaces.page(call.rt, chosen, asked), asked, view.entry)


@routes.post("/workspaces/", role=Role.ADMIN, answers={201: WorkspaceView})
def create_workspace(call: ApiCall, body: WorkspaceBody) -> Answer[WorkspaceView]:
    """Make a workspace."""
    permit_everywhere(call.caller)
    made = workspaces.create(call.rt, call.caller, cast("NewWorkspace", body.model_dump()))
    headers = {"Location": f"{request.host_url}workspaces/{made}/"}
    return Answer(view.entry(workspaces.get(call.rt, made)), 201, headers)


@routes.get("/workspaces/<id:workspace_id>/", role=Role.VIEWER, answers={200: WorkspaceView})
def show_workspace(call: ApiCall, workspace_id: int) -> WorkspaceView:
    """One workspace."""
    return view.entry(workspaces.get(call.rt, workspace_id))


@routes.patch("/workspaces/<id:workspace_id>/", role=Role.ADMIN, answers={200: WorkspaceView})
def change_workspace(call: ApiCall, workspace_id: int, body: WorkspaceChange) -> WorkspaceView:
    """Change a workspace: describe it, take it out of use, make it the default."""
    permit_everywhere(call.caller)
    facts = changes(body, WorkspaceChanges)
    if not facts:
        raise InvalidInput("the body changes nothing")
    workspaces.change(call.rt, call.caller, workspace_id, facts)
    return view.entry(workspaces.get(call.rt, workspace_id))
