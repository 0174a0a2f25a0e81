"""Leftovers of users: what is still there of the user ids that a node gives to executions, outside of their directories.

Where jobs have namespaces of their own nothing can be left: their processes die with the tree, and they write nowhere
but in what goes with them. Where namespaces cannot be had, a process that got away from its tree, a file in a temporary
folder or a segment of System V memory would be found by the next job that has the id. So before ids come round again
the node looks for all three, holds back the ids of which something is there, and removes what no process holds.

An id that has an account on this machine is nobody's leftover, and is left alone.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from workers import log, removal

FOLDERS: Final = ("/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue", "/run/lock")  # noqa: S108  those that all may write
_PROC: Final = Path("/proc")
_KERNEL_CALLS: Final = {"shm": "shmctl", "sem": "semctl", "msg": "msgctl"}
_IPC_RMID: Final = 0


def look(ids: Collection[int], folders: Collection[str] = FOLDERS) -> dict[int, str]:
    """Return those of these user ids of which something is left, each with the name of one such thing."""
    wanted, found = set(ids), dict[int, str]()
    for what, uid in (*_processes(), *_files(folders), *_segments()):
        if uid in wanted and uid not in found and not _has_account(uid):
            found[uid] = what
    return found


def clear(left: dict[int, str], folders: Collection[str] = FOLDERS) -> None:
    """Remove the files and segments of these ids, as `look` returned them, unless a process of the id is left. Never fails.

    Processes are not killed: another node of this machine may by chance have the same ids.
    """
    log.logger().warning(log.USERS_LEFT, users=len(left), what=next(iter(left.values()), None))
    gone = left.keys() - {uid for _, uid in _processes()}
    for path, uid in _files(folders):
        if uid in gone:
            removal.remove(path)
    for what, uid in _segments():
        if uid in gone:
            kind, _, number = what.partition(" ")
            call = getattr(ctypes.CDLL(None), _KERNEL_CALLS[kind])
            call(int(number), 0, _IPC_RMID) if kind == "sem" else call(int(number), _IPC_RMID, None)


def _processes() -> Iterator[tuple[str, int]]:
    """Yield every process, by its effective user id."""
    for name in os.listdir(_PROC):  # noqa: PTH208  names alone are needed
        if name.isdecimal():
            with contextlib.suppress(OSError):
                yield f"process {name}", os.stat(f"/proc/{name}").st_uid  # noqa: PTH116  hundreds of them
                yield from _real_user(name)


def _real_user(name: str) -> Iterator[tuple[str, int]]:
    """Yield a process that does not show its user as the owner of its folder: one that hides its memory."""
    if os.stat(f"/proc/{name}").st_uid == 0:  # noqa: PTH116
        for line in (_PROC / name / "status").read_bytes().splitlines():
            if line.startswith(b"Uid:"):
                yield f"process {name}", int(line.split()[1])
                return


def _files(folders: Collection[str]) -> Iterator[tuple[str, int]]:
    for folder in folders:
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    yield entry.path, entry.stat(follow_symlinks=False).st_uid


def _segments() -> Iterator[tuple[str, int]]:
    """Yield System V memory, semaphores and queues by their owner and by their maker."""
    for kind in _KERNEL_CALLS:
        with contextlib.suppress(OSError, ValueError):
            head, *lines = (_PROC / "sysvipc" / kind).read_text(encoding="ascii").splitlines()
            names = head.split()
            for line in lines:
                fields = dict(zip(names, line.split(), strict=False))
                for owner in ("uid", "cuid"):
                    yield f"{kind} {fields[f'{kind}id']}", int(fields[owner])


def _has_account(uid: int) -> bool:
    with contextlib.suppress(KeyError):
        return bool(pwd.getpwuid(uid))
    return False
