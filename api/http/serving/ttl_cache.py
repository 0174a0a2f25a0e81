"""A value that is made at most once in a few seconds, however many ask for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class TtlCache(Generic[T]):
    """Calling it returns what `make` returned last, or makes it anew; while one thread makes it, the others wait."""

    def __init__(self, make: Callable[[], T], for_s: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._make, self._for_s, self._monotonic = make, for_s, monotonic
        self._lock = threading.Lock()
        self._kept: tuple[float, T] | None = None

    def __call__(self) -> T:
        """Return the value; raises what `make` raises, and remembers no failure."""
        with self._lock:
            if self._kept is None or self._kept[0] <= self._monotonic():
                self._kept = None
                made = self._make()
                self._kept = (self._monotonic() + self._for_s, made)
            return self._kept[1]
