"""About this installation: version, health, the OpenAPI document."""

from __future__ import annotations

from importlib.metadata import version as installed
from typing import Annotated, Any, Literal, NotRequired

from flask import Response, current_app
from pydantic import Field
from typing_extensions import TypedDict

from api.http.answers import Answer
from api.http.document import reference
from api.http.routing import Call, Routes
from scheduler.admin import health

routes = Routes("about")


class Version(TypedDict):
    """Which release answers."""

    version: str


class Health(TypedDict):
    """Whether this process can do its work."""

    status: Literal["ok", "unavailable"]
    description: NotRequired[Annotated[str | None, Field(default=None)]]


@routes.get("/version/", role="public", answers={200: Version})
def version(call: Call) -> Any:  # noqa: ARG001
    """Which release this is."""
    return {"version": installed("ganger-server")}


@routes.get("/health/live", role="public", answers={200: Health})
def live(call: Call) -> Any:  # noqa: ARG001
    """The process answers; says nothing of the database."""
    return {"status": "ok"}


@routes.get("/health/ready", role="public", answers={200: Health, 503: Health})
def ready(call: Call) -> Any:
    """The process can reach a database with the schema it needs."""
    why = health.trouble(call.rt)
    return {"status": "ok"} if why is None else Answer({"status": "unavailable", "description": why}, 503)


@routes.get("/openapi.json", role="public", answers={200: None})
def openapi(call: Call) -> Any:  # noqa: ARG001
    """This document."""
    return current_app.extensions["ganger.document"]


@routes.get("/docs/", role="public", answers={200: {"content": {"text/html": {"schema": {"type": "string"}}}}})
def docs(call: Call) -> Any:  # noqa: ARG001
    """This document as a page for people."""
    page = reference.page(current_app.extensions["ganger.document"])
    headers = {"Content-Security-Policy": page.policy, "Cache-Control": "no-cache"}
    return Response(page.html, headers=headers, content_type="text/html; charset=utf-8")
