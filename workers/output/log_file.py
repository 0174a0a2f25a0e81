"""A log file: what a program writes to its stdout or stderr. It is shipped in order, up to a cap, resumably.

A little output of a short program stands in no file, and is held in memory until it is shipped.

The file itself records how much of it is shipped (in an extended attribute), so that the next life of the agent goes
on from there. A program may write beyond the cap. The supervisor then frees the blocks that nobody will read, and the
size of the file still tells how much was written.
"""

from __future__ import annotations

import contextlib
import os
import stat
from dataclasses import dataclass, field

from workers.output.masking import SecretMask
from workers.paths import ExecutionKey
from workers.supervisor.output_cap import END_BYTES

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
    content: bytes | None = field(default=None, repr=False)
    """All that was written, where there is no file."""
    tail: bytes = field(default=b"", repr=False)
    """The unfinished last line, while it may become a progress line."""

    def size(self) -> int:
        """Return how much was written, in bytes; 0 while there is no file."""
        if self.content is not None:
            return len(self.content)
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
        if self.content is not None:
            return
        with contextlib.suppress(OSError, ValueError):
            self.shipped = max(0, int(os.getxattr(self.path, ATTRIBUTE)))

    def read(self, start: int, most: int) -> bytes:
        """Return the bytes from `start` on, at most `most`."""
        return self._read_at(start, min(most, PIECE_BYTES))

    def _read_at(self, start: int, most: int) -> bytes:
        if self.content is not None:
            return self.content[start : start + most]
        try:
            # A job that runs as the node's own user may put anything in the file's place: it is not waited for.
            fd = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return b""
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                return b""
            return os.pread(fd, most, start)
        finally:
            os.close(fd)

    def record_shipped(self, shipped: int) -> None:
        """Record that the API has accepted everything before `shipped`."""
        self.shipped = shipped
        if self.content is not None:
            return
        with contextlib.suppress(
            OSError
        ):  # without attributes, the next life sends some output twice, which is harmless
            os.setxattr(self.path, ATTRIBUTE, b"%d" % shipped)

    def cut(self) -> None:
        """The cap is reached: nothing more is read before the end. The supervisor keeps the end of what follows."""
        if self.cut_at is None:
            self.cut_at = self.shipped

    def ending(self, cap: int, mask: SecretMask | None) -> bytes:
        """Return what stands for the output beyond the cap: a line that says how much is left out, and the last bytes.

        These begin with a whole line where there is one, so that no half of a secret is shown.
        """
        assert self.cut_at is not None  # noqa: S101  only a cut stream has a marker
        size = self.size()
        start = max(self.cut_at, size - min(END_BYTES, cap))
        end = self._read_at(start, size - start)
        hidden = end if mask is None else mask.hide(end)
        if start > self.cut_at:
            skip = end.find(b"\n") + 1 or (len(end) if mask is not None else 0)
            hidden = hidden[skip:]
        left_out = size - self.cut_at - len(hidden)
        if not left_out:
            return hidden
        line = b"\n[ganger: the output limit of %d bytes is reached, %d bytes are left out here]\n" % (cap, left_out)
        return line + hidden
