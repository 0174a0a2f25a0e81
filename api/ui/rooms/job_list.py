"""The list of jobs: searched, ordered, page by page; its address restores it."""

from __future__ import annotations

from flask import request
from werkzeug.utils import redirect

from api.http.jobs import routes as jobs
from api.http.jobs.schema import JobListQuery
from api.http.lookup import routes as lookup
from api.ui import feed, search
from api.ui.pages import PageAnswer, PageRequest, Pages, PageView
from scheduler.errors import InvalidInput

pages = Pages()

SIZES = ("50", "100", "200")
TABS = (
    ("", "All"), ("QUEUED,PENDING", "Waiting"), ("RUNNING", "Running"), ("COMPLETED", "Completed"), ("FAILED", "Failed"),
    ("CANCELED", "Canceled"), ("BLOCKED,PENDING_UPLOAD", "Blocked"),
)  # fmt: skip
ORDERS = (
    ("-id", "newest"), ("id", "oldest"), ("-last_modified", "last changed"), ("priority", "priority"), ("-started", "last started"),
    ("-ended", "last ended"), ("name", "job type"), ("-duration", "longest"),
)  # fmt: skip
"""What the list offers, in words."""

NEWEST = "-id"


@pages.get("/ui/jobs")
def list_jobs(page: PageRequest) -> PageAnswer:
    """Jobs that match the search, newest first unless another order is chosen."""
    text = request.args.get("q", "").strip()
    found = search.parse(text)
    if found.number is not None:
        return redirect(f"{request.script_root}/ui/jobs/{found.number}", 303)
    query = _query(found)
    answer = feed.ask(page, jobs.list_jobs, query=query, paged=True)
    return PageView("jobs.html", {
        "q": text, "found": found, "answer": answer, "tabs": TABS, "orders": ORDERS, "sizes": SIZES,
        "commands": ["ganger jobs"], "tab": request.args.get("status", ""), "order": request.args.get("order", NEWEST), "size": query["page_size"],
    })  # fmt: skip


@pages.get("/ui/jobs/export")
def export_jobs(page: PageRequest) -> PageAnswer:
    """The jobs that match the search as a file."""
    query = _query(search.parse(request.args.get("q", "").strip()))
    asked = {name: value for name, value in query.items() if name not in {"page", "page_size"}}
    return feed.ask(page, lookup.export_jobs, query={**asked, "format": request.args.get("format", "csv")})  # type: ignore[no-any-return]  # the route sends a file


def _query(found: search.JobSearch) -> dict[str, object]:
    unknown = [name for name in found.query if name not in JobListQuery.model_fields]
    if unknown:
        raise InvalidInput(f"{unknown[0].removeprefix('not_')} cannot be excluded", field="q")
    query: dict[str, object] = {**found.query}
    if tab := request.args.get("status"):
        query["status"] = tab.split(",")
    size = request.args.get("page_size", SIZES[0])
    query["page_size"] = size if size in SIZES else SIZES[0]
    query["order"] = request.args.get("order", NEWEST)
    query["page"] = request.args.get("page", "1")
    return query
