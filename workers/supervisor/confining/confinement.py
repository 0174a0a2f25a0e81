"""What a job sees and may write beside its own directories: its confinement, in namespaces of its own.

    /tmp, /var/tmp     a folder of its own, which counts as its disk and goes with it
    /dev/shm           memory of its own, which counts as its memory and goes with the run
    System V, POSIX    shared memory, semaphores and queues of its own
    /proc              processes of its own user alone, where each run has one
    everything else    read only, but for the folders that are named as writable; what is named as hidden is not there

A thread takes all of it on and then starts the program. It has no way back and needs none: it is made for one start and
ends with it (`ProcessSpawner`). All places are cloned before anything is covered, so a folder stays reachable under its
own path although it lies beneath a covered one. The calls are those of Linux 5.12 and later: they need no /proc and
follow no link.
"""

import contextlib
import errno
import os
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from workers.supervisor import syscalls
from workers.supervisor.confining import mounts
from workers.supervisor.limits import TEMPORARY

SHARED_MEMORY: Final = "/dev/shm"  # noqa: S108  what is covered
_LEAST_SHM_BYTES: Final = 1 << 20
_FOLDER_MODE: Final = 0o755


class Confinement(NamedTuple):
    """What one run is confined to. Paths are absolute; what is not there is passed over."""

    tmp: str | None = None  # the folder that becomes /tmp and /var/tmp; None: no namespaces at all
    writable: Sequence[str] = ()
    readable: Sequence[str] = ()  # visible although beneath something hidden
    hidden: Sequence[str] = ()
    read_only: bool = True  # whether everything else is
    shm_bytes: int | None = None
    calls: str | None = None  # the kind of filter of kernel calls
    kept: bool = False  # whether a cell may be kept: each run has a user of its own
    own_processes: bool = False  # whether only processes of the run's own user are seen


def enter(confinement: Confinement) -> None:
    """Confine the calling thread, and all that it starts, for good (thread; needs privilege). Raises `OSError`."""
    if confinement.tmp is None:
        return
    syscalls.unshare(syscalls.CLONE_NEWNS | syscalls.CLONE_NEWIPC)
    mounts.stop_propagation()
    with contextlib.ExitStack() as opened:
        kept = []
        for path, read_only in _kept(confinement):
            with contextlib.suppress(FileNotFoundError):
                tree = mounts.clone(path)
                opened.callback(os.close, tree)
                kept.append((path, tree))
                if read_only:
                    mounts.make_tree_read_only(tree)
        for path in TEMPORARY:
            if os.path.isdir(path) and path not in confinement.writable:
                tree = mounts.clone(confinement.tmp)
                opened.callback(os.close, tree)
                kept.append((path, tree))
        if confinement.read_only:
            mounts.make_read_only("/")
            with contextlib.suppress(OSError):  # nobody leaves files there, and programs rename themselves
                mounts.make_writable("/proc")
        if confinement.own_processes:
            with contextlib.suppress(OSError):  # where /proc is covered in part no other one may be mounted
                mounts.own_processes("/proc")
        _arrange(confinement, kept)
    os.chdir("/")


def trial() -> list[str]:
    """Try out, for good, what a thread can be confined to here. Returns one sentence for each thing that is missing."""
    missing = []
    try:
        enter(Confinement(tmp="/"))
    except OSError as error:
        missing.append(
            f"Temporary files, shared memory and the rest of the file system are shared by all jobs: {error.strerror}."
        )
    return missing


def decode(value: Any) -> Confinement | None:  # noqa: ANN401  JSON
    """Read a confinement from a message; fields that are not known are ignored. Raises `ValueError`."""
    if value is None:
        return None
    if not isinstance(value, dict):
        raise ValueError("confinement must be an object")  # noqa: TRY004  one kind of error for all
    known = {name: value[name] for name in Confinement._fields if name in value}
    paths = [
        known.get("tmp") or "/",
        *(path for name in ("writable", "readable", "hidden") for path in known.get(name, ())),
    ]
    if not all(isinstance(path, str) and path.startswith("/") and "\0" not in path for path in paths):
        raise ValueError("the paths of a confinement must be absolute")
    return Confinement(**known)


def _kept(confinement: Confinement) -> list[tuple[str, bool]]:
    return [(path, False) for path in confinement.writable] + [(path, True) for path in confinement.readable]


def _arrange(confinement: Confinement, kept: list[tuple[str, int]]) -> None:
    """Cover what is hidden and put the clones where they belong: a folder before all that lies beneath it."""
    size = confinement.shm_bytes
    shared = None if size is None else max(size, _LEAST_SHM_BYTES)
    steps: list[tuple[str, int | None]] = [(path, None) for path in (*confinement.hidden, SHARED_MEMORY)]
    covers = []
    for path, tree in sorted([*steps, *kept], key=lambda step: (step[0].count("/"), step[0], step[1] is not None)):
        if tree is not None:
            _put(tree, path)
        elif os.path.isdir(path):
            is_shared = path == SHARED_MEMORY
            mounts.memory(path, shared if is_shared else _LEAST_SHM_BYTES, 0o1777 if is_shared else 0o711)
            covers += [] if is_shared else [path]
        elif os.path.exists(path):
            nothing = mounts.clone(os.devnull)
            try:
                mounts.put(nothing, path)
            finally:
                os.close(nothing)
    for path in covers:  # mount points were made in them meanwhile
        with contextlib.suppress(OSError):  # it lies beneath another one
            mounts.make_read_only(path, alone=True)


def _put(tree: int, path: str) -> None:
    """Mount a clone at its path, which is made anew where it was covered."""
    try:
        mounts.put(tree, path)
    except FileNotFoundError:
        os.makedirs(path, _FOLDER_MODE, exist_ok=True)
        mounts.put(tree, path)
    except OSError as error:
        if error.errno != errno.ENOTDIR:
            raise
        raise OSError(errno.ENOTDIR, f"{path} is no folder") from error
