"""The HTTP application: every route of every noun, one way of checking, one way of failing."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from flask import Response, g
from flask_openapi import OpenAPI
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import IntegerConverter

from api import broker, document, errors, limits, routing, telemetry
from api.auth import Recognition
from api.embedded import state
from api.figures import DatabaseFigures
from api.log_stream import Streams
from api.routes import (
    about,
    bulk,
    executions,
    files,
    job_types,
    jobs,
    load,
    metrics,
    node,
    nodes,
    pools,
    projects,
    queue,
    scheduler,
    status,
    tokens,
    workspaces,
)
from api.routes import errors as named_errors
from api.walker import Walker
from api.wire.answers import Problem
from scheduler.admin import seed
from scheduler.explain.forecast import Foresight
from scheduler.runtime import Runtime
from scheduler.settings import Settings

NOUNS = (
    jobs,
    bulk,
    executions,
    queue,
    job_types,
    files,
    nodes,
    pools,
    load,
    named_errors,
    workspaces,
    scheduler,
    status,
    tokens,
    projects,
    node,
    metrics,
    about,
)


class IdConverter(IntegerConverter):
    """An id in an address; what is no number, or too large for the database, is simply not there."""

    regex = r"\d{1,18}"


def create_app(rt: Runtime, *, background: bool = True) -> OpenAPI:
    """Return the application for one process and put into the database what must be there.

    With `background` a thread walks bulk operations; without, `bulk.step` does it by hand.
    """
    app = bare_app()
    app.extensions["ganger.rt"] = rt
    app.extensions["ganger.recognition"] = Recognition(rt)
    app.extensions["ganger.broker"] = broker.watch(rt.settings)
    app.extensions["ganger.figures"] = DatabaseFigures(rt)
    app.extensions["ganger.foresight"] = Foresight(rt)
    _guard(app, rt.settings)
    app.extensions["ganger.streams"] = Streams(max(1, rt.settings.api_threads // 2))
    seed.seed(rt.db, files_dir=(rt.settings.state_dir or state.default_root()) / "files")
    if background:
        app.extensions["ganger.walker"] = walker = Walker(rt)
        walker.start()
    return app


def bare_app() -> OpenAPI:
    """Return the application with its routes and its document, not connected to anything yet."""
    app = OpenAPI(
        "ganger",
        info=document.info(version("ganger")),
        security_schemes=document.SECURITY,
        responses={404: Problem},
        doc_ui=False,
        static_folder=None,
    )
    app.url_map.converters["id"] = IdConverter
    app.config["MAX_FORM_MEMORY_SIZE"] = 64 * 1024
    app.config["MAX_FORM_PARTS"] = 10
    routing.install(app)
    telemetry.install(app)
    errors.install(app)
    app.after_request(_finish)
    for noun in NOUNS:
        routing.mount(app, noun.routes)
    app.extensions["ganger.document"] = document.build(app)
    return app


def openapi_document() -> dict[str, Any]:
    """Return the OpenAPI document of this release, as `/openapi.json` serves it."""
    made: dict[str, Any] = bare_app().extensions["ganger.document"]
    return made


def _guard(app: OpenAPI, settings: Settings) -> None:
    """Believe only the proxies and answer only to the hosts that the settings name, and only so often."""
    limits.install(app, settings)
    if settings.proxies:
        count = settings.proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=count, x_proto=count, x_host=count)
    app.config["TRUSTED_HOSTS"] = settings.trusted_hosts or None


def _finish(response: Response) -> Response:
    response.headers["X-Request-Id"] = g.get("request_id", "")
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
    response.headers.setdefault("Cache-Control", "no-store")
    response.vary.add("Accept")
    return response
