"""Workspaces: where files are stored."""

from __future__ import annotations

from typing import cast

from api.http import paging
from api.http.answers import Answer
from api.http.auth import permit_everywhere
from api.http.links import public
from api.http.routing import ApiCall, Routes
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
    project_id = call.caller.project_id
    chosen = stored.condition(tuple(query.id), tuple(query.name), is_active=query.is_active, project_id=project_id)
    return paging.envelope(workspaces.page(call.rt, chosen, asked), asked, view.entry)


@routes.post("/workspaces/", role=Role.ADMIN, answers={201: WorkspaceView})
def create_workspace(call: ApiCall, body: WorkspaceBody) -> Answer[WorkspaceView]:
    """Make a workspace."""
    permit_everywhere(call.caller)
    new = cast("NewWorkspace", {**body.model_dump(exclude={"projects"}), "project_ids": None})
    made = workspaces.create(call.rt, call.caller, new, body.projects)
    headers = {"Location": public.url(f"/workspaces/{made}/")}
    return Answer(view.entry(workspaces.get(call.rt, call.caller, made)), 201, headers)


@routes.get("/workspaces/<id:workspace_id>/", role=Role.VIEWER, answers={200: WorkspaceView})
def show_workspace(call: ApiCall, workspace_id: int) -> WorkspaceView:
    """One workspace."""
    return view.entry(workspaces.get(call.rt, call.caller, workspace_id))


@routes.patch("/workspaces/<id:workspace_id>/", role=Role.ADMIN, answers={200: WorkspaceView})
def change_workspace(call: ApiCall, workspace_id: int, body: WorkspaceChange) -> WorkspaceView:
    """Change a workspace: describe it, take it out of use, make it the default."""
    permit_everywhere(call.caller)
    given = body.model_dump(exclude_unset=True)
    if not given:
        raise InvalidInput("the body changes nothing")
    if "projects" in given:
        given["project_ids"] = given.pop("projects")
    workspaces.change(call.rt, call.caller, workspace_id, cast("WorkspaceChanges", given), body.projects)
    return view.entry(workspaces.get(call.rt, call.caller, workspace_id))
