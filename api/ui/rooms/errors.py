"""What failed: errors by job type and by node, and what each error means."""

from __future__ import annotations

from typing import Any

from flask import request

from api.http.lookup import routes as lookup
from api.http.named_errors import routes as named_errors
from api.ui import feed
from api.ui.pages import PageAnswer, PageRequest, Pages, PageView

pages = Pages()

SPANS = {"PT3H": "3 hours", "PT24H": "24 hours", "P7D": "7 days"}


@pages.get("/ui/errors")
def show_errors(page: PageRequest) -> PageAnswer:
    """Failures of the last hours or days, in groups, and the catalogue of errors."""
    span = request.args.get("span", "PT24H")
    span = span if span in SPANS else "PT24H"
    chosen = {"status": "FAILED", "started": span}
    groups: dict[str, Any] = {
        key: feed.ask(page, lookup.count_job_groups, query={**chosen, "group_by": key})["results"]
        for key in ("error", "job_type", "node", "project")
    }
    total = sum(one["count"] for one in groups["error"])
    catalogue = feed.ask(page, named_errors.list_errors, query={"page_size": "200"})
    return PageView("errors.html", {
        "groups": groups, "total": total, "span": span, "spans": SPANS, "catalogue": catalogue["results"],
        "blamed": _blamed(groups["node"], total),
    })  # fmt: skip


def _blamed(nodes: list[dict[str, Any]], total: int) -> dict[str, Any] | None:
    """Return the node on which most of many failures were, if there is one."""
    worst = nodes[0] if nodes else None
    if worst is None or worst["value"] is None or len(nodes) < 2 or total < 10:  # noqa: PLR2004 - of few failures, or one node, nothing follows
        return None
    return worst if worst["count"] >= 0.7 * total else None
