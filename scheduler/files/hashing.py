"""The SHA-256 of bytes on their way: what is small in the same thread, the rest in one beside it, so that moving and hashing overlap.

Without instructions of its own for it a processor hashes half a GiB a second, which is slower than disks and networks are. The
library lets other threads run meanwhile.
"""

from __future__ import annotations

import hashlib
import queue
import threading

_ALONE = 4 * 1024 * 1024
"""Bytes from which on a thread is worth its start."""

_AHEAD = 4
"""Pieces that may wait to be hashed: what moves them is never further ahead."""


class HashedFile:
    """Counts and hashes bytes. `close` it, whatever happens: it may have a thread."""

    def __init__(self) -> None:
        self.size = 0
        self._digest = hashlib.sha256()
        self._waiting: queue.Queue[bytes | None] = queue.Queue(_AHEAD)
        self._thread: threading.Thread | None = None

    def add(self, piece: bytes) -> None:
        """Take the next bytes."""
        self.size += len(piece)
        if self._thread is None and self.size > _ALONE:
            self._thread = threading.Thread(target=self._hash, name="hashing", daemon=True)
            self._thread.start()
        if self._thread is None:
            self._digest.update(piece)
        else:
            self._waiting.put(piece)

    def hexdigest(self) -> str:
        """Return the digest of all that was taken. Nothing can be added after it."""
        self.close()
        return self._digest.hexdigest()

    def close(self) -> None:
        """End the thread."""
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join()
            self._thread = None

    def _hash(self) -> None:
        while (piece := self._waiting.get()) is not None:
            self._digest.update(piece)
