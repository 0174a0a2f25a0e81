"""Metrics for Prometheus."""

from __future__ import annotations

from flask import Response

from api.http import api_runtime, telemetry
from api.http.auth import permit_everywhere
from api.http.routing import ApiCall, Routes
from api.http.serving.broker_health import BrokerMetrics
from scheduler.identity import Role

routes = Routes("about")

TEXT = {"content": {"text/plain": {"schema": {"type": "string"}}}}


@routes.get("/metrics", role=Role.VIEWER, answers={200: TEXT})
def show_metrics(call: ApiCall) -> Response:
    """Metrics of the whole installation in Prometheus' text format; those of database and broker are up to 5 s old."""
    permit_everywhere(call.caller)
    parts = api_runtime.of_this_app()
    return Response(
        telemetry.exposition(parts.metrics, BrokerMetrics(parts.broker)), content_type=telemetry.CONTENT_TYPE
    )
