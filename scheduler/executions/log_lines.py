"""Lines of output: where each thousandth begins, and which hold what somebody looks for. Read piece by piece, never all at once."""

from __future__ import annotations

import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from scheduler.errors import InvalidInput
from scheduler.executions import output
from scheduler.executions.output import OutputSelection
from scheduler.identifiers import ProjectId
from scheduler.identity import Caller
from scheduler.runtime import Runtime

EVERY = 1_000
"""The index has the beginning of so many lines."""

BLOCK = 4 * 1024 * 1024
"""Bytes that are read at a time."""

MOST_KEPT = 200
SEARCH_S = 5.0
MOST_HITS = 1_000
MOST_LETTERS = 400
"""A search ends after so long, or with so many hits, and says where to go on; a hit shows so many letters of its line."""


@dataclass(slots=True)
class LogIndex:
    """Where lines begin: `offsets[n]` is the byte where line n x EVERY begins (lines count from 0). `size` bytes and `lines` so far."""

    size: int = 0
    lines: int = 0
    offsets: list[int] = field(default_factory=lambda: [0])
    finished: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True, slots=True)
class LogHit:
    """A line that holds what was looked for: its number from 0, the byte at which it begins, and its text, cut."""

    line: int
    offset: int
    text: str


@dataclass(frozen=True, slots=True)
class LogSearch:
    """Hits in order. `next_offset` and `next_line` are where to go on, None at the end of what there is."""

    hits: Sequence[LogHit]
    next_offset: int | None
    next_line: int | None
    finished: bool


class LogIndexes:
    """The indexes that one process keeps: each is made once, and then goes on where it ended."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[int, str, str | None, ProjectId | None, int], LogIndex] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, rt: Runtime, caller: Caller, wanted: OutputSelection) -> LogIndex:
        """Return the index of this output up to now; raises NotFound and Purged as `output.read` does."""
        key = (wanted.execution_id, wanted.stream, wanted.phase, caller.project_id, id(rt.db))
        with self._lock:
            found = self._kept.setdefault(key, LogIndex())
            self._kept.move_to_end(key)
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        with found.lock:
            _extend(rt, caller, wanted, found)
        return found


def _extend(rt: Runtime, caller: Caller, wanted: OutputSelection, found: LogIndex) -> None:
    for data, finished in _blocks(rt, caller, wanted, found.size):
        at = data.find(b"\n")
        while at >= 0:
            found.lines += 1
            if found.lines % EVERY == 0:
                found.offsets.append(found.size + at + 1)
                missing = EVERY
            else:
                missing = EVERY - found.lines % EVERY
            at = _nth(data, at + 1, missing, found)
        found.size += len(data)
        found.finished = finished


def _nth(data: bytes, start: int, missing: int, found: LogIndex) -> int:
    """Return the position of the newline that is `missing` newlines on, counting those before it; -1 when there are fewer."""
    end = start
    for _ in range(missing - 1):
        step = data.find(b"\n", end)
        if step < 0:
            return -1
        found.lines += 1
        end = step + 1
    return data.find(b"\n", end)


def _blocks(rt: Runtime, caller: Caller, wanted: OutputSelection, start: int) -> Iterator[tuple[bytes, bool]]:
    """Yield the output from a byte on in large blocks, each with whether nothing will follow it."""
    while True:
        printed = output.read(rt, caller, replace(wanted, start=start, limit=BLOCK))
        data = b"".join(piece.data for piece in printed.pieces)
        yield data, printed.finished
        if not data:
            return
        start += len(data)


def search(
    rt: Runtime, caller: Caller, wanted: OutputSelection, q: str, *, line: int, regex: bool, any_case: bool
) -> LogSearch:
    """Return the lines from `wanted.start` on (which is the beginning of line `line`) that hold a text or match a pattern.

    Raises InvalidInput for a pattern that is none; NotFound and Purged as `output.read` does.
    """
    matches = _matcher(q, regex=regex, any_case=any_case)
    until, hits, rest, offset, ended = time.monotonic() + SEARCH_S, list[LogHit](), b"", wanted.start, False
    for data, ended in _blocks(rt, caller, wanted, wanted.start):  # noqa: B007 - that of the last block is the answer's
        texts, rest = _whole_lines(rest, data)
        if not regex and texts and not matches(b"\n".join(texts)):  # most blocks of a large log hold nothing
            line, offset = line + len(texts), offset + sum(map(len, texts)) + len(texts)
            continue
        for text in texts:
            if matches(text):
                hits.append(LogHit(line, offset, text.decode("utf-8", "replace")[:MOST_LETTERS]))
            line, offset = line + 1, offset + len(text) + 1
            if len(hits) >= MOST_HITS:
                return LogSearch(hits, offset, line, finished=False)
        if time.monotonic() > until:
            return LogSearch(hits, offset, line, finished=False)
    return LogSearch(hits, None, None, ended)


def _whole_lines(rest: bytes, data: bytes) -> tuple[list[bytes], bytes]:
    """Return the lines that are whole, and the beginning of the next one; at the end, where there is no data, that is one too."""
    if not data:
        return ([rest] if rest else []), b""
    whole, newline, after = (rest + data).rpartition(b"\n")
    return (whole.split(b"\n") if newline else []), after


def _matcher(q: str, *, regex: bool, any_case: bool) -> Callable[[bytes], object]:
    if not regex:
        needle = q.encode()
        if not any_case:
            return lambda text: needle in text
        lower = needle.lower()
        return lambda text: lower in text.lower()
    if _slow(q):
        raise InvalidInput("a repeated group that repeats within could take for ever; write it without", field="q")
    try:
        return re.compile(q.encode(), re.IGNORECASE if any_case else 0).search
    except re.error as error:
        raise InvalidInput(f"that is no pattern: {error}", field="q") from None


def _slow(pattern: str) -> bool:
    """Tell whether a pattern repeats a group that has a repetition within: such take time that doubles with each letter."""
    return re.search(r"\([^)]*[*+}][^)]*\)\s*[*+{]", pattern) is not None
