"""About this installation: version, health, the OpenAPI document."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version as installed
from typing import Annotated, Literal, NotRequired

from flask import Response
from pydantic import Field
from typing_extensions import TypedDict

from api.http import api_runtime
from api.http.answers import Answer
from api.http.document import reference, served
from api.http.document.answer_types import JsonSchema
from api.http.routing import ApiCall, Routes
from api.http.serving.broker_health import CONSEQUENCE
from scheduler.admin import health

routes = Routes("about")


class Version(TypedDict):
    """Which release answers."""

    version: str


class HealthAnswer(TypedDict):
    """Whether this process can do its work."""

    status: Literal["ok", "degraded", "unavailable"]
    description: NotRequired[Annotated[str | None, Field(default=None)]]


@routes.get("/version/", role="public", answers={200: Version})
def version(call: ApiCall) -> Version:  # noqa: ARG001
    """Which release this is."""
    return {"version": _version()}


@cache
def _version() -> str:
    """Return the release that is installed; the file that says so is read once."""
    return installed("ganger-server")


@routes.get("/health/live", role="public", answers={200: HealthAnswer})
def live(call: ApiCall) -> HealthAnswer:  # noqa: ARG001
    """The process answers; says nothing of the database."""
    return {"status": "ok"}


@routes.get("/health/ready", role="public", answers={200: HealthAnswer, 503: HealthAnswer})
def ready(call: ApiCall) -> Answer[HealthAnswer]:
    """The process can reach a database with the schema it needs. `degraded`, with 200: it can, but the broker takes no messages."""
    why = health.trouble(call.rt)
    if why is not None:
        return Answer({"status": "unavailable", "description": why}, 503)
    broker = api_runtime.of_this_app().broker()
    if broker is None or broker.trouble is None:
        return Answer({"status": "ok"})
    return Answer({"status": "degraded", "description": f"the broker: {broker.trouble}; {CONSEQUENCE}"})


@routes.get("/openapi.json", role="public", answers={200: None})
def openapi(call: ApiCall) -> JsonSchema:  # noqa: ARG001
    """This document."""
    return served.document()


@routes.get("/docs/", role="public", answers={200: {"content": {"text/html": {"schema": {"type": "string"}}}}})
def docs(call: ApiCall) -> Response:  # noqa: ARG001
    """This document as a page for people."""
    page = reference.page(served.document())
    headers = {"Content-Security-Policy": page.policy, "Cache-Control": "no-cache"}
    return Response(page.html, headers=headers, content_type="text/html; charset=utf-8")
