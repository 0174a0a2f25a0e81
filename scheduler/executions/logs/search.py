"""Which lines of an output hold what somebody looks for, and which are the last ones."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from scheduler.executions.logs import pieces
from scheduler.executions.logs.patterns import LogMatcher
from scheduler.executions.output import OutputSelection
from scheduler.identity import Caller
from scheduler.runtime import Runtime

SEARCH_S = 5.0
MOST_HITS = 1_000
MOST_LETTERS = 1_000
"""A search ends after so long, or with so many hits, and says where to go on; a hit shows so many letters of its line."""

LONGEST_LINE = 16 * 1024 * 1024
"""Of a line that is longer, only the end is looked at: what prints for ever without a newline is not gathered."""

TAIL_BLOCK = 64 * 1024
"""The end is read in blocks that grow from this by four, until they have the lines that are wanted."""


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


@dataclass(frozen=True, slots=True)
class _Found:
    """The line at which a search ends that has found enough."""

    line: int
    offset: int
    size: int


@dataclass(slots=True)
class _LogReading:
    """How far a search is: the line that comes next, where it begins, and what of it was read."""

    line: int
    offset: int
    rest: bytes = b""

    def take(self, data: bytes) -> bytes | None:
        """Return the lines that these bytes end, without the last newline; None where they end none. The beginning of the next line is kept."""
        whole, newline, after = (self.rest + data).rpartition(b"\n")
        if not newline and len(after) > LONGEST_LINE:
            self.offset += len(after)
            after = b""
        self.rest = after
        return whole if newline else None

    def pass_over(self, lines: bytes) -> None:
        """Go on behind these lines."""
        self.line += lines.count(b"\n") + 1
        self.offset += len(lines) + 1


def search(
    rt: Runtime,
    caller: Caller,
    wanted: OutputSelection,
    matcher: LogMatcher,
    *,
    line: int = 0,
    until: float | None = None,
    limit: int = MOST_HITS,
) -> LogSearch:
    """Return the lines from `wanted.start` on (which is the beginning of line `line`) that match, of those printed since `wanted.since`.

    It ends with `limit` hits, and after SEARCH_S or at `until` of the monotonic clock. Raises NotFound and Purged as `output.read` does.
    """
    until = time.monotonic() + SEARCH_S if until is None else until
    hits, reading = list[LogHit](), _LogReading(line, wanted.start)
    read = pieces.blocks(rt, caller, wanted, wanted.start)
    since = read.since()
    for block in read:
        whole = reading.take(block.data)
        for lines in () if whole is None else _portions(whole, matcher.most):
            if reading.offset + len(lines) >= since and (cut := _gather(lines, reading, matcher, since, hits, limit)):
                return LogSearch(hits, cut.offset + cut.size + 1, cut.line + 1, finished=False)
            reading.pass_over(lines)
            if time.monotonic() > until:
                return LogSearch(hits, reading.offset, reading.line, finished=False)
    if reading.rest:
        _gather(reading.rest, reading, matcher, since, hits, limit)
    return LogSearch(hits, None, None, read.finished)


def start_of_last_lines(rt: Runtime, caller: Caller, wanted: OutputSelection, count: int) -> int:
    """Return the byte at which the last `count` lines begin, the one without a newline included. Raises NotFound and Purged as `output.read` does."""
    total, size = pieces.size(rt, caller, wanted), TAIL_BLOCK
    while True:
        start = max(0, total - size)
        data = b"".join(block.data for block in pieces.blocks(rt, caller, wanted, start))
        at = len(data) - 1 if data.endswith(b"\n") else len(data)
        for _ in range(count):
            at = data.rfind(b"\n", 0, at)
            if at < 0:
                break
        if at >= 0:
            return start + at + 1
        if start == 0:
            return 0
        size *= 4


def _portions(lines: bytes, most: int) -> Iterator[bytes]:
    """Yield lines in portions of up to `most` bytes, without the newline between two; a longer line is a portion of its own."""
    start = 0
    while len(lines) - start > most:
        end = lines.rfind(b"\n", start, start + most + 1)
        if end < 0:
            end = lines.find(b"\n", start + most)
        if end < 0:
            break
        yield lines[start:end]
        start = end + 1
    yield lines[start:]


def _gather(
    lines: bytes, reading: _LogReading, matcher: LogMatcher, since: int, hits: list[LogHit], limit: int
) -> _Found | None:
    """Add the lines that match; return the last one once there are as many as may be."""
    behind, offset = 0, reading.offset
    raw: list[bytes] | None = None
    for number, text in matcher.matching(lines.decode("utf-8", "replace")):
        raw = raw or lines.split(b"\n")
        offset += sum(map(len, raw[behind:number])) + number - behind
        behind = number
        if offset + len(raw[number]) < since:
            continue
        hits.append(LogHit(reading.line + number, offset, text[:MOST_LETTERS]))
        if len(hits) >= limit:
            return _Found(reading.line + number, offset, len(raw[number]))
    return None
