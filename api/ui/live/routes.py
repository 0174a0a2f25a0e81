"""The stream of a browser: it names the views that its tabs show, and gets each as it changes."""

from __future__ import annotations

from flask import current_app, request

from api.http import api_runtime
from api.http.answers import dump
from api.http.waiting import parking
from api.http.waiting.parked import EventStream
from api.ui.live.broadcaster import PageBroadcaster
from api.ui.pages import PageAnswer, PageRequest, Pages
from scheduler.errors import InvalidInput
from scheduler.feed.change_feed import FeedInterest

pages = Pages()

MOST_VIEWS = 8
EVERY_S = 1.0
BROADCASTER = "ganger-broadcaster"


@pages.get("/ui/live")
def stream(page: PageRequest) -> PageAnswer:
    """Send each of these views when it is not what was sent last, at most once a second, for as long as the session lasts."""
    views = list(dict.fromkeys(request.args.getlist("view")))
    if not views or len(views) > MOST_VIEWS or any(not one.startswith("/ui/") for one in views):
        raise InvalidInput(f"a stream names one to {MOST_VIEWS} views of ours", field="view")
    parts = api_runtime.of_this_app()
    broadcaster: PageBroadcaster = current_app.extensions[BROADCASTER]
    sent: dict[str, str] = {}

    def more() -> bytes | None:
        pieces = []
        for view in views:
            found = broadcaster.read(page, view)
            if found.html and sent.get(view) != found.digest:
                sent[view] = found.digest
                pieces.append(b"data: " + dump({"view": view, "html": found.html}) + b"\n\n")
        return b"".join(pieces)

    interest = FeedInterest(project_id=page.caller.project_id)
    return parking.stream(
        page.rt, parts.feed, EventStream(interest, more, every_s=EVERY_S), "text/event-stream; charset=utf-8"
    )
