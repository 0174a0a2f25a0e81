"""A log file: the file that a program writes its stdout or stderr to. It is shipped in order, up to a cap, resumably.

The file itself records how much of it is shipped (in an extended attribute), so that the next life of the agent goes
on from there. A program may write beyond the cap. The supervisor then frees the blocks that nobody will read, and the
size of the file still tells how much was written.
"""

from __future__ import annotations

import contextlib
import os
import stat
from dataclasses import dataclass, field

from workers.paths import ExecutionKey

PIECE_BYTES = 256 << 10
ATTRIBUTE = "user.ganger.shipped"


@dataclass(slots=True)
class LogFile:
    """The API has accepted the first `shipped` bytes. `cut_at` is the offset at which the cap was reached."""

    key: ExecutionKey
    phase: str
    name: str
    path: str
    shipped: int = -1
    """-1 until it has been read from the file."""
    cut_at: int | None = None
    marked: bool = False
    tail: bytes = field(default=b"", repr=False)
    """The unfinished last line, while it may become a progress line."""

    def size(self) -> int:
        """Return how much was written, in bytes; 0 while there is no file."""
        try:
            return os.stat(self.path).st_size  # noqa: PTH116  called twice a second for every running program
        except OSError:
            return 0

    def is_done(self) -> bool:
        """Return whether everything that was written is shipped, or will never be."""
        size = self.size()
        if size == 0:
            return True
        return self.marked or (self.cut_at is None and self.shipped >= size)

    def read_shipped(self) -> None:
        """Read from the file how much an earlier life has shipped. Later calls do nothing."""
        if self.shipped >= 0:
            return
        self.shipped = 0
        with contextlib.suppress(OSError, ValueError):
            self.shipped = max(0, int(os.getxattr(self.path, ATTRIBUTE)))

    def read(self, most: int) -> bytes:
        """Return the next bytes to ship, at most `most`."""
        try:
            # A job that runs as the node's own user may put anything in the file's place: it is not waited for.
            fd = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return b""
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                return b""
            return os.pread(fd, min(most, PIECE_BYTES), self.shipped)
        finally:
            os.close(fd)

    def record_shipped(self, shipped: int) -> None:
        """Record that the API has accepted everything before `shipped`."""
        self.shipped = shipped
        with contextlib.suppress(
            OSError
        ):  # without attributes, the next life sends some output twice, which is harmless
            os.setxattr(self.path, ATTRIBUTE, b"%d" % shipped)

    def cut(self) -> None:
        """The cap is reached: nothing is read from here on. The supervisor frees the disk space behind it."""
        if self.cut_at is None:
            self.cut_at = self.shipped

    def marker(self, cap: int) -> bytes:
        """Return the line that stands for the discarded output."""
        assert self.cut_at is not None  # noqa: S101  only a cut stream has a marker
        more = self.size() - self.cut_at
        return b"\n[ganger: the output limit of %d bytes is reached, %d bytes more were discarded]\n" % (cap, more)
