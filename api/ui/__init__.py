"""The pages for people, beneath `/ui/`: made on the server from the answers of the API's own routes, for a browser's session."""

from __future__ import annotations

from flask import Flask

from api.ui import mounting


def install(app: Flask) -> None:
    """Add the pages to an application of `api.http.app` that need not be connected yet."""
    mounting.install(app)


def connect(app: Flask) -> None:
    """Let the pages of a connected application hear of changes."""
    mounting.connect(app)
