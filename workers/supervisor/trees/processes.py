"""The process table as /proc shows it, and signals that can never reach another process under a reused pid."""

import os
import signal
from typing import Final, NamedTuple

_DEAD_STATES: Final = b"ZX"
_STAT_BYTES: Final = 1024  # a stat line has some 330 bytes
_ENVIRON_BYTES: Final = 1 << 20


class Process(NamedTuple):
    """A living process. Pid and start together name it for as long as the machine is up."""

    pid: int
    parent: int
    session: int
    start: int  # clock ticks since boot


def boot_id() -> str:
    """Return the id of this start of the machine."""
    return _read("/proc/sys/kernel/random/boot_id", 64).decode().strip()


def pids() -> list[int]:
    """Return the pid of every process this process can see."""
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]


def look_up(pid: int) -> Process | None:
    """Return a process, or `None` where it is dead, also as a zombie."""
    try:
        line = _read(f"/proc/{pid}/stat", _STAT_BYTES)
    except OSError:
        return None
    # The name stands in brackets and may itself hold brackets and blanks.
    fields = line[line.rfind(b")") + 2 :].split()
    if not fields or fields[0] in _DEAD_STATES:
        return None
    return Process(pid, int(fields[1]), int(fields[3]), int(fields[19]))


def variable(pid: int, name: str) -> str | None:
    """Return a variable of the environment a process was started with, or `None`."""
    try:
        block = _read(f"/proc/{pid}/environ", _ENVIRON_BYTES)
    except OSError:
        return None
    start = name.encode() + b"="
    for item in block.split(b"\0"):
        if item.startswith(start):
            return os.fsdecode(item[len(start) :])
    return None


def cgroup_path(pid: int, controller: str) -> str | None:
    """Return a process's cgroup in one hierarchy (`""` names version 2), or `None` where it is dead."""
    try:
        text = os.fsdecode(_read(f"/proc/{pid}/cgroup", 1 << 16))
    except OSError:
        return None
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            return path
    return None


def send(pid: int, signum: int, start: int | None = None) -> bool:
    """Signal a process if it (still) is the one that began at `start`; `None` trusts the pid.

    The descriptor is opened first and the start compared afterwards, so the pid cannot change hands between.
    Returns whether the signal was sent.
    """
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        if start is not None:
            process = look_up(pid)
            if process is None or process.start != start:
                return False
        signal.pidfd_send_signal(descriptor, signum)
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(descriptor)


def _read(path: str, size: int) -> bytes:
    """Read a file of /proc to its end or to `size`, whichever comes first."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        content = os.read(descriptor, size)
        while len(content) < size and (more := os.read(descriptor, size - len(content))):
            content += more
        return content
    finally:
        os.close(descriptor)
