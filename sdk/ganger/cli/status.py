"""`ganger status` and `ganger version`: how the installation is, and what is installed here."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from typing import Any

import typer

from ganger.answers import Dependency, SchedulerView, StatusView
from ganger.cli import screen
from ganger.cli.connection import Connection
from ganger.cli.failures import FAILED
from ganger.cli.options import Json, expanded

ALIVE = {"READY", "PAUSED"}
OPEN = ("pending_upload", "pending", "blocked", "queued", "running", "held")
MIB = 1024 * 1024


@expanded
def status(*, as_json: Json = False, connection: Connection) -> None:
    """Say how the installation is: scheduler, servers, nodes, jobs. Exit status 1 if no scheduler leads.

    [bold]ganger status[/]
    """
    with connection.client() as api:
        answer = api.status()
        address = api.url
    if as_json:
        screen.document(answer)
    else:
        screen.fields({"api": f"{address} (version {answer.get('version')})", **_page(answer)})
        for warning in answer.get("warnings") or []:
            screen.note(f"warning: {warning}")
    if answer["scheduler"]["state"] not in ALIVE:
        raise typer.Exit(FAILED)


def version(*, as_json: Json = False) -> None:
    """Say which version is installed here; that of a running API is in `ganger status`.

    [bold]ganger version[/]
    """
    installed = importlib.metadata.version("ganger")
    if as_json:
        screen.document({"version": installed})
    else:
        screen.text(installed)


def _page(answer: StatusView) -> dict[str, object]:
    jobs: Mapping[str, Any] = answer["jobs"]
    leader: Mapping[str, Any] = answer["scheduler"].get("leader") or {}
    resources = answer["resources"]
    heard = f", heard of {screen.duration(leader.get('age_s'))} ago" if leader else ""
    open_jobs = ", ".join(f"{jobs[name]} {name.replace('_', ' ')}" for name in OPEN if jobs.get(name))
    return {
        "scheduler": f"{answer['scheduler']['state']} {answer['scheduler'].get('pause_reason') or ''}".strip() + heard,
        "order": _order(answer["scheduler"]),
        "database": _server(answer["dependencies"]["database"]),
        "broker": _server(answer["dependencies"]["broker"]),
        "nodes": ", ".join(f"{count} {word}" for word, count in answer["nodes"]["by_state"].items()) or "none",
        "cpus": _free(resources, "cpus", 1),
        "memory": _free(resources, "mem", MIB),
        "disk": _free(resources, "disk", MIB),
        "jobs": open_jobs or "none waiting, none running",
        "last 3 hours": ", ".join(f"{jobs.get(name) or 0} {name}" for name in ("completed", "failed", "canceled")),
    }


def _order(scheduler: SchedulerView) -> str:
    kept = scheduler.get("reservations")
    return (
        f"{scheduler.get('queue_mode')}, preemption {'on' if scheduler.get('preemption') else 'off'}, "
        f"room is kept for up to {kept} job{'' if kept == 1 else 's'} that cannot start yet"
    )


def _server(state: Dependency) -> str:
    return f"ok, {state['latency_ms']} ms" if state["ok"] else f"trouble: {state.get('detail')}"


def _free(resources: dict[str, dict[str, float]], name: str, unit: int) -> str:
    text = screen.number if unit == 1 else screen.size
    return f"{text(resources['free'][name] * unit)} of {text(resources['total'][name] * unit)} free"
