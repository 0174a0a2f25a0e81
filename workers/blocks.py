"""Disk blocks by hand: space reserved before it is needed, and space given back from the middle of a file.

Linux only, through fallocate(2); where a file system cannot do it the callers live with less.
"""

from __future__ import annotations

import ctypes
import errno
import os

_KEEP_SIZE = 0x01
_PUNCH_HOLE = 0x02

_libc = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]


def reserve(fd: int, offset: int, length: int) -> bool:
    """Reserve space beyond the end without changing the size; False where the file system has no such thing.

    Raises OSError when there is no room or the disk fails.
    """
    return _fallocate(fd, _KEEP_SIZE, offset, length)


def punch(fd: int, offset: int, length: int) -> bool:
    """Give back the blocks of a range; it reads as zeros and the size stays. False where this is not supported."""
    return _fallocate(fd, _KEEP_SIZE | _PUNCH_HOLE, offset, length)


def _fallocate(fd: int, mode: int, offset: int, length: int) -> bool:
    if _libc.fallocate(fd, mode, offset, length) == 0:
        return True
    code = ctypes.get_errno()
    if code in {errno.EOPNOTSUPP, errno.ENOSYS}:
        return False
    raise OSError(code, os.strerror(code))
