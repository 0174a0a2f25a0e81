"""Progress: how far running programs say they are, read from their output and progress files, sent with each heartbeat.

A program reports it by a line `GANGER_PROGRESS 40 note` on its standard output, or by a file named `progress` with
`40 note` in it, in the directory where it starts. Nothing is decided by it.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import stat
import threading
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias, cast

from scheduler.wire import Progress, plain
from workers.files import beneath
from workers.paths import ExecutionKey, Paths

Phase: TypeAlias = Literal["pre", "job", "post"]

_LINE = re.compile(rb"^GANGER_PROGRESS[ \t]+([0-9.]{1,12})%?(?:[ \t]+([^\n]*))?$", re.MULTILINE)
_FILE = re.compile(rb"\s*([0-9.]{1,12})%?(?:[ \t]+([^\n]*))?")
_MARK = b"GANGER_PROGRESS"
_NOTE_CHARACTERS = 500
_READ_BYTES = 1024
_TOLD = frozenset({"started", "completed", "exit_code", "arguments"})
"""What is told of a phase while its execution goes on."""


class ProgressTracker:
    """The latest progress of every execution, told with the token of its claim. Thread-safe."""

    def __init__(self, claim_token: Callable[[ExecutionKey], str]) -> None:
        self._claim_token = claim_token
        self._lock = threading.Lock()
        self._latest: dict[ExecutionKey, dict[str, Any]] = {}  # Any: the fields of a Progress
        self._changed: set[ExecutionKey] = set()

    def phase(self, key: ExecutionKey, phase: str) -> None:
        """Record that a phase has begun. A cleanup is left out: nobody waits for it."""
        if phase != "cleanup":
            self._set(key, phase=cast("Phase", phase))

    def phases(self, key: ExecutionKey, phases: Mapping[str, Mapping[str, Any]]) -> None:
        """Record when phases began and ended, and the command as it is run; `phases` are unfinished phase reports."""
        known = {name: {part: value for part, value in told.items() if part in _TOLD} for name, told in phases.items()}
        self._set(key, phases=known)

    def update(self, key: ExecutionKey, found: re.Match[bytes] | None) -> None:
        """Record what a line or file says; nonsense is ignored."""
        percent = _percent(found)
        if found is not None and percent is not None:
            note = plain((found.group(2) or b"").decode("utf-8", "replace")).strip()[:_NOTE_CHARACTERS]
            self._set(key, percent=percent, note=note or None)

    def drop(self, key: ExecutionKey) -> None:
        """Forget an execution."""
        with self._lock:
            self._latest.pop(key, None)
            self._changed.discard(key)

    def take_changes(self) -> list[Progress]:
        """Return the progress that has changed since the last call."""
        with self._lock:
            changed, self._changed = self._changed, set()
            return [
                Progress(execution_id=key[0], attempt=key[1], token=self._claim_token(key), **self._latest[key])
                for key in changed
            ]

    def put_back(self, taken: list[Progress]) -> None:
        """Return these changes with the next call again, or newer ones: they could not be sent."""
        with self._lock:
            keys = {(one.execution_id, one.attempt) for one in taken}
            self._changed |= keys & self._latest.keys()

    def _set(self, key: ExecutionKey, **news: object) -> None:
        with self._lock:
            old = self._latest.get(key, {})
            new = old | news
            if new != old:
                self._latest[key] = new
                self._changed.add(key)


def last_line(piece: bytes) -> re.Match[bytes] | None:
    """Return the last progress line in a piece of output, if any."""
    if _MARK not in piece:
        return None
    found = None
    for found in _LINE.finditer(piece):  # noqa: B007  the last one is wanted
        pass
    return found


def read_file(key: ExecutionKey, paths: Paths, uid: int | None) -> re.Match[bytes] | None:
    """Return what the execution's progress file says; None if there is none, or it is not the program's own."""
    with contextlib.suppress(OSError), contextlib.ExitStack() as opened:
        folder = os.open(paths.attempt(key), beneath.FOLDER)
        opened.callback(os.close, folder)
        fd = beneath.open_beneath(folder, "work/progress", beneath.FILE)
        opened.callback(os.close, fd)
        state = os.fstat(fd)
        if stat.S_ISREG(state.st_mode) and state.st_uid == (os.geteuid() if uid is None else uid):
            return _FILE.match(os.read(fd, _READ_BYTES))
    return None


def _percent(found: re.Match[bytes] | None) -> float | None:
    if found is None:
        return None
    try:
        percent = float(found.group(1))
    except ValueError:
        return None
    return percent if math.isfinite(percent) and 0 <= percent <= 100 else None  # noqa: PLR2004
