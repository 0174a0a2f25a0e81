"""Workflows: the list, and one of them as a drawing of its jobs that follows them live; cancelled, begun anew, held, deleted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import request
from werkzeug.utils import redirect

from api.http.routing import Handler
from api.http.workflows import routes as workflows
from api.ui import feed
from api.ui.pages import PageAnswer, PageRequest, Pages, PageView
from api.ui.show import workflow_graph
from scheduler.errors import NotFound
from scheduler.rules.workflow.state import FINAL_WORKFLOW

pages = Pages()

TABS = (
    ("", "All"), ("RUNNING", "Running"), ("PENDING", "Pending"), ("FAILED", "Failed"), ("COMPLETED", "Completed"), ("CANCELED", "Canceled"),
)  # fmt: skip
JOB_TABS = (
    ("", "All"), ("FAILED,BLOCKED", "Failed or blocked"), ("RUNNING", "Running"), ("QUEUED,PENDING,PENDING_UPLOAD", "Waiting"),
    ("COMPLETED", "Completed"),
)  # fmt: skip
FILTERS = ("name", "project", "label")
JOBS_SHOWN = 200

ACTS: Mapping[str, Handler] = {
    "cancel": workflows.cancel_workflow, "restart": workflows.restart_workflow, "hold": workflows.hold_workflow,
    "release": workflows.hold_workflow, "delete": workflows.delete_workflow,
}  # fmt: skip


@pages.get("/ui/workflows")
def list_workflows(page: PageRequest) -> PageAnswer:
    """Workflows that match, the newest first."""
    chosen = {name: text for name in FILTERS if (text := request.args.get(name, "").strip())}
    tab = request.args.get("state", "")
    query: dict[str, object] = {**chosen, "order": "-id", "page_size": "50", "page": request.args.get("page", "1")}
    if "label" in chosen:
        query["label"] = chosen["label"].replace("=", ":", 1)
    if tab:
        query["state"] = tab.split(",")
    answer = feed.ask(page, workflows.list_workflows, query=query, paged=True)
    return PageView("workflows.html", {
        "answer": answer, "tabs": TABS, "tab": tab, "chosen": chosen, "filters": FILTERS,
    })  # fmt: skip


@pages.get("/ui/workflows/<id:workflow_id>")
def show_workflow(page: PageRequest, workflow_id: int) -> PageAnswer:
    """One workflow: how it stands, its drawing, its time, and its jobs."""
    found: dict[str, Any] = feed.ask(page, workflows.show_workflow, workflow_id=workflow_id)
    graph = feed.ask(page, workflows.draw_workflow, workflow_id=workflow_id)
    step, tab = request.args.get("job", ""), request.args.get("status", "")
    query = {"limit": str(JOBS_SHOWN), "after": request.args.get("after", "0"), "job": step,
             "status": tab.split(",") if tab else None}  # fmt: skip
    jobs = feed.ask(page, workflows.list_workflow_jobs, workflow_id=workflow_id, query=query)
    return PageView("workflow.html", {
        "workflow": found, "drawn": workflow_graph.draw(graph), "times": workflow_graph.over_time(graph, page.rt.now()), "jobs": jobs,
        "step": step, "tab": tab, "tabs": JOB_TABS, "acts": _acts(page, found),
    })  # fmt: skip


@pages.post("/ui/workflows/<id:workflow_id>/<act>")
def act_on_workflow(page: PageRequest, workflow_id: int, act: str) -> PageAnswer:
    """Do one thing to a workflow, then show it, or the list if it is gone."""
    if act not in ACTS:
        raise NotFound("there is no such action")
    body: dict[str, Any] = {}
    if reason := request.form.get("reason", "").strip():
        body["reason"] = reason
    if act in {"hold", "release"}:
        body["held"] = act == "hold"
    feed.ask(page, ACTS[act], body=None if act == "delete" else body, workflow_id=workflow_id)
    to = "" if act == "delete" else f"/{workflow_id}"
    return redirect(f"{request.script_root}/ui/workflows{to}?done={act}", 303)


def _acts(page: PageRequest, found: dict[str, Any]) -> list[str]:
    """Return what this caller may do to this workflow now."""
    if not page.may("submitter"):
        return []
    counts = found["counts"]
    acts = []
    if counts["failed"] + counts["canceled"]:
        acts.append("restart")
    if found["state"] in FINAL_WORKFLOW:
        return [*acts, "delete"]
    if page.may("operator"):
        acts.append("release" if found["is_held"] else "hold")
    return [*acts, "cancel"]
