"""One project: its share, its quota, its pause, and the names of its secrets; and making one."""

from __future__ import annotations

from typing import Any

from flask import request
from werkzeug.utils import redirect

from api.http.projects import routes as projects
from api.ui import feed
from api.ui.pages import PageAnswer, PageRequest, Pages, PageView
from scheduler.errors import InvalidInput
from scheduler.identity import Role

pages = Pages()

QUOTA = {
    "queued_jobs": "waiting jobs", "jobs": "placed jobs", "cpus": "cpus of placed jobs", "mem": "memory of placed jobs, MiB",
}  # fmt: skip


@pages.get("/ui/admin/projects/<name>", role=Role.ADMIN)
def show_project(page: PageRequest, name: str) -> PageAnswer:
    """One project and what can be changed about it."""
    return PageView("project.html", {
        "project": feed.ask(page, projects.show_project, name=name), "quota": QUOTA,
        "secrets": feed.ask(page, projects.list_secrets, name=name, query={"page_size": "1000"}),
    })  # fmt: skip


@pages.post("/ui/admin/projects", role=Role.ADMIN)
def make_project(page: PageRequest) -> PageAnswer:
    """Make a project."""
    name = request.form.get("name", "").strip()
    feed.ask(page, projects.create_project, body={"name": name, "title": request.form.get("title", "").strip()})
    return _back(name)


@pages.post("/ui/admin/projects/<name>", role=Role.ADMIN)
def change_project(page: PageRequest, name: str) -> PageAnswer:
    """Change a project's title, weight and quota, or pause it; an empty limit is none."""
    form, body = request.form, dict[str, Any]()
    if "is_paused" in form:
        body["is_paused"] = form["is_paused"] == "true"
        if body["is_paused"] and form.get("reason", "").strip():
            body["pause_reason"] = form["reason"].strip()
    if "title" in form:
        body["title"] = form["title"].strip()
    if weight := form.get("weight", "").strip():
        body["weight"] = _number(weight, "weight")
    if any(limit in form for limit in QUOTA):
        body["quota"] = {limit: _number(form.get(limit, ""), f"quota.{limit}") for limit in QUOTA}
    feed.ask(page, projects.change_project, name=name, body=body)
    return _back(name)


@pages.post("/ui/admin/projects/<name>/secrets", role=Role.ADMIN)
def put_secret(page: PageRequest, name: str) -> PageAnswer:
    """Keep a secret under a name, in place of the one that was there."""
    body: dict[str, Any] = {"name": request.form.get("name", "").strip(), "value": request.form.get("value", "")}
    feed.ask(page, projects.put_secret, name=name, body=body)
    return _back(name)


@pages.post("/ui/admin/projects/<name>/secrets/<secret>/delete", role=Role.ADMIN)
def delete_secret(page: PageRequest, name: str, secret: str) -> PageAnswer:
    """Forget a secret."""
    feed.ask(page, projects.delete_secret, name=name, secret=secret)
    return _back(name)


def _number(text: str, field: str) -> int | float | None:
    """Return the number that a field holds, None for an empty one. Raises InvalidInput."""
    if not text.strip():
        return None
    try:
        number = float(text)
    except ValueError:
        raise InvalidInput(f"{text[:20]!r} is no number", field=field) from None
    return int(number) if number.is_integer() else number


def _back(name: str) -> PageAnswer:
    return redirect(f"{request.script_root}/ui/admin/projects/{name}?done=1", 303)
