"""The fleet and its nodes."""

from __future__ import annotations

import re
from typing import Any

from flask import request
from werkzeug.utils import redirect

from api.http.executions import routes as executions
from api.http.nodes import routes as nodes
from api.ui import feed
from api.ui.pages import PageAnswer, PageRequest, Pages, PageView
from scheduler.errors import NotFound

pages = Pages()

_MINUTES = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")

MOST_NODES = "500"
SHOWN_TRIES = "50"

CHANGES: dict[str, dict[str, bool]] = {
    "pause": {"is_paused": True}, "resume": {"is_paused": False}, "drain": {"is_draining": True}, "undrain": {"is_draining": False},
}  # fmt: skip


@pages.get("/ui/nodes")
def list_nodes(page: PageRequest) -> PageAnswer:
    """The nodes, with what each has, what is reserved of it, and how it does."""
    chosen = {name: request.args.getlist(name) for name in ("pool", "state") if request.args.get(name)}
    query = {**chosen, "page": request.args.get("page", "1"), "page_size": MOST_NODES}
    answer = feed.ask(page, nodes.list_nodes, query=query, paged=True)
    names = sorted({name for one in answer["results"] for name in one["resources"]["total"]} - {"cpus", "mem", "disk"})
    return PageView("nodes.html", {"answer": answer, "custom": names, "chosen": chosen})


@pages.get("/ui/nodes/<id:node_id>")
def show_node(page: PageRequest, node_id: int) -> PageAnswer:
    """One node and its work."""
    node: dict[str, Any] = feed.ask(page, nodes.show_node, node_id=node_id)
    tries = feed.ask(
        page, executions.list_executions,
        query={"node_id": str(node_id), "order": "-last_modified", "page_size": SHOWN_TRIES},
    )  # fmt: skip
    live = [one for one in tries["results"] if one["status"] in {"QUEUED", "RUNNING"}]
    return PageView("node.html", {"node": node, "tries": tries, "live": live, "acts": _acts(page, node)})


@pages.post("/ui/nodes/<id:node_id>/<act>")
def change_node(page: PageRequest, node_id: int, act: str) -> PageAnswer:
    """Pause a node, drain it, or let it go on."""
    if act not in CHANGES:
        raise NotFound("there is no such action")
    body: dict[str, Any] = dict(CHANGES[act])
    reason = request.form.get("reason", "").strip()
    if reason and act in {"pause", "drain"}:
        body[f"{act}_reason"] = reason
    if act == "drain" and (limit := request.form.get("drain_min", "").strip()):
        body["drain_s"] = float(limit) * 60 if _MINUTES.fullmatch(limit) else limit
    feed.ask(page, nodes.change_node, node_id=node_id, body=body)
    return redirect(f"{request.script_root}/ui/nodes/{node_id}?done={act}", 303)


def _acts(page: PageRequest, node: dict[str, Any]) -> list[str]:
    if not page.may("operator") or not page.everywhere or node["state"] in {"GONE", "DEPRECATED"}:
        return []
    return ["resume" if node["is_paused"] else "pause", "undrain" if node["is_draining"] else "drain"]
