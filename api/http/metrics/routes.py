"""Metrics for Prometheus."""

from __future__ import annotations

from typing import Any

from flask import Response, current_app

from api.http import telemetry
from api.http.auth import permit_everywhere
from api.http.routing import Call, Routes
from scheduler.identity import Role

routes = Routes("about")

TEXT = {"content": {"text/plain": {"schema": {"type": "string"}}}}


@routes.get("/metrics", role=Role.VIEWER, answers={200: TEXT})
def show_metrics(call: Call) -> Any:
    """Metrics of the whole installation in Prometheus' text format; figures of the database are up to 5 s old."""
    permit_everywhere(call.caller)
    figures = current_app.extensions["ganger.figures"]
    return Response(telemetry.exposition(figures), content_type=telemetry.CONTENT_TYPE)
