"""Data sets: what each is, its versions with their columns, and its verbs: delete and restore."""

from __future__ import annotations

from flask import request
from werkzeug.utils import redirect

from api.http.data_sets import routes as data_sets
from api.ui import feed
from api.ui.pages import PageAnswer, PageRequest, Pages, PageView
from scheduler.errors import NotFound

pages = Pages()

TABS = (("", "Kept"), ("true", "Deleted"))
ACTS = {"delete": data_sets.delete_data_set, "restore": data_sets.restore_data_set}


@pages.get("/ui/data-sets")
def list_data_sets(page: PageRequest) -> PageAnswer:
    """Data sets, the last changed first."""
    tab = request.args.get("deleted", "")
    query = {"page": request.args.get("page", "1"), "page_size": "50", "is_deleted": tab or "false"}
    answer = feed.ask(page, data_sets.list_data_sets, query=query, paged=True)
    return PageView("data_sets.html", {"answer": answer, "tabs": TABS, "tab": tab})


@pages.get("/ui/data-sets/<id:data_set_id>")
def show_data_set(page: PageRequest, data_set_id: int) -> PageAnswer:
    """One data set, with its versions, the newest first."""
    found = feed.ask(page, data_sets.show_data_set, data_set_id=data_set_id)
    query = {"page": request.args.get("page", "1"), "page_size": "50"}
    versions = feed.ask(page, data_sets.list_data_set_versions, data_set_id=data_set_id, query=query, paged=True)
    return PageView("data_set.html", {"found": found, "versions": versions, "can": page.may("submitter")})


@pages.post("/ui/data-sets/<id:data_set_id>/<act>")
def act_on_data_set(page: PageRequest, data_set_id: int, act: str) -> PageAnswer:
    """Delete a data set, or restore it; then show it."""
    if act not in ACTS:
        raise NotFound("there is no such action")
    feed.ask(page, ACTS[act], data_set_id=data_set_id)
    return redirect(f"{request.script_root}/ui/data-sets/{data_set_id}?done={act}", 303)
