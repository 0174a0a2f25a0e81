"""The kind of tree that a node gets: the first, in order of power, that works here when it is tried."""

import binascii
import os
from collections.abc import Callable
from typing import Final

from workers.supervisor.trees import (
    StrandedError,
    TreeKind,
    cgroup1,
    cgroup2,
    hierarchy,
    pid_namespace,
    processes,
    scan,
)

NAMES: Final = ("cgroup2", "cgroup1", "pidns", "scan")
_ENOUGH: Final = {"memory", "pids"}
_NAME_CHARACTERS: Final = 40


class UnusableError(ValueError):
    """The requested kind of tree does not work here."""


def node_name(directory: str) -> str:
    """Return the name under which all trees of a node lie: readable, and one for each directory."""
    real = os.path.realpath(directory)
    word = "".join(c if c.isalnum() and c.isascii() else "-" for c in real.rpartition("/")[2])
    return f"ganger-{word[:_NAME_CHARACTERS]}-{binascii.crc32(os.fsencode(real)):08x}"


def choose(node: str, forced: str | None = None, report: Callable[[str], None] = lambda _: None) -> TreeKind:
    """Return the kind of tree for this node, tried out. Raises `UnusableError` for a forced one that fails.

    `report` is called with a sentence for every better kind: why it is not taken.

    Version 2 without its memory and pids controllers (hybrid hosts) comes only after version 1, which has them.
    """
    mounted = hierarchy.mounts()
    refusals = []
    weaker: TreeKind | None = None
    for name in NAMES if forced is None else [forced]:
        if name == "pidns" and weaker is not None:
            return weaker
        kind, refusal = _try(name, node, mounted)
        if isinstance(kind, cgroup2.Cgroup2) and not kind.controllers >= _ENOUGH and forced is None:
            weaker = kind
        elif kind is not None:
            if weaker is not None:
                weaker.close()
            return kind
        refusals.append(f"{name}: {refusal}")
        report(f"trees are not held by {refusals[-1]}")
    raise UnusableError("; ".join(refusals))


def with_folders(node: str, but: str) -> list[TreeKind]:
    """Return the kinds of cgroup trees, but one, of which this node has a folder from an earlier life."""
    mounted = hierarchy.mounts()
    versions = {each.version for each in mounted if _has_folder(each, node)}
    names = {f"cgroup{version}" for version in versions} - {but}
    found = [_try(name, node, mounted)[0] for name in sorted(names)]
    return [kind for kind in found if kind is not None]


def _has_folder(mount: hierarchy.CgroupMount, node: str) -> bool:
    if mount.version == 1:
        return os.path.isdir(f"{mount.path}/{node}")
    mine = processes.cgroup_path(os.getpid(), "") or "/"
    return os.path.isdir(f"{cgroup2.home_folder(mount.path, mine)}/{node}")


def _try(name: str, node: str, mounted: list[hierarchy.CgroupMount]) -> tuple[TreeKind | None, str]:
    try:
        return _find(name, node, mounted)
    except (OSError, StrandedError) as error:
        return None, str(error)


def _find(name: str, node: str, mounted: list[hierarchy.CgroupMount]) -> tuple[TreeKind | None, str]:
    match name:
        case "cgroup2":
            return cgroup2.find(node, mounted)
        case "cgroup1":
            return cgroup1.find(node, mounted)
        case "pidns":
            return pid_namespace.find(node)
        case "scan":
            return scan.TreeScan(node), ""
        case _:
            return None, f"no such kind of tree; there are {', '.join(NAMES)}"
