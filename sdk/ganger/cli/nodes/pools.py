"""`ganger pools`, `scale`, `drain`, `pause`, `resume`: how many nodes there are, and how they come and go."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ganger.cli import connection, screen
from ganger.cli.nodes import nodes as nodes_seen
from ganger.cli.options import Json, StateDir, Token, Url
from ganger.errors import UsageError

if TYPE_CHECKING:
    from ganger import Client

PoolName = Annotated[str, typer.Argument(metavar="POOL", help="The pool's name.")]
NodeNames = Annotated[list[str] | None, typer.Argument(metavar="NODE...", help="Names or ids of nodes.")]
PoolOption = Annotated[str | None, typer.Option("--pool", help="A whole pool instead of nodes.")]
SchedulerOption = Annotated[bool, typer.Option("--scheduler", help="The scheduler itself: nothing starts anywhere.")]
Reason = Annotated[str | None, typer.Option(help="Why, for the others.")]

HEADINGS = ("POOL", "SIZE", "NODES", "WANTED", "DRAINING", "CPUS", "RUNNING", "PACKING", "STATE")


class Packing(StrEnum):
    """How a pool's nodes are filled: one after the other, or evenly."""

    PACK = "pack"
    SPREAD = "spread"


def pools(
    name: Annotated[str | None, typer.Argument(metavar="[POOL]", help="Only this one.")] = None,
    *,
    why: Annotated[
        bool, typer.Option("--why", help="Say why each has the size it has, and what happened last.")
    ] = False,
    as_json: Json = False,
    url: Url = None,
    token: Token = None,
    state_dir: StateDir = None,
) -> None:
    """List pools: how many nodes each should have, has, and why.

    [bold]ganger pools --why[/]
    """
    with connection.client(url, token, state_dir) as api:
        found = api.pools.list() if name is None else [api.pools.get(name)]
        events = {pool["name"]: api.pools.events(pool["name"], limit=5) for pool in found} if why else {}
    if as_json:
        for pool in found:
            screen.line({**pool, **({"events": events[pool["name"]]} if why else {})})
        return
    if not why:
        screen.table(HEADINGS, (_row(pool) for pool in found), empty="no pools")
        return
    for pool in found:
        _explain(pool, events[pool["name"]])


def scale(
    name: PoolName,
    size: Annotated[int | None, typer.Argument(metavar="[N]", min=0, help="So many nodes.")] = None,
    *,
    smallest: Annotated[int | None, typer.Option("--min", min=0, help="Follow demand, with at least so many.")] = None,
    largest: Annotated[int | None, typer.Option("--max", min=0, help="Follow demand, with at most so many.")] = None,
    free: Annotated[bool, typer.Option("--free", help="Stop scaling it: nodes come and go as they like.")] = False,
    create: Annotated[bool, typer.Option("--create", help="Make the pool if there is none of this name.")] = False,
    driver: Annotated[
        list[str] | None,
        typer.Option(help="Who starts nodes: local, external, or one of the drivers file; repeatable."),
    ] = None,
    packing: Annotated[
        Packing | None, typer.Option(help="Fill its nodes one after the other (pack), or evenly (spread).")
    ] = None,
    reason: Reason = None,
    as_json: Json = False,
    url: Url = None,
    token: Token = None,
    state_dir: StateDir = None,
) -> None:
    """Say how many nodes a pool should have, or let it follow demand. Nodes that go finish their work first.

    [bold]ganger scale default 4[/]    [bold]ganger scale default --min 1 --max 20[/]

    [bold]ganger scale web --packing spread[/]
    """
    sizes: dict[str, Any] = {"size": size, "min": smallest, "max": largest, "reason": reason}
    changes = _changes(sizes, free=free, drivers=driver or [], packing=packing)
    with connection.client(url, token, state_dir) as api:
        pool = _create_or_change(api, name, changes) if create else api.pools.change(name, changes)
    if as_json:
        screen.document(pool)
    else:
        screen.say(f"{name}: {_size(pool)}, {pool['nodes']['total']} nodes now")


def drain(
    nodes: NodeNames = None,
    *,
    within: Annotated[
        float | None, typer.Option(min=0.001, help="Seconds after which running work is stopped and queued again.")
    ] = None,
    reason: Reason = None,
    url: Url = None,
    token: Token = None,
    state_dir: StateDir = None,
) -> None:
    """Let nodes finish what they run, take nothing more, and leave.

    [bold]ganger drain rack-7 --reason "new disk"[/]
    """
    changes: dict[str, Any] = {"is_draining": True, "drain_reason": reason}
    _change_nodes(
        nodes, {**changes, **({} if within is None else {"drain_s": within})}, "draining", url, token, state_dir
    )


def pause(
    nodes: NodeNames = None,
    *,
    pool: PoolOption = None,
    scheduler: SchedulerOption = False,
    reason: Reason = None,
    url: Url = None,
    token: Token = None,
    state_dir: StateDir = None,
) -> None:
    """Give nodes, a pool, or all of them no new work; what runs there goes on.

    [bold]ganger pause --pool night --reason "storage is slow"[/]    [bold]ganger pause --scheduler[/]
    """
    why = reason or "paused by hand"
    if scheduler:
        changes = {"is_paused": True, "pause_reason": why}
        _change_scheduler(nodes, pool, changes, "paused", url, token, state_dir)
    elif pool is not None:
        _change_pool(nodes, pool, {"is_paused": True, "reason": why}, "paused", url, token, state_dir)
    else:
        _change_nodes(nodes, {"is_paused": True, "pause_reason": why}, "paused", url, token, state_dir)


