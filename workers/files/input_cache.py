"""The input cache: files that were fetched once stay, by their SHA-256, for the next execution that wants them.

The least recently used files go first. A file in the cache belongs to the node and is never written again. Jobs that
run as users of their own get a hard link to it, which they can read but not change. Jobs that run as the node's own
user get a copy.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

_MODE: Final = 0o444


_NEVER: Final = threading.Event()
_PATIENCE_S: Final = 0.1


class CacheWaitStopped(Exception):
    """The wait for a file that somebody else fetches was given up on request."""


class InputCache:
    """Files in one folder, at most `limit` bytes of them. Thread-safe; one process."""

    def __init__(self, folder: Path, limit: int) -> None:
        """Take over the files of an earlier life. Raises OSError."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        self._folder, self.limit = folder, limit
        self._lock = threading.Lock()
        self._making: dict[str, threading.Lock] = {}
        for part in folder.glob("*.part"):
            part.unlink(missing_ok=True)
        self._sizes = {path.name: path.stat().st_size for path in sorted(folder.iterdir(), key=_last_used)}
        self._trim()

    @property
    def spare_bytes(self) -> int:
        """By how much the cache may still grow."""
        return max(0, self.limit - self.used)

    @property
    def used(self) -> int:
        """The bytes in the cache."""
        with self._lock:
            return sum(self._sizes.values())

    @contextlib.contextmanager
    def hold(
        self, digest: str, size: int, fetch: Callable[[int], None], stop: threading.Event = _NEVER
    ) -> Iterator[str | None]:
        """Give the path of the file with this digest, fetched by `fetch(descriptor)` if it is not here.

        None for a file that is too large for the cache. While one thread fetches a file, other threads that want the
        same one wait. If `fetch` raises, the exception is passed on and nothing is kept. Raises CacheWaitStopped when
        `stop` is set while another thread fetches it.
        """
        if size > self.limit:
            yield None
            return
        with self._lock:
            turn = self._making.setdefault(digest, threading.Lock())
        with _turn(turn, stop):
            if not self._touch(digest, size):
                self._fetch(digest, size, fetch)
            yield str(self._folder / digest)
        with self._lock:
            if not turn.locked():
                self._making.pop(digest, None)
        self._trim()

    def _touch(self, digest: str, size: int) -> bool:
        """Return whether the file is here. If so, it becomes the most recently used one."""
        path = self._folder / digest
        with self._lock, contextlib.suppress(OSError):
            if path.stat().st_size == size:
                os.utime(path)
                self._sizes[digest] = self._sizes.pop(digest, size)
                return True
        return False

    def _fetch(self, digest: str, size: int, fetch: Callable[[int], None]) -> None:
        part = self._folder / f"{digest}.part"
        fd = os.open(part, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fetch(fd)
            os.fchmod(fd, _MODE)
            part.rename(self._folder / digest)
        finally:
            os.close(fd)
            part.unlink(missing_ok=True)
        with self._lock:
            self._sizes[digest] = size

    def _trim(self) -> None:
        """Remove the least recently used files beyond the limit. Links that jobs have to them stay intact."""
        with self._lock:
            total = sum(self._sizes.values())
            for name in list(self._sizes):
                if total <= self.limit:
                    return
                total -= self._sizes.pop(name)
                (self._folder / name).unlink(missing_ok=True)


@contextlib.contextmanager
def _turn(turn: threading.Lock, stop: threading.Event) -> Iterator[None]:
    """Hold the lock; whoever has it may be fetching from a server that says nothing."""
    while not turn.acquire(timeout=_PATIENCE_S):
        if stop.is_set():
            raise CacheWaitStopped
    try:
        yield
    finally:
        turn.release()


def _last_used(path: Path) -> float:
    return path.stat().st_mtime
