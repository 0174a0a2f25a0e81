"""The self-test of a kind of tree: it is tried out before it is taken. A child process does it, so that a failure harms nobody.

A thread that cannot get back out of a tree is lost. A child that finds this out reports it and ends.
"""

import errno
import os
import signal
import time
from typing import Final, NoReturn

from workers.supervisor import syscalls, threads
from workers.supervisor.trees import Tree, TreeKind, TreeLimits

_LIMIT_S: Final = 15  # then the kernel ends the child
_BURIAL_S: Final = 5.0
_LOOK_S: Final = 0.005
_ARGV: Final = ["sh", "-c", "test -r /proc/self/stat"]  # from inside, the program finds itself in the process table
_ENVIRONMENT: Final = {"PATH": "/usr/bin:/bin"}


def refusal(kind: TreeKind) -> str:
    """Return why no program can be started and killed in such a tree here; `""` where it can.

    The tree has to be one that is entered. Processes of a child that was stopped half-way are found by their mark.
    """
    reading, writing = os.pipe2(os.O_CLOEXEC)
    try:
        pid = os.fork()
    except OSError as error:
        os.close(reading)
        os.close(writing)
        return f"it cannot be tried out: {error.strerror}"
    if pid == 0:
        _be_the_child(kind, writing)
    os.close(writing)
    said = b""
    while more := os.read(reading, 4096):
        said += more
    os.close(reading)
    _, status = os.waitpid(pid, 0)
    return "" if status == 0 else said.decode(errors="replace") or "it did not get through its trial"


def _be_the_child(kind: TreeKind, writing: int) -> NoReturn:
    code = 1
    try:
        syscalls.default_signal(signal.SIGALRM)
        signal.alarm(_LIMIT_S)
        _try_out(kind)
        code = 0
    except Exception as error:  # noqa: BLE001  (whatever it is, it is the answer)
        os.write(writing, (getattr(error, "strerror", None) or str(error)).encode())
    finally:
        os._exit(code)


def _try_out(kind: TreeKind) -> None:
    """Start a program in a tree, wait for its end, and kill the tree. Raises `OSError` and `StrandedError`."""
    before = _standing()
    tree = kind.create("trial", TreeLimits())
    try:
        pid = _start(tree) if tree.takes_threads else threads.do(lambda: _start(tree))
        tree.born(pid)
        _, status = os.waitpid(pid, 0)
    finally:
        tree.kill()
    if status != 0:
        raise OSError(errno.ENOEXEC, "a program inside does not find itself in /proc")
    if _standing() != before:
        raise OSError(errno.EXDEV, "the way out does not lead back to where we were")
    deadline = time.monotonic() + _BURIAL_S
    while not tree.is_empty():
        if time.monotonic() > deadline:
            raise OSError(errno.EBUSY, "a tree that was killed does not become empty")
        time.sleep(_LOOK_S)
        kind.refresh()
    tree.remove()


def _start(tree: Tree) -> int:
    with tree.entered():
        return os.posix_spawn("/bin/sh", _ARGV, _ENVIRONMENT, setsid=True, setsigmask=())


def _standing() -> tuple[object, ...]:
    """Return everything that a tree may change for the thread inside: root directory, namespaces, cgroups."""
    root = os.stat("/")
    namespaces = [os.readlink(f"/proc/thread-self/ns/{name}") for name in ("mnt", "pid", "pid_for_children")]
    with open("/proc/thread-self/cgroup", "rb") as lines:
        return (root.st_dev, root.st_ino, *namespaces, lines.read())
