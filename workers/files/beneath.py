"""Opening what a job may have made, without being led elsewhere and without waiting.

The kernel is told not to follow any link, not to cross into another mount (a file system that the job serves itself may
never answer), and not to wait (a FIFO, a lease). Where it has no `openat2`, the same is done step by step.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
from typing import Final

FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

_OPENAT2: Final = 437  # on every machine
_HOW: Final = struct.Struct("QQQ")  # struct open_how: flags, mode, resolve
_RESOLVE: Final = 0x01 | 0x02 | 0x04 | 0x08  # RESOLVE_NO_XDEV | NO_MAGICLINKS | NO_SYMLINKS | BENEATH
_TRIES: Final = 8  # a concurrent rename anywhere may make the kernel say EAGAIN
_libc: Final = ctypes.CDLL(None, use_errno=True)


class NotRegularError(OSError):
    """What was to be opened is no regular file: a link, a FIFO, a device, a folder."""


def open_beneath(folder: int, path: str, flags: int) -> int:
    """Open `path` beneath an open folder. Raises OSError: ELOOP for a link in it, EXDEV for another mount."""
    how = ctypes.create_string_buffer(_HOW.pack(flags, 0, _RESOLVE), _HOW.size)
    code = 0
    for _ in range(_TRIES):
        fd: int = _libc.syscall(
            ctypes.c_long(_OPENAT2), ctypes.c_int(folder), os.fsencode(path), how, ctypes.c_size_t(_HOW.size)
        )
        if fd >= 0:
            return fd
        code = ctypes.get_errno()
        if code in {errno.ENOSYS, errno.EPERM}:  # an old kernel, or a filter that does not know the call
            return _step_by_step(folder, path, flags)
        if code not in {errno.EAGAIN, errno.EINTR}:
            break
    raise OSError(code, os.strerror(code), path)


def open_regular(folder: int, path: str) -> int:
    """Open a regular file beneath an open folder for reading. Raises OSError, NotRegularError."""
    try:
        fd = open_beneath(folder, path, FILE)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO, errno.ENODEV}:  # a link, a socket, a device without a driver
            raise NotRegularError(errno.EINVAL, "not a regular file", path) from error
        raise
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise NotRegularError(errno.EINVAL, "not a regular file", path)
    return fd


def _step_by_step(folder: int, path: str, flags: int) -> int:
    """Open one part of the path after the other; each is looked at before it is opened for real."""
    device, held = os.fstat(folder).st_dev, os.dup(folder)
    parts = path.split("/")
    try:
        for number, part in enumerate(parts):
            _look_at(held, part, device)
            opened = os.open(part, flags if number == len(parts) - 1 else FOLDER, dir_fd=held)
            os.close(held)
            held = opened
    except BaseException:
        os.close(held)
        raise
    return held


def _look_at(folder: int, part: str, device: int) -> None:
    """Raise OSError for a part of a path that leads elsewhere."""
    seen = None if part in {"", ".."} else os.stat(part, dir_fd=folder, follow_symlinks=False)
    if seen is not None and stat.S_ISLNK(seen.st_mode):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), part)
    if seen is None or seen.st_dev != device:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), part)
