"""How the whole installation stands, on one page."""

from __future__ import annotations

import time
from importlib.metadata import version

from api.http import api_runtime
from api.http.answers import Answer
from api.http.routing import ApiCall, Routes
from api.http.scheduler import view as scheduler_view
from api.http.serving.broker_health import CONSEQUENCE
from api.http.status import view
from api.http.status.schema import Dependency, StatusView
from scheduler.admin import status, switches
from scheduler.admin.status import InstallationStatus
from scheduler.identity import Role

routes = Routes("status")

DEAD = {
    "MISSING": "no scheduler has ever led: start one with `ganger scheduler`",
    "STALE": "the scheduler gives no sign of life",
}


@routes.get("/status/", role=Role.VIEWER, answers={200: StatusView, 503: StatusView})
def show_status(call: ApiCall) -> Answer[StatusView]:
    """How the installation stands: scheduler, servers, nodes, jobs; 503 with the same body when no scheduler leads."""
    began = time.perf_counter()
    found = status.read_status(call.rt, call.caller)
    database_s = time.perf_counter() - began
    broker = api_runtime.of_this_app().broker()
    state = switches.state(call.rt, found.standing)
    body: StatusView = {
        "timestamp": call.rt.now(),
        "version": version("ganger-server"),
        "scheduler": scheduler_view.entry(call.rt, found.standing, everywhere=call.caller.project_id is None),
        "dependencies": {
            "database": _dependency(database_s, None),
            "broker": _dependency(None, "this process was not told of one")
            if broker is None
            else _dependency(broker.latency_s, broker.trouble),
        },
        "nodes": view.nodes(found),
        "executions": view.executions(found),
        "resources": view.resources(found),
        "pools": view.pools(found),
        "jobs": view.jobs(found),
        "warnings": _warnings(found, state, broker=None if broker is None else broker.trouble),
    }
    return Answer(body, 503 if state in DEAD else 200)


def _dependency(took_s: float | None, trouble: str | None) -> Dependency:
    return {
        "ok": trouble is None,
        "latency_ms": None if took_s is None else round(took_s * 1000, 2),
        "detail": trouble,
    }


def _warnings(found: InstallationStatus, state: str, *, broker: str | None) -> list[str]:
    """Return what a person should look at, the worst first."""
    told = [DEAD[state]] if state in DEAD else []
    if state == "PAUSED":
        told.append(f"the scheduler is paused: {found.standing.pause_reason or 'no reason given'}")
    if broker is not None:
        told.append(f"the broker: {broker}; {CONSEQUENCE}")
    by_state = view.nodes(found)["by_state"]
    if not by_state.get("READY"):
        told.append("no node is ready for work")
    if by_state.get("AVOIDED"):
        told.append(f"nodes that are AVOIDED for failing to start jobs: {by_state['AVOIDED']}; see `ganger nodes`")
    told += [
        f"nodes that are {word}: {by_state[word]}" for word in ("LOST", "OFFLINE", "DEGRADED") if by_state.get(word)
    ]
    told += [
        f"the clock of {node.name} is about {abs(node.skew_s):.0f} s {'ahead of' if node.skew_s > 0 else 'behind'} the server's"
        for node in found.skewed
    ]
    return told
