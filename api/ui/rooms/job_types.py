"""Job types: what there is, and what each does, costs and wastes."""

from __future__ import annotations

from typing import Any

from flask import request
from werkzeug.utils import redirect

from api.http.job_types import routes as job_types
from api.http.lookup import routes as lookup
from api.ui import feed
from api.ui.pages import PageAnswer, PageRequest, Pages, PageView
from scheduler.errors import InvalidInput

pages = Pages()


@pages.get("/ui/types")
def list_types(page: PageRequest) -> PageAnswer:
    """The job types, with what became of their jobs of late."""
    query = {"page": request.args.get("page", "1"), "page_size": "100", "name": request.args.getlist("name")}
    answer = feed.ask(page, job_types.list_job_types, query=query, paged=True)
    counted = feed.ask(page, job_types.list_job_type_statuses, query={"started": "PT24H", "page_size": "1000"})
    counts = {one["job_type"]["id"]: _counts(one["job_counts"]) for one in counted["results"]}
    return PageView("types.html", {"answer": answer, "counts": counts, "counted_since": counted["counted_since"]})


@pages.get("/ui/types/<words:name>/<version>")
def show_type(page: PageRequest, name: str, version: str) -> PageAnswer:
    """One job type: definition, revisions, figures."""
    found = _find(page, name, version)
    figures = feed.ask(page, lookup.show_type_statistics, job_type_id=found["id"])
    revisions = feed.ask(page, job_types.list_revisions, job_type_id=found["id"], query={"page_size": "20"})
    return PageView("type.html", {
        "kind": found, "figures": figures, "revisions": revisions["results"], "can": page.may("operator"),
        "dots": _dots(figures["latest"]),
    })  # fmt: skip


@pages.post("/ui/types/<words:name>/<version>")
def change_type(page: PageRequest, name: str, version: str) -> PageAnswer:
    """Pause a type, let it go on, limit it, or change the memory that it asks for."""
    found = _find(page, name, version)
    form, body = request.form, dict[str, Any]()
    if "is_paused" in form:
        body["is_paused"] = form["is_paused"] == "true"
        if body["is_paused"] and form.get("reason", "").strip():
            body["pause_reason"] = form["reason"].strip()
    if "max_scheduled" in form:
        body["max_scheduled"] = (
            _number(form["max_scheduled"], "max_scheduled") if form["max_scheduled"].strip() else None
        )
    if "mem_required" in form:
        body["mem_required"] = _number(form["mem_required"], "mem_required")
    feed.ask(page, job_types.change_job_type, job_type_id=found["id"], body=body)
    return redirect(f"{request.script_root}/ui/types/{name}/{version}?done=1", 303)


def _find(page: PageRequest, name: str, version: str) -> Any:  # noqa: ANN401 - the document, as templates read it
    query = {"project": request.args.get("project")}
    return feed.ask(page, job_types.show_job_type_by_name, name=name, version=version, query=query)


def _counts(rows: list[dict[str, Any]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in rows:
        found[row["status"]] = found.get(row["status"], 0) + row["count"]
    return found


def _dots(latest: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the latest runs as dots, the oldest first: where each stands within 600 by 60, and how it ended."""
    shown = [one for one in reversed(latest) if one["run_s"] is not None]
    longest = max((one["run_s"] for one in shown), default=1.0) or 1.0
    step = 600 / max(1, len(shown))
    return [
        {**one, "x": step * (number + 0.5), "y": 54 - 48 * one["run_s"] / longest} for number, one in enumerate(shown)
    ]


def _number(text: str, field: str) -> int:
    try:
        return int(text.strip())
    except ValueError:
        raise InvalidInput(f"{text[:20]!r} is no whole number", field=field) from None
