"""One file that a program writes its stdout or stderr to, as it is handed over: in order, capped, resumable.

How far it was handed over is kept with the file itself (an extended attribute), so that the next life of the agent
goes on from there. Beyond the cap the program may write as it likes: the supervisor gives the blocks back as they
come, while the file's size goes on telling how much it was.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field

from workers.paths import ExecutionKey

PIECE_BYTES = 256 << 10
ATTRIBUTE = "user.ganger.shipped"


@dataclass(slots=True)
class LogFile:
    """`handed` bytes were taken by the API; `cut_at` is where the cap was reached."""

    key: ExecutionKey
    phase: str
    name: str
    path: str
    shipped: int = -1
    """-1 until the file has been looked at."""
    cut_at: int | None = None
    marked: bool = False
    tail: bytes = field(default=b"", repr=False)
    """The unfinished last line, as far as it may be a progress line."""

    def size(self) -> int:
        """Return how much was written, in bytes; 0 while there is no file."""
        try:
            return os.stat(self.path).st_size  # noqa: PTH116  looked at twice a second for every running program
        except OSError:
            return 0

    def is_done(self) -> bool:
        """Return whether all that was written is handed over, or will never be."""
        size = self.size()
        if size == 0:
            return True
        return self.marked or (self.cut_at is None and self.shipped >= size)

    def read_shipped(self) -> None:
        """Learn from the file how far an earlier life came."""
        if self.shipped >= 0:
            return
        self.shipped = 0
        with contextlib.suppress(OSError, ValueError):
            self.shipped = max(0, int(os.getxattr(self.path, ATTRIBUTE)))

    def read(self, most: int) -> bytes:
        """Return what comes next, at most `most` bytes."""
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return b""
        try:
            return os.pread(fd, min(most, PIECE_BYTES), self.shipped)
        finally:
            os.close(fd)

    def record_shipped(self, shipped: int) -> None:
        """The API has taken everything before `handed`."""
        self.shipped = shipped
        with contextlib.suppress(OSError):  # where there are no attributes, a next life sends again what is known
            os.setxattr(self.path, ATTRIBUTE, b"%d" % shipped)

    def cut(self) -> None:
        """The cap is reached: from here on nothing more is read. Its room on the disk the supervisor gives back."""
        if self.cut_at is None:
            self.cut_at = self.shipped

    def marker(self, cap: int) -> bytes:
        """Return the one line that stands for what was discarded."""
        assert self.cut_at is not None  # noqa: S101  only a cut stream has a marker
        more = self.size() - self.cut_at
        return b"\n[ganger: the output limit of %d bytes is reached, %d bytes more were discarded]\n" % (cap, more)
