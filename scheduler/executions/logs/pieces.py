"""The whole of an output in large blocks, one after the other: what index and search go through."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from scheduler.executions import output
from scheduler.executions.output import OutputSelection
from scheduler.identity import Caller
from scheduler.runtime import Runtime
from scheduler.store.executions import output_pieces
from scheduler.store.executions.output_pieces import PHASES, STREAMS, PiecePlace

BLOCK = 4 * 1024 * 1024
"""Bytes of a block, about: it ends with a whole piece."""

FIRST_BLOCK = 256 * 1024
"""Bytes of the first block: the first lines are wanted soonest."""

PLANNED = 10_000
"""Pieces whose places are read at a time: a program that prints a little twice a second has that many in 80 minutes."""


@dataclass(frozen=True, slots=True)
class OutputBlock:
    """Bytes from `start` on, and when what begins where was printed: `times` are pairs of a position and a time."""

    start: int
    data: bytes
    times: tuple[tuple[int, datetime], ...]


@dataclass(slots=True)
class OutputBlocks:
    """The blocks of an output from a byte on. After the last one, `finished` says whether nothing will follow.

    Iterating raises NotFound, and Purged, as `output.read` does.
    """

    rt: Runtime
    caller: Caller
    wanted: OutputSelection
    finished: bool = False

    def __iter__(self) -> Iterator[OutputBlock]:
        start = self.wanted.start
        while True:
            places, ended = self._places(start)
            if not places:
                self.finished = ended
                return
            for run in _runs(places):
                yield self._read(run, start)
                start = run[-1].start + run[-1].size

    def since(self) -> int:
        """Return the byte at which begins what was printed since `wanted.since`: 0 without such a time, beyond the end where nothing was."""
        if self.wanted.since is None:
            return 0
        found, _ = self._places(0, since=self.wanted.since, limit=1)
        return found[0].start if found else 2**62

    def _places(
        self, start: int, *, since: datetime | None = None, limit: int = PLANNED
    ) -> tuple[list[PiecePlace], bool]:
        with self.rt.db.begin() as tx:
            execution = output.readable(tx, self.caller, self.wanted.execution_id)
            places = output_pieces.places(
                tx,
                self.wanted.execution_id,
                streams=_streams(self.wanted),
                phases=_phases(self.wanted),
                start=start,
                limit=limit,
                since=since,
            )
        return places, execution.released

    def _read(self, run: list[PiecePlace], start: int) -> OutputBlock:
        with self.rt.db.begin() as tx:
            found = output_pieces.contents(tx, self.wanted.execution_id, run)
        data = b"".join(found)
        times = tuple((max(place.start, start), place.at) for place in run)
        return OutputBlock(start, data[max(0, start - run[0].start) :], times)


def blocks(rt: Runtime, caller: Caller, wanted: OutputSelection, start: int) -> OutputBlocks:
    """Return the blocks of an output from a byte on."""
    return OutputBlocks(rt, caller, replace(wanted, start=start))


def size(rt: Runtime, caller: Caller, wanted: OutputSelection) -> int:
    """Return how many bytes an output has now; raises NotFound and Purged as `output.read` does."""
    with rt.db.begin() as tx:
        output.readable(tx, caller, wanted.execution_id)
        return output_pieces.size(tx, wanted.execution_id, streams=_streams(wanted), phases=_phases(wanted))


def _streams(wanted: OutputSelection) -> tuple[str, ...]:
    return STREAMS if wanted.stream == "combined" else (wanted.stream,)


def _phases(wanted: OutputSelection) -> tuple[str, ...]:
    return PHASES if wanted.phase is None else (wanted.phase,)


def _runs(places: list[PiecePlace]) -> Iterator[list[PiecePlace]]:
    """Yield the places in runs of about a block."""
    run, size, enough = list[PiecePlace](), 0, FIRST_BLOCK
    for place in places:
        run.append(place)
        size += place.size
        if size >= enough:
            yield run
            run, size, enough = [], 0, BLOCK
    if run:
        yield run
