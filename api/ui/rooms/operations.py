"""Bulk actions: previewed exactly, begun, followed, undone."""

from __future__ import annotations

from typing import Any

from flask import request
from werkzeug.utils import redirect

from api.http import api_runtime
from api.http.bulk import routes as bulk
from api.ui import feed, forms, search
from api.ui.pages import PageAnswer, PageRequest, Pages, PageView
from api.ui.rooms.job_acts import ACTS
from scheduler.errors import InvalidInput, NotFound
from scheduler.identity import Role
from scheduler.jobs import bulk as operations

pages = Pages()

TYPED_ABOVE = 1_000
"""Above so many jobs their number has to be typed."""

WORDS = {
    "cancel": "Cancel", "requeue": "Run again", "hold": "Hold", "release": "Release", "pin": "Pin", "unpin": "Unpin",
}  # fmt: skip
UNDO = {"cancel": "requeue", "hold": "release", "release": "hold", "pin": "unpin", "unpin": "pin"}
"""What takes an action back; jobs that were run again cannot be unrun."""


@pages.get("/ui/operations")
def list_operations(page: PageRequest) -> PageAnswer:
    """Bulk actions that run, and those that have ended."""
    answer = feed.ask(page, bulk.list_operations, query={"page": request.args.get("page", "1")}, paged=True)
    return PageView("operations.html", {"answer": answer, "words": WORDS})


@pages.get("/ui/operations/<id:operation_id>")
def show_operation(page: PageRequest, operation_id: int) -> PageAnswer:
    """One bulk action: how far it has come, and its undoing."""
    found = feed.ask(page, bulk.show_operation, operation_id=operation_id)
    undo = UNDO.get(found["kind"]) if found["done"] and page.may("operator") else None
    processes = feed.ask(page, bulk.show_processes, operation_id=operation_id) if found["kind"] == "cancel" else None
    return PageView("operation.html", {"operation": found, "words": WORDS, "undo": undo, "processes": processes})


@pages.get("/ui/bulk/<act>", role=Role.SUBMITTER)
def preview(page: PageRequest, act: str) -> PageAnswer:
    """Show exactly which jobs an action would meet, before it is begun."""
    chosen = _chosen(request.args.get("q", ""), request.args.getlist("job_id"), request.args.get("status", ""))
    told = feed.ask(page, _handler(act), body={**chosen, "dry_run": True})
    return PageView("bulk.html", {
        "act": act, "word": WORDS[act], "told": told, "q": request.args.get("q", ""), "ids": request.args.getlist("job_id"),
        "tab": request.args.get("status", ""), "typed": told["count"] > TYPED_ABOVE, "chosen": chosen,
        "needs_reason": page.may("operator") and act in {"cancel", "hold"},
    })  # fmt: skip


@pages.post("/ui/bulk/<act>", role=Role.SUBMITTER)
def begin(page: PageRequest, act: str) -> PageAnswer:
    """Begin an action on the jobs that were shown."""
    form = request.form
    chosen = _chosen(form.get("q", ""), form.getlist("job_id"), form.get("status", ""))
    told = feed.ask(page, _handler(act), body={**chosen, "dry_run": True})
    expected = form.get("expected", "")
    if told["count"] > TYPED_ABOVE and form.get("typed", "").replace(",", "").strip() != expected:
        raise InvalidInput(f"type the number of jobs, {expected}, to begin", field="typed")
    body: dict[str, Any] = dict(chosen)
    if reason := form.get("reason", "").strip():
        body["reason"] = reason
    begun = feed.ask(page, _handler(act), body=body)
    if api_runtime.of_this_app().bulk_thread is None:
        while operations.step(page.rt):
            pass
    return redirect(f"{request.script_root}/ui/operations/{begun['id']}", 303)


def _handler(act: str) -> Any:  # noqa: ANN401 - a route of the bulk actions
    if act not in ACTS:
        raise NotFound("there is no such action")
    return ACTS[act]


def _chosen(text: str, ids: list[str], tab: str) -> dict[str, Any]:
    """Return the filter of a bulk action: the ticked jobs, or all that the search finds."""
    if ids:
        return {"job_id": [forms.whole(one) for one in ids]}
    found: dict[str, Any] = dict(search.parse(text).query)
    if tab:
        found["status"] = tab.split(",")
    for name in ("job_id", "job_type_id", "workflow_id", "changed_by", "not_job_id", "not_workflow_id"):
        if name in found:
            found[name] = [forms.whole(one) for one in found[name]]
    for name in ("started", "ended", "created_after", "created_before"):
        if name in found:
            found[name] = found[name][0]
    if "is_held" in found:
        found["is_held"] = found["is_held"][-1] == "true"
    if "priority" in found or "not_priority" in found:
        raise InvalidInput("a bulk action takes no filter by priority; choose by type, label or text", field="q")
    return found or {"all": True}
