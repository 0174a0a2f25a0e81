"""The broadcaster of one process: each distinct view is made at most once a second, and only after a change or a few seconds.

Its cost grows with the distinct views that are looked at, not with those who look, nor with the jobs that change. A view is an
address beneath `/ui/` as it is seen by callers of one scope: project, role, and how they like to see things.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from flask import Flask, g
from werkzeug.exceptions import HTTPException

from api.ui import frame
from api.ui.pages import PageRequest, PageRoute, PageView
from api.ui.show import templating
from scheduler.errors import GangerError
from scheduler.feed.change_feed import ChangeFeed, FeedInterest, Watch

AT_MOST_EVERY_S = 1.0
AT_LEAST_EVERY_S = 5.0
"""A view is made anew so often: not oftener after changes of jobs, not more seldom without any, for nodes and pools change, too."""

MOST_VIEWS = 200
MOST_LETTERS = 2_000


@dataclass(slots=True)
class BroadcastView:
    """A view as it was made last: its text and the digest of that, when, and the watch that says whether it may have changed."""

    html: str = ""
    digest: str = ""
    made: float = 0.0
    watch: Watch | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


class PageBroadcaster:
    """Makes views, and keeps each for whoever looks at the same."""

    def __init__(self, app: Flask, feed: ChangeFeed) -> None:
        self._app, self._feed = app, feed
        self._views: OrderedDict[tuple[object, ...], BroadcastView] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, page: PageRequest, address: str) -> BroadcastView:
        """Return the view at an address, for callers like this one. An address that is none has an empty view."""
        caller = page.caller
        own = page.session if "cursor=" in address else ""
        key = (address, caller.project_id, caller.role, page.preferences, own)
        with self._lock:
            found = self._views.setdefault(key, BroadcastView())
            self._views.move_to_end(key)
            while len(self._views) > MOST_VIEWS:
                _, oldest = self._views.popitem(last=False)
                self._end(oldest)
        with found.lock:
            if self._is_due(found):
                self._make(found, page, address)
        return found

    def _is_due(self, found: BroadcastView) -> bool:
        age = time.monotonic() - found.made
        changed = found.watch is None or found.watch.is_woken
        return age >= (AT_MOST_EVERY_S if changed else AT_LEAST_EVERY_S)

    def _make(self, found: BroadcastView, page: PageRequest, address: str) -> None:
        self._end(found)
        found.watch = self._feed.watch(FeedInterest(project_id=page.caller.project_id))
        found.html = self._rendered(page, address)
        found.digest = hashlib.sha256(found.html.encode()).hexdigest()[:20]
        found.made = time.monotonic()

    def _end(self, found: BroadcastView) -> None:
        if found.watch is not None:
            self._feed.end(found.watch)
            found.watch = None

    def _rendered(self, page: PageRequest, address: str) -> str:
        """Return the live part of a page, made as a request for it would; empty where it cannot be made."""
        parts = urlsplit(address[:MOST_LETTERS])
        with self._app.test_request_context(parts.path, query_string=parts.query):
            g.session, g.caller, g.page = page.session, page.caller, page
            try:
                rule, arguments = self._app.url_map.bind("").match(parts.path, method="GET", return_rule=True)
                route = self._app.extensions[ROUTES].get(rule.endpoint)
                if not isinstance(route, PageRoute) or route.role is None or page.caller.role is None:
                    return ""
                if page.caller.role < route.role:
                    return ""
                view = route.function(page, **arguments)
                if not isinstance(view, PageView) or view.part != "live":
                    return ""
                return templating.part_of(view, page, frame.of(page))
            except (GangerError, HTTPException):
                return ""


ROUTES = "ganger-pages"
"""Where the application keeps its pages by endpoint."""