def resume(
    nodes: NodeNames = None,
    *,
    pool: PoolOption = None,
    scheduler: SchedulerOption = False,
    reason: Reason = None,
    url: Url = None,
    token: Token = None,
    state_dir: StateDir = None,
) -> None:
    """Give paused, draining or avoided nodes, a paused pool, or all of them work again.

    A node that is avoided because it failed to start jobs is tried again at once.

    [bold]ganger resume rack-7[/]    [bold]ganger resume --scheduler[/]
    """
    if scheduler:
        _change_scheduler(nodes, pool, {"is_paused": False}, "goes on", url, token, state_dir)
        return
    if pool is not None:
        _change_pool(nodes, pool, {"is_paused": False, "reason": reason}, "takes work again", url, token, state_dir)
        return
    _change_nodes(nodes, {"is_paused": False, "is_draining": False}, "takes work again", url, token, state_dir)


def _changes(sizes: dict[str, Any], *, free: bool, drivers: list[str], packing: Packing | None) -> dict[str, Any]:
    changes = {key: value for key, value in sizes.items() if value is not None}
    if sum(("size" in changes, bool({"min", "max"} & changes.keys()), free)) > 1:
        raise UsageError("give one of: a number, --min and --max, --free")
    if free:
        changes["sizing"] = "free"
    if drivers:
        changes["drivers"] = [{"driver": name} for name in drivers]
    if packing is not None:
        changes["settings"] = {"packing": packing.value}
    if not changes.keys() - {"reason"}:
        raise UsageError("say how many nodes: ganger scale POOL N, or --min and --max")
    return changes


def _create_or_change(api: Client, name: str, changes: dict[str, Any]) -> dict[str, Any]:
    from ganger import Conflict  # noqa: PLC0415 - the connection has brought it anyway

    try:
        return api.pools.create(name, changes)
    except Conflict:
        return api.pools.change(name, changes)


def _change_scheduler(
    nodes: list[str] | None,
    pool: str | None,
    changes: dict[str, Any],
    done: str,
    url: Url,
    token: Token,
    state_dir: StateDir,
) -> None:
    if nodes or pool is not None:
        raise UsageError("name nodes, a pool or --scheduler, not several")
    with connection.client(url, token, state_dir) as api:
        api.scheduler.change(changes)
    screen.say(f"the scheduler {'is ' if changes['is_paused'] else ''}{done}")


def _change_pool(
    nodes: list[str] | None, pool: str, changes: dict[str, Any], done: str, url: Url, token: Token, state_dir: StateDir
) -> None:
    if nodes:
        raise UsageError("name nodes or a pool, not both")
    with connection.client(url, token, state_dir) as api:
        api.pools.change(pool, changes)
    screen.say(f"pool {pool} {done}")


def _change_nodes(
    names: list[str] | None, changes: dict[str, Any], done: str, url: Url, token: Token, state_dir: StateDir
) -> None:
    if not names:
        raise UsageError("name at least one node")
    with connection.client(url, token, state_dir) as api:
        known = list(api.nodes.list())
        chosen = [_resolve(known, name) for name in names]
        for node in chosen:
            api.nodes.change(node.id, changes)
            screen.say(f"{node.name} {done}")


def _resolve(known: list[Any], name: str) -> Any:
    found = nodes_seen.named(known, name)
    if found is None:
        raise nodes_seen.none_of(name)
    return found


def _row(pool: dict[str, Any]) -> tuple[object, ...]:
    nodes, cpus = pool["nodes"], pool["resources"]["cpus"]
    wanted = "" if pool["wanted"] is None else pool["wanted"]
    used = f"{screen.number(cpus['scheduled'])} of {screen.number(cpus['total'])}"
    packing = _packing(pool)
    return (
        pool["name"], _size(pool), nodes["ready"], wanted, nodes["draining"], used, pool["running"], packing, _state(pool),
    )  # fmt: skip


def _packing(pool: dict[str, Any]) -> str:
    return str(pool["settings"].get("packing", Packing.PACK.value))


def _size(pool: dict[str, Any]) -> str:
    match pool["sizing"]:
        case "fixed":
            return f"{pool['size']}"
        case "auto":
            return f"{pool['min']} to {pool['max']}"
        case _:
            return "as they come"


def _state(pool: dict[str, Any]) -> str:
    if pool["is_paused"]:
        return f"paused ({pool['pause_reason']})"
    if pool["trouble"]:
        return f"trouble: {pool['trouble']}"
    return f"{pool['starting']} starting" if pool["starting"] else "ok"


def _explain(pool: dict[str, Any], events: list[dict[str, Any]]) -> None:
    screen.heading(pool["name"])
    screen.fields(
        {
            "pool": pool["name"],
            "size": _size(pool),
            "nodes": f"{pool['nodes']['ready']} ready, {pool['nodes']['draining']} draining, {pool['starting']} starting",
            "wanted": pool["wanted"],
            "why": pool["why"] or "nobody scales this pool: nodes come and go as they like",
            "packing": _packing(pool),
            "trouble": pool["trouble"],
            "state": _state(pool),
        }
    )
    rows = ((event["at"], event["event"], event["actor"], event["reason"], _nodes(event)) for event in events)
    screen.table(("AT", "EVENT", "BY", "WHY", "NODES"), rows, empty="nothing has happened yet")


def _nodes(event: dict[str, Any]) -> str:
    return ", ".join(event["detail"].get("nodes", []))
