"""Forks by clone3(2), into a version 2 cgroup or new namespaces, from a process that has more threads than one.

The child is a copy of one thread and of the memory, and Python in it was told nothing. It must never give up the
interpreter lock, because no other thread is left to take it and give it back. Python gives it up when another thread has
waited for it longer than the switch interval: `prepare` makes that so long that it does not happen between two starts. A
lock of the C library may still have been held by another thread in the moment of the copy. So the parent does not trust
the child: one that has neither executed a program nor ended in time is killed, and the next one is tried. Until it has
executed, nothing of a job has run.
"""

import contextlib
import ctypes
import errno
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Final, NoReturn

from workers.supervisor import syscalls

_SWITCH_INTERVAL_S: Final = 1.0
_CLONE_INTO_CGROUP: Final = 0x200000000
_CLONE3: Final = 435  # everywhere
_PATIENCE_S: Final = (2.0, 5.0, 10.0)  # for one child after the other; they take a millisecond
_FAILED: Final = 127


class _CloneArgs(ctypes.Structure):
    """`struct clone_args` of clone3(2)."""

    _fields_ = [
        (name, ctypes.c_uint64)
        for name in (
            "flags", "pidfd", "child_tid", "parent_tid", "exit_signal", "stack", "stack_size", "tls",
            "set_tid", "set_tid_size", "cgroup",
        )
    ]  # fmt: skip


def prepare() -> None:
    """Let threads of this process wait longer for the interpreter lock before they demand it. All of them wait for I/O mostly."""
    sys.setswitchinterval(_SWITCH_INTERVAL_S)


def fork_into(cgroup_descriptor: int, become: Callable[[], NoReturn]) -> int:
    """Fork straight into a version 2 cgroup; return the child's pid once it has executed a program or ended.

    `become` runs in the child: it may only prepare and execute. Raises `OSError` if the kernel refuses, and with `EAGAIN`
    if no child came so far in time.
    """
    return _fork(become, flags=_CLONE_INTO_CGROUP, cgroup=cgroup_descriptor)


def fork_apart(flags: int, become: Callable[[], NoReturn]) -> int:
    """Fork into new namespaces (the `CLONE_NEW…` of `syscalls`); otherwise as `fork_into`."""
    return _fork(become, flags=flags, cgroup=0)


def _fork(become: Callable[[], NoReturn], *, flags: int, cgroup: int) -> int:
    for patience_s in _PATIENCE_S:
        pid = _fork_once(become, _CloneArgs(flags=flags, exit_signal=signal.SIGCHLD, cgroup=cgroup), patience_s)
        if pid is not None:
            return pid
    raise OSError(errno.EAGAIN, "a forked process executed nothing")


def _fork_once(become: Callable[[], NoReturn], arguments: _CloneArgs, patience_s: float) -> int | None:
    """Return the pid of a child that has executed or ended, None for one that had to be killed."""
    reading, writing = os.pipe2(os.O_CLOEXEC)  # the child's end closes when it executes or ends
    try:
        time.sleep(0)  # who has waited for the lock goes first
        pid = syscalls.call(_CLONE3, ctypes.addressof(arguments), ctypes.sizeof(arguments))
        if pid == 0:
            try:
                become()
            finally:
                os._exit(_FAILED)
    finally:
        os.close(writing)
    try:
        if syscalls.readable_within(reading, patience_s):
            return pid
    finally:
        os.close(reading)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None
