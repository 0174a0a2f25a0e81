"""The order of a run's two output streams: a line in a file beside the logs whenever the stream changes.

Standard output and standard error are two pipes and two files, and neither says when it was written relative to the
other. Whoever moves them does: at best to the round of the mover (some 10 ms). A line names a stream and the byte of its
file from which on it was written then. A run that writes to one stream alone has no such file.
"""

import contextlib
import os
import threading
from typing import Final

SUFFIX: Final = "-order"
"""The file beside that of standard output."""
_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_MOST_BYTES: Final = 64 << 10
"""Longer than this it begins anew. Who reads along has read it long before; who does not finds the rest in less order."""
_MOST_PENDING: Final = 1000
_BOTH: Final = 0b11


class OutputOrder:
    """The order of the streams of one run. Used by two threads."""

    def __init__(self, stdout: str) -> None:
        self._path = stdout + SUFFIX
        self._lock = threading.Lock()
        self._last = -1
        self._streams = 0
        self._pending: list[str] = []

    def note(self, stream: int, position: int, *, kept: bool) -> None:
        """The next byte of this stream (0 or 1) has this position. `kept`: what it holds stands in no file yet."""
        if stream == self._last:
            return
        with self._lock:
            self._last = stream
            self._streams |= 1 << stream
            if len(self._pending) < _MOST_PENDING:
                self._pending.append(f"{stream} {position}\n")
        if not kept:
            self.write()

    def write(self) -> None:
        """Have it in its file, if both streams were written to. What the disk refuses is tried again with the next change."""
        if self._streams != _BOTH or not self._pending:
            return
        with self._lock, contextlib.suppress(OSError):
            file = os.open(self._path, _FLAGS, 0o600)
            try:
                if os.fstat(file).st_size > _MOST_BYTES:
                    os.ftruncate(file, 0)
                os.write(file, "".join(self._pending).encode())
                self._pending.clear()
            finally:
                os.close(file)
