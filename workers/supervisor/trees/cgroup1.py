"""Trees in version 1 cgroups, also on hybrid hosts: limits by the v1 controllers, killing by closed door.

A thread may enter a v1 cgroup alone, through `tasks`: the supervisor's thread enters, starts the program by
vfork and leaves, so the program is inside before it executes, for some 20 us per hierarchy. A cell's thread stays
inside from one run to the next. It leaves the controller of cpus alone, whose quota would stop it together with what
it has started. (A thread enters by itself, writing 0: to move another one costs a hundred times as much.)

Killing must win against a program that forks faster than we list it. `pids.max = 0` closes the door: no fork
succeeds any more, and every listed process is killed. Without the pids controller the freezer holds
them still instead. An empty v2 tree beside v1 would offer `cgroup.kill`, but a thread can't enter v2 alone;
going in by clone3 costs 0.4 ms for each start and kills no better.

Making and removing the folders of one tree costs 0.25 ms, so folders are slots: a tree that ended by itself and
left nothing passes its slot on, with counters set back. One that had to be killed, or left memory, does not.
"""

import contextlib
import os
import resource
import signal
from collections.abc import Iterator
from typing import Final

from workers.supervisor.confining.cells import Cell
from workers.supervisor.trees import StrandedError, Tree, TreeLimits, TreeUsage, processes
from workers.supervisor.trees.hierarchy import CgroupFiles, CgroupHierarchy, CgroupMount, has_folders, memory_limit

WANTED: Final = ("pids", "memory", "cpu", "cpuacct")
_QUOTA: Final = "cpu.cfs_quota_us"
_PERIOD_US: Final = 100_000  # the kernel's default for cpu.cfs_period_us
_LEAST_QUOTA_US: Final = 1_000  # the kernel's least
_LEAST_PIDS: Final = 3  # the threads that start the program are counted beside it
_IDLE_SLOTS: Final = 64  # more than are started in any moment
_DESCRIPTORS_PER_SLOT: Final = 32  # a third of that is what a slot keeps open: the rest is for everything else
_HELD_BYTES: Final = 1 << 20  # memory that a slot may still be charged with; it blurs the next peak by as much
_NO_LIMIT: Final = {
    "pids": "The number of processes is not limited: no pids controller can be used here.",
    "memory": "Memory is not limited, and lack of it not recognised: no memory controller can be used here.",
    "cpu": "Cpus are not limited: no cpu controller can be used here.",
    "cpuacct": "Cpu seconds leave out processes nobody waited for: no cpuacct controller can be used here.",
}


class CgroupSlot:
    """One folder in each hierarchy, used by one tree after another while nothing but its name tells them apart."""

    def __init__(
        self, name: str, hierarchies: dict[str, CgroupHierarchy], *, reusable: bool, keep: bool = False
    ) -> None:
        """`keep`: leave the files open from one use to the next."""
        self.name = name
        self.reusable = reusable
        by_folder = {each.folder: CgroupFiles(each.path(name), keep=keep) for each in hierarchies.values()}
        self.files = {controller: by_folder[each.folder] for controller, each in hierarchies.items()}
        self.distinct = list(by_folder.values())
        self.keeps = keep
        self.limits = TreeLimits()
        self.cell: Cell | None = None  # which lives in it
        self.oom_seen = 0  # the kernel's counter can't be set back

    def let_go(self) -> bool:
        """Close the open files, for good. Returns whether they were kept open."""
        for files in self.distinct:
            files.close()
        kept, self.keeps = self.keeps, False
        return kept


