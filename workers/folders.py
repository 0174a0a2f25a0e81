"""The directory of one attempt: made afresh, handed to the job's user, removed without following a link."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

_PARTS = ("in", "out", "work")


def make(folder: str) -> None:
    """Make the attempt's directory with its parts, all still the node's own and closed to everybody else.

    What an earlier life left under the name is removed first. Raises OSError.
    """
    try:
        os.mkdir(folder, 0o700)  # noqa: PTH102  on the path of every execution, where Path costs as much as the call
    except FileExistsError:
        remove(folder)
        os.mkdir(folder, 0o700)  # noqa: PTH102
    for part in _PARTS:
        os.mkdir(f"{folder}/{part}", 0o700)  # noqa: PTH102


def hand_over(folder: str, uid: int | None, gid: int | None) -> None:
    """Give the directory to the job's user; the last step, because from then on the user may change it."""
    if uid is None or gid is None:
        return
    for part in _PARTS:
        os.chown(f"{folder}/{part}", uid, gid, follow_symlinks=False)
    os.chown(folder, uid, gid, follow_symlinks=False)


def remove_if_empty(folder: str) -> bool:
    """Remove the directory if nothing was put into it; return whether it is gone."""
    try:
        for part in _PARTS:
            os.rmdir(f"{folder}/{part}")  # noqa: PTH106
        os.rmdir(folder)  # noqa: PTH106
    except FileNotFoundError:
        return not os.path.lexists(folder)
    except OSError:
        return False
    return True


def remove(folder: str) -> bool:
    """Remove the directory and all in it, links themselves and never what they point to; return whether it is gone."""
    if not remove_if_empty(folder):
        shutil.rmtree(folder, onerror=_unlock)
    return not os.path.lexists(folder)


def names(folder: str) -> list[str]:
    """Return what lies in a folder; nothing if it is not there."""
    with contextlib.suppress(FileNotFoundError):
        return os.listdir(folder)  # noqa: PTH208
    return []


def _unlock(function: Callable[..., Any], path: str, _: Any) -> None:
    """Open a directory that its job closed, then try once more. Root is never stopped by that, and must not chmod here."""
    if os.geteuid() == 0:
        return
    with contextlib.suppress(OSError):
        Path(path).parent.chmod(0o700)
        if not Path(path).is_symlink():
            Path(path).chmod(0o700)
        if function is os.rmdir or function is os.unlink:
            function(path)
        else:
            shutil.rmtree(path, ignore_errors=True)
