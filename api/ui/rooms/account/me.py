"""Whoever is signed in: rights, sessions, and how things are shown."""

from __future__ import annotations

from flask import Response, request

from api.http.me import routes as me
from api.ui import feed
from api.ui.pages import PageAnswer, PageRequest, Pages, PageView
from api.ui.session import preferences

pages = Pages()


@pages.get("/ui/me")
def show_me(page: PageRequest) -> PageAnswer:
    """The caller's rights, sessions and choices."""
    return PageView("me.html", {
        "me": feed.ask(page, me.show_me), "sessions": feed.ask(page, me.list_my_sessions)["results"],
        "zones": preferences.zones(), "choices": preferences, "saved": "done" in request.args,
    })  # fmt: skip


@pages.post("/ui/me")
def keep_choices(page: PageRequest) -> PageAnswer:  # noqa: ARG001 - the browser keeps them, not we
    """Have the browser keep these choices."""
    answer = Response("", 303, {"Location": f"{request.script_root}/ui/me?done=1"})
    preferences.keep(answer, preferences.chosen(request.form))
    return answer
