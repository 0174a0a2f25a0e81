"""Cells: threads that are confined for good and start one run after another, so that most starts need no new mounts.

Namespaces and a filter of kernel calls cost more than everything else of a start. What a run is confined to hardly ever
changes: of one run and the next on a node, the own folder and the user alone differ. An agent uses the folders of attempts
again, under new names, and mounts go along with a folder that is renamed. So a cell is kept for its folder, and is used
again only if it is as a new one:

    folders     each folder that was mounted is still the same one (device and number), and so is the temporary folder
    /dev/shm    no file is left there, nothing is attached to the folder, and it belongs to the next run's user alone
    System V    no segment, semaphore or queue is left, nor a POSIX queue
    mounts      the machine has none that it had not when the cell was made, and lacks none

Whoever asks for cells promises two things. Each run has a user of its own: a process elsewhere may hold a folder of an
earlier run that was passed to it, and may do nothing there once the folder belongs to somebody else. And a folder is used
again by runs of the same project only: such a process may still see names come and go in it.
"""

import contextlib
import os
import select
import threading
import time
from collections.abc import Callable
from typing import Final, Protocol, TypeAlias, TypeVar

from workers.supervisor import syscalls, threads
from workers.supervisor.confining import confinement, mounts
from workers.supervisor.confining.confinement import SHARED_MEMORY, Confinement
from workers.supervisor.confining.syscall_filter import SyscallFilter

T = TypeVar("T")
CellKey: TypeAlias = tuple[object, ...]

_MOST_IDLE: Final = 64  # each is a thread, and a copy of the machine's mounts
_IDLE_S: Final = 10.0  # one that has waited for longer gives way to another
_MEMORY: Final = ("/proc/sysvipc/shm", "/proc/sysvipc/sem", "/proc/sysvipc/msg")
_HEADER_BYTES: Final = 4096  # more than the line that each of these begins with


class CellPlace(Protocol):
    """A cgroup that a cell may live in."""

    cell: "Cell | None"


