"""How requests are counted and timed, over all processes that answer HTTP.

Each process writes its figures to files of one folder, named in PROMETHEUS_MULTIPROC_DIR before the first of them
starts (`api.http.serving.server` does so); whichever process is asked adds all of them up. Without the folder a process shows its own figures.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from functools import cache
from typing import Any

from flask import Flask, Response, g, request
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

_PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")
_OWN = CollectorRegistry()
_REQUESTS = Counter("ganger_http_requests", "Requests answered.", ["method", "route", "status"], registry=_OWN)
_DURATION = Histogram(
    "ganger_http_request_duration_seconds",
    "From the first byte read to the answer's head; a stream goes on after it.",
    ["method", "route"],
    buckets=BUCKETS_S,
    registry=_OWN,
)


def install(app: Flask) -> None:
    """Count and time every request of this app."""
    app.before_request(_begin)
    app.after_request(_count)


def exposition(*figures: Collector) -> bytes:
    """Return all metrics as Prometheus reads them: requests of every process, and `figures`."""
    registry = CollectorRegistry()
    for collector in figures:
        registry.register(collector)
    folder = os.environ.get(FOLDER)
    if folder is None:
        return bytes(generate_latest(_OWN) + generate_latest(registry))
    MultiProcessCollector(registry, path=folder)
    return bytes(generate_latest(registry))


def count_later() -> Callable[[], None]:
    """Return what counts this request, which is parked, when it is answered with 200: it is not timed, and not counted before."""
    g.pop("began", None)
    counter = _REQUESTS.labels(*_named(), "200")
    return lambda: counter.inc()  # noqa: PLW0108 - its own type says nothing


def _begin() -> None:
    g.began = time.perf_counter()


def _count(response: Response) -> Response:
    began: Any = g.get("began")
    if began is not None:
        method, route = _named()
        _REQUESTS.labels(method, route, str(response.status_code)).inc()
        _DURATION.labels(method, route).observe(time.perf_counter() - began)
    return response


def _named() -> tuple[str, str]:
    """Return the method and the address as it is written in the code: what a client types has no end."""
    rule = request.url_rule
    method = request.method if request.method in METHODS else "other"
    return method, "unknown" if rule is None else _route(rule.rule)


@cache
def _route(rule: str) -> str:
    return _PARAMETER.sub(r"{\1}", rule)
