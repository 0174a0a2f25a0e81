"""Removal: what executions leave on a node is taken out of the way at once, and removed whatever it is.

A job may leave anything: folders nested thousands deep, names of any bytes, millions of entries, folders closed to
everybody, things that can't be removed at all. So a folder is first renamed into the bin beside it (`.bin`), which takes
no time, and its name is free again. One thread then empties the bin. It needs no recursion and at most three
descriptors: it removes what lies in a folder, and moves each folder that it meets there up into the bin, so that none
is ever deeper than one level. Nothing is followed: no link, and no mount, for a mount point can't be moved.

Each folder gets a slice of the time in turn, so that a huge one holds up no other. One that can't be removed is left
alone for a while, and tried again: the node goes on, and its log and its load in the list of nodes say so.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import queue
import secrets
import stat
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from workers import log

BIN: Final = ".bin"
RETRY_S: Final = 600.0
_SLICE_S: Final = 2.0
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PATH: Final = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_GET_FLAGS, _SET_FLAGS = 0x80086601, 0x40086602  # FS_IOC_GETFLAGS, FS_IOC_SETFLAGS
_FLAGS: Final = struct.Struct("l")
_LOCKING_FLAGS: Final = 0x10 | 0x20  # immutable, append only


@dataclass(slots=True)
class _Leftover:
    """One folder on its way out. `path` lies in a bin, or still at its own place if it could not be moved there."""

    path: str
    name: str
    why: str | None = None
    due: float = 0.0


class FileRemover:
    """Removes folders of executions that are over. `discard` may be called from any thread; `run` is its own thread's loop."""

    def __init__(self, places: Sequence[str]) -> None:
        """`places` are the folders that hold executions' folders; what earlier lives left in their bins is removed too."""
        self._inbox: queue.SimpleQueue[_Leftover | None] = queue.SimpleQueue()
        self._turn: list[_Leftover] = []
        self._kept = 0
        for place in places:
            with contextlib.suppress(OSError):
                os.mkdir(f"{place}/{BIN}", 0o700)  # noqa: PTH102
            with contextlib.suppress(OSError):
                for name in os.listdir(f"{place}/{BIN}"):  # noqa: PTH208  folders of the node's own
                    self._inbox.put(_Leftover(f"{place}/{BIN}/{name}", name))

    @property
    def kept(self) -> int:
        """How many folders could not be removed so far."""
        return self._kept

    def discard(self, folder: str) -> None:
        """Take a folder out of the way now, and remove it later. Never fails; may be repeated."""
        place, _, name = folder.rpartition("/")
        holder = f"{place}/{BIN}/{name}-{secrets.token_hex(6)}"
        try:
            os.mkdir(holder, 0o700)  # noqa: PTH102
        except OSError:
            self._inbox.put(_Leftover(folder, name))
            return
        try:
            _move(folder, f"{holder}/0")
        except FileNotFoundError:
            with contextlib.suppress(OSError):
                os.rmdir(holder)  # noqa: PTH106
        except OSError:
            self._inbox.put(_Leftover(holder, name))
            self._inbox.put(_Leftover(folder, name))
        else:
            self._inbox.put(_Leftover(holder, name))

    def stop(self) -> None:
        """Let `run` return; what is left is removed in the next life."""
        self._inbox.put(None)

    def run(self) -> None:
        """Remove until stopped."""
        while self._take_new():
            now = time.monotonic()
            for leftover in [one for one in self._turn if one.due <= now]:
                self._remove(leftover)
            self._kept = sum(one.why is not None for one in self._turn)

    def _take_new(self) -> bool:
        """Take in what was discarded; wait if there is nothing to do. False if it is time to stop."""
        with contextlib.suppress(queue.Empty):
            due = min((one.due for one in self._turn), default=None)
            wait = None if due is None else max(0.0, due - time.monotonic())
            new = self._inbox.get(timeout=wait) if wait is None or wait > 0 else self._inbox.get_nowait()
            while new is not None:
                self._turn.append(new)
                new = self._inbox.get_nowait()
            return False
        return True

    def _remove(self, leftover: _Leftover) -> None:
        """Give a folder its slice of time."""
        try:
            if _Removal(leftover.path).work():
                self._turn.remove(leftover)
        except OSError as error:
            self._put_off(leftover, time.monotonic(), error)

    def _put_off(self, leftover: _Leftover, now: float, error: OSError) -> None:
        if leftover.why is None:
            log.logger().warning(log.LEFTOVER_KEPT, folder=leftover.name, path=leftover.path, why=error.strerror)
        leftover.why, leftover.due = error.strerror or "unknown", now + RETRY_S


def remove(folder: str) -> bool:
    """Remove a folder and all that is in it, however long that takes; return whether it is gone."""
    with contextlib.suppress(OSError):
        while not _Removal(folder).work():
            pass
    return not os.path.lexists(folder)


