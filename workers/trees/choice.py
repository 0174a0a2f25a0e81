"""Which kind of tree a node gets: the first, in order of power, that works here when it is tried."""

import binascii
import os
from typing import Final

from workers.trees import TreeKind, cgroup1, hierarchy, scan

NAMES: Final = ("cgroup2", "cgroup1", "pidns", "scan")
_NAME_CHARACTERS: Final = 40


class UnusableError(ValueError):
    """The kind of tree asked for does not work here."""


def node_name(directory: str) -> str:
    """Return the name under which all trees of a node lie: readable, and one for each directory."""
    real = os.path.realpath(directory)
    word = "".join(c if c.isalnum() and c.isascii() else "-" for c in real.rpartition("/")[2])
    return f"ganger-{word[:_NAME_CHARACTERS]}-{binascii.crc32(os.fsencode(real)):08x}"


def choose(node: str, forced: str | None = None) -> TreeKind:
    """Return the kind of tree for this node, tried out. Raises `UnusableError` for a forced one that fails."""
    refusals = []
    mounted = hierarchy.mounts()
    for name in NAMES if forced is None else [forced]:
        kind, refusal = _try(name, node, mounted)
        if kind is not None:
            return kind
        refusals.append(f"{name}: {refusal}")
    raise UnusableError("; ".join(refusals))


def _try(name: str, node: str, mounted: list[hierarchy.Mount]) -> tuple[TreeKind | None, str]:
    match name:
        case "cgroup1":
            return cgroup1.find(node, mounted)
        case "scan":
            return scan.Scan(node), ""
        case _:
            return None, f"no such kind of tree; there are {', '.join(NAMES)}"


def with_folders(node: str) -> list[TreeKind]:
    """Return the kinds of cgroup trees of which this node has a folder, from now or from earlier lives."""
    mounted = hierarchy.mounts()
    found = []
    if any(each.version == 1 and os.path.isdir(f"{each.path}/{node}") for each in mounted):
        found.append(_try("cgroup1", node, mounted)[0])
    return [kind for kind in found if kind is not None]
