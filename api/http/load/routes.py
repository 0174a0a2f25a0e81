"""The load of the past: how much waited and ran, a sample a minute."""

from __future__ import annotations

from api.http import paging
from api.http.load.schema import LoadList, LoadPoint, LoadQuery
from api.http.routing import ApiCall, Routes
from api.http.schema import times
from scheduler.admin import load
from scheduler.identity import Role
from scheduler.store.leader.load_samples import LoadFilter, LoadSample

routes = Routes("load")


@routes.get("/load/", role=Role.VIEWER, answers={200: LoadList}, orders=("time",))
def list_load(call: ApiCall, query: LoadQuery) -> LoadList:
    """How many jobs waited and ran, sample by sample, of the caller's projects."""
    asked = paging.window(query, ("time",), ["time"])
    started, ended = times.window(query.started, query.ended, call.rt.now())
    chosen = LoadFilter(
        started=started,
        ended=ended,
        job_type_id=tuple(query.job_type_id),
        job_type_name=tuple(query.job_type_name),
        job_type_category=tuple(query.job_type_category),
        priority=tuple(query.priority),
    )
    return paging.envelope(load.page(call.rt, call.caller, chosen, asked), asked, _point)


def _point(row: LoadSample) -> LoadPoint:
    return {
        "time": row.at,
        "pending_count": row.pending,
        "queued_count": row.queued,
        "running_count": row.running,
    }
