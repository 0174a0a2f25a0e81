"""What a program inherits from the process that starts it: limits of the process, and how soon it goes when memory is short."""

import contextlib
import os
import resource
from collections.abc import Iterator
from typing import Final

from workers.supervisor import syscalls
from workers.supervisor.request import RunLimits

_OOM_SCORE: Final = b"500"  # out of memory on the whole machine: jobs go first, agent and supervisor last


class ProcessLimits:
    """Has the whole process take on a program's limits while it starts one. Used by one thread."""

    def __init__(self) -> None:
        self._can_raise = syscalls.can_raise_limits()
        self._usual_files = _raise_open_files()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # for all that is started, and nobody needs ours
        self._own_limits = {kind: resource.getrlimit(kind) for kind in (resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE)}
        self._oom_score, self._own_oom_score = _open_oom_score()

    def wanted(self, limits: RunLimits) -> dict[int, int]:
        """Return the limits that a program gets, by their kind, where it does not have ours."""
        files = self._usual_files if limits.nofile is None else limits.nofile
        wanted = {resource.RLIMIT_NOFILE: files}
        return wanted if limits.fsize is None else wanted | {resource.RLIMIT_FSIZE: limits.fsize}

    @contextlib.contextmanager
    def lowered(self, limits: dict[int, int]) -> Iterator[None]:
        """Have the program's limits while it is started, as hard ones where they can be raised again afterwards."""
        try:
            for kind, value in limits.items():
                soft = self._soft(kind, value)
                resource.setrlimit(kind, (soft, soft if self._can_raise else self._own_limits[kind][1]))
            yield
        finally:
            for kind in limits:
                resource.setrlimit(kind, self._own_limits[kind])

    def settle(self, pid: int, limits: dict[int, int]) -> None:
        """Make the newborn's limits hard where they are not.

        A program that raises its own soft limit within its very first instructions may be faster.
        """
        if self._can_raise:
            return
        with contextlib.suppress(OSError):  # it may be over already, or we may not
            for kind, value in limits.items():
                soft = self._soft(kind, value)
                resource.prlimit(pid, kind, (soft, soft))

    @contextlib.contextmanager
    def first_to_go(self) -> Iterator[None]:
        """Let what is started meanwhile go first when the whole machine has no memory."""
        raised = self._set_oom_score(_OOM_SCORE)
        try:
            yield
        finally:
            if raised:
                self._set_oom_score(self._own_oom_score)

    def _soft(self, kind: int, value: int) -> int:
        hard = self._own_limits[kind][1]
        return value if hard == resource.RLIM_INFINITY else min(value, hard)

    def _set_oom_score(self, score: bytes) -> bool:
        try:
            os.pwrite(self._oom_score, score, 0)
        except OSError:  # nobody could set it back here, or there is no such file
            return False
        return True


def _raise_open_files() -> int:
    """Let this process have as many open files as it may: each running program costs four. Returns how many it had before."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return soft


def _open_oom_score() -> tuple[int, bytes]:
    """Open the file that says how soon this process goes when memory is short; -1 where it could not be set back."""
    try:
        descriptor = os.open("/proc/self/oom_score_adj", os.O_RDWR | os.O_CLOEXEC)
        own = os.pread(descriptor, 16, 0).strip()
        os.pwrite(descriptor, _OOM_SCORE, 0)
        os.pwrite(descriptor, own, 0)
    except OSError:
        return -1, b""
    return descriptor, own
