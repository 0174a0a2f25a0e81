"""Workspaces: where files lie, which of them is the default, and who may put something there."""

from __future__ import annotations

from typing import Any

from flask import request
from werkzeug.utils import redirect

from api.http.workspaces import routes as workspaces
from api.ui import feed
from api.ui.pages import PageAnswer, PageRequest, Pages, PageView
from scheduler.identity import Role

pages = Pages()


@pages.get("/ui/admin/workspaces")
def list_workspaces(page: PageRequest) -> PageAnswer:
    """All workspaces that this caller may see."""
    return PageView(
        "workspaces.html", {"answer": feed.ask(page, workspaces.list_workspaces, query={"page_size": "200"})}
    )


@pages.post("/ui/admin/workspaces", role=Role.ADMIN)
def make_workspace(page: PageRequest) -> PageAnswer:
    """Make a workspace of a folder, a bucket, or an address to read from."""
    form = request.form
    body: dict[str, Any] = {name: form.get(name, "").strip() for name in ("name", "title", "url")}
    if given := form.get("projects", "").replace(",", " ").split():
        body["projects"] = given
    feed.ask(page, workspaces.create_workspace, body=body)
    return redirect(f"{request.script_root}/ui/admin/workspaces?done=1", 303)


@pages.post("/ui/admin/workspaces/<id:workspace_id>", role=Role.ADMIN)
def change_workspace(page: PageRequest, workspace_id: int) -> PageAnswer:
    """Make a workspace the default, or take it in or out of use."""
    body: dict[str, Any] = {
        name: request.form[name] == "true" for name in ("is_active", "is_default") if name in request.form
    }
    feed.ask(page, workspaces.change_workspace, workspace_id=workspace_id, body=body)
    return redirect(f"{request.script_root}/ui/admin/workspaces?done=1", 303)
