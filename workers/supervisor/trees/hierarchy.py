"""One cgroup hierarchy as files: where it is mounted, and reading and writing below one node's folder in it."""

import contextlib
import errno
import os
from collections.abc import Iterator
from typing import Final, NamedTuple

_READ_BYTES: Final = 1 << 16
_SPARE_BYTES: Final = 2 << 20  # half of it may still be charged for the last tree; the rest is for the next start
_SMALL_BYTES: Final = 32 << 20  # from here on, neither counts
_SHORT_BYTES: Final = 512  # of a file with one number, or a few named ones


class CgroupMount(NamedTuple):
    """One mounted cgroup hierarchy."""

    path: str
    version: int
    options: frozenset[str]  # controllers of version 1, among other words


def mounts() -> list[CgroupMount]:
    """Return the cgroup hierarchies mounted on this machine, in mount order."""
    found = []
    with open("/proc/self/mountinfo", "rb") as table:
        for line in table:
            left, _, right = line.partition(b" - ")
            kind, _, options = right.split()[:3]
            if kind in {b"cgroup", b"cgroup2"}:
                path = os.fsdecode(left.split()[4].replace(b"\\040", b" "))
                words = frozenset(os.fsdecode(options).split(","))
                found.append(CgroupMount(path, 2 if kind == b"cgroup2" else 1, words))
    return found


class CgroupFiles:
    """The files of one cgroup folder; kept open, each use is one call of the kernel instead of three or four."""

    def __init__(self, folder: str, *, keep: bool) -> None:
        self.folder = folder
        self._keep = keep
        self._open: dict[tuple[str, int], int] = {}

    def write(self, file: str, text: bytes) -> None:
        """Write one value. Raises `OSError`: the kernel refuses in the write itself."""
        descriptor = self._descriptor(file, os.O_WRONLY)
        try:
            os.write(descriptor, text)
        finally:
            self._done(descriptor)

    @contextlib.contextmanager
    def opened(self, file: str) -> Iterator[int]:
        """Open a file for writing; it is valid inside the block. Raises `OSError`."""
        descriptor = self._descriptor(file, os.O_WRONLY)
        try:
            yield descriptor
        finally:
            self._done(descriptor)

    def try_write(self, file: str, text: bytes) -> bool:
        """Write one value where the kernel offers that file; whether it did."""
        try:
            self.write(file, text)
        except OSError:
            return False
        return True

    def number(self, file: str, key: bytes = b"") -> int | None:
        """Read a number, or that on the line which begins with `key`; `None` where there is none."""
        try:
            descriptor = self._descriptor(file, os.O_RDONLY)
        except OSError:
            return None
        try:
            content = os.pread(descriptor, _SHORT_BYTES, 0)
        except OSError:  # the cgroup was removed
            return None
        finally:
            self._done(descriptor)
        for line in content.splitlines():
            head, _, value = line.rpartition(b" ")
            if head == key and value.isdigit():
                return int(value)
        return None

    def close(self) -> None:
        """Close what is kept open, before the folder is removed."""
        for descriptor in self._open.values():
            os.close(descriptor)
        self._open.clear()

    def _descriptor(self, file: str, mode: int) -> int:
        descriptor = self._open.get((file, mode))
        if descriptor is None:
            descriptor = os.open(f"{self.folder}/{file}", mode | os.O_CLOEXEC)
            if self._keep:
                self._open[file, mode] = descriptor
        return descriptor

    def _done(self, descriptor: int) -> None:
        if not self._keep:
            os.close(descriptor)


class CgroupHierarchy:
    """One node's folder in one hierarchy; names are those of trees, `""` is the folder itself."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def path(self, name: str, file: str = "") -> str:
        """Return where a tree's folder, or a file in it, is."""
        return "/".join(part for part in (self.folder, name, file) if part)

    def make(self, name: str) -> None:
        """Make a tree's folder afresh, so that its counters begin at zero. Raises `OSError`."""
        try:
            os.mkdir(self.path(name), 0o755)
        except FileExistsError:
            os.rmdir(self.path(name))
            os.mkdir(self.path(name), 0o755)

    def remove(self, name: str) -> bool:
        """Remove a folder if it is there; whether it is gone."""
        try:
            os.rmdir(self.path(name))
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True

    def names(self) -> list[str]:
        """Return the trees that have a folder."""
        try:
            with os.scandir(self.folder) as entries:
                return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        except FileNotFoundError:
            return []

    def write(self, name: str, file: str, text: str) -> None:
        """Write one value. Raises `OSError`: the kernel refuses in the write itself."""
        descriptor = os.open(self.path(name, file), os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)

    def try_write(self, name: str, file: str, text: str) -> bool:
        """Write one value where the kernel offers that file; whether it did."""
        try:
            self.write(name, file, text)
        except OSError:
            return False
        return True

    def read(self, name: str, file: str) -> str:
        """Read a file; `""` where it, or the tree, does not exist."""
        try:
            descriptor = os.open(self.path(name, file), os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return ""
        content = b""
        try:
            # The kernel answers ENODEV when the cgroup was removed between opening and reading.
            with contextlib.suppress(OSError):
                while chunk := os.read(descriptor, _READ_BYTES):
                    content += chunk
        finally:
            os.close(descriptor)
        return content.decode(errors="replace")

    def number(self, name: str, file: str, key: str = "") -> int | None:
        """Read a number, or that on the line which begins with `key`; `None` where there is none."""
        for line in self.read(name, file).splitlines():
            head, _, value = line.rpartition(" ")
            if head == key and value.isdigit():
                return int(value)
        return None

    def pids(self, name: str) -> list[int]:
        """Return the living processes of a tree, and of cgroups that it made below itself."""
        found = [int(line) for line in self.read(name, "cgroup.procs").split()]
        for below in self.below(name):
            found += self.pids(below)
        return [pid for pid in found if pid != os.getpid()]

    def prune(self, name: str) -> bool:
        """Remove a tree's folder and all below it, deepest first; whether it is gone."""
        for below in self.below(name):
            self.prune(below)
        return self.remove(name)

    def below(self, name: str) -> list[str]:
        """Return the cgroups that a tree made below its own."""
        try:
            if not has_folders(self.path(name)):
                return []
            with os.scandir(self.path(name)) as entries:
                return [f"{name}/{entry.name}" for entry in entries if entry.is_dir(follow_symlinks=False)]
        except OSError as error:
            if error.errno in {errno.ENOENT, errno.ENODEV}:
                return []
            raise


def memory_limit(mem: int) -> int:
    """Return the bytes that a tree's cgroup may hold which may use so many thousandths of a MiB.

    The kernel charges a cgroup for more than the program's own memory: for what starting it takes (in threads of ours,
    whose attempts to get memory would fail), and for what the last tree's end has not yet let go of. Small limits get room for both.
    """
    size = mem * (1 << 20) // 1000
    return max(size, min(size + _SPARE_BYTES, _SMALL_BYTES))


def has_folders(path: str) -> bool:
    """Whether there are folders in a cgroup folder. Raises `OSError`."""
    return os.stat(path).st_nlink > 2  # noqa: PLR2004  (its own name, its ".", and one for each folder in it)
