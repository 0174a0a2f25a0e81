"""The journal of what a node must not forget: one append-only file, one checksummed line per fact.

Facts of one execution, in the order they become true: `intent` (the claim token, before the claim is sent), `spec`
(after the grant), `run` and `ended` per phase, `report` (until acknowledged), `done` (all of it may be forgotten).

write(2) without fsync is enough here: a line that was written survives the death of every process of this node. Only
a power loss or kernel crash can lose it, and then the boot id differs, by which the server declares every execution
of the earlier boot lost. A line cut short at the end, or damaged, fails its checksum and counts as never written.
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

from workers.paths import ExecutionKey
from workers.supervisor import syscalls

VERSION = 1
"""Format of the lines. A newer agent reads the version before its own."""

_RESERVE_BYTES = 1 << 20
"""Space kept ready behind the end, so that outcomes can still be written when the disk is full."""

_COMPACT_BYTES = 8 << 20
"""A journal larger than this, and mostly about what is done, is rewritten."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One line: what (`kind`), about which execution, with what else."""

    key: ExecutionKey
    kind: str
    body: Mapping[str, Any]


class Journal:
    """The journal, open for appending. Used by one thread."""

    def __init__(self, path: Path) -> None:
        """Open or make the journal at `path`, and rewrite it without what is done.

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

    def facts(self) -> list[Fact]:
        """Return every fact about what is not done, oldest execution first, each one's facts in order."""
        return [_parse(line[9:-1]) for lines in self._live.values() for line in lines]

    def append(self, facts: Iterable[Fact]) -> None:
        """Write the facts in one write; either all of them are kept or OSError is raised and none is."""
        lines = [(fact, _line(fact)) for fact in facts]
        data = b"".join(line for _, line in lines)
        self._reserve(len(data))
        self._write(data)
        for fact, line in lines:
            self._remember(fact.key, fact.kind, line)
        if self._size > _COMPACT_BYTES and self._size > 4 * self._live_bytes:
            with contextlib.suppress(OSError):  # an old long journal is as true as a new short one
                self.compact()

    def compact(self) -> None:
        """Rewrite the journal with what is not done. The old one stays until the new one is complete."""
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
                self._remember(fact.key, fact.kind, line)

    def _remember(self, key: ExecutionKey, kind: str, line: bytes) -> None:
        if kind == "done":
            for old in self._live.pop(key, ()):
                self._live_bytes -= len(old)
        else:
            self._live.setdefault(key, []).append(line)
            self._live_bytes += len(line)

    def _reserve(self, coming: int) -> None:
        if self._reserved - self._size >= coming + _RESERVE_BYTES // 2:
            return
        with contextlib.suppress(OSError):  # whether there is room is for the write itself to say
            syscalls.reserve(self._fd, self._size + coming + _RESERVE_BYTES)
            self._reserved = self._size + coming + _RESERVE_BYTES

    def _write(self, data: bytes) -> None:
        try:
            _write_all(self._fd, data)
        except OSError:
            with contextlib.suppress(OSError):  # half a line is harmless, but the next one must not be glued to it
                os.ftruncate(self._fd, self._size)
            raise
        self._size += len(data)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _line(fact: Fact) -> bytes:
    body = orjson.dumps([fact.key[0], fact.key[1], fact.kind, VERSION, fact.body])
    return b"%08x %s\n" % (zlib.crc32(body), body)


def _whole(line: bytes) -> bool:
    return len(line) > 10 and line.endswith(b"\n") and line[:9] == b"%08x " % zlib.crc32(line[9:-1])  # noqa: PLR2004


def _parse(body: bytes) -> Fact:
    execution_id, attempt, kind, _, rest = orjson.loads(body)
    return Fact((execution_id, attempt), kind, rest)
