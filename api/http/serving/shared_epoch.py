"""A number that all processes of one server share: each remembers who its callers are, until this says that tokens have changed.

The memory is made before the processes are forked, so it is theirs together, and reading it costs no call of the system.
"""

from __future__ import annotations

import mmap
import time

_SHARED = mmap.mmap(-1, 8)


def current() -> bytes:
    """Return what is so now; what was remembered under another value may be out of date."""
    return _SHARED[:8]


def advance() -> None:
    """Let every process of this server forget. No two moments have the same number, so no count is lost between two of them."""
    _SHARED[:8] = time.monotonic_ns().to_bytes(8, "little")
