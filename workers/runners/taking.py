"""Taking over: a folder that somebody else has filled becomes the node's own, and nobody but the node can write in it.

What is in it may be anything, so this neither recurses nor follows links, and gives up on what is too large or too deep.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection
from typing import Final

_MOST_FILES: Final = 2_000_000
_MOST_DEPTH: Final = 200
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_READABLE: Final = 0o444
_NOT_WRITABLE: Final = 0o755


class UntakeableError(Exception):
    """The folder holds what cannot be taken over; str() goes on after its name."""


def take_over(folder: os.PathLike[str], linked: Collection[int] = ()) -> None:
    """Make this process the owner of everything in a folder that its maker can no longer reach. Raises UntakeableError, OSError.

    Set-user-id bits go. A file with a second name may be anybody's, and its mode is not to be changed, unless it belongs
    to one of the users in `linked`, who had nothing but this folder.
    """
    user, left = (os.geteuid(), os.getegid()), _MOST_FILES
    opened = [os.open(folder, _DIRECTORY)]
    waiting = [_enter(opened[-1], user)]
    try:
        while opened:
            if not waiting[-1]:
                waiting.pop()
                os.close(opened.pop())
                continue
            name, left = waiting[-1].pop(), left - 1
            mode = os.stat(name, dir_fd=opened[-1], follow_symlinks=False).st_mode
            if stat.S_ISLNK(mode):
                os.chown(name, *user, dir_fd=opened[-1], follow_symlinks=False)
            elif stat.S_ISDIR(mode):
                if len(opened) >= _MOST_DEPTH or left < 0:
                    raise UntakeableError("has too many files, or too deep ones")
                opened.append(os.open(name, _DIRECTORY, dir_fd=opened[-1]))
                waiting.append(_enter(opened[-1], user))
            else:
                _take(name, opened[-1], user, linked)
    finally:
        for fd in opened:
            os.close(fd)


def _enter(folder: int, user: tuple[int, int]) -> list[str]:
    os.fchown(folder, *user)
    os.fchmod(folder, _NOT_WRITABLE)
    return os.listdir(folder)


def _take(name: str, folder: int, user: tuple[int, int], linked: Collection[int]) -> None:
    fd = os.open(name, _FILE, dir_fd=folder)
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or (found.st_nlink != 1 and found.st_uid not in {*linked, user[0]}):
            raise UntakeableError(f"holds {name!r}, which is no plain file, or has another name elsewhere")
        os.fchown(fd, *user)
        os.fchmod(fd, stat.S_IMODE(found.st_mode) & _NOT_WRITABLE | _READABLE)
    finally:
        os.close(fd)
