"""How much disk the directory of a running tree holds (see `periodic_checks`).

Measuring costs some 2 us a file, so it is repeated the sooner the more the directory grows. A file that a program holds
open and has removed is not seen.
"""

import contextlib
import os
from typing import Final

BLOCK_BYTES: Final = 512  # unit of st_blocks
FULL_BELOW_BYTES: Final = 1 << 20  # with less than that free, a program that failed most likely failed for it
_FIRST_S: Final = 1.0
_SOON_S: Final = 0.125
_LATEST_S: Final = 4.0
_SLOWER: Final = 1.5
_FAST_SHARE: Final = 8  # growing by more than this part of its limit between two checks is fast
_KEPT_OPEN: Final = 32  # levels whose directories stay open
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
    program's. Links are not followed. It goes downward by descriptors, so that nothing lies too deep to be counted.
    """
    total, linked, walk = 0, set[int](), _Walk(folder)
    try:
        while (found := walk.next()) is not None and (enough is None or total <= enough):
            state, depth, entries = found
            total += state.st_blocks * BLOCK_BYTES if depth > 1 else 0
            for entry in entries:
                if entry.st_nlink > 1:
                    if entry.st_ino in linked:
                        continue
                    linked.add(entry.st_ino)
                total += entry.st_blocks * BLOCK_BYTES
    finally:
        walk.close()
    return total


class _Step:
    """A directory on the way down: what is still to be visited in it, and the descriptor while it is kept open."""

    __slots__ = ("descriptor", "device", "names", "number")

    def __init__(self, descriptor: int, state: os.stat_result) -> None:
        self.descriptor = descriptor
        self.device, self.number = state.st_dev, state.st_ino
        self.names: list[str] = []


class _Walk:
    """The directories beneath a folder, one after the other, each with its files.

    Only the first levels stay open. From deeper ones the way back is the entry `..`, if it still leads to where we
    came from: a program may move its directories meanwhile, and what is moved is left out.
    """

    def __init__(self, folder: str) -> None:
        self._way: list[_Step] = []
        self._device: int | None = None
        self._next: str | None = folder

    def next(self) -> tuple[os.stat_result, int, list[os.stat_result]] | None:
        """Return the next directory, its depth, and its files; None when there is none left."""
        while True:
            if self._next is None and not self._choose():
                return None
            name, self._next = self._next or "", None
            found = self._enter(name)
            if found is not None:
                return found

    def close(self) -> None:
        """Close what is open."""
        for step in self._way:
            if step.descriptor >= 0:
                os.close(step.descriptor)
        self._way.clear()

    def _choose(self) -> bool:
        """Choose the directory to enter next, going up where one is done with; False if all are."""
        while self._way:
            step = self._way[-1]
            if step.names:
                self._next = step.names.pop()
                return True
            self._go_up()
        return False

    def _go_up(self) -> None:
        left = self._way.pop()
        above = self._way[-1] if self._way else None
        if above is not None and above.descriptor < 0:
            with contextlib.suppress(OSError):
                descriptor = os.open("..", _FOLDER, dir_fd=left.descriptor)
                state = os.fstat(descriptor)
                if (state.st_dev, state.st_ino) == (above.device, above.number):
                    above.descriptor = descriptor
                else:
                    os.close(descriptor)
            if above.descriptor < 0:
                self._lose_way()
        os.close(left.descriptor)

    def _lose_way(self) -> None:
        """Go on from the deepest directory that is still open: what is in between was moved."""
        while self._way and self._way[-1].descriptor < 0:
            self._way.pop()

    def _enter(self, name: str) -> tuple[os.stat_result, int, list[os.stat_result]] | None:
        above = self._way[-1] if self._way else None
        try:
            descriptor = os.open(name, _FOLDER, dir_fd=None if above is None else above.descriptor)
        except OSError:
            return None
        state = os.fstat(descriptor)
        self._device = state.st_dev if self._device is None else self._device
        if state.st_dev != self._device:
            os.close(descriptor)
            return None
        step, files = _Step(descriptor, state), list[os.stat_result]()
        with contextlib.suppress(OSError), os.scandir(descriptor) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        step.names.append(entry.name)
                    else:
                        files.append(entry.stat(follow_symlinks=False))
        if above is not None and len(self._way) > _KEPT_OPEN:
            os.close(above.descriptor)
            above.descriptor = -1
        self._way.append(step)
        return state, len(self._way) - 1, files


def is_full(folder: str) -> bool:
    """Whether the disk beneath has no room left, or no more files, for anybody but root."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return False
    return found.f_bavail * found.f_frsize < FULL_BELOW_BYTES or (found.f_files > 0 and found.f_favail == 0)
