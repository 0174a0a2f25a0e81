"""The queue: what waits, of which types and projects, for what, and in which order."""

from __future__ import annotations

from flask import request
from werkzeug.utils import redirect

from api.http.jobs import routes as jobs
from api.http.lookup import routes as lookup
from api.http.queue import routes as queue
from api.http.scheduler import routes as scheduler
from api.ui import feed
from api.ui.pages import PageAnswer, PageRequest, Pages, PageView
from api.ui.show import balance_chart
from scheduler.documents import JsonValue

pages = Pages()

WAITING = ["QUEUED", "PENDING"]
MOST_SHOWN = "50"


@pages.get("/ui/queue")
def show_queue(page: PageRequest) -> PageAnswer:
    """What waits."""
    waiting = feed.ask(page, jobs.list_jobs, query={"status": "QUEUED", "page_size": "1"})
    groups = {
        key: feed.ask(page, lookup.count_job_groups, query={"status": WAITING, "group_by": key})["results"]
        for key in ("project", "priority")
    }
    return PageView("queue.html", {
        "head": feed.ask(page, queue.show_queue_head, query={"limit": MOST_SHOWN})["results"], "waiting": waiting,
        "chart": balance_chart.draw(feed.ask(page, queue.show_balance_history)["results"]),
        "balance": feed.ask(page, queue.show_balance)["results"], "groups": groups, "switches": feed.ask(page, scheduler.show_scheduler),
        "types": feed.ask(page, queue.show_queue_status, query={"page_size": "100"})["results"],
        "can": page.may("operator") and page.everywhere,
    })  # fmt: skip


@pages.post("/ui/queue")
def change_scheduler(page: PageRequest) -> PageAnswer:
    """Pause the scheduler or let it go on."""
    paused = request.form.get("is_paused") == "true"
    reason = request.form.get("reason", "").strip()
    body: dict[str, JsonValue] = {"is_paused": paused}
    if paused and reason:
        body["pause_reason"] = reason
    feed.ask(page, scheduler.change_scheduler, body=body)
    return redirect(f"{request.script_root}/ui/queue?done=1", 303)
