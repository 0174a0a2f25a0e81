"""How much disk the directories of running trees hold, measured beside the supervisor's own work.

The first thread of the supervisor looks; the other one asks for it and reads the result. A look costs some 2 us a
file, so it is repeated the sooner the more the directory grows, and never takes more than a twentieth of a cpu for any
one tree. What a program holds open and has removed is not seen.
"""

import contextlib
import errno
import heapq
import math
import os
import threading
import time
from collections.abc import Iterable
from typing import Final, Protocol

BLOCK_BYTES: Final = 512  # unit of st_blocks
FULL_BELOW_BYTES: Final = 1 << 20  # with less than that free, a program that failed most likely failed for it
_FIRST_S: Final = 1.0
_SOON_S: Final = 0.125
_LATEST_S: Final = 4.0
_TOGETHER_S: Final = 0.125
_SLOWER: Final = 1.5
_FAST_SHARE: Final = 8  # growing by more than this part of its limit between two looks is fast
_IDLE_FACTOR: Final = 20
_GONE: Final = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EACCES, errno.ENODEV}
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Looked(Protocol):
    """What is to be looked at again and again until it is closed."""

    closed: bool
    every_s: float

    def look(self) -> bool:
        """Look; whether there is news for the supervisor."""


class Gauge:
    """One tree's directory. `peak` is in bytes, `None` until it was looked at; `is_over` stays."""

    __slots__ = ("closed", "every_s", "folder", "is_over", "limit", "peak", "used")

    def __init__(self, folder: str, limit: int | None) -> None:
        self.folder = folder
        self.limit = limit
        self.peak: int | None = None
        self.used = 0
        self.every_s = _FIRST_S
        self.is_over = self.closed = False

    def look(self) -> bool:
        """Measure; whether it has just been found to hold more than it may."""
        used = measure(self.folder, self.limit)
        grown = used - self.used
        fast = self.limit is not None and grown > self.limit // _FAST_SHARE
        self.every_s = _SOON_S if fast else _FIRST_S if grown > 0 else min(self.every_s * _SLOWER, _LATEST_S)
        self.used, self.peak = used, max(used, self.peak or 0)
        news = self.limit is not None and used > self.limit and not self.is_over
        self.is_over = self.is_over or news
        return news


class Gauges:
    """All that is looked at. `alarm` is an event descriptor: written to when a look found news: a directory too large."""

    def __init__(self, alarm: int) -> None:
        self._alarm = alarm
        self._due: list[tuple[float, int, Looked]] = []
        self._added = 0
        self._change = threading.Condition()

    def add(self, several: Iterable[Looked]) -> None:
        """Look at these from now on, each until its `closed` is set."""
        with self._change:
            for each in several:
                self._push(each, time.monotonic())
            self._change.notify()

    def run(self) -> None:
        """Measure for as long as the process lives."""
        while True:
            gauge = self._next()
            if gauge.closed:
                continue
            began = time.monotonic()
            if gauge.look():
                os.eventfd_write(self._alarm, 1)
            now = time.monotonic()
            with self._change:
                self._push(gauge, now + max(gauge.every_s, (now - began) * _IDLE_FACTOR))

    def _next(self) -> Looked:
        with self._change:
            while True:
                now = time.monotonic()
                if self._due and (self._due[0][0] <= now or self._due[0][2].closed):
                    return heapq.heappop(self._due)[2]
                self._change.wait(self._due[0][0] - now if self._due else None)

    def _push(self, gauge: Looked, due: float) -> None:
        self._added += 1
        together = math.ceil(due / _TOGETHER_S) * _TOGETHER_S  # fewer awakenings, above all for what is over by then
        heapq.heappush(self._due, (together, self._added, gauge))


def measure(folder: str, enough: int | None = None) -> int:
    """Return the bytes on disk of all beneath a folder, on its file system, each file once; stops beyond `enough`.

    Neither the folder nor what lies right in it counts as a directory: they are not the program's. Links are not
    followed. What is too deep to be reached counts as too much.
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
