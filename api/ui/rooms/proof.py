"""The proof of a cancel: who asked for it, and for each execution whether anything of it still runs, and until when at the latest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from api.http.nodes import routes as nodes
from api.ui import feed
from api.ui.pages import PageRequest
from scheduler.errors import GangerError

MOST_SHOWN = 50

STRENGTH = {
    "users": "each execution has a user id of its own there, by which all of it is found",
    "namespaces": "each execution has process ids of its own there: with the first process all others end",
    "account": "its processes are found there by their group, and by what they began",
    "none": "its processes are found there by their group only",
}
"""What the word for a node's isolation means for the proof."""


def of_cancel(
    page: PageRequest, job: Mapping[str, Any], tries: Sequence[Mapping[str, Any]], events: Sequence[Mapping[str, Any]]
) -> dict[str, Any] | None:
    """Return what is known of the end of a job's processes; None for a job that nobody cancelled."""
    asked = next((one for one in reversed(events) if one["to"] == "CANCELED"), None)
    if job["status"] != "CANCELED" or asked is None or job["is_skipped"]:
        return None
    told = [one for one in tries if one["cancel_requested"] == "canceled"][:MOST_SHOWN]
    known = {node_id: _node(page, node_id) for node_id in {one["node"]["id"] for one in told}}
    rows = [_row(page, one, known[one["node"]["id"]], asked["at"]) for one in told]
    return {"asked": asked, "rows": rows, "left": sum(row["released"] is None for row in rows)}


def _row(page: PageRequest, one: Mapping[str, Any], node: Mapping[str, Any] | None, asked: datetime) -> dict[str, Any]:
    released = one["released"]
    online = node is not None and node["is_online"]
    by_itself = None
    if released is None and node is not None and not online and node["last_beat"] is not None:
        by_itself = node["last_beat"] + timedelta(seconds=page.rt.settings.lease_s)
    took_s = None if released is None else max(0.0, (released - asked).total_seconds())
    strength = "" if node is None else STRENGTH.get(str(node["isolation"]), "")
    return {
        "try": one,
        "released": released,
        "took_s": took_s,
        "online": online,
        "by_itself": by_itself,
        "strength": strength,
    }


def _node(page: PageRequest, node_id: int) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = feed.ask(page, nodes.show_node, node_id=node_id)
    except GangerError:
        return None
    return found
