"""Fleets from command lines, such as `10x16cpus,64gib` or `20*cpus=16,mem=64000,pool=gpu,gpu=2,zone:x`, and changes to a fleet."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal

from scheduler.identifiers import NodeId
from scheduler.rules.cluster.nodes import Node
from scheduler.rules.cluster.resources import PLAIN, Resources

_COUNT = re.compile(r"(\d+)[x*]")
_SHORT = re.compile(r"(\d+(?:\.\d+)?)([A-Za-z][A-Za-z0-9_.-]*)")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
_MIB = {"mib": 1, "gib": 1024, "tib": 1024 * 1024}
_SAME = {"cpu": "cpus", "core": "cpus", "cores": "cpus", "memory": "mem", "ram": "mem"}
_SIZES = {*"bkmgt", "kb", "mb", "gb", "tb", "pb", "kib", "pib"}
"""Units that are refused: most people who write 64gb of memory mean 64gib, and nobody means a resource "gb"."""

_MOST_NODES = 100_000
"""Most nodes of one fleet; a larger number is a typing error."""

UNLIMITED = 10**13
"""Memory or disk of a node that does not name an amount: ten petabytes, in thousandths of a MiB. The sum over 100,000
nodes still fits in 64 bits."""


def read_fleet(specs: Sequence[str], first_id: int = 1) -> list[Node]:
    """Return the nodes of specifications, each `[COUNTx]part,…` (or `COUNT*`).

    A part is `16cpus`, `64gib` (of memory; mib, gib or tib) or `2gpu`; or `name=amount` in cpus, MiB and pieces, where memory
    and disk accept these units too (`disk=500gib`). `pool=NAME` sets the pool, `LABEL:VALUE` a label. Memory and disk are
    unlimited unless given; every other resource is absent unless given. Raises ValueError that names the wrong part and
    what to write instead.
    """
    nodes: list[Node] = []
    for spec in specs:
        count, node = _read(spec)
        if len(nodes) + count > _MOST_NODES:
            raise ValueError(f"{spec!r}: more than {_MOST_NODES} nodes")
        for _ in range(count):
            number = first_id + len(nodes)
            nodes.append(replace(node, id=NodeId(number), name=f"node-{number}"))
    return nodes


def changed(nodes: Iterable[Node], *, added: Sequence[str] = (), drained: Sequence[str] = ()) -> list[Node]:
    """Return a fleet with nodes added (specifications) and drained (names). Raises ValueError for an unknown name."""
    fleet = list(nodes)
    unknown = set(drained) - {node.name for node in fleet}
    if unknown:
        raise ValueError("no such nodes: " + ", ".join(sorted(unknown)))
    fleet = [replace(node, draining=True) if node.name in drained else node for node in fleet]
    return fleet + read_fleet(added, max((node.id for node in fleet), default=0) + 1)


def _read(spec: str) -> tuple[int, Node]:
    head = _COUNT.match(spec)
    count = int(head[1]) if head else 1
    rest = spec[head.end() if head else 0 :]
    if not count:
        raise ValueError(f"{spec!r}: {head and head[0]!r} is no node at all; begin with 1x or more")
    if not rest:
        raise ValueError(f"{spec!r} does not say what a node has, such as {spec}16cpus,64gib")
    amounts: dict[str, str] = {}
    labels: dict[str, str] = {}
    for part in filter(None, map(str.strip, rest.split(","))):
        try:
            name, value = _part(part)
        except ValueError as wrong:
            raise ValueError(f"{spec!r}: {part!r} {wrong}") from None
        told = labels if name.endswith(":") else amounts
        if name in told:
            raise ValueError(f"{spec!r}: {part!r} says {name.rstrip(':')} a second time; {_remedy(name)}")
        told[name] = value
    if not amounts.keys() - {"pool"}:
        raise ValueError(f"{spec!r} does not say what a node has, such as 16cpus,64gib")
    pool = amounts.pop("pool", None)
    try:
        return count, Node(NodeId(0), _resources(amounts), pool=pool, labels={key[:-1]: labels[key] for key in labels})
    except (ArithmeticError, ValueError) as wrong:
        raise ValueError(f"{spec!r}: {wrong or 'that is no amount'}") from None


def _part(part: str) -> tuple[str, str]:
    """Return the name and value of a part; the name of a label ends with a colon. The text of a ValueError continues the part."""
    if re.match(r"\d+(\*|x\d)", part):
        raise ValueError("stands behind a comma or another count; give nodes of another kind by an option of their own")
    short = _SHORT.fullmatch(part)
    name, equals, value = part.partition("=")
    label, colon, of_label = part.partition(":")
    if short is not None:
        return _short(short[1], short[2])
    if equals and _NAME.fullmatch(name) and value:
        name = _SAME.get(name.lower(), name)
        return name, value if name == "pool" else _amount(name, value)
    if colon and label:
        return f"{label}:", of_label
    raise ValueError("is none of 16cpus, 64gib, name=amount and label:value")


def _short(number: str, word: str) -> tuple[str, str]:
    """Return the name and amount of a part such as `16cpus`."""
    unit, name = word.lower(), _SAME.get(word.lower(), word)
    if unit in _MIB:
        return "mem", str(Decimal(number) * _MIB[unit])
    if unit in _SIZES:
        raise ValueError(f"has no unit that is known: memory is said in mib, gib or tib, such as {number}gib")
    if name in {"mem", "disk"}:
        raise ValueError(f"has no unit: write {name}={number}gib, or {name}={number} in MiB")
    return name, number


def _amount(name: str, value: str) -> str:
    """Return an amount as a number, in MiB for memory and disk. The text of a ValueError continues the part."""
    sized = _SHORT.fullmatch(value)
    if sized is None or name not in {"mem", "disk"}:
        return value
    if sized[2].lower() not in _MIB:
        raise ValueError(f"has no unit that is known: {name} is said in mib, gib or tib, such as {name}={sized[1]}gib")
    return str(Decimal(sized[1]) * _MIB[sized[2].lower()])


def _remedy(name: str) -> str:
    if name == "mem":
        return "disk is said as disk=200gib"
    return "give nodes of another kind by an option of their own"


def _resources(amounts: dict[str, str]) -> Resources:
    custom = {name: amount for name, amount in amounts.items() if name not in PLAIN}
    given = Resources.of(
        cpus=amounts.get("cpus", 0), mem=amounts.get("mem", 0), disk=amounts.get("disk", 0), custom=custom
    )
    mem, disk = (
        amount if name in amounts else UNLIMITED for name, amount in (("mem", given.mem), ("disk", given.disk))
    )
    return replace(given, mem=mem, disk=disk)
