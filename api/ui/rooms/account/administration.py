"""Tokens, projects and the record of acts."""

from __future__ import annotations

from typing import Any

from flask import request
from werkzeug.utils import redirect

from api.http.lookup import routes as lookup
from api.http.projects import routes as projects
from api.http.tokens import routes as tokens
from api.ui import feed
from api.ui.pages import PageAnswer, PageRequest, Pages, PageView
from scheduler.identity import Role

pages = Pages()

ROLES = ("viewer", "submitter", "operator", "admin")


@pages.get("/ui/admin", role=Role.OPERATOR)
def show_admin(page: PageRequest) -> PageAnswer:
    """The parts of the administration that this caller may see."""
    admin = page.may("admin")
    made = None
    return PageView("admin.html", {
        "tokens": feed.ask(page, tokens.list_tokens, query={"order": "-created", "page_size": "200"}) if admin else None,
        "projects": feed.ask(page, projects.list_projects, query={"page_size": "200"}) if admin else None,
        "roles": ROLES, "made": made, "kinds": ("user", "node"),
    })  # fmt: skip


@pages.post("/ui/admin/tokens", role=Role.ADMIN)
def make_token(page: PageRequest) -> PageAnswer:
    """Make a token; this page is the only place where its secret is shown."""
    form = request.form
    body: dict[str, Any] = {"name": form.get("name", "").strip(), "kind": form.get("kind", "user")}
    if body["kind"] == "user":
        body["role"] = form.get("role", "viewer")
    if project := form.get("project", "").strip():
        body["project"] = project
    made = feed.ask(page, tokens.create_token, body=body)
    return PageView("token.html", {"made": made})


@pages.post("/ui/admin/tokens/<id:token_id>/revoke", role=Role.ADMIN)
def revoke_token(page: PageRequest, token_id: int) -> PageAnswer:
    """Revoke a token for good."""
    feed.ask(page, tokens.revoke_token, token_id=token_id)
    return redirect(f"{request.script_root}/ui/admin?done=1", 303)


@pages.post("/ui/admin/tokens/<id:token_id>/rotate", role=Role.ADMIN)
def rotate_token(page: PageRequest, token_id: int) -> PageAnswer:
    """Change a token for another one with the same rights; the one before is taken for an hour more, if that is wanted."""
    overlap = 3600 if request.form.get("overlap") == "1" else 0
    made = feed.ask(page, tokens.rotate_token, token_id=token_id, body={"overlap_s": overlap})
    return PageView("token.html", {"made": made})


@pages.post("/ui/admin/tokens/<id:token_id>/rename", role=Role.ADMIN)
def rename_token(page: PageRequest, token_id: int) -> PageAnswer:
    """Give a token another name."""
    feed.ask(page, tokens.change_token, token_id=token_id, body={"name": request.form.get("name", "").strip()})
    return redirect(f"{request.script_root}/ui/admin?done=1", 303)


@pages.get("/ui/audit", role=Role.OPERATOR)
def show_audit(page: PageRequest) -> PageAnswer:
    """Who did what, and why."""
    query = {name: request.args.get(name) for name in ("actor", "action", "subject")}
    answer = feed.ask(page, lookup.list_audit, query={**query, "page": request.args.get("page", "1")}, paged=True)
    return PageView("audit.html", {"answer": answer, "asked": query})
