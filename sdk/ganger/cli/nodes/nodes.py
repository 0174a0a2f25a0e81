"""`ganger nodes`: the machines, what they have and what is free."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from ganger.cli import screen
from ganger.cli.connection import Connection
from ganger.cli.options import Json, ListByDefault, expanded
from ganger.documents import JsonObject
from ganger.errors import NotFound, UsageError

if TYPE_CHECKING:
    from ganger import Node

nodes = typer.Typer(help="List nodes and look at one; see also pause, drain and resume.", cls=ListByDefault)

NodeName = Annotated[str, typer.Argument(metavar="NODE", help="The node's name, host name or id.")]


@nodes.command("list")
@expanded
def list_nodes(
    *,
    everything: Annotated[bool, typer.Option("--all", help="Also those that have left.")] = False,
    as_json: Json = False,
    connection: Connection,
) -> None:
    """List nodes with what they have and what is free; warn of those that cannot hold jobs to their limits.

    [bold]ganger nodes --all[/]
    """
    with connection.client() as api:
        nodes_found = api.nodes.list(**(ALL if everything else {}))
        if as_json:
            for node in nodes_found:
                screen.line(node.document)
            return
        listed = list(nodes_found)
    screen.table(HEADINGS, (_row(node) for node in listed), empty="no nodes: start one with `ganger worker`")
    for warning in warnings(listed):
        screen.note(warning)


@nodes.command("show")
@expanded
def show(
    name: NodeName,
    *,
    as_json: Json = False,
    connection: Connection,
) -> None:
    """Show a node.

    [bold]ganger nodes show rack-7[/]
    """
    with connection.client() as api:
        known = list(api.nodes.list(**ALL))
        node = api.nodes.get((named(known, name) or _on_host(known, name)).id)
    if as_json:
        screen.document(node.document)
        return
    screen.fields({key: _text(value) for key, value in node.document.items()})
    for warning in warnings([node]):
        screen.note(warning)


def warnings(listed: Sequence[Node]) -> list[str]:
    """Return what nodes that are here cannot hold jobs to, a sentence or more for all nodes that lack the same."""
    lacking: dict[tuple[str, ...], list[str]] = {}
    for node in listed:
        missing = (node.document.get("powers") or {}).get("missing") or ()
        if missing and node.state not in LEFT:
            lacking.setdefault(tuple(missing), []).append(node.name)
    skewed = [
        f"warning: the clock of {node.name} is about {screen.duration(abs(node.clock_skew_s))} "
        f"{'ahead of' if node.clock_skew_s > 0 else 'behind'} the server's; its times are not to be trusted"
        for node in listed
        if node.clock_skew_s is not None and abs(node.clock_skew_s) >= SKEW_TOLD_S and node.state not in LEFT
    ]
    return [f"warning: {_several(names)}: {' '.join(missing)}" for missing, names in lacking.items()] + skewed


def _several(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= NAMED else f"{', '.join(names[:NAMED])} and {len(names) - NAMED} more"


def named(known: Iterable[Node], name: str) -> Node | None:
    """Return the node of this name, else the one of this id, among those listed; None where there is neither."""
    listed = list(known)
    by_name = next((node for node in listed if node.name == name), None)
    return by_name or next((node for node in listed if str(node.id) == name), None)


def required(known: Iterable[Node], name: str) -> Node:
    """Return the node of this name or id, among those listed. Raises NotFound where there is none."""
    found = named(known, name)
    if found is None:
        raise _none_of(name)
    return found


def _none_of(name: str) -> NotFound:
    return NotFound(f"there is no node {name!r}", status=404, kind="not-found")


def _on_host(known: list[Node], name: str) -> Node:
    """Return the one node on a host, of several the one that has not left. Raises NotFound, UsageError."""
    there = [node for node in known if node.hostname == name]
    there = [node for node in there if node.state not in LEFT] or there
    if len(there) > 1:
        raise UsageError(f"{name!r} is the host of {len(there)} nodes: {_several([node.name for node in there])}")
    if not there:
        raise _none_of(name)
    return there[0]


LEFT = {"GONE", "LOST"}
SKEW_TOLD_S = 10.0
"""As in the warnings of `ganger status`."""

ALL: JsonObject = {"state": ["READY", "LOST", "GONE"]}
NAMED = 5
MIB = 1024 * 1024
HEADINGS = ("ID", "NAME", "POOL", "STATE", "CPUS FREE", "MEMORY FREE", "DISK FREE", "RUNNING", "ISOLATION", "LABELS")


def _row(node: Node) -> tuple[object, ...]:
    document = node.document
    labels = ", ".join(f"{name}={value}" for name, value in node.labels.items() if not _own(name))
    resources = document.get("resources") or {}
    here = node.state not in LEFT  # what a node had that is gone is free for nobody
    amounts = [
        _free(resources, name, unit) if here else "" for name, unit in (("cpus", 1), ("mem", MIB), ("disk", MIB))
    ]
    return (
        node.id,
        node.name,
        node.pool,
        _state(node),
        *amounts,
        document.get("num_running", ""),
        document.get("isolation") or "",
        labels,
    )


def _own(label: str) -> bool:
    """Tell whether a label is one that every node gives itself; `ganger nodes show` has them all."""
    return label in {"os", "arch", "kernel", "python", "isolation"} or label.startswith("runner.")


def _free(resources: JsonObject, name: str, unit: int) -> str:
    free, total = ((resources.get(kind) or {}).get(name) for kind in ("free", "total"))
    if free is None or total is None:
        return ""
    text = screen.number if unit == 1 else screen.size
    return f"{text(free * unit)} of {text(total * unit)}"


def _state(node: Node) -> str:
    reason = node.pause_reason if node.is_paused else node.degraded
    if node.state == "AVOIDED":
        reason = f"could not start jobs; next chance at {screen.moment(node.avoided_until)}"
    return f"{node.state} ({reason})" if reason else node.state


def _text(value: object) -> str | None:
    if value is None or (isinstance(value, dict | list) and not value):
        return None
    return value if isinstance(value, str) else screen.compact(value)
