"""Pools: what each should have, what it has, and every decision about it in a sentence."""

from __future__ import annotations

from typing import Any

from flask import request
from werkzeug.utils import redirect

from api.http.nodes import routes as nodes
from api.http.pools import routes as pools
from api.ui import feed
from api.ui.frame import statuses
from api.ui.pages import PageAnswer, PageRequest, Pages, PageView
from scheduler.errors import InvalidInput

pages = Pages()


@pages.get("/ui/pools")
def list_pools(page: PageRequest) -> PageAnswer:
    """The pools."""
    answer = feed.ask(page, pools.list_pools, query={"page_size": "1000"})
    rooms = {one["name"]: one for one in statuses.read(page)["pools"]}
    return PageView("pools.html", {"answer": answer, "rooms": rooms})


@pages.get("/ui/pools/<name>")
def show_pool(page: PageRequest, name: str) -> PageAnswer:
    """One pool, its nodes and its decisions."""
    pool = feed.ask(page, pools.show_pool, name=name)
    events = feed.ask(
        page, pools.list_pool_events, name=name, query={"page": request.args.get("page", "1")}, paged=True
    )
    members = feed.ask(page, nodes.list_nodes, query={"pool": name, "page_size": "200"})
    room = next((one for one in statuses.read(page)["pools"] if one["name"] == name), None)
    can = page.may("operator") and page.everywhere
    return PageView("pool.html", {"pool": pool, "events": events, "members": members, "room": room, "can": can})


@pages.post("/ui/pools/<name>")
def change_pool(page: PageRequest, name: str) -> PageAnswer:
    """Size a pool, pause it, or let it go on."""
    form = request.form
    body: dict[str, Any] = {}
    for field in ("size", "min", "max"):
        if given := form.get(field, "").strip():
            body[field] = _number(given, field)
    if "is_paused" in form:
        body["is_paused"] = form["is_paused"] == "true"
    if reason := form.get("reason", "").strip():
        body["reason"] = reason
    feed.ask(page, pools.change_pool, name=name, body=body)
    return redirect(f"{request.script_root}/ui/pools/{name}?done=change", 303)


def _number(text: str, field: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InvalidInput(f"{text[:20]!r} is no whole number", field=field) from None
