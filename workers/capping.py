"""Keeping output files within their size on disk without ever blocking the program that writes them.

The program appends straight to its file. What lies beyond the cap is punched out: the length, and so every later
offset, stays true, the disk is free, and whoever reads there finds zeros. Works while the agent is dead.
"""

import contextlib
import os
from typing import Final

from workers import kernel

SLACK_BYTES: Final = 1 << 20  # beyond the cap before it is worth a call
_BLOCK_BYTES: Final = 512  # unit of st_blocks


def cap(path: str, keep_bytes: int) -> bool:
    """Free what a file holds beyond its first bytes, if that is much. Returns whether it did.

    Where the file system can't punch, the file is cut, and its length starts again from the cap.
    """
    try:
        found = os.stat(path)
        if found.st_size <= keep_bytes or found.st_blocks * _BLOCK_BYTES <= keep_bytes + SLACK_BYTES:
            return False
        descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:  # removed meanwhile
        return False
    try:
        with contextlib.suppress(OSError):
            kernel.punch_hole(descriptor, keep_bytes, found.st_size - keep_bytes)
            return True
        os.ftruncate(descriptor, keep_bytes)
    finally:
        os.close(descriptor)
    return True
