"""`ganger pools`: how many nodes each pool should have and has, and why."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from ganger.answers import PoolEvent, PoolView
from ganger.cli import screen
from ganger.cli.connection import Connection
from ganger.cli.options import Json, expanded

HEADINGS = ("POOL", "SIZE", "NODES", "WANTED", "DRAINING", "CPUS", "RUNNING", "PACKING", "STATE")


@expanded
def pools(
    name: Annotated[str | None, typer.Argument(metavar="[POOL]", help="Only this one.")] = None,
    *,
    why: Annotated[
        bool, typer.Option("--why", help="Say why each has the size it has, and what happened last.")
    ] = False,
    as_json: Json = False,
    connection: Connection,
) -> None:
    """List pools: how many nodes each should have, has, and why.

    [bold]ganger pools --why[/]
    """
    with connection.client() as api:
        listed = api.pools.list() if name is None else [api.pools.get(name)]
        events = {pool["name"]: api.pools.events(pool["name"], limit=5) for pool in listed} if why else {}
    if as_json:
        for pool in listed:
            screen.line({**pool, **({"events": events[pool["name"]]} if why else {})})
        return
    if not why:
        screen.table(HEADINGS, (_row(pool) for pool in listed), empty="no pools")
        return
    for pool in listed:
        _explain(pool, events[pool["name"]])


def _row(pool: PoolView) -> tuple[object, ...]:
    nodes, cpus = pool["nodes"], pool["resources"]["cpus"]
    wanted = "" if pool["wanted"] is None else pool["wanted"]
    used = f"{screen.number(cpus['scheduled'])} of {screen.number(cpus['total'])}"
    packing = _packing(pool)
    return (
        pool["name"], size_of(pool), nodes["ready"], wanted, nodes["draining"], used, pool["running"], packing, _state(pool),
    )  # fmt: skip


def _packing(pool: PoolView) -> str:
    return str(pool["settings"].get("packing", "pack"))


def size_of(pool: PoolView) -> str:
    """Return how many nodes a pool should have, for a person."""
    match pool["sizing"]:
        case "fixed":
            return f"{pool['size']}"
        case "auto":
            return f"{pool['min']} to {pool['max']}"
        case _:
            return "as they come"


def _state(pool: PoolView) -> str:
    if pool["is_paused"]:
        return f"paused ({pool['pause_reason']})"
    if pool["trouble"]:
        return f"trouble: {pool['trouble']}"
    return f"{pool['starting']} starting" if pool["starting"] else "ok"


def _explain(pool: PoolView, events: list[PoolEvent]) -> None:
    screen.heading(pool["name"])
    screen.fields(
        {
            "pool": pool["name"],
            "size": size_of(pool),
            "nodes": f"{pool['nodes']['ready']} ready, {pool['nodes']['draining']} draining, {pool['starting']} starting",
            "wanted": pool["wanted"],
            "why": pool["why"] or "nobody scales this pool: nodes come and go as they like",
            "packing": _packing(pool),
            "trouble": pool["trouble"],
            "state": _state(pool),
        }
    )
    rows = (
        (
            screen.moment(datetime.fromisoformat(event["at"])),
            event["event"],
            event["actor"],
            event["reason"],
            _nodes(event),
        )
        for event in events
    )
    screen.table(("AT", "EVENT", "BY", "WHY", "NODES"), rows, empty="nothing has happened yet")


def _nodes(event: PoolEvent) -> str:
    return ", ".join(event["detail"].get("nodes", []))
