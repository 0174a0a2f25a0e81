"""The HTTP application: every route of every noun, one way of checking, one way of failing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from flask import Flask, Response, g
from werkzeug.middleware.proxy_fix import ProxyFix

from api.http import api_runtime, front, problems, routing, telemetry, transfer
from api.http.about import routes as about
from api.http.api_runtime import ApiRuntime
from api.http.blobs import routes as blobs
from api.http.bulk import routes as bulk
from api.http.cache import routes as cache
from api.http.data_sets import routes as data_sets
from api.http.db_metrics import DatabaseMetrics
from api.http.event_stream import StreamLimit
from api.http.executions import routes as executions
from api.http.files import routes as files
from api.http.job_types import routes as job_types
from api.http.jobs import done
from api.http.jobs import routes as jobs
from api.http.load import routes as load
from api.http.lookup import routes as lookup
from api.http.me import routes as me
from api.http.metrics import routes as metrics
from api.http.named_errors import routes as named_errors
from api.http.node_protocol import routes as node
from api.http.nodes import routes as nodes
from api.http.pools import routes as pools
from api.http.projects import routes as projects
from api.http.queue import routes as queue
from api.http.retention import routes as retention
from api.http.scheduler import routes as scheduler
from api.http.schedules import routes as schedules
from api.http.serving import broker_health, rate_limit, thread_shares, trusted_host
from api.http.serving.bulk_thread import BulkThread
from api.http.serving.thread_shares import KindOfShare
from api.http.status import routes as status
from api.http.tokens import routes as tokens
from api.http.waiting import parking
from api.http.workflow_types import routes as workflow_types
from api.http.workflows import routes as workflows
from api.http.workspaces import routes as workspaces
from scheduler import web_addresses
from scheduler.executions.plain_beats import HeartbeatGathering
from scheduler.explain.forecast import Forecaster
from scheduler.feed.change_feed import ChangeFeed
from scheduler.files import web_storage
from scheduler.identity import Caller
from scheduler.nodes.broker_users import BrokerUsers
from scheduler.runtime import Runtime, utc_now
from scheduler.settings import Settings

NOUNS = (
    jobs,
    done,
    workflow_types,
    cache,
    workflows,
    bulk,
    schedules,
    executions,
    queue,
    lookup,
    job_types,
    files,
    blobs,
    nodes,
    pools,
    load,
    named_errors,
    data_sets,
    workspaces,
    scheduler,
    status,
    tokens,
    me,
    projects,
    retention,
    node,
    metrics,
    about,
)


WARN_BEFORE = timedelta(days=14)
"""Answers to a token that ends within this time say when it does."""


def create_app(rt: Runtime, *, background: bool = True, bare: Flask | None = None) -> Flask:
    """Return the application for one process. It needs no database before the first request.

    With `background` a thread carries out bulk operations; without it somebody has to call `bulk.step`. `bare` is what
    `bare_app` has made before, and nobody uses: a process that is forked finds it in memory that it shares.
    """
    app = bare_app() if bare is None else bare
    feed = ChangeFeed(rt)
    rt = replace(rt, nudge=feed.hearing(rt.nudge))
    shares = thread_shares.of_process(rt.settings.api_threads, rt.settings.node_threads, rt.settings.blob_threads)
    made = ApiRuntime(
        rt=rt,
        broker=broker_health.watch(rt.settings),
        broker_users=_broker_users(rt.settings),
        metrics=DatabaseMetrics(rt),
        forecaster=Forecaster(rt),
        streams=StreamLimit(KindOfShare(shares[thread_shares.EVERYBODY], "stream")),
        shares=shares,
        feed=feed,
        heartbeats=HeartbeatGathering(rt),
    )
    api_runtime.install(app, made)
    _guard(app, rt.settings)
    web_storage.allow(web_addresses.networks(rt.settings.web_networks))
    if background:
        made.bulk_thread = BulkThread(rt)
        made.bulk_thread.start()
    return app


def bare_app() -> Flask:
    """Return the application with its routes, not connected to anything yet."""
    app = Flask("ganger", static_folder=None)
    app.ensure_sync = _as_it_is  # type: ignore[assignment]  # Flask documents that applications may
    app.url_map.converters |= routing.CONVERTERS
    app.config["MAX_FORM_MEMORY_SIZE"] = 64 * 1024
    app.config["MAX_FORM_PARTS"] = 10
    routing.install(app)
    telemetry.install(app)
    problems.install(app)
    transfer.install(app)
    parking.install(app)
    app.after_request(_finish)
    for noun in NOUNS:
        routing.mount(app, noun.routes)
    front.install(app)
    return app


def _broker_users(settings: Settings) -> BrokerUsers | None:
    """Return the manager of nodes' users at the broker; None where this process was told of none, or is not to."""
    url = settings.broker_url
    return BrokerUsers(url.get_secret_value()) if url is not None and settings.broker_users else None


def _guard(app: Flask, settings: Settings) -> None:
    """Believe only the proxies and answer only to the hosts that the settings name, and only so often."""
    trusted_host.install(app, settings)
    rate_limit.install(app, settings)
    if settings.proxies:
        count = settings.proxies
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]  # as Flask documents it
            app.wsgi_app, x_for=count, x_proto=count, x_host=count, x_prefix=count
        )


def _as_it_is(function: Callable[..., object]) -> Callable[..., object]:
    """Return a function that is called for a request: none of ours is a coroutine, and to look at each took a twentieth of a request."""
    return function


def _finish(response: Response) -> Response:
    response.headers["X-Request-Id"] = g.get("request_id", "")
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
    response.headers.setdefault("Cache-Control", "no-store")
    caller: Caller | None = g.get("caller")
    if caller is not None and caller.expires is not None and caller.expires - utc_now() < WARN_BEFORE:
        response.headers["X-Token-Expires"] = caller.expires.isoformat()
    response.vary.add("Accept")
    return response
