"""The journal of a node: one append-only file, one line with a checksum for each fact that must not be forgotten.

The facts of one execution, in the order in which they become true:

    intent ──> spec ──> run ──> ended ──> run ──> ended ──> … ──> report ──> done
      │         │        │        │                                 │          │
      │         │        │        │                                 │          all of it may be forgotten
      │         │        │        │                                 until the scheduler acknowledges it
      │         │        │        a phase's command has ended, and how
      │         │        a phase's command is handed to the supervisor
      │         the scheduler has granted the claim: the task spec without its secrets, user id and devices
      the claim token, before the claim is sent

Crash rules. They say what a new life of the agent (after kill -9, say) may rely on:

1. A fact is written before anything that relies on it is done (write-ahead logging). So whatever was done in the
   outside world has its fact in the journal. The reverse need not hold: a fact may stand there whose command was never
   done. Every command can therefore be repeated without harm.
2. All facts of one pass go out in one `write`. If it fails, what it wrote is cut off again and none of them counts.
3. A line that fails its checksum counts as never written. An agent that dies in the middle of a write leaves such a
   line, cut short, at the end. By rule 1 nothing relied on it yet.
4. `write` without `fsync` is enough. A written page survives the death of every process of the node. Only a power
   failure or a kernel crash can lose it. After either one the node registers with another boot id, and the scheduler
   declares every execution of the earlier boot lost (docs/decisions/013).
5. The journal is rewritten without the facts that are done, into a second file that takes its place by a rename.
   Whenever the agent dies, either the old file or the new one is there, and each is complete.
6. Space is reserved behind the end of the file, so that the end of a job can be written when jobs have filled the disk.
"""

from __future__ import annotations

import contextlib
import os
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from scheduler.identifiers import Attempt, ExecutionId
from workers.paths import ExecutionKey
from workers.supervisor import syscalls

VERSION = 1
"""Format of the lines. A newer agent reads the version before its own."""

_TRIAL = bytes(4095) + b"\n"
_RESERVE_BYTES = 1 << 20
"""Space that is reserved behind the end (rule 6)."""

_COMPACT_BYTES = 8 << 20
"""A journal that is larger than this, and mostly about executions that are done, is rewritten."""


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One line: the kind of fact, the execution that it is about, and its content."""

    key: ExecutionKey
    kind: str
    body: Mapping[str, Any]  # Any: JSON; its kind says which members it has


class Journal:
    """The journal, open for appending. Used by one thread."""

    def __init__(self, path: Path) -> None:
        """Open or make the journal at `path`, and rewrite it without the executions that are done.

        Raises OSError if the folder cannot be written.
        """
        self._path = path
        self._live: dict[ExecutionKey, list[bytes]] = {}
        self._fd = -1
        self._size = 0
        self._reserved = 0
        self._live_bytes = 0
        self.torn = 0
        """Lines that did not pass their checksum when the journal was read."""
        self._read()
        self.compact()

    def facts(self) -> list[JournalEntry]:
        """Return the facts about all executions that are not done: the oldest execution first, its facts in order."""
        return [_parse(line[9:-1]) for lines in self._live.values() for line in lines]

    def append(self, facts: Iterable[JournalEntry]) -> None:
        """Write the facts in one write. Either all of them are kept, or OSError is raised and none is."""
        lines = [(fact, _line(fact)) for fact in facts]
        data = b"".join(line for _, line in lines)
        self._reserve(len(data))
        self._write(data)
        for fact, line in lines:
            self._keep_line(fact.key, fact.kind, line)
        if self._size > _COMPACT_BYTES and self._size > 4 * self._live_bytes:
            with contextlib.suppress(OSError):  # the old long journal says the same as a new short one
                self.compact()

    def try_to_write(self) -> None:
        """Raise OSError if the journal cannot be written now; else nothing has changed."""
        try:
            _write_all(self._fd, _TRIAL)  # should we die here, it reads as one torn line
        finally:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, self._size)
            self._reserved = 0  # what was kept ready behind the end may have gone with it

    def compact(self) -> None:
        """Rewrite the journal without what is done. The old file stays until the new one is complete. Raises OSError."""
        fresh = self._path.with_suffix(".new")
        data = b"".join(line for lines in self._live.values() for line in lines)
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            _write_all(fd, data)
            fresh.rename(self._path)
        except OSError:
            os.close(fd)
            raise
        self.close()
        self._fd, self._size, self._reserved = fd, len(data), 0
        self._live_bytes = len(data)

    def close(self) -> None:
        """Close the file; the journal stays as it is."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _read(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            for line in self._path.read_bytes().splitlines(keepends=True):
                if not _whole(line):
                    self.torn += 1
                    continue
                fact = _parse(line[9:-1])
                self._keep_line(fact.key, fact.kind, line)

    def _keep_line(self, key: ExecutionKey, kind: str, line: bytes) -> None:
        if kind == "done":
            for old in self._live.pop(key, ()):
                self._live_bytes -= len(old)
        else:
            self._live.setdefault(key, []).append(line)
            self._live_bytes += len(line)

    def _reserve(self, coming: int) -> None:
        if self._reserved - self._size >= coming + _RESERVE_BYTES // 2:
            return
        with contextlib.suppress(OSError):  # if there is no room, the write itself will say so
            syscalls.reserve(self._fd, self._size + coming + _RESERVE_BYTES)
            self._reserved = self._size + coming + _RESERVE_BYTES

    def _write(self, data: bytes) -> None:
        try:
            _write_all(self._fd, data)
        except OSError:
            with contextlib.suppress(OSError):  # half a line is harmless, but the next line must not follow it directly
                os.ftruncate(self._fd, self._size)
            raise
        self._size += len(data)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _line(fact: JournalEntry) -> bytes:
    body = orjson.dumps([fact.key[0], fact.key[1], fact.kind, VERSION, fact.body])
    return b"%08x %s\n" % (zlib.crc32(body), body)


def _whole(line: bytes) -> bool:
    return len(line) > 10 and line.endswith(b"\n") and line[:9] == b"%08x " % zlib.crc32(line[9:-1])  # noqa: PLR2004


def _parse(body: bytes) -> JournalEntry:
    execution_id, attempt, kind, _, rest = orjson.loads(body)
    return JournalEntry((ExecutionId(execution_id), Attempt(attempt)), kind, rest)
