"""Where the lines of an output begin: the byte and the time of each thousandth. Kept by the process, and continued when it is asked for again."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime

from scheduler.executions.logs import pieces
from scheduler.executions.logs.pieces import FIRST_BLOCK, OutputBlock
from scheduler.executions.output import OutputSelection
from scheduler.identifiers import ProjectId
from scheduler.identity import Caller
from scheduler.runtime import Runtime

EVERY = 1_000
"""The index has the beginning of so many lines."""

INDEX_S = 0.15
"""A call reads so long, and the first one no more than its first block: its lines are on the screen while the next calls read the rest."""

MOST_KEPT = 200


@dataclass(slots=True)
class LogIndex:
    """Where lines begin: `offsets[n]` is the byte where line n x EVERY begins (lines count from 0), `times[n]` when that byte was printed.

    `size` bytes and `lines` so far; `complete` when that was all there was, `finished` when nothing will follow.
    """

    size: int = 0
    lines: int = 0
    offsets: list[int] = field(default_factory=lambda: [0])
    times: list[datetime] = field(default_factory=list)
    complete: bool = False
    finished: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)


class LogIndexes:
    """The indexes that one process keeps: each is made once, and then goes on where it ended."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[int, str, str | None, ProjectId | None, int], LogIndex] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, rt: Runtime, caller: Caller, wanted: OutputSelection, *, within_s: float = INDEX_S) -> LogIndex:
        """Return the index of this output as far as it was read in this time; raises NotFound and Purged as `output.read` does."""
        key = (wanted.execution_id, wanted.stream, wanted.phase, caller.project_id, id(rt.db))
        with self._lock:
            found = self._kept.setdefault(key, LogIndex())
            self._kept.move_to_end(key)
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        with found.lock:
            until = time.monotonic() + (within_s if found.size else 0)
            read = pieces.blocks(rt, caller, wanted, found.size)
            for block in read:
                _extend(found, block)
                if len(block.data) >= FIRST_BLOCK and time.monotonic() > until:
                    found.complete = False
                    return found
            found.complete, found.finished = True, read.finished
        return found


def _extend(found: LogIndex, block: OutputBlock) -> None:
    data = block.data
    if not found.times:
        found.times.append(block.times[0][1])
    missing = EVERY - found.lines % EVERY
    at = -1
    for piece_end in _ends(block):
        count = data.count(b"\n", at + 1, piece_end)
        while count >= missing:
            for _ in range(missing):
                at = data.find(b"\n", at + 1)
            found.offsets.append(block.start + at + 1)
            found.times.append(_time_at(block, block.start + at + 1))
            found.lines += missing
            count -= missing
            missing = EVERY
        found.lines += count
        missing -= count
        at = piece_end - 1
    found.size = block.start + len(data)


def _ends(block: OutputBlock) -> list[int]:
    """Return where the pieces of a block end, in its data."""
    starts = [position - block.start for position, _ in block.times[1:]]
    return [*starts, len(block.data)]


def _time_at(block: OutputBlock, position: int) -> datetime:
    """Return when the byte at a position was printed, or the last one before it within this block."""
    low, high = 0, len(block.times) - 1
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if block.times[middle][0] <= position else (low, middle - 1)
    return block.times[low][1]
