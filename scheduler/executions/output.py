"""Output: reads what a program has printed so far, from a given byte on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from scheduler.errors import NotFound, Purged
from scheduler.identifiers import ExecutionId
from scheduler.identity import Caller
from scheduler.runtime import Runtime
from scheduler.store.executions import output_pieces
from scheduler.store.executions.output_pieces import PHASES, STREAMS, PrintingExecution

MAX_PIECES = 1_000
"""Most pieces of one reading: with 64 KiB each, as nodes send them, this is more than is kept of an execution."""


@dataclass(frozen=True, slots=True)
class OutputSelection:
    """Which output of an execution to read: `stdout`, `stderr` or `combined`, of one phase or all, from byte `start` on, printed since a time.

    With `tail` only so many last bytes of it, with `limit` at most so many.
    """

    execution_id: ExecutionId
    stream: str
    phase: str | None = None
    start: int = 0
    since: datetime | None = None
    tail: int | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class OutputPiece:
    """Bytes of one phase and stream at `offset` there; `start` and `end` are positions in the selected output."""

    phase: str
    stream: str
    offset: int
    start: int
    data: bytes

    @property
    def end(self) -> int:
        """The position at which the next piece begins."""
        return self.start + len(self.data)


@dataclass(frozen=True, slots=True)
class OutputSoFar:
    """The output so far. With `finished` the execution has ended, and no output will follow."""

    pieces: Sequence[OutputPiece]
    finished: bool
    status: str
    exit_code: int | None


def read(rt: Runtime, caller: Caller, wanted: OutputSelection) -> OutputSoFar:
    """Return the output so far, from `wanted.start` on; raises NotFound, or Purged for output that was kept no longer.

    The end of the execution is read before the pieces: when the answer says `finished`, the pieces are complete.
    """
    with rt.db.begin() as tx:
        execution = readable(tx, caller, wanted.execution_id)
        pieces = _pieces(tx, wanted)
    finished = execution.released and len(pieces) < MAX_PIECES
    return OutputSoFar(pieces, finished, execution.status, execution.job_exit_code)


def readable(tx: Connection, caller: Caller, execution_id: ExecutionId) -> PrintingExecution:
    """Return an execution whose output this caller may read; raises NotFound, or Purged for output that was kept no longer."""
    execution = output_pieces.execution(tx, execution_id)
    if execution is None or caller.project_id not in {None, execution.project_id}:
        raise NotFound(f"there is no execution {execution_id}")
    if execution.output_purged is not None:
        raise Purged(f"the output of this execution was purged on {execution.output_purged:%Y-%m-%d}")
    return execution


def _pieces(tx: Connection, wanted: OutputSelection) -> list[OutputPiece]:
    rows = output_pieces.pieces(
        tx,
        wanted.execution_id,
        streams=STREAMS if wanted.stream == "combined" else (wanted.stream,),
        phases=PHASES if wanted.phase is None else (wanted.phase,),
        start=wanted.start,
        since=wanted.since,
        limit=MAX_PIECES,
        tail=wanted.tail,
        until=None if wanted.limit is None else wanted.start + wanted.limit,
    )
    if not rows:
        return []
    start = wanted.start if wanted.tail is None else max(wanted.start, rows[0].total - wanted.tail)
    until = None if wanted.limit is None else start + wanted.limit
    return [
        _cut(OutputPiece(row.phase, row.stream, row.offset, row.start, bytes(row.data)), start, until) for row in rows
    ]


def _cut(piece: OutputPiece, start: int, until: int | None = None) -> OutputPiece:
    """Return the part of a piece from `start` on, up to `until`."""
    skip = max(0, start - piece.start)
    end = None if until is None else max(0, until - piece.start)
    return OutputPiece(piece.phase, piece.stream, piece.offset + skip, piece.start + skip, piece.data[skip:end])
