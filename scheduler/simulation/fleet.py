"""Fleets as said on a command line: `10x16cpus,64gib` or `20*cpus=16,mem=64000,pool=gpu,gpu=2,zone:x`, and changes to one."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal

from scheduler.rules.nodes import Node
from scheduler.rules.resources import PLAIN, Resources

_COUNT = re.compile(r"(\d+)[x*](?=.)")
_SHORT = re.compile(r"(\d+(?:\.\d+)?)([A-Za-z][A-Za-z0-9_.-]*)")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
_MIB = {"mib": 1, "gib": 1024, "tib": 1024 * 1024}
_CPUS = {"cpu": "cpus", "cpus": "cpus", "core": "cpus", "cores": "cpus"}

_MOST_NODES = 100_000
"""Nodes of one fleet; more is a slip of the finger."""


def read_fleet(specs: Sequence[str], first_id: int = 1) -> list[Node]:
    """Nodes from specifications, each `[COUNTx]part,…` (or `COUNT*`).

    A part is `16cpus`, `64gib` (of memory; mib, gib or tib) or `2gpu`; or `name=amount` in cpus, MiB and pieces, where memory and disk
    take these units too (`disk=500gib`). `pool=NAME` sets the pool, `LABEL:VALUE` a label. Raises ValueError naming what is wrong.
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
    head = _COUNT.match(spec)
    count = int(head[1]) if head else 1
    amounts: dict[str, str] = {}
    labels: dict[str, str] = {}
    for part in filter(None, spec[head.end() if head else 0 :].split(",")):
        short = _SHORT.fullmatch(part)
        name, equals, value = part.partition("=")
        label, colon, of_label = part.partition(":")
        if short is not None:
            word = short[2].lower()
            amounts["mem" if word in _MIB else _CPUS.get(word, short[2])] = part if word in _MIB else short[1]
        elif equals and _NAME.fullmatch(name) and value:
            amounts[name] = value
        elif colon and label:
            labels[label] = of_label
        else:
            raise ValueError(f"{spec!r}: {part!r} is none of 16cpus, 64gib, name=amount and label:value")
    if not amounts:
        raise ValueError(f"{spec!r} does not say what a node has")
    pool = amounts.pop("pool", None)
    try:
        return count, Node(0, _resources(amounts), pool=pool, labels=labels)
    except (ArithmeticError, ValueError) as wrong:
        raise ValueError(f"{spec!r}: {wrong or 'that is no amount'}") from None


def _resources(amounts: dict[str, str]) -> Resources:
    custom = {name: amount for name, amount in amounts.items() if name not in PLAIN}
    plain = {name: _mib(amounts.get(name, "0")) for name in PLAIN}
    return Resources.of(cpus=plain["cpus"], mem=plain["mem"], disk=plain["disk"], custom=custom)


def _mib(amount: str) -> str:
    """An amount without its unit, in MiB where it had one."""
    sized = _SHORT.fullmatch(amount)
    if sized is None or sized[2].lower() not in _MIB:
        return amount
    return str(Decimal(sized[1]) * _MIB[sized[2].lower()])
