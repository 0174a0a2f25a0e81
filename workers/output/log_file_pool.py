"""The log file pool: output files of programs are emptied and used again (docs/decisions/015).

On ext4, making and removing a file costs more than everything else of a start. ext4 passes by inodes that were freed
within the last minutes, one by one, so each file is dearer the more files a node makes and removes. A rename costs next
to nothing. A file is used again only if it is as good as a new one: empty, owned by the node, without another name,
without attributes or flags of somebody's making, and open nowhere. The kernel confirms the last one by granting a
lease.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import shutil
import stat
import struct
from collections import deque
from typing import Final

from workers.output.log_file import ATTRIBUTE

_STOCK: Final = ".stock"
_MOST_STOCK: Final = 512
_MOST_BYTES: Final = 1 << 20
"""A larger file is removed: emptying it would cost as much."""
_BLOCK_BYTES: Final = 512  # unit of st_blocks
_LABEL: Final = "security.selinux"
"""The label that every file has on a system with SELinux; no program may change it."""
_FLAGS: Final = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_GET_MARKS: Final = 0x801C581F  # FS_IOC_FSGETXATTR
_MARKS: Final = struct.Struct("IIIII8x")
_HAS_ATTRIBUTES: Final = 1 << 31


class LogFilePool:
    """The empty files of one folder of logs. Used by one thread."""

    def __init__(self, logs: str) -> None:
        """Clear the stock of an earlier life. Raises OSError."""
        self._folder = f"{logs}/{_STOCK}"
        self._own = os.geteuid(), os.getegid()
        self._numbers = itertools.count()
        self._stock: deque[str] = deque()
        shutil.rmtree(self._folder, ignore_errors=True)
        os.mkdir(self._folder, 0o700)  # noqa: PTH102
        first = self._name()
        fd = os.open(first, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            self._marks = _marks(fd)
        finally:
            os.close(fd)
        self._stock.append(first)

    def place(self, path: str) -> None:
        """Put an empty file at `path`, if one is in stock; there may be none yet. Otherwise the supervisor makes one."""
        with contextlib.suppress(IndexError, OSError):
            os.rename(self._stock.pop(), path)  # noqa: PTH104  twice per execution

    def recycle(self, path: str) -> None:
        """Put a file that nobody needs any more into the pool, or remove it."""
        if not self._recycle(path):
            with contextlib.suppress(OSError):
                os.unlink(path)  # noqa: PTH108

    def _recycle(self, path: str) -> bool:
        if len(self._stock) >= _MOST_STOCK:
            return False
        try:
            fd = os.open(path, _FLAGS)
        except OSError:
            return False
        try:
            if not self._made_as_new(fd):
                return False
            name = self._name()
            os.rename(path, name)  # noqa: PTH104
        except OSError:  # also: no such calls on this file system
            return False
        finally:
            os.close(fd)
        self._stock.append(name)
        return True

    def _made_as_new(self, fd: int) -> bool:
        """Empty the file and make it the node's own, so that nobody can open it; then check that nobody has it open."""
        found = os.fstat(fd)
        held = max(found.st_size, found.st_blocks * _BLOCK_BYTES)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1 or held > _MOST_BYTES:
            return False
        if (found.st_uid, found.st_gid) != self._own:
            os.fchown(fd, *self._own)
        if stat.S_IMODE(found.st_mode) != 0o600:  # noqa: PLR2004
            os.fchmod(fd, 0o600)
        if held:
            os.ftruncate(fd, 0)
        for name in os.listxattr(fd):
            if name == ATTRIBUTE:
                os.removexattr(fd, name)
            elif name != _LABEL:
                return False
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)  # refused while anybody else has it open
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        return os.fstat(fd).st_nlink == 1 and _marks(fd) == self._marks

    def _name(self) -> str:
        return f"{self._folder}/{next(self._numbers)}"


def _marks(fd: int) -> tuple[int, int] | None:
    """Return the flags and quota project of a file, which its owner may change; None if the file system has neither."""
    try:
        flags, _, _, project, _ = _MARKS.unpack(fcntl.ioctl(fd, _GET_MARKS, bytes(_MARKS.size)))
    except OSError:
        return None
    return flags & ~_HAS_ATTRIBUTES, project
