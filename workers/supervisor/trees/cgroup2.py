"""Trees in version 2 cgroups: one folder each, killed by `cgroup.kill`, limited by whatever controllers there are.

A thread can't enter a v2 cgroup alone, so the program is forked straight into it (clone3 with CLONE_INTO_CGROUP).

Controllers are handed down only by a cgroup without processes of its own. Where ours has some (a systemd unit with
`Delegate=yes`), all of them are moved to a leaf beside the trees; the root of the mount is exempt.
"""

import contextlib
import os
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Final

from workers.supervisor.confining.cells import Cell
from workers.supervisor.trees import Tree, TreeLimits, TreeUsage, processes
from workers.supervisor.trees.hierarchy import CgroupHierarchy, CgroupMount, memory_limit

CONTROLLERS: Final = ("memory", "pids", "cpu", "io")
LEAF: Final = "ganger-processes"  # where the processes of our own cgroup go
_PERIOD_US: Final = 100_000  # the kernel's default
_LEAST_QUOTA_US: Final = 1_000  # the kernel's least
_WEIGHT_OF_ONE_CPU: Final = 100  # the kernel's default weight; its range is 1 to 10,000
_MAX_WEIGHT: Final = 10_000
_NO_CONTROLLER: Final = {
    "memory": "Memory is not limited, and lack of it not recognised: no memory controller is handed down here.",
    "pids": "The number of processes is not limited: no pids controller is handed down here.",
    "cpu": "Cpus are not limited: no cpu controller is handed down here.",
}


class Cgroup2:
    """Trees below one folder of the v2 hierarchy."""

    name = "cgroup2"
    forks = True
    takes_cells = True

    def __init__(self, hierarchy: CgroupHierarchy) -> None:
        """Take a node's folder, already made, and hand down every controller that it was given."""
        self.hierarchy = hierarchy
        offered = hierarchy.read("", "cgroup.controllers").split()
        self.controllers = {
            name
            for name in CONTROLLERS
            if name in offered and hierarchy.try_write("", "cgroup.subtree_control", f"+{name}")
        }
        self.missing = [text for name, text in _NO_CONTROLLER.items() if name not in self.controllers]
        self._unremoved: set[str] = set()

    def create(self, name: str, limits: TreeLimits, cell: Cell | None = None) -> "Cgroup2Tree":  # noqa: ARG002  all are equally near
        self._unremoved.discard(name)
        self.hierarchy.make(name)
        tree = Cgroup2Tree(self, name)
        tree.limit(limits)
        return tree

    def leftovers(self) -> list[Tree]:
        return [Cgroup2Tree(self, name) for name in sorted(self.hierarchy.names())]

    def refresh(self) -> None:
        for name in list(self._unremoved):
            self.forget(name)

    def close(self) -> None:
        self.refresh()
        self.hierarchy.remove("")

    def forget(self, name: str) -> None:
        """Remove an empty tree's folder; where it is still busy, at the next `refresh`."""
        if self.hierarchy.prune(name):
            self._unremoved.discard(name)
        else:
            self._unremoved.add(name)


