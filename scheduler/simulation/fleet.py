"""Fleets as said on a command line: `20*cpus=16,mem=64000` or `cpus=8,pool=gpu,gpu=2,zone:x`, and changes to one as it is."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from scheduler.rules.nodes import Node
from scheduler.rules.resources import PLAIN, Resources

_MOST_NODES = 100_000
"""Nodes of one fleet; more is a slip of the finger."""


def read_fleet(specs: Sequence[str], first_id: int = 1) -> list[Node]:
    """Nodes from specifications, each `[COUNT*]name=amount,…`; amounts in cpus, MiB and pieces.

    `pool=NAME` sets the pool, `LABEL:VALUE` a label, any other name a custom resource. Raises ValueError naming what is wrong.
    """
    nodes: list[Node] = []
    for spec in specs:
        count, node = _read(spec)
        if len(nodes) + count > _MOST_NODES:
            raise ValueError(f"{spec!r}: more than {_MOST_NODES} nodes")
        for _ in range(count):
            number = first_id + len(nodes)
            nodes.append(replace(node, id=number, name=f"node-{number}"))
    return nodes


def changed(nodes: Iterable[Node], *, added: Sequence[str] = (), drained: Sequence[str] = ()) -> list[Node]:
    """A fleet with nodes added (specifications) and drained (names). Raises ValueError for a name that is not there."""
    fleet = list(nodes)
    unknown = set(drained) - {node.name for node in fleet}
    if unknown:
        raise ValueError("no such nodes: " + ", ".join(sorted(unknown)))
    fleet = [replace(node, draining=True) if node.name in drained else node for node in fleet]
    return fleet + read_fleet(added, max((node.id for node in fleet), default=0) + 1)


def _read(spec: str) -> tuple[int, Node]:
    count, _, rest = spec.rpartition("*")
    if count and not count.isdigit():
        raise ValueError(f"{spec!r}: {count!r} is not a number of nodes")
    amounts: dict[str, str] = {}
    labels: dict[str, str] = {}
    for part in filter(None, rest.split(",")):
        name, equals, value = part.partition("=")
        label, colon, of_label = part.partition(":")
        if equals and name and value:
            amounts[name] = value
        elif colon and label:
            labels[label] = of_label
        else:
            raise ValueError(f"{spec!r}: {part!r} is neither name=amount nor label:value")
    pool = amounts.pop("pool", None)
    return int(count or 1), Node(0, _resources(amounts), pool=pool, labels=labels)


def _resources(amounts: dict[str, str]) -> Resources:
    custom = {name: amount for name, amount in amounts.items() if name not in PLAIN}
    plain = {name: amounts.get(name, 0) for name in PLAIN}
    return Resources.of(cpus=plain["cpus"], mem=plain["mem"], disk=plain["disk"], custom=custom)
