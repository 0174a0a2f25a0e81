"""The whole application: Ganger's own API, every dialect beside it, and the pages for people that stand on it."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Flask

from api import ui
from api.dialects import blockmodel, compute, connect, dialect, metafold
from api.dialects.dialect import Dialect
from api.http import app
from api.http.routing import Route
from scheduler.runtime import Runtime

DIALECTS: Sequence[Dialect] = (metafold.dialect, blockmodel.dialect, connect.dialect, compute.dialect)
"""To add or to delete one is a line here, and its import."""

ROUTES: Sequence[Route] = [
    route
    for routes in (*(noun.routes for noun in app.NOUNS), *(routes for one in DIALECTS for routes in one.routes))
    for route in routes.all
]
"""Every route that is served."""


def create_app(rt: Runtime, *, background: bool = True, bare: Flask | None = None) -> Flask:
    """Return the application for one process, as `api.http.app.create_app` does, with all dialects and the pages."""
    made = app.create_app(rt, background=background, bare=bare_app() if bare is None else bare)
    ui.connect(made)
    return made


def bare_app() -> Flask:
    """Return an application that is not connected to anything, for `create_app`, with every module imported that it will need."""
    made = with_dialects(app.bare_app())
    ui.install(made)
    return made


def with_dialects(made: Flask, dialects: Sequence[Dialect] = DIALECTS) -> Flask:
    """Let an application speak these dialects, and return it."""
    for one in dialects:
        dialect.mount(made, one)
    return made
