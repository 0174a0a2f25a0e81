"""Trees in PID namespaces: who kills a namespace's first process kills all of it, and the kernel sees to that.

The first process is a sleeper that ignores SIGCHLD, so the kernel itself collects orphans; the program is started
beside it, a child of the supervisor, so its exit code is seen directly and it has not the first process's
immunity from signals. A mount namespace goes with it, for a /proc that shows the inside.
"""

import contextlib
import errno
import os
import select
import signal
from collections.abc import Iterator
from typing import Final

from workers import kernel
from workers.trees import Limits, StrandedError, Tree, Usage, processes, scan

_READY_TIMEOUT_S: Final = 5.0
_SLEEPER: Final = (
    "mount --make-rprivate / && mount -t proc proc /proc && trap '' CHLD && echo ready && exec sleep infinity"
)
_ENVIRONMENT: Final = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
_MISSING: Final = [
    "Cpus, memory and the number of processes are not limited: no cgroups can be made here.",
    "Lack of memory is not recognised: the kernel counts it for cgroups only.",
    "Memory peaks are those of the largest process, and those below the supervisor's own size are not seen.",
    "Cpu seconds leave out processes that nobody waited for.",
]


class PidNamespaces:
    """Needs CAP_SYS_ADMIN."""

    name = "pidns"
    missing = _MISSING

    def __init__(self, node: str) -> None:
        self.node = node
        self._pids = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        self._mounts = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)

    def create(self, name: str, limits: Limits) -> "PidNamespaceTree":
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

    def leave(self) -> None:
        """Bring the calling thread home. Raises `StrandedError`."""
        try:
            kernel.enter_namespace(self._pids, kernel.CLONE_NEWPID)
            kernel.enter_namespace(self._mounts, kernel.CLONE_NEWNS)
            os.chdir("/")
        except OSError as error:
            raise StrandedError(f"cannot leave a namespace: {error}") from error


class PidNamespaceTree:
    """One sleeper and its namespaces."""

    clone_into = None

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
            readable, _, _ = select.select([reading], [], [], _READY_TIMEOUT_S)
            if not readable or not os.read(reading, 16):
                self.kill()
                raise OSError(errno.EPERM, "the first process of a PID namespace did not come up")
        finally:
            os.close(reading)
        self._inode = os.stat(f"/proc/{self._sleeper}/ns/pid").st_ino

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        with contextlib.ExitStack() as opened:
            namespaces = []
            for name, flag in (("pid", kernel.CLONE_NEWPID), ("mnt", kernel.CLONE_NEWNS)):
                descriptor = os.open(f"/proc/{self._sleeper}/ns/{name}", os.O_RDONLY | os.O_CLOEXEC)
                opened.callback(os.close, descriptor)
                namespaces.append((descriptor, flag))
            try:
                for descriptor, flag in namespaces:
                    kernel.enter_namespace(descriptor, flag)
                yield
            finally:
                self._kind.leave()

    def born(self, pid: int) -> None:
        """Nothing to note: the namespace holds it."""

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

    def usage(self) -> Usage:
        return Usage()

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
        env = _ENVIRONMENT | {scan.MARK: f"{self._kind.node}/{self.name}"}
        kernel.unshare(kernel.CLONE_NEWPID | kernel.CLONE_NEWNS)  # all or nothing; refused, there is no way to leave
        try:
            self._sleeper = os.posix_spawn(
                "/bin/sh",
                ["sh", "-c", _SLEEPER],
                env,
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, output, 1),
                ],
                setsid=True,
                setsigmask=(),
                setsigdef=(signal.SIGPIPE, signal.SIGXFSZ),
            )
        finally:
            self._kind.leave()


def find(node: str) -> tuple[PidNamespaces | None, str]:
    """Return trees in PID namespaces where one can be made, else `None` and why not."""
    try:
        kind = PidNamespaces(node)
        trial = kind.create("trial", Limits())
    except OSError as error:
        return None, f"no PID namespace can be made: {error.strerror}"
    trial.remove()
    return kind, ""
