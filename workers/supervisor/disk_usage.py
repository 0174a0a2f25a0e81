"""How much disk the directory of a running tree holds (see `periodic_checks`).

Measuring costs some 2 us a file, so it is repeated the sooner the more the directory grows. A file that a program holds
open and has removed is not seen.
"""

import contextlib
import errno
import os
from typing import Final

BLOCK_BYTES: Final = 512  # unit of st_blocks
FULL_BELOW_BYTES: Final = 1 << 20  # with less than that free, a program that failed most likely failed for it
_FIRST_S: Final = 1.0
_SOON_S: Final = 0.125
_LATEST_S: Final = 4.0
_SLOWER: Final = 1.5
_FAST_SHARE: Final = 8  # growing by more than this part of its limit between two checks is fast
_GONE: Final = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EACCES, errno.ENODEV}
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class DiskUsage:
    """Disk usage of one tree's directory in bytes. `peak` is `None` until it was measured; `is_over` stays."""

    __slots__ = ("closed", "every_s", "folder", "is_over", "limit", "peak", "used")

    def __init__(self, folder: str, limit: int | None) -> None:
        self.folder = folder
        self.limit = limit
        self.peak: int | None = None
        self.used = 0
        self.every_s = _FIRST_S
        self.is_over = self.closed = False

    def check(self) -> bool:
        """Measure. Returns whether it was found to hold more than it may, for the first time."""
        used = measure(self.folder, self.limit)
        grown = used - self.used
        fast = self.limit is not None and grown > self.limit // _FAST_SHARE
        self.every_s = _SOON_S if fast else _FIRST_S if grown > 0 else min(self.every_s * _SLOWER, _LATEST_S)
        self.used, self.peak = used, max(used, self.peak or 0)
        exceeded = self.limit is not None and used > self.limit and not self.is_over
        self.is_over = self.is_over or exceeded
        return exceeded


def measure(folder: str, enough: int | None = None) -> int:
    """Return the bytes on disk of everything beneath a folder, each file once; stops counting beyond `enough`.

    Other file systems do not count. The folder itself and the directories right in it count nothing: they are not the
    program's. Links are not followed. A directory that lies too deep to be reached counts as too much.
    """
    total, linked, below = 0, set(), [(folder, 0)]
    device: int | None = None
    while below and (enough is None or total <= enough):
        path, depth = below.pop()
        try:
            descriptor = os.open(path, _FOLDER)
        except OSError as error:
            if error.errno in _GONE:
                continue
            return total if enough is None else enough + 1
        with contextlib.suppress(OSError), contextlib.ExitStack() as opened:
            opened.callback(os.close, descriptor)
            here = os.fstat(descriptor)
            device = here.st_dev if device is None else device
            if here.st_dev != device:
                continue
            total += here.st_blocks * BLOCK_BYTES if depth > 1 else 0
            for entry in os.scandir(descriptor):
                if entry.is_dir(follow_symlinks=False):
                    below.append((f"{path}/{entry.name}", depth + 1))
                    continue
                found = entry.stat(follow_symlinks=False)
                if found.st_nlink > 1:
                    if found.st_ino in linked:
                        continue
                    linked.add(found.st_ino)
                total += found.st_blocks * BLOCK_BYTES
    return total


def is_full(folder: str) -> bool:
    """Whether the disk beneath has no room left, or no more files, for anybody but root."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return False
    return found.f_bavail * found.f_frsize < FULL_BELOW_BYTES or (found.f_files > 0 and found.f_favail == 0)