class Cgroup2Tree:
    """One folder."""

    takes_threads = True

    def __init__(self, kind: Cgroup2, name: str) -> None:
        self.name = name
        self.clone_into: int | None = None
        self._kind = kind
        self._files = kind.hierarchy
        self._quota = ""

    def limit(self, limits: TreeLimits) -> None:
        """Set the limits that there are controllers for."""
        have = self._kind.controllers
        if "memory" in have:
            # One process killed for memory takes its tree along: half a job is never taken for a whole one.
            self._files.try_write(self.name, "memory.oom.group", "1")
            if limits.mem is not None:
                self._files.write(self.name, "memory.max", str(memory_limit(limits.mem)))
                self._files.try_write(self.name, "memory.swap.max", "0")
        if limits.pids is not None and "pids" in have:
            self._files.write(self.name, "pids.max", str(limits.pids))
        if limits.cpus is not None and "cpu" in have:
            self._quota = f"{max(limits.cpus * _PERIOD_US // 1000, _LEAST_QUOTA_US)} {_PERIOD_US}"
            self._files.write(self.name, "cpu.max", self._quota)
            weight = min(max(limits.cpus * _WEIGHT_OF_ONE_CPU // 1000, 1), _MAX_WEIGHT)
            self._files.try_write(self.name, "cpu.weight", str(weight))

    @contextlib.contextmanager
    def entered(self, cell: Cell | None = None) -> Iterator[None]:  # noqa: ARG002  the thread makes no difference
        self.clone_into = os.open(self._files.path(self.name), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        # We wait for the child to become the program: out of quota, it would keep all others waiting with us.
        self._lift_quota()
        try:
            yield
        finally:
            os.close(self.clone_into)
            self.clone_into = None
            if self._quota:
                self._files.try_write(self.name, "cpu.max", self._quota)

    def inside(self) -> AbstractContextManager[None]:
        return contextlib.nullcontext()

    def step_out(self) -> None:
        """No thread of ours is inside: the child that becomes the program is."""

    def born(self, pid: int) -> None:
        """Nothing to record: the kernel keeps the list."""

    def signal(self, signum: int) -> None:
        ending = f"/{self._files.folder.rpartition('/')[2]}/{self.name}/"
        for pid in self.pids():
            # The pid may have been given to a stranger since it was listed.
            process = processes.look_up(pid)
            path = processes.cgroup_path(pid, "")
            if process and path and ending in f"{path}/":
                processes.send(pid, signum, process.start)

    def kill(self) -> None:
        self._lift_quota()  # a process out of quota would die only in the next period
        if self._files.try_write(self.name, "cgroup.kill", "1"):
            return
        # Kernels before 5.14: frozen processes fork no more, and die of SIGKILL all the same.
        self._files.try_write(self.name, "cgroup.freeze", "1")
        self.signal(signal.SIGKILL)

    def _lift_quota(self) -> None:
        if self._quota:
            self._files.try_write(self.name, "cpu.max", f"max {_PERIOD_US}")

    def is_empty(self) -> bool:
        return not self._files.number(self.name, "cgroup.events", "populated")

    def pids(self) -> list[int]:
        return self._files.pids(self.name)

    def usage(self) -> TreeUsage:
        cpu_us = self._files.number(self.name, "cpu.stat", "usage_usec")
        peak = self._files.number(self.name, "memory.peak")
        return TreeUsage(
            cpu_s=None if cpu_us is None else cpu_us / 1e6,
            peak_mem_mib=None if peak is None else peak / (1 << 20),
        )

    def held_mem_mib(self) -> float | None:
        held = self._files.number(self.name, "memory.current")
        return None if held is None else held / (1 << 20)

    def oom_kills(self) -> int:
        return self._files.number(self.name, "memory.events", "oom_kill") or 0

    def remove(self) -> None:
        self._kind.forget(self.name)


def find(node: str, mounted: list[CgroupMount]) -> tuple[Cgroup2 | None, str]:
    """Return version 2 trees for a node where they can be made, else `None` and why not."""
    mount = next((each for each in mounted if each.version == 2), None)  # noqa: PLR2004
    if mount is None:
        return None, "no version 2 hierarchy is mounted"
    home = home_folder(mount.path, processes.cgroup_path(os.getpid(), "") or "/")
    try:
        make_room(CgroupHierarchy(home))
        os.makedirs(f"{home}/{node}", 0o755, exist_ok=True)
    except OSError as error:
        return None, str(error)
    hierarchy = CgroupHierarchy(f"{home}/{node}")
    # To start a process in a cgroup one must be allowed to move it out of the common ancestor.
    if not os.access(f"{home}/{node}/cgroup.procs", os.W_OK) or not os.access(f"{home}/cgroup.procs", os.W_OK):
        hierarchy.remove("")
        return None, f"{home}/cgroup.procs is not writable"
    return Cgroup2(hierarchy), ""


def home_folder(mount: str, mine: str) -> str:
    """Return the cgroup that the node's folder goes into: our own, or that above where we were moved to a leaf."""
    path = mine.rstrip("/").removesuffix(f"/{LEAF}")
    # A container may show its own part of the hierarchy as the root, under a path of the host.
    return f"{mount}{path}" if os.path.isdir(f"{mount}{path}") else mount


def make_room(home: CgroupHierarchy) -> None:
    """Have all controllers handed down by our cgroup, moving its processes to a leaf where that is needed."""
    for controller in home.read("", "cgroup.controllers").split():
        if controller not in CONTROLLERS or home.try_write("", "cgroup.subtree_control", f"+{controller}"):
            continue
        with contextlib.suppress(FileExistsError):
            os.mkdir(home.path(LEAF), 0o755)
        for pid in home.read("", "cgroup.procs").split():
            home.try_write(LEAF, "cgroup.procs", pid)  # it may have ended meanwhile
        home.try_write("", "cgroup.subtree_control", f"+{controller}")
