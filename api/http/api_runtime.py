"""The parts that the routes of one process share, made once by `api.http.app`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flask import Flask, current_app

from api.http.db_metrics import DatabaseMetrics
from api.http.event_stream import StreamLimit
from api.http.serving.broker_health import BrokerHealth
from api.http.serving.bulk_thread import BulkThread
from api.http.serving.thread_shares import ThreadShares
from api.http.serving.ttl_cache import TtlCache
from scheduler.executions.plain_beats import HeartbeatGathering
from scheduler.explain.forecast import Forecaster
from scheduler.feed.change_feed import ChangeFeed
from scheduler.nodes.broker_users import BrokerUsers
from scheduler.runtime import Runtime

_KEY = "ganger"


@dataclass(slots=True)
class ApiRuntime:
    """The parts of one process beside its routes. `broker` returns how the broker is, None if this process was told of none.

    `broker_users` is None where nodes use the login of the address that they were given. `bulk_thread` is None where bulk operations are gone through by hand.
    """

    rt: Runtime
    broker: TtlCache[BrokerHealth | None]
    broker_users: BrokerUsers | None
    metrics: DatabaseMetrics
    forecaster: Forecaster
    streams: StreamLimit
    shares: Mapping[str, ThreadShares]
    feed: ChangeFeed
    heartbeats: HeartbeatGathering
    bulk_thread: BulkThread | None = None


def install(app: Flask, parts: ApiRuntime) -> None:
    """Give an app its parts, in place of those that it had."""
    app.extensions[_KEY] = parts


def of_this_app() -> ApiRuntime:
    """Return the parts of the app that answers the request at hand."""
    return of(current_app)


def of(app: Flask) -> ApiRuntime:
    """Return the parts of an app. Raises KeyError for one that is not connected to anything."""
    parts: ApiRuntime = app.extensions[_KEY]
    return parts
