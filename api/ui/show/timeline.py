"""The tries of a job over time: a lane a try, a bar a phase, long idle times folded. Drawn on the server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from api.ui.show import formats

WIDTH = 1000.0
LANE = 22
MOST_LANES = 24
FOLDED_FROM = 0.35
"""An idle time that would take more of the width than this is folded to `FOLDED` of it."""

FOLDED = 0.06
SHORTEST_FOLD_S = 30.0


@dataclass(frozen=True, slots=True)
class PhaseBar:
    """One phase of a try: where it is drawn, what it was, and the same in words."""

    x: float
    width: float
    kind: str
    title: str


@dataclass(frozen=True, slots=True)
class ExecutionLane:
    """One try: its name, its bars, and its height in the drawing."""

    label: str
    y: int
    bars: Sequence[PhaseBar]


@dataclass(frozen=True, slots=True)
class ExecutionTimeline:
    """The drawing: lanes, folds as positions, and how many tries are not drawn."""

    lanes: Sequence[ExecutionLane]
    folds: Sequence[float]
    height: int
    left_out: int
    start: datetime
    end: datetime


def draw(job: Mapping[str, Any], tries: Sequence[Mapping[str, Any]], now: datetime) -> ExecutionTimeline | None:
    """Return the drawing of these tries, the newest first; None for a job that was never placed."""
    if not tries:
        return None
    shown = list(reversed(tries[:MOST_LANES]))
    pieces = [_pieces(one, now) for one in shown]
    first = job["queued"] or job["created"]
    begin = min([first, *(start for lane in pieces for _, start, _, _ in lane)])
    end = max([job["ended"] or begin, *(stop for lane in pieces for _, _, stop, _ in lane)])
    scale = _Scale(begin, end, [(start, stop) for lane in pieces for kind, start, stop, _ in lane if kind != "wait"])
    lanes = [
        ExecutionLane(_label(one), number * LANE, [_bar(scale, piece) for piece in lane])
        for number, (one, lane) in enumerate(zip(shown, pieces, strict=True))
    ]
    return ExecutionTimeline(lanes, scale.folds, len(lanes) * LANE, max(0, len(tries) - MOST_LANES), begin, end)


_Piece = tuple[str, datetime, datetime, str]


def _pieces(one: Mapping[str, Any], now: datetime) -> list[_Piece]:
    """Return the phases of a try: kind, start, end and words."""
    found: list[_Piece] = []
    end = one["ended"] or now
    began = one["started"] or one["pre_started"]
    found.append(("placed", one["created"], began or end, "placed, not yet started"))
    for phase in ("pre", "job", "post"):
        start, stop = one[f"{phase}_started"], one[f"{phase}_completed"]
        if start is None:
            continue
        code = one[f"{phase}_exit_code"]
        kind = phase if code in {0, None} or stop is None else "failed"
        if stop is None and one["ended"] is not None:
            kind = "failed" if one["status"] in {"FAILED", "LOST"} else "stopped"
        found.append((kind, start, stop or end, phase + (f", exit code {code}" if code is not None else "")))
    return [piece for piece in found if piece[2] >= piece[1]]


def _label(one: Mapping[str, Any]) -> str:
    return f"{one['attempt']}" + (f".{one['member']}" if one["member"] else "")


def _bar(scale: _Scale, piece: _Piece) -> PhaseBar:
    kind, start, stop, words = piece
    x = scale.at(start)
    return PhaseBar(x, max(2.0, scale.at(stop) - x), kind, f"{words}: {formats.between(start, stop)}")


class _Scale:
    """Places moments on the width; idle times that are too long are folded."""

    def __init__(self, begin: datetime, end: datetime, busy: Sequence[tuple[datetime, datetime]]) -> None:
        self._begin = begin
        whole = max(0.001, (end - begin).total_seconds())
        self._idle = [
            (start, stop)
            for start, stop in _gaps(begin, end, busy)
            if (stop - start).total_seconds() > max(SHORTEST_FOLD_S, FOLDED_FROM * whole)
        ]
        cut = sum((stop - start).total_seconds() for start, stop in self._idle)
        self._fold_s = FOLDED * (whole - cut) if whole > cut else 0.001
        self._shown = max(0.001, whole - cut + self._fold_s * len(self._idle))
        self.folds = [self.at(start) + self._fold_s / self._shown * WIDTH / 2 for start, _ in self._idle]

    def at(self, moment: datetime) -> float:
        """Return where a moment is drawn."""
        seconds = (moment - self._begin).total_seconds()
        for start, stop in self._idle:
            length = (stop - start).total_seconds()
            past = (moment - start).total_seconds()
            if past >= length:
                seconds -= length - self._fold_s
            elif past > 0:
                seconds -= past - self._fold_s * past / length
        return round(max(0.0, min(WIDTH, seconds / self._shown * WIDTH)), 2)


def _gaps(begin: datetime, end: datetime, busy: Sequence[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    found, reached = [], begin
    for start, stop in sorted(busy):
        if start > reached:
            found.append((reached, start))
        reached = max(reached, stop)
    if end > reached:
        found.append((reached, end))
    return found
