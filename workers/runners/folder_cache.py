"""The folder cache: the Python environments and images that a node keeps for later executions, and how much disk they take.

Both are made for whoever asks first, so without a bound one submitter could fill the disk of a node. The node keeps so
many bytes of both together; beyond them the least recently used ones go, but none that an execution still uses. A
folder that is larger than all of that, or for which nothing can go, is refused.

Each lies in a home of its own, `<work>/.venvs/<digest>` or `<work>/.images/<id>`. What the next life of the agent has
to know lies there as well:

    .users/<tree>    this execution uses it, for as long as its directory `<work>/<tree>` is there
    .bytes           its size; it was used last when this file was touched last
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from workers.removal import FileRemover
from workers.supervisor import disk_usage

ENVIRONMENTS: Final = ".venvs"
IMAGES: Final = ".images"
_KINDS: Final = (ENVIRONMENTS, IMAGES)
_USERS: Final = ".users"
_BYTES: Final = ".bytes"
_LEAVING: Final = ".leaving-"
_MIB: Final = 1 << 20
_SHARE: Final = 5
_MOST_HOMES: Final = 1000
"""Whoever asks for an environment that cannot be made leaves an empty home: so many may lie about."""
_HOME_BYTES: Final = 12 << 10
"""What a home takes by itself."""


class NoRoomError(Exception):
    """There is no room for this folder; str() goes on after its name. `of_job`: there never will be on this node."""

    def __init__(self, sentence: str, *, of_job: bool) -> None:
        super().__init__(sentence)
        self.of_job = of_job


class FolderCache:
    """The environments and images of one node, at most `limit` bytes of them. Thread-safe; one process."""

    def __init__(
        self, work: str, most: int, remover: FileRemover, leaves: Callable[[str], None] = lambda _: None
    ) -> None:
        """Take over those of an earlier life, and have removed what is beyond the limit. Raises OSError.

        The limit is `most`, but never more than a fifth of what is free without them. `leaves` is called with a home that goes.
        """
        self._work, self._remover, self._leaves = work, remover, leaves
        self._lock = threading.RLock()
        self._sizes: OrderedDict[str, int] = OrderedDict()  # home to bytes, the least recently used first
        self._reserved: dict[str, int] = {}
        for name in os.listdir(work):  # noqa: PTH208  names alone are needed
            if name.startswith(_LEAVING):
                remover.discard(f"{work}/{name}")
        homes = [str(home) for kind in _KINDS for home in Path(work, kind).glob("*") if not home.name.startswith(".")]
        for home in sorted(homes, key=_last_used):
            self._sizes[home] = _size_of(home)
        self.limit = min(most, (shutil.disk_usage(work).free + self.used) // _SHARE)
        self._make_room(0)

    @property
    def used(self) -> int:
        """The bytes of all that is kept or on its way."""
        with self._lock:
            return sum(self._sizes.values()) + sum(self._reserved.values())

    @property
    def spare_bytes(self) -> int:
        """By how much they may still grow."""
        return max(0, self.limit - self.used)

    def use(self, home: str, tree: str) -> None:
        """From now on this execution uses the folder with this home, which is made if missing. Raises OSError.

        Call this after its directory was made, and before looking whether the folder is there.
        """
        with self._lock:
            for folder, mode in ((os.path.dirname(home), 0o711), (home, 0o711), (f"{home}/{_USERS}", 0o700)):  # noqa: PTH120
                with contextlib.suppress(FileExistsError):
                    os.mkdir(folder, mode)  # noqa: PTH102
                    os.chmod(folder, mode)  # noqa: PTH101  whatever the umask
            Path(home, _USERS, tree).touch(mode=0o600)
            self._sizes.setdefault(home, _HOME_BYTES)
            self._sizes.move_to_end(home)
            with contextlib.suppress(OSError):
                os.utime(f"{home}/{_BYTES}")
            if len(self._sizes) > _MOST_HOMES:
                self._make_room(0)

    @contextlib.contextmanager
    def room(self, home: str, size: int, name: str) -> Iterator[None]:
        """Hold room for a folder while it is made. Raises NoRoomError."""
        with self._lock:
            self._make_room(size, name)
            self._reserved[home] = self._reserved.get(home, 0) + size
        try:
            yield
        finally:
            with self._lock:
                self._reserved[home] -= size
                if self._reserved[home] <= 0:
                    del self._reserved[home]

    def admit(self, home: str, folder: str, name: str) -> None:
        """Count a folder that is complete, and make room for it. Raises NoRoomError: then it does not stay; OSError."""
        size = disk_usage.measure(folder, self.limit)
        with self._lock:
            self._make_room(size, name)
            self._sizes[home] = size
            self._sizes.move_to_end(home)
            Path(home, _BYTES).write_text(str(size), encoding="ascii")

    def _make_room(self, wanted: int, name: str = "it") -> None:
        if wanted > self.limit:
            raise NoRoomError(
                f"{name} takes more than the {self.limit // _MIB} MiB that this node keeps of environments and images.",
                of_job=True,
            )
        excess = self.used + wanted - self.limit
        for home in list(self._sizes):
            if excess <= 0 and len(self._sizes) <= _MOST_HOMES:
                return
            if home not in self._reserved and not self._is_used(home):
                excess -= self._sizes.pop(home)
                self._evict(home)
        if wanted and excess > 0:
            raise NoRoomError(
                f"This node keeps {self.limit // _MIB} MiB of environments and images, and running jobs use so much "
                f"of it that there is no room for {name}.",
                of_job=False,
            )

    def _is_used(self, home: str) -> bool:
        """Whether an execution uses it; those that are over are struck out."""
        used = False
        with contextlib.suppress(OSError):
            for tree in os.listdir(f"{home}/{_USERS}"):  # noqa: PTH208
                if os.path.lexists(f"{self._work}/{tree}"):
                    used = True
                else:
                    Path(home, _USERS, tree).unlink(missing_ok=True)
        return used

    def _evict(self, home: str) -> None:
        """Take it out of the way now, and have it removed."""
        leaving = f"{self._work}/{_LEAVING}{secrets.token_hex(6)}"
        with contextlib.suppress(OSError):
            os.rename(home, leaving)  # noqa: PTH104
            self._leaves(leaving)
            self._remover.discard(leaving)


def _size_of(home: str) -> int:
    """Return the bytes of a home, as they stand in it; measured where an earlier release made it, or it is not complete."""
    try:
        return int(Path(home, _BYTES).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return disk_usage.measure(home)


def _last_used(home: str) -> float:
    for path in (f"{home}/{_BYTES}", home):
        with contextlib.suppress(OSError):
            return os.stat(path).st_mtime  # noqa: PTH116
    return 0.0
