"""Help: keys, the words of the search, and what the words mean."""

from __future__ import annotations

import re

from flask import request

import scheduler
from api.http.answers import respond
from api.http.lookup import routes as lookup
from api.ui import feed, frame, search
from api.ui.pages import PageAnswer, PageRequest, Pages, PageView

pages = Pages()

FIRST_KEY = ("/", "search, or go to anything")
MORE_KEYS = (
    ("j k", "next row, row before"), ("x", "tick the row"), ("Enter", "open the row"), ("c", "cancel"), ("r", "run again"),
    ("p", "pause updates, or let them go on"), (".", "show what is newer"), ("f", "follow the log"), ("n N", "next hit, hit before"),
    ("t", "light or dark"), ("?", "this page"), ("Escape", "close what is open"),
)  # fmt: skip

_ENTRY = re.compile(r"^    (?P<terms>[a-z][a-z ,]*?)(?:  +|\n {21})(?P<meaning>\S.*)$", re.MULTILINE)


@pages.get("/ui/search")
def search_names(page: PageRequest) -> PageAnswer:
    """What the palette finds by name."""
    return respond(feed.ask(page, lookup.search_everything, query={"q": request.args.get("q")}))


@pages.get("/ui/help")
def show_help(page: PageRequest) -> PageAnswer:
    """Keys, search words and glossary."""
    entries = [(found["terms"], found["meaning"]) for found in _ENTRY.finditer(scheduler.__doc__ or "")]
    places = [(f"g {one.letter}", one.title[0].lower() + one.title[1:]) for one in frame.parts(page)]
    return PageView("help.html", {"keys": (FIRST_KEY, *places, *MORE_KEYS), "words": search.WORDS, "entries": entries})
