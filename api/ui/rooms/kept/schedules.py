"""Schedules: when each is due, what became of its times, and its verbs: pause, go on, run now, make up, delete."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import request
from werkzeug.utils import redirect

from api.http.schedules import routes as schedules
from api.ui import feed
from api.ui.pages import PageAnswer, PageRequest, Pages, PageView
from scheduler.errors import NotFound

pages = Pages()

TABS = (("", "All"), ("false", "Active"), ("true", "Paused"))
OVERLAPS = {
    "skip": "the next is skipped", "queue": "the next waits", "queue_all": "all wait",
    "cancel": "it is cancelled for the next", "allow": "they run beside each other",
}  # fmt: skip
"""When a run is due while one before it is live, in words."""


@pages.get("/ui/schedules")
def list_schedules(page: PageRequest) -> PageAnswer:
    """Schedules by name, each with its next time."""
    tab = request.args.get("paused", "")
    query = {"page": request.args.get("page", "1"), "page_size": "50", "is_paused": tab or None}
    answer = feed.ask(page, schedules.list_schedules, query=query, paged=True)
    return PageView("schedules.html", {"answer": answer, "tabs": TABS, "tab": tab})


@pages.get("/ui/schedules/<id:schedule_id>")
def show_schedule(page: PageRequest, schedule_id: int) -> PageAnswer:
    """One schedule: its coming times, and what became of those before."""
    found = feed.ask(page, schedules.show_schedule, schedule_id=schedule_id)
    query = {"page": request.args.get("page", "1"), "page_size": "50"}
    firings = feed.ask(page, schedules.list_firings, schedule_id=schedule_id, query=query, paged=True)
    is_backfilling = any(
        one["kind"] == "BACKFILL" and one["outcome"] in {"WAITING", "LIVE"} for one in firings["results"]
    )
    return PageView("schedule.html", {
        "schedule": found, "firings": firings, "can": page.may("submitter"), "is_backfilling": is_backfilling, "overlaps": OVERLAPS,
    })  # fmt: skip


@pages.post("/ui/schedules/<id:schedule_id>/<act>")
def act_on_schedule(page: PageRequest, schedule_id: int, act: str) -> PageAnswer:
    """Do one thing to a schedule, then show it, or the list if it is gone."""
    if act not in ACTS:
        raise NotFound("there is no such action")
    ACTS[act](page, schedule_id)
    to = "" if act == "delete" else f"/{schedule_id}"
    return redirect(f"{request.script_root}/ui/schedules{to}?done={act}", 303)


def _pause(page: PageRequest, schedule_id: int) -> None:
    body: dict[str, Any] = {"is_paused": True}
    if reason := request.form.get("reason", "").strip():
        body["pause_reason"] = reason
    feed.ask(page, schedules.change_schedule, schedule_id=schedule_id, body=body)


def _resume(page: PageRequest, schedule_id: int) -> None:
    body: dict[str, Any] = {"is_paused": False, "catch_up": "catch_up" in request.form}
    feed.ask(page, schedules.change_schedule, schedule_id=schedule_id, body=body)


def _trigger(page: PageRequest, schedule_id: int) -> None:
    feed.ask(page, schedules.trigger_schedule, schedule_id=schedule_id, body={"force": "force" in request.form})


def _backfill(page: PageRequest, schedule_id: int) -> None:
    form = request.form
    body: dict[str, Any] = {name: _moment(form.get(name, "")) for name in ("from", "to")}
    feed.ask(page, schedules.backfill_schedule, schedule_id=schedule_id, body=body)


def _moment(text: str) -> str:
    """Return what a field for times has, which says nothing of zones, as a time in UTC."""
    given = text.strip()
    return f"{given}Z" if given and given[-1:].isdigit() and "+" not in given else given


def _end_backfill(page: PageRequest, schedule_id: int) -> None:
    feed.ask(page, schedules.end_backfill, schedule_id=schedule_id)


def _delete(page: PageRequest, schedule_id: int) -> None:
    feed.ask(page, schedules.delete_schedule, schedule_id=schedule_id)


ACTS: dict[str, Callable[[PageRequest, int], None]] = {
    "pause": _pause, "resume": _resume, "trigger": _trigger, "backfill": _backfill, "end-backfill": _end_backfill, "delete": _delete,
}  # fmt: skip
