"""The frame around every page: who is signed in, where one can go, how many jobs there are, and what needs somebody."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, NamedTuple

from api.http.status import routes as status
from api.ui import feed
from api.ui.pages import PageRequest
from api.ui.session import preferences
from api.ui.session.preferences import Preferences
from scheduler.runtime import utc_now

RENEWED_AFTER_S = 1.0
MOST_KEPT = 1_000


class PagePart(NamedTuple):
    """A part of the page. `letter` after `g` goes there; without `role`, where it has one, it is not shown."""

    key: str
    path: str
    title: str
    icon: str
    letter: str
    role: str | None = None


NAVIGATION = (
    PagePart("overview", "", "Overview", "home", "o"),
    PagePart("jobs", "jobs", "Jobs", "jobs", "j"),
    PagePart("queue", "queue", "Queue", "queue", "q"),
    PagePart("workflows", "workflows", "Workflows", "graph", "w"),
    PagePart("schedules", "schedules", "Schedules", "clock", "s"),
    PagePart("data-sets", "data-sets", "Data sets", "pools", "d"),
    PagePart("types", "types", "Job types", "types", "t"),
    PagePart("errors", "errors", "Errors", "failed", "e"),
    PagePart("nodes", "nodes", "Nodes", "nodes", "n"),
    PagePart("pools", "pools", "Pools", "pools", "p"),
    PagePart("operations", "operations", "Operations", "bulk", "b"),
    PagePart("admin", "admin", "Admin", "admin", "a", "operator"),
)
"""The parts of the page, in order; the palette, the keys and the help read them, too."""


@dataclass(slots=True)
class StatusCache:
    """How the installation stands, for each scope of callers, asked for at most once a second in each process."""

    _kept: dict[tuple[int, int | None], tuple[float, dict[str, Any]]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def read(self, page: PageRequest) -> dict[str, Any]:
        """Return the answer of `/status/` to this caller, at most a second old."""
        scope = (id(page.rt.db), page.caller.project_id)
        found = self._kept.get(scope)
        if found is not None and time.monotonic() - found[0] < RENEWED_AFTER_S:
            return found[1]
        answer: dict[str, Any] = feed.ask(page, status.show_status)
        with self._lock:
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            self._kept[scope] = (time.monotonic(), answer)
        return answer


statuses = StatusCache()


def of(page: PageRequest | None) -> Mapping[str, object]:
    """Return the facts of the frame; without a session there is nothing in it but the name."""
    liked = preferences.read() if page is None else page.preferences
    base: dict[str, object] = {
        "liked": liked,
        "now": utc_now(),
        "status": None,
        "navigation": (),
        "environment": ("", ""),
    }
    if page is None or page.caller.role is None:
        return {**base, "signed_in": False}
    return {**base, **_signed_in(page, liked)}


def parts(page: PageRequest) -> list[PagePart]:
    """Return the parts that somebody is shown."""
    return [one for one in NAVIGATION if one.role is None or page.may(one.role)]


def _signed_in(page: PageRequest, liked: Preferences) -> Mapping[str, object]:
    settings = page.rt.settings
    return {
        "signed_in": True,
        "status": statuses.read(page),
        "navigation": parts(page),
        "environment": (settings.environment_name, settings.environment_color),
        "role": page.caller.role.name.lower() if page.caller.role else "",
        "liked": liked,
    }