class Cell:
    """One thread with namespaces of its own, and perhaps a filter. `slot` is the cgroup that it lives in, if it lives in one."""

    def __init__(self, wanted: Confinement, call_filter: SyscallFilter | None, key: CellKey) -> None:
        """Make the thread and confine it. Raises `OSError`."""
        self.key = key
        self.slot: CellPlace | None = None
        self._worker = threads.Worker()
        self._memory, self._queues = -1, -1
        self._lists: list[int] = []
        self._empty: list[object] = []
        try:
            self.tid = self._worker.do(lambda: self._furnish(wanted, call_filter))
        except BaseException:
            self.end()
            raise

    def do(self, work: Callable[[], T]) -> T:
        """Do this in the cell's thread; return what it returns, or raise what it raises."""
        return self._worker.do(work)

    def hand_over(self, uid: int, gid: int) -> None:
        """Let this user alone use the memory that runs see as /dev/shm. Raises `OSError`."""
        if self._memory >= 0:
            os.fchown(self._memory, uid, gid)

    def is_clean(self) -> bool:
        """Whether the run before has left nothing in memory, queues and segments."""
        try:
            return self._left() == self._empty
        except OSError:
            return False

    def end(self) -> None:
        """End the thread; what it was confined to goes with it."""
        self._worker.end()
        if self.slot is not None:
            self.slot.cell = None
            self.slot = None
        for descriptor in (self._memory, self._queues, *self._lists):
            if descriptor >= 0:
                os.close(descriptor)
        self._memory, self._queues, self._lists = -1, -1, []

    def _furnish(self, wanted: Confinement, call_filter: SyscallFilter | None) -> int:
        if wanted.tmp is not None:
            confinement.enter(wanted)
            with contextlib.suppress(FileNotFoundError):
                self._memory = os.open(SHARED_MEMORY, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                os.fchmod(self._memory, 0o700)
            self._queues = mounts.queues()
            self._lists = [os.open(path, os.O_RDONLY | os.O_CLOEXEC) for path in _MEMORY]
            self._empty = self._left()
        else:
            syscalls.own_directory()
        if call_filter is not None:
            call_filter.install()
        return threading.get_native_id()

    def _left(self) -> list[object]:
        """Return figures that are the same again when nothing is left."""
        figures: list[object] = [os.pread(each, _HEADER_BYTES, 0) for each in self._lists]
        if self._memory >= 0:
            held = os.fstatvfs(self._memory)
            figures += [held.f_files - held.f_ffree, held.f_blocks - held.f_bfree]
            figures += [os.fstat(self._memory).st_mode, os.listxattr(self._memory)]
        if self._queues >= 0:
            figures.append(os.fstat(self._queues).st_size)
        return figures


class CellStock:
    """The cells that wait for their next run. Used by one thread."""

    def __init__(self, filters: dict[str, SyscallFilter], *, namespaces: bool) -> None:
        """`filters` are put on cells; `namespaces` says whether cells have some."""
        self._filters, self._namespaces = filters, namespaces
        self.filtered = True
        """Whether cells are under a filter; forked processes put themselves under theirs, and clone3 is denied by it."""
        self._idle: dict[Cell, float] = {}  # to when it was given back, the longest ago first
        self._by_key: dict[CellKey, list[Cell]] = {}
        self.changes = os.open("/proc/self/mountinfo", os.O_RDONLY | os.O_CLOEXEC)
        """Descriptor that reports, as an exceptional condition, that the machine's mounts have changed."""
        self._looks = select.poll()
        self._looks.register(self.changes, select.POLLPRI)
        self._generation = 0

    def take(self, wanted: Confinement, own: str | None) -> Cell | None:
        """Return a cell for a run, new where none waits; None where none is kept for it. Raises `OSError`.

        `own` is the run's own folder, whose name does not matter.
        """
        key = self._key(wanted, own)
        if key is None:
            return None
        waiting = self._by_key.get(key)
        if waiting:
            cell = waiting.pop()
            del self._idle[cell]
            if not waiting:
                del self._by_key[key]
            return cell
        if len(self._idle) >= _MOST_IDLE:  # to make one and end another each time would cost more than none
            oldest, since = next(iter(self._idle.items()))
            if time.monotonic() - since < _IDLE_S:
                return None
            self._drop(oldest)
        return Cell(self._reduced(wanted), self._filters.get(wanted.calls or "") if self.filtered else None, key)

    def give_back(self, cell: Cell) -> None:
        """Keep a cell whose run is over for the next one, if it is as a new one; else end it."""
        if cell.key[0] != self._generation or not cell.is_clean():
            cell.end()
            return
        if len(self._idle) >= _MOST_IDLE:
            cell.end()
            return
        self._idle[cell] = time.monotonic()
        self._by_key.setdefault(cell.key, []).append(cell)

    def forget(self) -> None:
        """The machine's mounts have changed: end all cells, those in use when their run is over."""
        self._generation += 1
        for cell in list(self._idle):
            self._drop(cell)

    def _drop(self, cell: Cell) -> None:
        del self._idle[cell]
        same = self._by_key[cell.key]
        same.remove(cell)
        if not same:
            del self._by_key[cell.key]
        cell.end()

    def _reduced(self, wanted: Confinement) -> Confinement:
        return wanted if self._namespaces else wanted._replace(tmp=None)

    def _key(self, wanted: Confinement, own: str | None) -> CellKey | None:
        """Return all that makes two confinements the same one, None where a cell cannot be kept for it."""
        if not wanted.kept:
            return None
        if not self._namespaces:
            return self._generation, wanted.calls
        if wanted.tmp is None or own is None:
            return None
        if self._looks.poll(0):
            self.forget()
        parts: list[object] = [self._generation, wanted.calls, wanted.shm_bytes, wanted.read_only, wanted.own_processes]
        for paths in (wanted.writable, wanted.readable, wanted.hidden, (wanted.tmp,)):
            parts.append(None)
            for path in paths:
                is_own = path in {own, wanted.tmp}
                try:
                    state = os.stat(path, follow_symlinks=False)
                except FileNotFoundError:
                    if is_own:
                        return None
                else:
                    parts.append((None if is_own else path, state.st_dev, state.st_ino))
        return tuple(parts)
