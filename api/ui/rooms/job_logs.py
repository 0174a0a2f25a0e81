"""Looking through all that a job printed: every try, every member, in one search."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from flask import request

from api.http.executions import routes as executions
from api.http.jobs import routes as jobs
from api.ui import feed
from api.ui.pages import PageAnswer, PageRequest, Pages, PageView
from api.ui.show import logs
from scheduler.errors import InvalidInput

pages = Pages()

PLACE = ("execution_id", "offset", "line")
MOST_SHOWN = 200
"""Lines of one try that are listed; the log itself has the rest."""


@pages.get("/ui/jobs/<id:job_id>/find")
def find_in_logs(page: PageRequest, job_id: int) -> PageAnswer:
    """The lines that hold a text or match a pattern, by try and member, each with the way to it."""
    job = feed.ask(page, jobs.show_job, job_id=job_id)
    q, regex = request.args.get("q", "").strip(), request.args.get("regex") == "1"
    found, fault = None, None
    if q:
        query = {"q": q, "regex": "true" if regex else None, **{name: request.args.get(name) for name in PLACE}}
        try:
            found = feed.ask(page, executions.search_logs_of_job, job_id=job_id, stream="combined", query=query)
        except InvalidInput as error:
            fault = str(error)
    return PageView("find.html", {
        "job": job, "q": q, "regex": regex, "fault": fault, "found": found, "groups": _groups(found), "most": MOST_SHOWN,
    })  # fmt: skip


def _groups(found: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Return the hits by execution, in their order, as people read them."""
    hits = found["hits"] if found else []
    return [
        {
            "execution_id": execution_id,
            "attempt": first["attempt"],
            "member": first["member"],
            "count": len(rest) + 1,
            "hits": [{"line": one["line"] + 1, "text": logs.line(one["text"])} for one in [first, *rest][:MOST_SHOWN]],
        }
        for execution_id, (first, *rest) in groupby(hits, lambda hit: hit["execution_id"])
    ]
