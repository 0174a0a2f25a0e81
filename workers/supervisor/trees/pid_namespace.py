"""Trees in PID namespaces: the kernel kills all processes of a namespace together with its first one.

The first process is a sleeper that ignores SIGCHLD, so the kernel itself collects orphans; the program is started
beside it, a child of the supervisor, so its exit code is seen directly and it has not the first process's
immunity from signals. A mount namespace goes with it, for a /proc that shows the inside. It is entered by a thread
that is made for this one start and never comes back: in a user namespace there is no way back.
"""

import contextlib
import errno
import os
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Final, NoReturn

from workers.supervisor import syscalls
from workers.supervisor.confining import mounts
from workers.supervisor.confining.cells import Cell
from workers.supervisor.trees import Tree, TreeLimits, TreeUsage, forking, processes, scan, self_test

_READY_TIMEOUT_S: Final = 5.0
_NAMESPACE: Final = os.O_RDONLY | os.O_CLOEXEC
_FOLDER: Final = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_SLEEP: Final = ("/bin/sleep", "/usr/bin/sleep")
_MISSING: Final = [
    "Cpus, memory and the number of processes are not limited: no cgroups can be made here.",
    "Lack of memory is not recognised: the kernel counts it for cgroups only.",
    "Memory peaks are those of the largest process, and those below the supervisor's own size are not seen.",
    "Cpu seconds leave out processes that nobody waited for.",
]


class PidNamespaces:
    """Needs CAP_SYS_ADMIN."""

    name = "pidns"
    forks = False
    takes_cells = False
    missing = _MISSING

    def __init__(self, node: str) -> None:
        self.node = node
        os.close(os.open("/proc/self/ns/pid", _NAMESPACE))  # refused by a kernel without

    def create(self, name: str, limits: TreeLimits, cell: Cell | None = None) -> "PidNamespaceTree":  # noqa: ARG002  all are equally near
        del limits  # there is no way to keep them
        tree = PidNamespaceTree(self, name)
        tree.plant()
        return tree

    def leftovers(self) -> list[Tree]:
        """Return nothing: the sleepers carry the mark, and are found by the scan for it."""
        return []

    def refresh(self) -> None:
        """Nothing is remembered."""

    def close(self) -> None:
        """Nothing is left."""


class PidNamespaceTree:
    """One sleeper and its namespaces."""

    clone_into = None
    takes_threads = False

    def __init__(self, kind: PidNamespaces, name: str) -> None:
        self.name = name
        self._kind = kind
        self._sleeper = 0
        self._inode = 0

    def plant(self) -> None:
        """Start the sleeper and wait until its /proc stands. Raises `OSError`."""
        reading, writing = os.pipe2(os.O_CLOEXEC)
        try:
            self._spawn_sleeper(writing)
        finally:
            os.close(writing)
        try:
            if not syscalls.readable_within(reading, _READY_TIMEOUT_S) or not os.read(reading, 16):
                self.kill()
                raise OSError(errno.EPERM, "the first process of a PID namespace did not come up")
        finally:
            os.close(reading)
        self._inode = os.stat(f"/proc/{self._sleeper}/ns/pid").st_ino

    @contextlib.contextmanager
    def entered(self, cell: Cell | None = None) -> Iterator[None]:  # noqa: ARG002  the thread makes no difference
        """The thread does not get out again: it has to be one that ends."""
        with contextlib.ExitStack() as opened:
            inside = []
            for name, flags in (("ns/pid", _NAMESPACE), ("ns/mnt", _NAMESPACE), ("root", _FOLDER)):
                inside.append(os.open(f"/proc/{self._sleeper}/{name}", flags))
                opened.callback(os.close, inside[-1])
            pids, namespace, root = inside
            syscalls.own_directory()  # a thread that shares one with others enters no mounts
            syscalls.enter_namespace(pids, syscalls.CLONE_NEWPID)
            enter_mounts(namespace, root)
            yield

    def inside(self) -> AbstractContextManager[None]:
        return contextlib.nullcontext()

    def step_out(self) -> None:
        """Nothing limits a thread."""

    def born(self, pid: int) -> None:
        """Nothing to record: the namespace holds it."""

    def signal(self, signum: int) -> None:
        for pid in self.pids():
            process = processes.look_up(pid)
            if process is not None and pid != self._sleeper and self._holds(pid):
                processes.send(pid, signum, process.start)

    def kill(self) -> None:
        # Only this thread reaps: until then the pid is the sleeper's, and afterwards its namespace differs.
        if self._sleeper and (not self._inode or self._holds(self._sleeper)):
            processes.send(self._sleeper, signal.SIGKILL)

    def is_empty(self) -> bool:
        """Whether only the sleeper is left, or nothing."""
        return all(pid == self._sleeper for pid in self.pids())

    def pids(self) -> list[int]:
        return [pid for pid in processes.pids() if self._holds(pid) and processes.look_up(pid)]

    def usage(self) -> TreeUsage:
        return TreeUsage()

    def held_mem_mib(self) -> float | None:
        return None

    def oom_kills(self) -> int:
        return 0

    def remove(self) -> None:
        self.kill()

    def _holds(self, pid: int) -> bool:
        try:
            return os.stat(f"/proc/{pid}/ns/pid").st_ino == self._inode
        except OSError:
            return False

    def _spawn_sleeper(self, output: int) -> None:
        env = {scan.MARK: f"{self._kind.node}/{self.name}"}
        flags = syscalls.CLONE_NEWPID | syscalls.CLONE_NEWNS
        self._sleeper = forking.fork_apart(flags, lambda: _be_the_sleeper(output, env))


def _be_the_sleeper(output: int, env: dict[str, str]) -> NoReturn:
    """Turn the forked child into the first process of its namespace."""
    try:
        os.setsid()
        try:
            mounts.stop_propagation()
        except OSError:
            mounts.make_private("/proc")  # in a chroot `/` is no mount; what is mounted upon is
        mounts.processes("/proc")
        syscalls.ignore_signal(signal.SIGCHLD)
        for signum in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores these two
            syscalls.default_signal(signum)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.write(output, b"ready")
        for program in _SLEEP:
            with contextlib.suppress(OSError):
                os.execve(program, ["sleep", "infinity"], env)  # noqa: S606
    finally:
        os._exit(1)


def enter_mounts(namespace: int, root: int) -> None:
    """Enter a mount namespace and a root directory of it (thread); the working directory becomes `/`.

    The kernel lets who enters stand at the namespace's own root, which in a chroot is not ours: it would be an escape.
    """
    syscalls.enter_namespace(namespace, syscalls.CLONE_NEWNS)
    os.fchdir(root)
    os.chroot(".")
    os.chdir("/")


def find(node: str) -> tuple[PidNamespaces | None, str]:
    """Return trees in PID namespaces where one works, tried out by a child, else `None` and why not."""
    try:
        kind = PidNamespaces(node)
    except OSError as error:
        return None, f"the kernel has no PID namespaces: {error.strerror}"
    refusal = self_test.refusal(kind)
    return (None, f"no PID namespace can be held: {refusal}") if refusal else (kind, "")
