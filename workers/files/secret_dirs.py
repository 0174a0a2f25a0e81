"""Secret directories: secrets as files, and the descriptions of containers, beside the attempt's own directory.

A secret directory belongs to the node. Its folder `secrets` belongs to the job's user, and only that user can read the
files in it. All secret directories lie in memory where the machine has such a file system, so that no secret touches a
disk.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import stat
from pathlib import Path
from typing import Final

from scheduler.wire import TaskSpec
from workers import removal
from workers.paths import ExecutionKey, Paths
from workers.removal import FileRemover

_MOST_SECRETS: Final = 10_000
"""More than any job may have; removing is bounded even if a job that runs as the node's own user added to them."""
_SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108  only the mount point; our folder's owner is checked


def home(disk_id: str, work: Path) -> Path:
    """Return the folder of all secret directories, made if missing. Raises OSError; PermissionError if it is not ours."""
    in_memory = _SHARED_MEMORY.is_dir() and os.access(_SHARED_MEMORY, os.W_OK) and os.path.ismount(_SHARED_MEMORY)
    folder = _SHARED_MEMORY / f"ganger-{disk_id}" if in_memory else work / ".boxes"
    folder.mkdir(mode=0o711, exist_ok=True)
    state = folder.lstat()
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.geteuid():
        raise PermissionError(f"{folder} belongs to somebody else")
    folder.chmod(0o711)
    return folder


def is_needed(spec: TaskSpec) -> bool:
    """Return whether an execution gets a secret directory."""
    return bool(spec.secret_names) or spec.commands.runner == "container"


def make(spec: TaskSpec, paths: Paths, user: tuple[int, int] | None, remover: FileRemover) -> None:
    """Make a fresh secret directory with the secrets in it. Raises OSError.

    The job's group may list and read the secrets. They belong to the node where that is another user, so that a job
    can put nothing beside them.
    """
    key = spec.execution_id, spec.attempt
    remove(paths, key, remover)
    secret_dir = Path(paths.secret_dir(key))
    secret_dir.parent.mkdir(mode=0o711, exist_ok=True)
    secret_dir.mkdir(mode=0o711)
    if spec.secret_names:
        folder = Path(paths.secrets(key))
        folder.mkdir(mode=0o700)
        for name, value in spec.secrets.items():
            _write(folder / name, value.encode(), user)
        if user is not None:
            os.chown(folder, os.geteuid(), user[1], follow_symlinks=False)
            folder.chmod(0o750)
    if spec.commands.runner == "container":
        (secret_dir / "state").mkdir(mode=0o700)
        if user is not None:
            os.chown(secret_dir / "state", *user, follow_symlinks=False)


def remove(paths: Paths, key: ExecutionKey, remover: FileRemover) -> None:
    """Remove the secret directory, if there is one: the secrets at once, and whatever else lies there in time."""
    secret_dir = paths.secret_dir(key)
    if not os.path.lexists(secret_dir):
        return
    with contextlib.suppress(OSError):
        folder = os.open(paths.secrets(key), os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            with os.scandir(folder) as entries:
                for entry in itertools.islice(entries, _MOST_SECRETS):
                    with contextlib.suppress(OSError):
                        os.unlink(entry.name, dir_fd=folder)
        finally:
            os.close(folder)
    remover.discard(secret_dir)


def remove_home(paths: Paths) -> None:
    """Remove the folder of all secret directories, if it is empty: the node signs off."""
    with contextlib.suppress(OSError):
        Path(paths.secret_home(), removal.BIN).rmdir()
    with contextlib.suppress(OSError):
        Path(paths.secret_home()).rmdir()


def _write(path: Path, value: bytes, user: tuple[int, int] | None) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o400)
    with contextlib.closing(os.fdopen(fd, "wb")) as file:
        file.write(value)
        file.flush()
        if user is not None:
            os.fchown(fd, os.geteuid(), user[1])
            os.fchmod(fd, 0o440)
