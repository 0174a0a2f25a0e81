"""The order in which to ship the output of a phase: first what was written first, whichever stream it is of.

The supervisor writes down when the stream changes (`workers.supervisor.output_order`). What it wrote down is read once; the
file begins anew where it would become too long.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from workers.paths import STREAMS

_MOST_STRETCHES: Final = 64
"""So many pieces of one phase are shipped at once at most: of more changes, neighbours are taken together."""


@dataclass(frozen=True, slots=True)
class OutputStretch:
    """What was written to one stream, from where shipping has come to until `end`, before anything else was written."""

    stream: str
    end: int


@dataclass(slots=True)
class OutputSequence:
    """The changes of stream in one phase, as far as they are read and not shipped yet."""

    path: str
    _marks: list[tuple[str, int]] = field(default_factory=list)
    _read: int = 0

    def stretches(self, sizes: Mapping[str, int], shipped: Mapping[str, int]) -> list[OutputStretch]:
        """Return what is to be shipped, in order. `sizes` were taken before this call; nothing beyond them is looked at."""
        self._read_on()
        ends: dict[str, int] = dict(sizes)
        found: list[OutputStretch] = []
        kept: list[tuple[str, int]] = []
        for stream, start in reversed(self._marks):
            end = ends.get(stream, 0)
            if end > shipped.get(stream, 0):
                found.append(OutputStretch(stream, end))
            if end > shipped.get(stream, 0) or end == sizes.get(stream):
                kept.append((stream, start))
            ends[stream] = min(end, start)
        self._marks = kept[::-1]
        first = [OutputStretch(one, ends[one]) for one in STREAMS if ends.get(one, 0) > shipped.get(one, 0)]
        return _together([*first, *found[::-1]])

    def _read_on(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            file = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                size = os.fstat(file).st_size
                self._read = 0 if size < self._read else self._read
                lines = os.pread(file, size - self._read, self._read)
            finally:
                os.close(file)
            whole = lines[: lines.rfind(b"\n") + 1]
            self._read += len(whole)
            for line in whole.splitlines():
                stream, _, start = line.partition(b" ")
                self._marks.append((STREAMS[int(stream)], int(start)))


def _together(stretches: list[OutputStretch]) -> list[OutputStretch]:
    """Return no more than so many stretches: neighbours of one stream become one."""
    step = -(-len(stretches) // _MOST_STRETCHES) * len(STREAMS)
    if len(stretches) <= _MOST_STRETCHES:
        return stretches
    joined: list[OutputStretch] = []
    for at in range(0, len(stretches), step):
        last = {one.stream: one for one in stretches[at : at + step]}
        joined += last.values()
    return joined
