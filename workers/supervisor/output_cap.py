"""Output files are held to their size on disk; the program that writes them is never blocked.

The program appends straight to its file. Everything beyond the cap is punched out of the file: its length, and so every
later offset, stays true, the disk is free, and a reader finds zeros there. This works while the agent is dead. A flood
is checked often, so that output which nobody will read is gone from memory before it goes to the disk.
"""

import contextlib
import os
from typing import Final

from workers.supervisor import syscalls
from workers.supervisor.disk_usage import BLOCK_BYTES

SLACK_BYTES: Final = 1 << 20  # beyond the cap before it is worth a call
_SOON_S: Final = 0.125
_SLOWER: Final = 2
_LATEST_S: Final = 1.0


class OutputCap:
    """The output files of one running program (see `periodic_checks`)."""

    __slots__ = ("_keep_bytes", "_paths", "closed", "every_s")

    def __init__(self, paths: tuple[str, ...], keep_bytes: int) -> None:
        self._paths = paths
        self._keep_bytes = keep_bytes
        self.every_s = _LATEST_S
        self.closed = False

    def check(self) -> bool:
        """Cap them all. Returns False: the supervisor never has to act on it."""
        capped = [cap_file(path, self._keep_bytes) for path in self._paths]
        self.every_s = _SOON_S if any(capped) else min(self.every_s * _SLOWER, _LATEST_S)
        return False


def cap_file(path: str, keep_bytes: int) -> bool:
    """Free what a file holds beyond its first bytes, if that is much. Returns whether it did so.

    Where the file system can't punch, the file is cut, and its length starts again from the cap.
    """
    try:
        found = os.stat(path)
        if found.st_size <= keep_bytes or found.st_blocks * BLOCK_BYTES <= keep_bytes + SLACK_BYTES:
            return False
        descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:  # removed meanwhile
        return False
    try:
        with contextlib.suppress(OSError):
            syscalls.punch_hole(descriptor, keep_bytes, found.st_size - keep_bytes)
            return True
        os.ftruncate(descriptor, keep_bytes)
    finally:
        os.close(descriptor)
    return True
