"""Work directories: each attempt has a fresh one, which is handed to the job's user and removed without following links.

On ext4, making and removing these four directories costs more than everything else that a node does for an empty job,
and a rename costs next to nothing. So a directory that a job leaves empty is used again for another job, after it was
made as new: owner and mode as at first, no attributes, nothing in it. A directory that is not empty, or that is unusual
in any way, is removed (`removal`). It is used again for jobs of the same project only: somebody may still watch what
happens in it, through a descriptor that was passed on.

Where the directories lie in a temporary folder of the machine, jobs see theirs in its place, and in it the way to their
directory. That way stays.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import stat
import threading

from workers.files import beneath, entries
from workers.removal import FileRemover

_PARTS = ("in", "out", "tmp", "work")
_STOCK = ".stock"
_MOST_STOCK = 512
_FIRST_STOCK = 8
_NOBODY = ""
"""The project of directories that nobody has used yet."""


class WorkDirs:
    """Makes work directories below `work`, and keeps a stock of used ones. Thread-safe."""

    def __init__(self, work: str, remover: FileRemover, way: str | None = None) -> None:
        """Have the stock of an earlier life removed, and make a few directories. Raises OSError.

        `way` is the name in temporary folders that leads to the directories, if one does (`Paths.covered_at`) and jobs have
        users of their own, so that they cannot write there.
        """
        self._remover = remover
        self._way = way
        self._stock_folder = f"{work}/{_STOCK}"
        self._stock: dict[str, str] = {}  # directory to project, the one put away longest ago first
        self._of_project: dict[str, list[str]] = {"": []}
        self._users: dict[str, str] = {}  # directory in use to project
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._own = os.geteuid(), os.getegid()
        if os.path.lexists(self._stock_folder):
            remover.discard(self._stock_folder)
        os.mkdir(self._stock_folder, 0o700)  # noqa: PTH102
        for _ in range(_FIRST_STOCK):
            fresh = self._stock_name()
            _make_anew(fresh)
            self._keep(fresh, _NOBODY)

    def make(self, folder: str, project: str) -> None:
        """Make the attempt's directory with its parts. All belong to the node and are closed to everybody else.

        A folder that an earlier life left under the name is taken out of the way first. Raises OSError.
        """
        self._users[folder] = project
        kept = self._take(project) or self._take(_NOBODY)
        if kept is None:
            if os.path.lexists(folder):
                self._remover.discard(folder)
            _make_anew(folder)
            return
        try:
            os.rename(kept, folder)  # noqa: PTH104  on the path of every execution
        except OSError:  # something is in the way
            self._remover.discard(folder)
            os.rename(kept, folder)  # noqa: PTH104

    def mend(self, folder: str, uid: int | None, gid: int | None) -> None:
        """Make the directory and its parts usable again; whatever stands in their places is put away. Its tree must be dead."""
        with contextlib.suppress(OSError):
            if not _opened_up(folder):
                self._remover.discard(folder)
                _make_anew(folder)
            for part in _PARTS:
                path = f"{folder}/{part}"
                if not _opened_up(path):
                    # Out of the way under another name: it goes with the directory.
                    with contextlib.suppress(FileNotFoundError):
                        os.rename(path, f"{path}.{secrets.token_hex(6)}")  # noqa: PTH104
                    os.mkdir(path, 0o700)  # noqa: PTH102
            hand_over(folder, uid, gid)

    def put_away(self, folder: str) -> None:
        """Put an empty directory back into the stock, or have it removed. The attempt's tree must be dead."""
        if not self._put_away(folder):
            self._remover.discard(folder)

    def _put_away(self, folder: str) -> bool:
        project = self._users.pop(folder, None)
        if project is None:  # made in an earlier life
            return False
        try:
            if not self._made_as_new(folder):
                return False
            kept = self._stock_name()
            os.rename(folder, kept)  # noqa: PTH104
        except FileNotFoundError:
            return not os.path.lexists(folder)
        except OSError:
            return False
        self._keep(kept, project)
        return True

    def _take(self, project: str) -> str | None:
        """Take a directory of this project's from the stock, the one that was put away last."""
        with self._lock:
            kept = self._of_project.get(project)
            if not kept:
                return None
            name = kept.pop()
            if not kept and project != _NOBODY:
                del self._of_project[project]
            del self._stock[name]
            return name

    def _keep(self, name: str, project: str) -> None:
        with self._lock:
            self._stock[name] = project
            self._of_project.setdefault(project, []).append(name)
            if len(self._stock) <= _MOST_STOCK:
                return
            oldest = next(iter(self._stock))
            self._of_project[self._stock.pop(oldest)].remove(oldest)
        self._remover.discard(oldest)

    def _made_as_new(self, folder: str) -> bool:
        """Reset owner and mode of an empty directory, by descriptors; False if it is not empty or unusual."""
        with contextlib.ExitStack() as opened:
            top = os.open(folder, beneath.FOLDER)
            opened.callback(os.close, top)
            if sorted(entries.first_names(top, len(_PARTS) + 1)) != list(_PARTS):
                return False
            device = os.fstat(top).st_dev
            for part in _PARTS:
                fd = os.open(part, beneath.FOLDER, dir_fd=top)
                opened.callback(os.close, fd)
                if not (self._is_empty(fd, part) and self._reset(fd, device)):
                    return False
            return self._reset(top, device)

    def _reset(self, fd: int, device: int) -> bool:
        """Make a directory the node's own again; False if it has attributes, or is of another file system."""
        found = os.fstat(fd)
        if found.st_dev != device or os.listxattr(fd):
            return False
        if (found.st_uid, found.st_gid) != self._own:
            os.fchown(fd, *self._own)
        if stat.S_IMODE(found.st_mode) != 0o700:  # noqa: PLR2004
            os.fchmod(fd, 0o700)
        return True

    def _is_empty(self, fd: int, part: str) -> bool:
        """Whether nothing is in a part but the way to the directory, where the node has made one."""
        found = entries.first_names(fd, 2)
        if not found or part != "tmp" or found != [self._way]:
            return not found
        # Nobody but its owner can have put anything into it.
        state = os.stat(found[0], dir_fd=fd, follow_symlinks=False)
        mode = stat.S_IFDIR | 0o755
        return state.st_mode == mode and (state.st_uid, state.st_gid) == self._own

    def _stock_name(self) -> str:
        with self._lock:
            return f"{self._stock_folder}/{next(self._numbers)}"


def hand_over(folder: str, uid: int | None, gid: int | None) -> None:
    """Hand the directory to the job's user. It is the last step, because from then on the user may change it."""
    if uid is None or gid is None:
        return
    for part in _PARTS:
        os.chown(f"{folder}/{part}", uid, gid, follow_symlinks=False)
    os.chown(folder, uid, gid, follow_symlinks=False)


def names(folder: str) -> list[str]:
    """Return the names in a folder; none if there is no such folder."""
    with contextlib.suppress(FileNotFoundError):
        return os.listdir(folder)  # noqa: PTH208
    return []


def _opened_up(path: str) -> bool:
    """Let the owner of a directory into it; False if there is none, or something else in its place."""
    try:
        held = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        mode = stat.S_IMODE(os.fstat(held).st_mode)
        if mode & 0o700 != 0o700:  # noqa: PLR2004
            os.chmod(f"/proc/self/fd/{held}", mode | 0o700)  # noqa: PTH101
    finally:
        os.close(held)
    return True


def _make_anew(folder: str) -> None:
    os.mkdir(folder, 0o700)  # noqa: PTH102
    for part in _PARTS:
        os.mkdir(f"{folder}/{part}", 0o700)  # noqa: PTH102
