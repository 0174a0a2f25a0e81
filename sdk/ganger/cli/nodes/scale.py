"""`ganger scale`: how many nodes a pool should have, or that it follows demand."""

from __future__ import annotations

import time
from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from ganger.answers import PoolView
from ganger.cli import screen
from ganger.cli.connection import Connection
from ganger.cli.nodes.pools import size_of
from ganger.cli.options import Json, expanded
from ganger.errors import UsageError

if TYPE_CHECKING:
    from ganger import Client

TROUBLE_POLLS, TROUBLE_POLL_S = 5, 0.5
"""A leader decides about pools every second."""

PoolName = Annotated[str, typer.Argument(metavar="POOL", help="The pool's name.")]


class PoolPacking(StrEnum):
    """How a pool's nodes are filled: one after the other, or evenly."""

    PACK = "pack"
    SPREAD = "spread"


@expanded
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
        PoolPacking | None, typer.Option(help="Fill its nodes one after the other (pack), or evenly (spread).")
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Why, for the others.")] = None,
    as_json: Json = False,
    connection: Connection,
) -> None:
    """Say how many nodes a pool should have, or let it follow demand. Nodes that go finish their work first.

    [bold]ganger scale default 4[/]

    [bold]ganger scale default --min 1 --max 20[/]

    [bold]ganger scale web --packing spread[/]
    """
    sizes: dict[str, object] = {"size": size, "min": smallest, "max": largest, "reason": reason}
    changes = _changes(sizes, free=free, drivers=driver or [], packing=packing)
    with connection.client() as api:
        pool = _create_or_change(api, name, changes) if create else api.pools.change(name, changes)
        trouble = _trouble(api, name) if driver else None
    if as_json:
        screen.document(pool)
    else:
        screen.text(f"{name}: {size_of(pool)}, {screen.many(pool['nodes']['total'], 'node')} now")
        if trouble:
            screen.note(f"warning: {trouble}")


def _trouble(api: Client, name: str) -> str | None:
    """Return what the scheduler says of a pool's drivers, which it tries at once; None if it says nothing within a while."""
    for _ in range(TROUBLE_POLLS):
        time.sleep(TROUBLE_POLL_S)
        found: str | None = api.pools.get(name)["trouble"]
        if found:
            return found
    return None


def _changes(
    sizes: dict[str, object], *, free: bool, drivers: list[str], packing: PoolPacking | None
) -> dict[str, object]:
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


def _create_or_change(api: Client, name: str, changes: Mapping[str, object]) -> PoolView:
    from ganger import Conflict  # noqa: PLC0415 - the connection has brought it anyway

    try:
        return api.pools.create(name, changes)
    except Conflict:
        return api.pools.change(name, changes)
