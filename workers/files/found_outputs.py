"""Finding outputs: one walk through the output directory, from one descriptor downward, never through a link or a mount.

Nothing is kept open. Each file that an output means is looked at while it is open: only a regular file with one name
that belongs to the job's user counts. How many entries are looked at, how deep, and how long all the files are in sum
has a limit, which is checked before anything is read: a file of many terabytes may take no disk at all.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from scheduler.wire import OutputSpec
from workers.events import ExecutionFailure
from workers.files import beneath
from workers.files.beneath import NotRegularError
from workers.files.globs import OutputPattern

MOST_ENTRIES: Final = 1_000_000
"""Files and folders in an output directory."""
MOST_PATH: Final = 4_000
"""Bytes of a path in it: what the kernel takes, less some."""
_MIB: Final = 1 << 20
_BLOCK_BYTES: Final = 512  # unit of st_blocks
_SHOWN: Final = 100


class OutputRefusedError(Exception):
    """An output cannot be taken; `failure` says why."""

    def __init__(self, error: str, message: str) -> None:
        super().__init__(message)
        self.failure = ExecutionFailure(error, message)


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file that an output means: its path below the output directory, and its length in bytes."""

    path: str
    size: int


@dataclass(frozen=True, slots=True)
class OutputBounds:
    """What the outputs of an execution may be: whose files, how many, and how long in sum (None: any length)."""

    uid: int | None
    files: int
    length: int | None


class _FoundSum:
    """What has been found so far, held against the bounds."""

    def __init__(self, bounds: OutputBounds) -> None:
        self._bounds = bounds
        self._files = self._length = self._held = 0

    def add(self, path: str, state: os.stat_result) -> FoundFile:
        """Count a file. Raises OutputRefusedError beyond a bound, or for a file that is not the job's alone."""
        check_own(path, state, self._bounds.uid)
        self._files += 1
        self._length += state.st_size
        self._held += state.st_blocks * _BLOCK_BYTES
        if self._files > self._bounds.files:
            raise OutputRefusedError(
                "invalid-output", f"There are more than {self._bounds.files} output files, the most of one execution."
            )
        limit = self._bounds.length
        if limit is not None and max(self._length, self._held) > limit:
            raise OutputRefusedError(
                "disk-full",
                f"With {shown(path)} the outputs are {_mib(self._length)} MiB long ({_mib(self._held)} MiB on disk);"
                f" the job had asked for {_mib(limit)} MiB of disk.",
            )
        return FoundFile(path, state.st_size)


def find(
    folder: int,
    outputs: Sequence[OutputSpec],
    bounds: OutputBounds,
    check: Callable[[], None],
    named: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> Mapping[str, list[FoundFile]]:
    """Return the files of each output by its name, ordered by path. `check` is called often and may raise.

    An output whose files the program has `named` has these, in their order, and no others. Raises OutputRefusedError,
    GlobError, OSError.
    """
    count = _FoundSum(bounds)
    chosen = {name: [count.add(path, _state(folder, path, path)) for path in paths] for name, paths in named.items()}
    sought = [output for output in outputs if output.name not in chosen]
    return {**chosen, **(_walk(folder, sought, count, check) if sought else {})}


def _walk(
    folder: int, outputs: Sequence[OutputSpec], count: _FoundSum, check: Callable[[], None]
) -> dict[str, list[FoundFile]]:
    patterns = [(output.name, OutputPattern(output)) for output in outputs]
    found: dict[str, list[FoundFile]] = {output.name: [] for output in outputs}
    depths = [pattern.depth for _, pattern in patterns]
    deepest = max((depth for depth in depths if depth is not None), default=0) if None not in depths else None
    entries, waiting = 0, deque([("", 0)])
    while waiting:
        place, depth = waiting.popleft()
        opened = os.dup(folder) if not place else _enter(folder, place)
        try:
            with os.scandir(opened) as listing:
                for entry in listing:
                    entries += 1
                    check()
                    _check_entries(entries)
                    path = f"{place}/{entry.name}" if place else entry.name
                    if entry.is_dir(follow_symlinks=False):
                        if deepest is None or depth < deepest:
                            waiting.append((path, depth + 1))
                    elif meant := [name for name, pattern in patterns if pattern.matches(path)]:
                        one = count.add(path, _state(opened, path, entry.name))
                        for name in meant:
                            found[name].append(one)
        finally:
            os.close(opened)
    return {name: sorted(files, key=lambda one: one.path) for name, files in found.items()}


def open_found(folder: int, path: str) -> int:
    """Open a file beneath the output directory for reading. Raises OutputRefusedError."""
    return _opened(folder, path, path)


def check_own(path: str, state: os.stat_result, uid: int | None) -> None:
    """Raise OutputRefusedError for a file that is not the job's alone. `uid` None is the node's own user."""
    if state.st_uid != (os.geteuid() if uid is None else uid):
        raise OutputRefusedError("invalid-output", f"The output {shown(path)} belongs to another user.")
    if state.st_nlink != 1:
        raise OutputRefusedError("invalid-output", f"The output {shown(path)} has more than one name.")


def shown(path: str) -> str:
    """Return a path for a sentence."""
    return repr(path if len(path) <= _SHOWN else f"{path[:_SHOWN]}…")


def _enter(folder: int, place: str) -> int:
    if len(os.fsencode(place)) > MOST_PATH:
        raise OutputRefusedError(
            "invalid-output",
            f"Folders are nested too deep in the output directory: a path has at most {MOST_PATH} bytes.",
        )
    try:
        return beneath.open_beneath(folder, place, beneath.FOLDER)
    except OSError as error:
        raise OutputRefusedError("invalid-output", f"The folder {shown(place)} {_trouble(error)}.") from error


def _state(folder: int, path: str, name: str) -> os.stat_result:
    fd = _opened(folder, path, name)
    try:
        return os.fstat(fd)
    finally:
        os.close(fd)


def _opened(folder: int, path: str, name: str) -> int:
    try:
        return beneath.open_regular(folder, name)
    except NotRegularError as error:
        raise OutputRefusedError(
            "invalid-output", f"The output {shown(path)} is not a regular file, or is a link."
        ) from error
    except OSError as error:
        raise OutputRefusedError("invalid-output", f"The output {shown(path)} {_trouble(error)}.") from error


def _trouble(error: OSError) -> str:
    if error.errno == errno.EXDEV:
        return "lies on another file system"
    if error.errno == errno.ELOOP:
        return "is a link"
    return f"cannot be opened: {error.strerror}"


def _check_entries(entries: int) -> None:
    if entries > MOST_ENTRIES:
        raise OutputRefusedError(
            "invalid-output", f"There are more than {MOST_ENTRIES} files and folders in the output directory."
        )


def _mib(size: int) -> str:
    return f"{size / _MIB:.1f}".removesuffix(".0")