class Cgroup1:
    """Trees below one folder in each usable v1 hierarchy."""

    name = "cgroup1"
    forks = False

    def __init__(self, hierarchies: dict[str, CgroupHierarchy]) -> None:
        """Take what `find` found: controller to hierarchy; several controllers may share one."""
        self.by_controller = hierarchies
        self.distinct = list({each.folder: each for each in hierarchies.values()}.values())
        self.missing = [text for name, text in _NO_LIMIT.items() if name not in hierarchies]
        tops = {each.folder: (name, each.folder.rpartition("/")[0]) for name, each in hierarchies.items()}
        self._homes = {folder: _open_home(controller, top) for folder, (controller, top) in tops.items()}
        self._made = self._kept = 0
        self._most_kept = min(_IDLE_SLOTS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // _DESCRIPTORS_PER_SLOT)
        self._idle: dict[CgroupSlot, None] = {}
        self._unremoved: list[CgroupSlot] = []

    @property
    def takes_cells(self) -> bool:
        return "pids" in self.by_controller  # the freezer would freeze a cell, too

    def create(self, name: str, limits: TreeLimits, cell: Cell | None = None) -> "Cgroup1Tree":
        if self._idle:
            tree = Cgroup1Tree(self, name, self._nearest(cell))
            try:
                tree.limit(limits, cell)
            except OSError:  # less memory than what the kernel still holds for its last tree
                self._discard(tree.slot)
            else:
                return tree
        self._made += 1
        tree = Cgroup1Tree(self, name, self._slot())
        for hierarchy in self.distinct:
            hierarchy.make(tree.slot.name)
        tree.limit(limits, cell)
        return tree

    def leftovers(self) -> list[Tree]:
        names = {name for hierarchy in self.distinct for name in hierarchy.names()}
        numbers = [int(name.removeprefix("slot-")) for name in names if name.removeprefix("slot-").isdigit()]
        self._made = max([self._made, *numbers])
        return [Cgroup1Tree(self, name, CgroupSlot(name, self.by_controller, reusable=False)) for name in sorted(names)]

    def refresh(self) -> None:
        if self._unremoved:
            again, self._unremoved = self._unremoved, []
            for slot in again:
                self._discard(slot)

    def close(self) -> None:
        for slot in self._idle:
            self._discard(slot)
        self._idle.clear()
        self.refresh()
        for hierarchy in self.distinct:
            hierarchy.remove("")

    def give_back(self, slot: CgroupSlot) -> None:
        """Keep an empty slot for the next tree, if the last one left no mark on it; else remove it."""
        if slot.reusable and len(self._idle) < _IDLE_SLOTS and self._is_clean(slot):
            self._idle[slot] = None
        else:
            self._discard(slot)

    def leave(self, controller: str | None = None) -> None:
        """Bring the calling thread home, everywhere or from one controller's cgroup. Raises `StrandedError`."""
        folders = self._homes if controller is None else [self.by_controller[controller].folder]
        try:
            for folder in folders:
                os.write(self._homes[folder], b"0")
        except OSError as error:
            raise StrandedError(f"cannot leave a cgroup: {error}") from error

    def move_out(self, slot: CgroupSlot) -> None:
        """Bring the cell that lives in a slot home, if one does."""
        cell, slot.cell = slot.cell, None
        if cell is not None and cell.slot is slot:
            cell.slot = None
            cell.do(self.leave)

    def _nearest(self, cell: Cell | None) -> CgroupSlot:
        """Take an idle slot: the one where the cell lives, else the last one that was used."""
        if cell is not None and cell.slot in self._idle:
            slot = cell.slot
            del self._idle[slot]
            return slot
        return self._idle.popitem()[0]

    def _slot(self) -> CgroupSlot:
        keep = self._kept < self._most_kept
        self._kept += keep
        return CgroupSlot(f"slot-{self._made}", self.by_controller, reusable=True, keep=keep)

    def _is_clean(self, slot: CgroupSlot) -> bool:
        """Set the counters back, unless the tree left memory (cached files) or cgroups of its own."""
        memory, cpuacct = slot.files.get("memory"), slot.files.get("cpuacct")
        try:
            # What a cell has started sees the hierarchies read only.
            if slot.cell is None and any(has_folders(files.folder) for files in slot.distinct):
                return False
        except OSError:  # somebody has removed it
            return False
        if memory is not None:
            held = memory.number("memory.usage_in_bytes")
            if held is None or held > _HELD_BYTES:
                return False
            if not memory.try_write("memory.max_usage_in_bytes", b"0"):
                return False
        return cpuacct is None or cpuacct.try_write("cpuacct.usage", b"0")

    def _discard(self, slot: CgroupSlot) -> None:
        self.move_out(slot)
        self._kept -= slot.let_go()
        if not all([hierarchy.prune(slot.name) for hierarchy in self.distinct]):  # noqa: C419  (each is to be tried)
            slot.reusable = False
            self._unremoved.append(slot)


class Cgroup1Tree:
    """One tree in one slot."""

    clone_into = None
    takes_threads = True

    def __init__(self, kind: Cgroup1, name: str, slot: CgroupSlot) -> None:
        self.name = name
        self.slot = slot
        self._kind = kind
        self._oom_before = slot.oom_seen
        self._doors: list[int] = []

    def limit(self, limits: TreeLimits, cell: Cell | None = None) -> None:
        """Set the limits that there are controllers for, where they differ from those already set.

        A cell that is to live inside is counted beside what it starts.
        """
        have, now = self.slot.files, self.slot.limits
        if limits.pids is not None and cell is not None:
            limits = limits._replace(pids=limits.pids + 1)
        if limits.pids != now.pids and "pids" in have:
            have["pids"].write("pids.max", b"max" if limits.pids is None else b"%d" % max(limits.pids, _LEAST_PIDS))
        if limits.mem != now.mem and "memory" in have:
            size = b"-1" if limits.mem is None else b"%d" % memory_limit(limits.mem)
            # Memory with swap exists only where the kernel accounts swap, and may never be the smaller one.
            have["memory"].try_write("memory.memsw.limit_in_bytes", b"-1")
            have["memory"].write("memory.limit_in_bytes", size)
            have["memory"].try_write("memory.memsw.limit_in_bytes", size)
        if limits.cpus != now.cpus and "cpu" in have:
            have["cpu"].write(_QUOTA, _quota(limits.cpus))
        self.slot.limits = limits

    @contextlib.contextmanager
    def entered(self, cell: Cell | None = None) -> Iterator[None]:
        # What the slot's last tree used up of its quota would stop us too, for up to a period, and all starts with us.
        self._lift_quota()
        try:
            if cell is None:
                self._kind.move_out(self.slot)
                for files in self.slot.distinct:
                    files.write("tasks", b"0")
                yield
            else:
                with self._doors_for(cell):
                    yield
        finally:
            if cell is None:
                self._kind.leave()
            if self.slot.limits.cpus is not None and "cpu" in self.slot.files:
                self.slot.files["cpu"].try_write(_QUOTA, _quota(self.slot.limits.cpus))  # it was taken once already

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        for door in self._doors:
            os.write(door, b"0")
        try:
            yield
        finally:
            if "cpu" in self.slot.files:
                self._kind.leave("cpu")

    def step_out(self) -> None:
        self.slot.reusable = False
        cell, self.slot.cell = self.slot.cell, None
        if cell is not None:
            cell.slot = None
        self._kind.leave()

    def born(self, pid: int) -> None:
        """Nothing to record: the kernel keeps the list."""

    def signal(self, signum: int) -> None:
        for pid in self.pids():
            self._send(pid, signum)

    def kill(self) -> None:
        self.slot.reusable = False
        self._lift_quota()  # a process out of quota would die only in the next period
        if "pids" in self.slot.files:
            self.slot.files["pids"].try_write("pids.max", b"0")
            self.signal(signal.SIGKILL)
            return
        freezer = self.slot.files["freezer"]
        freezer.try_write("freezer.state", b"FROZEN")
        self.signal(signal.SIGKILL)
        freezer.try_write("freezer.state", b"THAWED")

    def is_empty(self) -> bool:
        pids = self.slot.files.get("pids")
        # Counts zombies too, so zero is certain and anything else is not; far cheaper than the lists.
        if pids is not None and pids.number("pids.current") == self._dwellers:
            return True
        return not self.pids()

    def pids(self) -> list[int]:
        return self._keeper().pids(self.slot.name)

    def usage(self) -> TreeUsage:
        have = self.slot.files
        cpu_ns = have["cpuacct"].number("cpuacct.usage") if "cpuacct" in have else None
        peak = have["memory"].number("memory.max_usage_in_bytes") if "memory" in have else None
        return TreeUsage(
            cpu_s=None if cpu_ns is None else cpu_ns / 1e9,
            peak_mem_mib=None if peak is None else peak / (1 << 20),
        )

    def held_mem_mib(self) -> float | None:
        memory = self.slot.files.get("memory")
        held = memory.number("memory.usage_in_bytes") if memory else None
        return None if held is None else held / (1 << 20)

    def oom_kills(self) -> int:
        memory = self.slot.files.get("memory")
        counted = memory.number("memory.oom_control", b"oom_kill") or 0 if memory else 0
        self.slot.oom_seen = counted
        return counted - self._oom_before

    def remove(self) -> None:
        self._kind.give_back(self.slot)

    @property
    def _dwellers(self) -> int:
        """How many threads of our own are counted inside."""
        return 0 if self.slot.cell is None else 1

    @contextlib.contextmanager
    def _doors_for(self, cell: Cell) -> Iterator[None]:
        """Open what the cell's thread has to write to, which sees the hierarchies read only. It then lives in the slot, alone."""
        to_open = [self.slot.files["cpu"]] if "cpu" in self.slot.files else []
        if self.slot.cell is not cell:
            self._kind.move_out(self.slot)
            if cell.slot is not None:
                cell.slot.cell = None
            to_open = self.slot.distinct
            self.slot.cell, cell.slot = cell, self.slot
        with contextlib.ExitStack() as opened:
            self._doors = [opened.enter_context(files.opened("tasks")) for files in to_open]
            yield

    def _lift_quota(self) -> None:
        if self.slot.limits.cpus is not None and "cpu" in self.slot.files:
            self.slot.files["cpu"].try_write(_QUOTA, _quota(None))

    def _keeper(self) -> CgroupHierarchy:
        have = self._kind.by_controller
        return have.get("pids") or have["freezer"]

    def _send(self, pid: int, signum: int) -> None:
        """Signal a listed process, sure that the pid has not been given to a stranger since the list."""
        controller = "pids" if "pids" in self._kind.by_controller else "freezer"
        ending = f"/{self._kind.by_controller[controller].folder.rpartition('/')[2]}/{self.slot.name}"
        process = processes.look_up(pid)
        path = processes.cgroup_path(pid, controller)
        if process and path and f"{ending}/" in f"{path}/":
            processes.send(pid, signum, process.start)


def _quota(cpus: int | None) -> bytes:
    return b"-1" if cpus is None else b"%d" % max(cpus * _PERIOD_US // 1000, _LEAST_QUOTA_US)


def find(node: str, mounted: list[CgroupMount]) -> tuple[Cgroup1 | None, str]:
    """Return version 1 trees for a node where they work here, else `None` and why not.

    Makes the node's folder at the top of each hierarchy, as container engines do.
    """
    found: dict[str, CgroupHierarchy] = {}
    for controller in (*WANTED, "freezer"):
        if controller == "freezer" and "pids" in found:
            break
        mount = next((each for each in mounted if each.version == 1 and controller in each.options), None)
        if mount is not None and _usable(hierarchy := CgroupHierarchy(f"{mount.path}/{node}")):
            found[controller] = hierarchy
    if "pids" in found or "freezer" in found:
        return Cgroup1(found), ""
    for hierarchy in found.values():
        hierarchy.remove("")
    return None, "no version 1 pids or freezer controller can be used here"


def _usable(hierarchy: CgroupHierarchy) -> bool:
    try:
        os.makedirs(hierarchy.folder, 0o755, exist_ok=True)
    except OSError:
        return False
    return os.access(hierarchy.path("", "tasks"), os.W_OK)


def _open_home(controller: str, top: str) -> int:
    """Open `tasks` of the cgroup that this process is in, kept open to get back to at any time."""
    mine = processes.cgroup_path(os.getpid(), controller) or ""
    for path in (f"{top}{mine.rstrip('/')}/tasks", f"{top}/tasks"):
        with contextlib.suppress(OSError):
            return os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    raise StrandedError(f"no way back into the cgroup {mine} of the controller {controller}")
