"""The cap of output: a log file that is held to its size, however much is written to it.

A little output may need no file: it is kept in memory until it is more, or until somebody asks for the file.

Output beyond the cap is discarded, but for its end: the last bytes of a flood are kept in memory and written when it is
over, to where they belong. So the length of the log file tells how much was written, and what is missing takes no disk.
"""

import contextlib
import errno
import os
import stat
from typing import Final

from workers.supervisor.spawn import LaunchError

END_BYTES: Final = 64 << 10
"""Of a flood, so much of its end is kept beside its beginning."""

_FILE_FLAGS: Final = (
    # Non-blocking, so that a FIFO in the file's place can't hold up the supervisor; it is refused afterwards.
    os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
)


class CappedLog:
    """The log file of one output stream of one run. Used by one thread at a time."""

    def __init__(self, path: str, most_bytes: int | None, keep_bytes: int = 0) -> None:
        """Open it, unless up to `keep_bytes` are to be kept in memory. Raises LaunchError.

        What is in it already stays, and counts.
        """
        self._path, self._file, self._length = path, -1, 0
        self._most = float("inf") if most_bytes is None else most_bytes
        self._kept = b""
        self._keep_bytes = min(keep_bytes, self._most)
        self._unwritten = b""  # refused by the file so far
        self._discarded = 0
        self._end = b""  # the last of what was discarded
        if not keep_bytes:
            self._open()

    @property
    def kept(self) -> bytes | None:
        """All that was written, None where it is in the file."""
        return self._kept if self._file < 0 and not self._unwritten else None

    @property
    def position(self) -> int:
        """How many bytes were written to it, or would have been without a cap: the place of the next one."""
        return len(self._kept) if self._file < 0 else self._length + len(self._unwritten) + self._discarded

    @property
    def is_full(self) -> bool:
        """Whether the cap is reached."""
        return self._length >= self._most

    def write(self, piece: bytes) -> None:
        """Write as much of it as the cap allows, and count the rest. What the file refuses is kept for `retry`."""
        if self._file < 0:
            if not self._unwritten and len(self._kept) + len(piece) <= self._keep_bytes:
                self._kept += piece
                return
            piece, self._kept = self._kept + piece, b""
        room = self._most - self._length
        self._unwritten = piece if len(piece) <= room else piece[: int(room)]
        self.retry()
        if len(piece) > room:
            self.discard(piece[int(room) :])

    def spill(self) -> None:
        """Have a file from now on, so that others can read what was written so far."""
        if self._file < 0 and self._kept:
            self._unwritten, self._kept = self._kept, b""
            self._keep_bytes = 0
            self.retry()

    def retry(self) -> bool:
        """Write what the file has not got yet. False if it can't be written now: the disk is full, or a program is being started.

        While a program is started, the whole process has that program's limit on the size of a file.
        """
        while self._unwritten:
            try:
                if self._file < 0:
                    self._open()
                written = os.write(self._file, self._unwritten)
            except OSError:
                return False
            self._length += written
            self._unwritten = self._unwritten[written:]
        return True

    def discard(self, piece: bytes) -> None:
        """Count what was written beyond the cap, and keep its end."""
        first = not self._discarded
        self._discarded += len(piece)
        self._end = piece[-END_BYTES:] if len(piece) >= END_BYTES else (self._end + piece)[-END_BYTES:]
        if first:
            self._show_discarded()

    def close(self) -> int:
        """Close it. Returns how many bytes could not be written."""
        if self._file < 0:
            return len(self._unwritten)
        self._show_discarded()
        if self._end and not self._unwritten:
            with contextlib.suppress(OSError):
                os.pwrite(self._file, self._end, self._length + self._discarded - len(self._end))
        os.close(self._file)
        return len(self._unwritten)

    def _open(self) -> None:
        self._file = _open_log(self._path)
        self._length = os.lseek(self._file, 0, os.SEEK_END)

    def _show_discarded(self) -> None:
        """Make the file as long as all that was written. The part beyond the cap takes no disk and reads as zeros."""
        if self._discarded and not self._unwritten:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self._length + self._discarded)


def _open_log(path: str) -> int:
    """Open a log file for writing. Its folder need not be the job's user's, nor need the file."""
    try:
        descriptor = os.open(path, _FILE_FLAGS, 0o600)
    except OSError as error:
        raise LaunchError(error.errno, f"{path}: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise LaunchError(errno.EINVAL, f"{path}: not a plain file")
    return descriptor
