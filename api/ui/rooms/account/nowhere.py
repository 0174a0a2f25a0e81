"""Addresses beneath `/ui/` that lead nowhere."""

from __future__ import annotations

from api.ui.pages import PageAnswer, PageRequest, Pages
from scheduler.errors import NotFound

pages = Pages()


@pages.get("/ui/<path:rest>")
def nowhere(page: PageRequest, rest: str) -> PageAnswer:  # noqa: ARG001 - whatever it is
    """Say that there is nothing, to whoever is signed in."""
    raise NotFound("there is no such page")
