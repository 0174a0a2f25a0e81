"""Files beneath a folder, and nowhere else: nothing that somebody puts into the folder leads out of it.

No link is followed, not even within the folder: neither symbolic ones nor those of /proc. The kernel does it in one call
where it has openat2 (Linux 5.6 and later, unless a container forbids the call); elsewhere each part of the path is opened
by itself, beneath the part before it. Both ways keep the same promises, and the tests hold both to them.

Only regular files are opened for reading. They are looked at before they are opened, so that no pipe waits for a writer
and no device notices.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_OPENAT2 = 437
"""The number of the call, the same on all machines."""

_NO_MAGICLINKS, _NO_SYMLINKS, _BENEATH = 0x02, 0x04, 0x08
_PATH_ONLY = os.O_PATH | os.O_CLOEXEC
_ATTEMPTS = 8
"""The kernel gives up with EAGAIN when folders are moved while it looks; somebody may move them all the time."""

_libc = ctypes.CDLL(None, use_errno=True)
_held: dict[Path, int] = {}


class NoRegularFileError(OSError):
    """The path names something that is no regular file: a folder, a link, a pipe, a device, a socket."""


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def parts_of(path: str) -> list[str]:
    """Return the parts of a relative path. Raises ValueError for one with empty parts, . or .., or a NUL."""
    parts = path.split("/")
    if "\0" in path or any(part in {"", ".", ".."} for part in parts):
        raise ValueError("a path in a workspace has no empty parts and no ..")
    return parts


def hold(folder: Path) -> None:
    """Keep a folder open for this process and its children, so that they reach it without the rights to its parents."""
    if folder not in _held:
        _held[folder] = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


@contextmanager
def opened_folder(base: Path, path: str) -> Iterator[int]:
    """Within it the folder `path` beneath `base` is open; `base` itself is opened as it is written, an empty path is `base`."""
    kept = _held.get(base)
    handle = os.open(base, _PATH_ONLY | os.O_DIRECTORY) if kept is None else os.dup(kept)
    try:
        inner = open_beneath(handle, path, os.O_PATH | os.O_DIRECTORY) if path else os.dup(handle)
    finally:
        os.close(handle)
    try:
        yield inner
    finally:
        os.close(inner)


def open_beneath(folder: int, path: str, flags: int, mode: int = 0) -> int:
    """Open a path beneath an open folder and return its handle. Raises OSError: ELOOP or ENOTDIR where a link is in the way."""
    return by_kernel(folder, path, flags, mode) if _kernel_can() else by_hand(folder, path, flags, mode)


def by_kernel(folder: int, path: str, flags: int, mode: int = 0) -> int:
    """Do as `open_beneath` with one call of the kernel. Raises OSError ENOSYS or EPERM where that cannot be had."""
    name = b"/".join(os.fsencode(part) for part in parts_of(path))
    how = _OpenHow(flags | os.O_CLOEXEC, mode, _BENEATH | _NO_SYMLINKS | _NO_MAGICLINKS)
    number = 0
    for _ in range(_ATTEMPTS):
        handle: int = _libc.syscall(_OPENAT2, folder, name, ctypes.byref(how), ctypes.c_size_t(ctypes.sizeof(how)))
        if handle >= 0:
            return handle
        number = ctypes.get_errno()
        if number not in {errno.EAGAIN, errno.EINTR}:
            break
    raise OSError(number, os.strerror(number), path)


def by_hand(folder: int, path: str, flags: int, mode: int = 0) -> int:
    """Do as `open_beneath` part by part: each is opened beneath the one before it, and none may be a link."""
    *folders, last = parts_of(path)
    at = os.dup(folder)
    try:
        for part in folders:
            inner = os.open(part, _PATH_ONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
            os.close(at)
            at = inner
        handle = os.open(last, flags | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=at)
    finally:
        os.close(at)
    if flags & os.O_PATH and stat.S_ISLNK(os.fstat(handle).st_mode):  # with O_PATH the link itself is opened
        os.close(handle)
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
    return handle


def open_file(folder: int, path: str) -> int:
    """Open a regular file for reading; never waits. Raises OSError, NoRegularFileError among them."""
    looked_at = open_beneath(folder, path, os.O_PATH)
    try:
        if not stat.S_ISREG(os.fstat(looked_at).st_mode):
            raise NoRegularFileError(errno.EINVAL, "it is not a regular file", path)
        return os.open(f"/proc/self/fd/{looked_at}", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    finally:
        os.close(looked_at)


def make_folders(folder: int, parts: list[str]) -> int:
    """Return a handle of the folder at `parts` beneath an open folder, made with all that is missing above it."""
    at = os.open(f"/proc/self/fd/{folder}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts:
            with suppress(FileExistsError):  # whatever it is: what follows finds out
                os.mkdir(part, dir_fd=at)
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
            os.close(at)
            at = inner
    except BaseException:
        os.close(at)
        raise
    return at


@functools.cache
def _kernel_can() -> bool:
    handle = os.open("/", _PATH_ONLY | os.O_DIRECTORY)
    try:
        os.close(by_kernel(handle, "proc", os.O_PATH))
    except OSError as error:
        return error.errno not in {errno.ENOSYS, errno.EPERM, errno.EINVAL}
    finally:
        os.close(handle)
    return True