class _Removal:
    """One slice of the removal of one folder, which holds the folders that were moved up, too."""

    def __init__(self, path: str) -> None:
        self._path, self._until = path, time.monotonic() + _SLICE_S
        self._problem: OSError | None = None

    def work(self) -> bool:
        """Remove as much as the time allows; return whether all is gone. Raises OSError if something can't be removed."""
        try:
            top = os.open(self._path, _DIRECTORY)
        except FileNotFoundError:
            return True
        except OSError:  # not a folder, or one that is closed
            return self._remove_odd()
        try:
            if not self._empty(top):
                return False
        finally:
            os.close(top)
        os.rmdir(self._path)  # noqa: PTH106
        return True

    def _remove_odd(self) -> bool:
        parent, _, name = self._path.rpartition("/")
        folder = os.open(parent, _DIRECTORY)
        try:
            if _remove_entry(folder, name):
                return True
            _unlock(folder, name)
            os.close(os.open(name, _DIRECTORY, dir_fd=folder))
            return False
        finally:
            os.close(folder)

    def _empty(self, top: int) -> bool:
        """Empty the folder; False if the time is up. Raises OSError for what can't be removed, after all the rest is gone."""
        progress = True
        while progress:
            progress, self._problem = False, None
            with os.scandir(top) as entries:
                for entry in entries:
                    if time.monotonic() > self._until:
                        return False
                    progress = self._clear(top, entry.name) or progress
        if self._problem is not None:
            raise self._problem
        return True

    def _clear(self, top: int, name: str) -> bool:
        """Remove one entry of the top, or what lies in it; return whether anything was removed or moved."""
        try:
            if _remove_entry(top, name):
                return True
            folder = _opened(top, name)
        except OSError as error:
            self._problem = error
            return False
        progress = False
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if time.monotonic() > self._until:
                        return True
                    progress = self._clear_inside(top, folder, entry.name) or progress
        finally:
            os.close(folder)
        return progress

    def _clear_inside(self, top: int, folder: int, name: str) -> bool:
        try:
            if not _remove_entry(folder, name):
                _move(name, secrets.token_hex(8), folder, top)
        except OSError as error:
            self._problem = error
            return False
        return True


def _remove_entry(folder: int, name: str) -> bool:
    """Remove a file of any kind or an empty folder; False for a folder with something in it. Raises OSError."""
    for attempt in (1, 2):
        try:
            _unlink(folder, name)
        except FileNotFoundError:
            return True
        except OSError as error:
            if error.errno in {errno.ENOTEMPTY, errno.EEXIST}:
                return False
            if attempt == 2 or error.errno not in {errno.EPERM, errno.EACCES}:  # noqa: PLR2004
                raise
            _unlock(folder, ".")
            _unlock(folder, name)
        else:
            return True
    raise AssertionError(name)


def _unlink(folder: int, name: str) -> None:
    try:
        os.unlink(name, dir_fd=folder)
    except IsADirectoryError:
        os.rmdir(name, dir_fd=folder)


def _opened(folder: int, name: str) -> int:
    """Open a folder that lies in another one; if its owner has closed it, open it up first."""
    try:
        return os.open(name, _DIRECTORY, dir_fd=folder)
    except PermissionError:
        _unlock(folder, name)
        return os.open(name, _DIRECTORY, dir_fd=folder)


def _move(name: str, target: str, folder: int | None = None, target_folder: int | None = None) -> None:
    """Move a folder; it has to be open to us, because its entry `..` changes."""
    try:
        os.rename(name, target, src_dir_fd=folder, dst_dir_fd=target_folder)
    except PermissionError:
        _unlock(folder, name)
        os.rename(name, target, src_dir_fd=folder, dst_dir_fd=target_folder)


def _unlock(folder: int | None, name: str) -> None:
    """Take away what keeps a file or folder from being removed: flags, and the rights of a folder. Never follows a link."""
    with contextlib.suppress(OSError):
        held = os.open(name, _PATH, dir_fd=folder)
        try:
            mode = os.fstat(held).st_mode
            if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
                return
            if stat.S_ISDIR(mode) and os.geteuid() != 0:
                os.chmod(f"/proc/self/fd/{held}", 0o700)  # noqa: PTH101
            if os.geteuid() == 0:
                _clear_flags(f"/proc/self/fd/{held}")
        finally:
            os.close(held)


def _clear_flags(path: str) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        (flags,) = _FLAGS.unpack(fcntl.ioctl(fd, _GET_FLAGS, bytes(_FLAGS.size)))
        if flags & _LOCKING_FLAGS:
            fcntl.ioctl(fd, _SET_FLAGS, _FLAGS.pack(flags & ~_LOCKING_FLAGS))
    finally:
        os.close(fd)
