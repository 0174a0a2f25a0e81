"""Shares of a process's request threads: what may take long never has all of them.

There are four sets of threads: for everybody, for calls of nodes, for files of nodes, for files by signed links
(`gunicorn_worker`). In each, bodies on their way in, large files on their way out, and followed logs have at most a part, together
never all of it, and one caller never more than two thirds of what its kind may have. Whoever finds no share free is told at
once to try again, and so costs no thread. Only files by links may have all threads of theirs: nothing else waits for these, and their
clients send many blocks at once, which wait for a thread in turn.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass

from scheduler.errors import ServiceUnavailable

EVERYBODY, NODE_CALLS, NODE_FILES, BLOBS = "everybody", "node calls", "node files", "blobs"


class ThreadShares:
    """The threads of one set that long requests may hold: three quarters, or without `spare` all of them.

    `of_kind` is the part that one kind may hold.
    """

    def __init__(self, threads: int, of_kind: float, *, spare: bool = True) -> None:
        self._lock = threading.Lock()
        self._all = max(1, threads - max(1, threads // 4)) if spare else threads
        self._kind = max(1, min(self._all, int(threads * of_kind)))
        self._one = max(1, -(-self._kind * 2 // 3)) if spare else self._kind
        self._held: Counter[str] = Counter()
        self._by_caller: Counter[tuple[str, str]] = Counter()

    def take(self, kind: str, caller: str | None = None) -> bool:
        """Take a thread for one request of a kind; False when there is none left, for all or for this caller."""
        with self._lock:
            if self._held.total() >= self._all or self._held[kind] >= self._kind:
                return False
            if caller is not None:
                if self._by_caller[kind, caller] >= self._one:
                    return False
                self._by_caller[kind, caller] += 1
            self._held[kind] += 1
            return True

    def give_back(self, kind: str, caller: str | None = None) -> None:
        """Give back what `take` has given."""
        with self._lock:
            self._held[kind] -= 1
            if caller is not None:
                self._by_caller[kind, caller] -= 1
                if not self._by_caller[kind, caller]:
                    del self._by_caller[kind, caller]


class HeldShare:
    """The share of one request, taken when it is first needed and given back once."""

    def __init__(self, shares: ThreadShares, kind: str, caller: str | None) -> None:
        self._shares, self._kind, self._caller = shares, kind, caller
        self._held = False

    def take(self) -> None:
        """Take it unless it is held already. Raises ServiceUnavailable."""
        if self._held:
            return
        if not self._shares.take(self._kind, self._caller):
            raise ServiceUnavailable(
                "as many slow bodies and large files as this server takes are on their way; try again"
            )
        self._held = True

    def give_back(self) -> None:
        """Give it back if it is held."""
        if self._held:
            self._held = False
            self._shares.give_back(self._kind, self._caller)


@dataclass(frozen=True, slots=True)
class KindOfShare:
    """The share of one kind in one set of threads, as something that can be acquired and released."""

    shares: ThreadShares
    kind: str

    def acquire(self) -> bool:
        """Take one; False when there is none left."""
        return self.shares.take(self.kind)

    def release(self) -> None:
        """Give one back."""
        self.shares.give_back(self.kind)


def of_process(threads: int, node_threads: int, blob_threads: int) -> dict[str, ThreadShares]:
    """Return the shares of a process by its sets of threads."""
    return {
        EVERYBODY: ThreadShares(threads, 0.5),
        NODE_CALLS: ThreadShares(node_threads, 0.75),
        NODE_FILES: ThreadShares(node_threads, 0.75),
        BLOBS: ThreadShares(blob_threads, 1.0, spare=False),
    }


def set_of(path: str) -> str:
    """Return the set of threads that answers requests for an address."""
    if path.startswith("/blobs/"):
        return BLOBS
    if not path.startswith("/node/"):
        return EVERYBODY
    return NODE_FILES if path.startswith("/node/files/") else NODE_CALLS
