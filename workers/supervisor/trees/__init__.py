"""Process trees: all processes of one run, held so that none of them can get away.

There is one interface and four kinds: `cgroup2`, `cgroup1` (also for hybrid hosts), `pidns` and `scan`; `choice` takes the
first that works. They use little of the standard library, because the supervisor is small: no pathlib, no dataclasses.

A tree lives exactly as long as the processes of its run: it is created for the run, the program is started *inside* it,
and it is removed when it is empty. All trees of a node lie under one parent named after the node's directory. A later
supervisor thus finds the trees that an earlier one left.
"""

from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from workers.supervisor.confining.cells import Cell


class TreeLimits(NamedTuple):
    """Limits that a tree enforces; `None` is no limit."""

    cpus: int | None = None  # thousandths of a cpu
    mem: int | None = None  # thousandths of a MiB
    pids: int | None = None  # processes and threads, at least 2


class TreeUsage(NamedTuple):
    """Resources that a tree used; `None` where this kind cannot tell."""

    cpu_s: float | None = None
    peak_mem_mib: float | None = None


class StrandedError(RuntimeError):
    """The supervisor's thread could not get out of a tree again; the process must end."""


class Tree(Protocol):
    """The processes of one run."""

    @property
    def name(self) -> str:
        """The tree's id, `<execution id>.<attempt>`."""

    @property
    def takes_threads(self) -> bool:
        """Whether a thread may be started inside; it is inside, too."""

    @property
    def clone_into(self) -> int | None:
        """Descriptor of a version 2 cgroup to clone into; `None`: enter the tree, then spawn plainly."""

    def entered(self, cell: Cell | None = None) -> AbstractContextManager[None]:
        """While the context lasts, programs that the calling thread starts begin inside the tree.

        With a cell it is the cell's thread that starts them, while it is `inside`.
        """

    def inside(self) -> AbstractContextManager[None]:
        """For a cell's thread, while the tree is `entered` with its cell."""

    def step_out(self) -> None:
        """Take the thread that starts programs, which calls this from inside, out of all that limits it. Raises `StrandedError`."""

    def born(self, pid: int) -> None:
        """The main process was started. It is a child of the caller and not yet reaped."""

    def signal(self, signum: int) -> None:
        """Send a signal to every process of the tree, once."""

    def kill(self) -> None:
        """Kill every process, for good. Returns at once; repeat until `is_empty`."""

    def is_empty(self) -> bool:
        """Whether no process of the tree lives. Zombies do not."""

    def pids(self) -> list[int]:
        """Return the living processes, as this process's namespace numbers them."""

    def usage(self) -> TreeUsage:
        """Return the usage since the tree was created."""

    def held_mem_mib(self) -> float | None:
        """Return the memory that it holds now, as its limit counts it: with cached files. `None` where this kind cannot tell."""

    def oom_kills(self) -> int:
        """Return how many processes the kernel killed for lack of memory, by the kernel's own counter."""

    def remove(self) -> None:
        """Remove the rest of the empty tree. May be repeated; never raises for one already gone."""


class TreeKind(Protocol):
    """One way to hold trees on this machine, for one node."""

    @property
    def name(self) -> str:
        """`cgroup2`, `cgroup1`, `pidns` or `scan`."""

    @property
    def missing(self) -> list[str]:
        """One clear sentence for each power that this kind lacks here."""

    @property
    def forks(self) -> bool:
        """Whether programs are forked straight into a tree (`Tree.clone_into`), rather than spawned."""

    @property
    def takes_cells(self) -> bool:
        """Whether cells can start programs in its trees."""

    def create(self, name: str, limits: TreeLimits, cell: Cell | None = None) -> Tree:
        """Make an empty tree, the one that is nearest to the cell. Raises `OSError`."""

    def leftovers(self) -> list[Tree]:
        """Return the trees that an earlier supervisor of this node left."""

    def refresh(self) -> None:
        """Forget the process table as it was read last: processes were reaped since."""

    def close(self) -> None:
        """Remove the parent of the node's trees, which is empty."""
