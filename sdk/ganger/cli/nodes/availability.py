"""`ganger drain`, `pause`, `resume`: whether nodes, a pool, or the scheduler itself give out work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from ganger.cli import screen
from ganger.cli.connection import Connection
from ganger.cli.nodes import nodes as nodes_listed
from ganger.cli.options import expanded
from ganger.cli.quantities import positive_seconds
from ganger.errors import UsageError

if TYPE_CHECKING:
    from ganger import Node

NodeNames: TypeAlias = Annotated[list[str] | None, typer.Argument(metavar="NODE...", help="Names or ids of nodes.")]
Reason: TypeAlias = Annotated[str | None, typer.Option(help="Why, for the others.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSetOptions:
    """The options by which a command is about more than single nodes."""

    pool: Annotated[str | None, typer.Option("--pool", help="A whole pool instead of nodes.")] = None
    scheduler: Annotated[bool, typer.Option("--scheduler", help="The scheduler itself: nothing starts anywhere.")] = (
        False
    )


@expanded
def drain(
    nodes: NodeNames = None,
    *,
    within: Annotated[
        float | None,
        typer.Option(
            parser=positive_seconds,
            metavar="TIME",
            help="After so long, 10m or seconds, running work is stopped and queued again.",
        ),
    ] = None,
    reason: Reason = None,
    connection: Connection,
) -> None:
    """Let nodes finish what they run, take nothing more, and leave.

    [bold]ganger drain rack-7 --reason "new disk"[/]
    """
    changes: dict[str, object] = {"is_draining": True, "drain_reason": reason}
    if within is not None:
        changes["drain_s"] = within
    _change_nodes(connection, nodes, changes, "draining")


@expanded
def pause(
    nodes: NodeNames = None,
    *,
    whole: NodeSetOptions,
    reason: Reason = None,
    connection: Connection,
) -> None:
    """Give nodes, a pool, or all of them no new work; what runs there goes on.

    [bold]ganger pause --pool night --reason "storage is slow"[/]

    [bold]ganger pause --scheduler[/]
    """
    why = reason or "paused by hand"
    _require_one_kind(nodes, whole)
    if whole.scheduler:
        _change_scheduler(connection, {"is_paused": True, "pause_reason": why}, "is paused")
    elif whole.pool is not None:
        _change_pool(connection, whole.pool, {"is_paused": True, "reason": why}, "paused")
    else:
        _change_nodes(connection, nodes, {"is_paused": True, "pause_reason": why}, "paused")


@expanded
def resume(
    nodes: NodeNames = None,
    *,
    whole: NodeSetOptions,
    reason: Reason = None,
    connection: Connection,
) -> None:
    """Give paused, draining or avoided nodes, a paused pool, or all of them work again.

    A node that is avoided because it failed to start jobs is tried again at once.

    [bold]ganger resume rack-7[/]

    [bold]ganger resume --scheduler[/]
    """
    _require_one_kind(nodes, whole)
    if whole.scheduler:
        _change_scheduler(connection, {"is_paused": False}, "goes on")
    elif whole.pool is not None:
        _change_pool(connection, whole.pool, {"is_paused": False, "reason": reason}, "takes work again")
    else:
        _change_nodes(connection, nodes, {"is_paused": False, "is_draining": False}, "takes work again")


def _require_one_kind(nodes: list[str] | None, whole: NodeSetOptions) -> None:
    if whole.scheduler and (nodes or whole.pool is not None):
        raise UsageError("name nodes, a pool or --scheduler, not several")
    if whole.pool is not None and nodes:
        raise UsageError("name nodes or a pool, not both")


def _change_scheduler(connection: Connection, changes: Mapping[str, object], done: str) -> None:
    with connection.client() as api:
        api.scheduler.change(changes)
    screen.text(f"the scheduler {done}")


def _change_pool(connection: Connection, pool: str, changes: Mapping[str, object], done: str) -> None:
    with connection.client() as api:
        api.pools.change(pool, changes)
    screen.text(f"pool {pool} {done}")


def _change_nodes(connection: Connection, names: list[str] | None, changes: Mapping[str, object], done: str) -> None:
    if not names:
        raise UsageError("name at least one node")
    with connection.client() as api:
        known = list(api.nodes.list(**nodes_listed.ALL))
        chosen = [nodes_listed.required(known, name) for name in names]
        gone = next((node for node in chosen if node.state == "GONE"), None)
        if gone is not None:
            raise UsageError(
                f"{gone.name} has left; it is back when its `ganger worker`, or `ganger up`, is started again"
            )
        for node in chosen:
            api.nodes.change(node.id, changes)
            screen.text(f"{node.name} {done}")
    if changes.get("is_draining"):
        _tell_what_follows(known, chosen)


def _tell_what_follows(known: Sequence[Node], drained: Sequence[Node]) -> None:
    """Say on a note what draining means, and what it means if no other node is there."""
    ids = {node.id for node in drained}
    others = [node for node in known if node.state == "READY" and node.id not in ids]
    named = " ".join(node.name for node in drained)
    it = "it" if len(drained) == 1 else "they"
    screen.note(
        f"ganger: what runs there goes on, then {it} leave{'s' if it == 'it' else ''}; until then `ganger resume {named}` takes {'it' if it == 'it' else 'them'} back"
    )
    if not others:
        screen.note(
            "ganger: no other node is ready: jobs wait then, until a node is started (`ganger worker`, or `ganger up` anew)"
        )
