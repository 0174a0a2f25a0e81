"""Reuse of results: forgetting them."""

from __future__ import annotations

from api.http.cache.schema import ForgetQuery, ForgottenView
from api.http.routing import ApiCall, Routes
from scheduler.identity import Role
from scheduler.workflows import forgetting

routes = Routes("cache")


@routes.delete("/cache/", role=Role.OPERATOR, answers={200: ForgottenView})
def forget_results(call: ApiCall, query: ForgetQuery) -> ForgottenView:
    """Let nobody reuse the results that are there of a job type, or of all; the jobs and what they made stay."""
    return {"count": forgetting.forget(call.rt, call.caller, query.job_type, query.project)}
