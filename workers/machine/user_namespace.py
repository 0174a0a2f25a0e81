"""The user namespace of a node that an ordinary user runs: with it, its jobs can be kept apart from it and from each other.

Two ways, the better one first. Each is tried out by a child before the node itself goes in, because nobody comes out.

* With subordinate ids (`/etc/subuid`, `newuidmap`) the node is root of its namespace, and each execution has a user id of
  its own, as where root runs the node.
* Without, there is the user's own id alone. The node has all capabilities in its namespace and hands them to its
  supervisor; jobs have none. They are kept apart by what they see: each is alone in a PID namespace, and the node's folders
  are hidden from it.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final, NoReturn

from workers.paths import PATH
from workers.supervisor import syscalls
from workers.supervisor.confining import capabilities, mounts
from workers.supervisor.trees import forking

_LEAST_IDS: Final = 65_536
_PATIENCE_S: Final = 10.0
_TOOLS: Final = (("newuidmap", "/etc/subuid"), ("newgidmap", "/etc/subgid"))


def enter() -> None:
    """Go into a user namespace if this process is an ordinary user's and may make one. Call it while there is one thread."""
    if os.geteuid() == 0:
        return
    death_signal, parent = syscalls.death_signal(), os.getppid()
    for way in (_with_subordinate_ids, _alone):
        if _works(way):
            way()
            break
    if death_signal:  # lost with a change of rights
        syscalls.set_death_signal(death_signal)
        if os.getppid() != parent:
            os.kill(os.getpid(), death_signal)


def is_alone() -> bool:
    """Return whether this process has capabilities in a user namespace with a single id, its own."""
    with contextlib.suppress(OSError, ValueError):
        (inside, _, count), *more = (line.split() for line in Path("/proc/self/uid_map").read_text().splitlines())
        return not more and int(count) == 1 and int(inside) == os.geteuid() != 0
    return False


def mapped_ids() -> list[range]:
    """Return the user ids that exist in this process's namespace."""
    lines = Path("/proc/self/uid_map").read_text(encoding="ascii").splitlines()
    ranges = [(int(first), int(count)) for first, _, count in (line.split() for line in lines)]
    return [range(first, first + count) for first, count in ranges]


def _works(way: Callable[[], None]) -> bool:
    """Return whether all that keeps jobs apart can be done there."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            way()
            flags = syscalls.CLONE_NEWPID | syscalls.CLONE_NEWNS | syscalls.CLONE_NEWIPC
            code = os.waitpid(forking.fork_apart(flags, _mount_own_processes), 0)[1]
        except BaseException:  # noqa: BLE001  whatever it is, the answer is no
            code = 1
        finally:
            os._exit(1 if code else 0)
    return os.waitpid(pid, 0)[1] == 0


def _mount_own_processes() -> NoReturn:
    mounts.stop_propagation()
    mounts.processes("/proc")
    os._exit(0)


def _alone() -> None:
    uid, gid = os.geteuid(), os.getegid()
    syscalls.unshare(syscalls.CLONE_NEWUSER)
    Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
    Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1", encoding="ascii")
    Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1", encoding="ascii")
    capabilities.hand_down()


def _with_subordinate_ids() -> None:
    """The ids are mapped from outside, by a child that is started before and told when."""
    ids = os.geteuid(), os.getegid()
    commands = []
    for (tool, table), own in zip(_TOOLS, ids, strict=True):
        program, first = shutil.which(tool, path=PATH), _subordinate(table)
        if program is None or first is None:
            raise OSError(f"no {tool}, or nothing in {table}")
        commands.append([program, str(os.getpid()), "0", str(own), "1", "1", str(first), str(_LEAST_IDS)])
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _map_when_told(reading, writing, commands)
    syscalls.unshare(syscalls.CLONE_NEWUSER)
    os.close(reading)
    os.close(writing)
    if os.waitpid(child, 0)[1] != 0:
        raise OSError("the ids cannot be mapped")
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    os.setgroups([])


def _map_when_told(reading: int, writing: int, commands: list[list[str]]) -> None:
    code = 1
    try:
        os.close(writing)
        os.read(reading, 1)  # until the other end is closed
        for command in commands:
            subprocess.run(command, check=True, capture_output=True, timeout=_PATIENCE_S)
        code = 0
    finally:
        os._exit(code)


def _subordinate(table: str) -> int | None:
    """Return the first of enough subordinate ids of this user."""
    uid = os.geteuid()
    names = {str(uid)}
    with contextlib.suppress(KeyError):
        names.add(pwd.getpwuid(uid).pw_name)
    with contextlib.suppress(OSError, ValueError):
        for line in Path(table).read_text(encoding="utf-8").splitlines():
            name, first, count = line.split(":")
            if name in names and int(count) >= _LEAST_IDS:
                return int(first)
    return None
