"""Metrics for Prometheus."""

from __future__ import annotations

from flask import Response

from api.http import api_runtime, telemetry
from api.http.auth import permit_everywhere
from api.http.routing import ApiCall, Routes
from scheduler.identity import Role

routes = Routes("about")

TEXT = {"content": {"text/plain": {"schema": {"type": "string"}}}}


@routes.get("/metrics", role=Role.VIEWER, answers={200: TEXT})
def show_metrics(call: ApiCall) -> Response:
    """Metrics of the whole installation in Prometheus' text format; figures of the database are up to 5 s old."""
    permit_everywhere(call.caller)
    return Response(telemetry.exposition(api_runtime.of_this_app().metrics), content_type=telemetry.CONTENT_TYPE)
