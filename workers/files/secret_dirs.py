"""What an attempt is given beside its directory: secrets as files, the description of its containers.

A box belongs to the node; in it `secrets` belongs to the job's user, whose files there are readable by that user alone.
Boxes lie in memory where the machine has a file system there, so that secrets never touch a disk.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from pathlib import Path
from typing import Final

from scheduler.wire import TaskSpec
from workers.paths import ExecutionKey, Paths

_SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108  only the mount point; our folder's owner is checked


def home(disk_id: str, work: Path) -> Path:
    """Return the folder for boxes, made if missing. Raises OSError; PermissionError when it is somebody else's."""
    in_memory = _SHARED_MEMORY.is_dir() and os.access(_SHARED_MEMORY, os.W_OK) and os.path.ismount(_SHARED_MEMORY)
    folder = _SHARED_MEMORY / f"ganger-{disk_id}" if in_memory else work / ".boxes"
    folder.mkdir(mode=0o711, exist_ok=True)
    state = folder.lstat()
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.geteuid():
        raise PermissionError(f"{folder} belongs to somebody else")
    folder.chmod(0o711)
    return folder


def is_needed(spec: TaskSpec) -> bool:
    """Return whether an execution gets a box."""
    return bool(spec.secret_names) or spec.commands.runner == "container"


def make(spec: TaskSpec, paths: Paths, user: tuple[int, int] | None) -> None:
    """Make the box afresh, with its secrets. Raises OSError."""
    key = spec.execution_id, spec.attempt
    remove(paths, key)
    secret_dir = Path(paths.secret_dir(key))
    secret_dir.parent.mkdir(mode=0o711, exist_ok=True)
    secret_dir.mkdir(mode=0o711)
    (secret_dir / "state").mkdir(mode=0o700)
    if spec.secret_names:
        folder = Path(paths.secrets(key))
        folder.mkdir(mode=0o700)
        for name, value in spec.secrets.items():
            _write(folder / name, value.encode(), user)
        _give(folder, user)
    _give(secret_dir / "state", user)


def remove(paths: Paths, key: ExecutionKey) -> None:
    """Remove a box if there is one."""
    secret_dir = paths.secret_dir(key)
    if os.path.lexists(secret_dir):
        shutil.rmtree(secret_dir, ignore_errors=True)


def remove_home(paths: Paths) -> None:
    """The node signs off: take the folder of boxes away if it is empty, as it should be."""
    with contextlib.suppress(OSError):
        Path(paths.secret_dir((0, 0))).parent.rmdir()


def _write(path: Path, value: bytes, user: tuple[int, int] | None) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o400)
    with contextlib.closing(os.fdopen(fd, "wb")) as file:
        file.write(value)
        file.flush()
    _give(path, user)


def _give(path: Path, user: tuple[int, int] | None) -> None:
    if user is not None:
        os.chown(path, *user, follow_symlinks=False)
