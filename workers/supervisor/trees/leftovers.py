"""Processes that an earlier supervisor of this node left alive, whatever kind its trees were of."""

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager

from workers.supervisor.confining.cells import Cell
from workers.supervisor.trees import Tree, TreeKind, TreeUsage, choice, scan


class LeftoverTrees:
    """All trees that were found, as one tree that can only be killed and removed."""

    clone_into = None
    takes_threads = True

    def __init__(self, name: str) -> None:
        self.name = name
        self.parts: list[tuple[TreeKind, Tree]] = []
        self.others: list[TreeKind] = []  # kinds that are needed no more when this is removed

    @contextlib.contextmanager
    def entered(self, cell: Cell | None = None) -> Iterator[None]:  # noqa: ARG002  the thread makes no difference
        raise ValueError(f"{self.name} is a leftover: nothing is started in it")
        yield

    def inside(self) -> AbstractContextManager[None]:
        return contextlib.nullcontext()

    def step_out(self) -> None:
        """Nothing is started here."""

    def born(self, pid: int) -> None:
        """Nothing is born here."""

    def signal(self, signum: int) -> None:
        for _, tree in self.parts:
            tree.signal(signum)

    def kill(self) -> None:
        for _, tree in self.parts:
            tree.kill()

    def is_empty(self) -> bool:
        for kind, _ in self.parts:
            kind.refresh()
        return all(tree.is_empty() for _, tree in self.parts)

    def pids(self) -> list[int]:
        return sorted({pid for _, tree in self.parts for pid in tree.pids()})

    def usage(self) -> TreeUsage:
        return TreeUsage()

    def held_mem_mib(self) -> float | None:
        return None

    def oom_kills(self) -> int:
        return sum(tree.oom_kills() for _, tree in self.parts)

    def remove(self) -> None:
        for _, tree in self.parts:
            tree.remove()
        for kind in self.others:
            kind.close()


def find(node: str, kind: TreeKind) -> LeftoverTrees:
    """Return everything that is left. The mark in the environment also finds processes that no cgroup holds."""
    leftover = LeftoverTrees("")  # no tree of a request has an empty name
    marked: list[TreeKind] = [] if kind.name == scan.TreeScan.name else [scan.TreeScan(node)]
    leftover.others = [*choice.with_folders(node, but=kind.name), *marked]
    for each in (kind, *leftover.others):
        leftover.parts += [(each, tree) for tree in each.leftovers()]
    return leftover
