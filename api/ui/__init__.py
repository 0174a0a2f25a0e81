"""The pages for people, beneath `/ui/`: made on the server from the answers of the API's own routes, for a browser's session."""

from __future__ import annotations

from flask_openapi import OpenAPI

from api.ui import mounting
from scheduler.settings import Settings


def install(app: OpenAPI, settings: Settings) -> None:
    """Add the pages to an application of `api.http.app`."""
    mounting.install(app, settings)
