"""Trees found in the process table: the last resort, for users whom the kernel grants nothing better.

Every program is started in a session of its own, with the tree's name in its environment, and the supervisor
adopts orphans. A process belongs to a tree when its parent or session does, or it carries the tree's mark.
The facts that are known of a process are kept, so one that later changes session and parent stays found. One that does
all of it (wipes its environment, new session, parent dead) between two looks is an adopted orphan without a
name: it belongs to the only running tree, and where several run it is killed, since nobody could tell
later whose it is.
"""

import contextlib
import os
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Final

from workers.supervisor.confining.cells import Cell
from workers.supervisor.trees import Tree, TreeLimits, TreeUsage, processes
from workers.supervisor.trees.processes import Process

MARK: Final = "GANGER_TREE"  # in the environment of every program: `<node>/<tree>`
_STOP_ROUNDS: Final = 20  # looks for new processes before those that were stopped are killed
_MISSING: Final = [
    "Cpus, memory and the number of processes are not limited: no cgroups can be made here.",
    "Lack of memory is not recognised: the kernel counts it for cgroups only.",
    "Memory peaks are those of the largest process, and those below the supervisor's own size are not seen.",
    "Cpu seconds leave out processes that nobody waited for.",
    "A process that hides from its session, its parent and its environment at once may get away.",
]


class TreeScan:
    """All trees of the node share one reading of the process table."""

    name = "scan"
    forks = False
    takes_cells = True
    missing = _MISSING

    def __init__(self, node: str) -> None:
        self._prefix = f"{node}/"
        self._trees: dict[str, ScanTree] = {}
        self._owners: dict[int, tuple[int, str | None]] = {}  # pid to start and tree; None: not ours
        self._fresh = False
        self._sweeping = False

    def create(self, name: str, limits: TreeLimits, cell: Cell | None = None) -> "ScanTree":  # noqa: ARG002  all are equally near
        del limits  # there is no way to keep them
        self._trees[name] = ScanTree(self, name)
        return self._trees[name]

    def leftovers(self) -> list[Tree]:
        self._sweeping = True
        self._look()
        self._sweeping = False
        return [*self._trees.values()]

    def refresh(self) -> None:
        self._fresh = False

    def close(self) -> None:
        """Nothing is left."""

    def members(self, name: str, *, anew: bool = False) -> list[Process]:
        """Return the living processes of a tree, from a process table read at most one loop of the supervisor ago."""
        if anew or not self._fresh:
            self._look()
        return [*self._trees[name].alive] if name in self._trees else []

    def adopt(self, process: Process, name: str) -> None:
        """Record that a process belongs to a tree."""
        self._owners[process.pid] = (process.start, name)
        self._fresh = False

    def forget(self, name: str) -> None:
        """Drop a tree."""
        self._trees.pop(name, None)

    def _look(self) -> None:
        """Read the whole process table once and sort it into trees."""
        table = {each.pid: each for pid in processes.pids() if (each := processes.look_up(pid))}
        known = {pid: (start, name) for pid, (start, name) in self._owners.items()
                 if pid in table and table[pid].start == start}  # fmt: skip
        # Parents come before children where pids have not wrapped round; `_owner` climbs where they have.
        self._owners = known
        for process in sorted(table.values(), key=lambda each: each.start):
            if process.pid not in known:
                known[process.pid] = (process.start, self._owner(process))
        for tree in self._trees.values():
            tree.alive = []
        for pid, (_, name) in known.items():
            if name is not None:
                self._trees.setdefault(name, ScanTree(self, name)).alive.append(table[pid])
        self._fresh = True

    def _owner(self, process: Process) -> str | None:
        if process.pid == os.getpid():
            return None
        for relative in (process.parent, process.session):
            _, owner = self._owners.get(relative, (0, None))
            if owner is not None:
                return owner
        mark = processes.variable(process.pid, MARK) or ""
        name = mark.removeprefix(self._prefix)
        if name != mark and (name in self._trees or self._sweeping):
            return name
        return self._claim_orphan(process) if process.parent == os.getpid() else None

    def _claim_orphan(self, process: Process) -> str | None:
        if len(self._trees) == 1:
            return next(iter(self._trees))
        processes.send(process.pid, signal.SIGKILL, process.start)
        return None


class ScanTree:
    """The processes of one tree, from the last reading of the process table."""

    clone_into = None
    takes_threads = True

    def __init__(self, kind: TreeScan, name: str) -> None:
        self.name = name
        self.alive: list[Process] = []
        self._kind = kind

    @contextlib.contextmanager
    def entered(self, cell: Cell | None = None) -> Iterator[None]:  # noqa: ARG002  the thread makes no difference
        yield

    def inside(self) -> AbstractContextManager[None]:
        return contextlib.nullcontext()

    def step_out(self) -> None:
        """Nothing limits a thread."""

    def born(self, pid: int) -> None:
        process = processes.look_up(pid)
        if process is not None:
            self._kind.adopt(process, self.name)

    def signal(self, signum: int) -> None:
        for process in self._kind.members(self.name, anew=True):
            processes.send(process.pid, signum, process.start)

    def kill(self) -> None:
        # Stop first, kill afterwards: a stopped process forks no more, so the set becomes complete.
        stopped: set[Process] = set()
        for _ in range(_STOP_ROUNDS):
            new = set(self._kind.members(self.name, anew=True)) - stopped
            if not new:
                break
            for process in new:
                processes.send(process.pid, signal.SIGSTOP, process.start)
            stopped |= new
        for process in stopped:
            processes.send(process.pid, signal.SIGKILL, process.start)
        self._kind.refresh()

    def is_empty(self) -> bool:
        return not self._kind.members(self.name)

    def pids(self) -> list[int]:
        return [process.pid for process in self._kind.members(self.name, anew=True)]

    def usage(self) -> TreeUsage:
        return TreeUsage()

    def held_mem_mib(self) -> float | None:
        return None

    def oom_kills(self) -> int:
        return 0

    def remove(self) -> None:
        self._kind.forget(self.name)
