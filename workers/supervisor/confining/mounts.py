"""Mounts of the calling thread's own mount namespace, by the calls of Linux 5.12: no path is followed through a link.

Each function raises `OSError`. A tree is a descriptor of mounts that were cloned and are not mounted anywhere yet.
"""

import ctypes
import os
import struct
from typing import Final

_libc: Final = ctypes.PyDLL(None, use_errno=True)
_call: Final = _libc["syscall"]
_call.argtypes = [ctypes.c_long] * 6
_call.restype = ctypes.c_long
_libc.mount.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p]

# These numbers are the same on all architectures.
_OPEN_TREE: Final = 428
_MOVE_MOUNT: Final = 429
_FSOPEN: Final = 430
_FSCONFIG: Final = 431
_FSMOUNT: Final = 432
_MOUNT_SETATTR: Final = 442

_AT_FDCWD: Final = -100
_AT_SYMLINK_NOFOLLOW: Final = 0x100
_AT_EMPTY_PATH: Final = 0x1000
_AT_RECURSIVE: Final = 0x8000
_OPEN_TREE_CLONE: Final = 1
_MOVE_MOUNT_F_EMPTY_PATH: Final = 4
_FS_CLOEXEC: Final = 1  # of fsopen and fsmount
_CREATE: Final = 6  # command of fsconfig
_RDONLY: Final = 1
_ATTRIBUTES: Final = struct.Struct("QQQQ")  # to set, to clear, propagation, user namespace
_NOSUID_NODEV: Final = 2 | 4
_NOEXEC: Final = 8
_PRIVATE: Final = 0x40000
_REC_SLAVE: Final = 0x4000 | 0x80000


def stop_propagation() -> None:
    """Let nothing that is mounted from now on be seen in any other namespace."""
    _check(_libc.mount(None, b"/", None, _REC_SLAVE, None))


def clone(path: str) -> int:
    """Return a tree: the mounts at a path and beneath it, as they are."""
    flags = _OPEN_TREE_CLONE | os.O_CLOEXEC | _AT_RECURSIVE | _AT_SYMLINK_NOFOLLOW
    with _Text(path) as address:
        return _check(_call(_OPEN_TREE, _AT_FDCWD, address, flags, 0, 0))


def put(tree: int, path: str) -> None:
    """Mount a tree at a path."""
    with _Text("") as nothing, _Text(path) as address:
        _check(_call(_MOVE_MOUNT, tree, nothing, _AT_FDCWD, address, _MOVE_MOUNT_F_EMPTY_PATH))


def make_private(path: str) -> None:
    """Let what is mounted upon the mount at a path be seen in no other namespace."""
    _check(_libc.mount(None, os.fsencode(path), None, _PRIVATE, None))


def processes(path: str) -> None:
    """Mount a process table that shows the PID namespace of the calling process."""
    _check(_libc.mount(b"proc", os.fsencode(path), b"proc", _NOSUID_NODEV | _NOEXEC, None))


def own_processes(path: str) -> None:
    """Mount a process table over another that shows each user its own processes only: those of others are not there (Linux 5.8)."""
    _check(_libc.mount(b"proc", os.fsencode(path), b"proc", _NOSUID_NODEV | _NOEXEC, b"hidepid=2"))


def memory(path: str, size_bytes: int | None, mode: int) -> None:
    """Mount an empty file system in memory at a path; without a size it may take half of the machine's memory."""
    options = f"mode={mode:o}" + ("" if size_bytes is None else f",size={size_bytes}")
    _check(_libc.mount(b"ganger", os.fsencode(path), b"tmpfs", _NOSUID_NODEV, options.encode()))


def queues() -> int:
    """Return a descriptor of the folder of all POSIX message queues of the thread's IPC namespace, mounted nowhere."""
    with _Text("mqueue") as kind:
        context = _check(_call(_FSOPEN, kind, _FS_CLOEXEC, 0, 0, 0))
    try:
        _check(_call(_FSCONFIG, context, _CREATE, 0, 0, 0))
        return _check(_call(_FSMOUNT, context, _FS_CLOEXEC, 0, 0, 0))
    finally:
        os.close(context)


def make_read_only(path: str, *, alone: bool = False) -> None:
    """Make the mount at a path read only, with all beneath it unless `alone`."""
    _set(_AT_FDCWD, path, 0 if alone else _AT_RECURSIVE, _RDONLY, 0)


def make_tree_read_only(tree: int) -> None:
    """Make all mounts of a tree read only."""
    _set(tree, "", _AT_EMPTY_PATH | _AT_RECURSIVE, _RDONLY, 0)


def make_writable(path: str) -> None:
    """Undo `make_read_only` for the mount at a path alone."""
    _set(_AT_FDCWD, path, 0, 0, _RDONLY)


def _set(folder: int, path: str, flags: int, wanted: int, unwanted: int) -> None:
    block = _ATTRIBUTES.pack(wanted, unwanted, 0, 0)
    buffer = ctypes.create_string_buffer(block, len(block))
    with _Text(path) as address:
        _check(_call(_MOUNT_SETATTR, folder, address, flags, ctypes.addressof(buffer), len(block)))


class _Text:
    """The address of a path in memory, valid inside the block."""

    def __init__(self, path: str) -> None:
        self._buffer = ctypes.create_string_buffer(os.fsencode(path))

    def __enter__(self) -> int:
        return ctypes.addressof(self._buffer)

    def __exit__(self, *_: object) -> None:
        return


def _check(result: int) -> int:
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return int(result)
