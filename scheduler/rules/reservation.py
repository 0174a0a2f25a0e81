"""When could a job start that cannot start now, and where: the earliest moment by the predicted ends of what runs.

Nodes are taken together: every end on a node adds slots for the job's members there, and the first moment at which
the slots of all nodes suffice is the start. For one member this is the node that first has room; for a gang, the nodes that have it
at the same time.
"""

from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.typing import NDArray

from scheduler.rules.ledger import Kept, Ledger
from scheduler.rules.nodes import Amounts, Mask, Rows
from scheduler.rules.running import Running
from scheduler.rules.scoring import room_for

_OVERRUN = 0.5
"""An execution that outlived its prediction is believed to run for half as long again as it has."""

_SOON_S = 1.0
"""An execution at its limit, or told to stop, ends any moment."""

_UNKNOWN_S = 600.0
"""What an execution of unknown length runs on for, at least, when it has just begun."""


@dataclass(frozen=True, slots=True)
class Start:
    """The earliest start of a job: when, on which node rows, how many members on each."""

    at: float
    rows: Rows
    counts: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Ends:
    """Coming ends, by node row and then time: what each gives back (one column each)."""

    rows: Rows
    at: NDArray[np.float64]
    gives: Amounts


def expected_ends(running: Running, now: float) -> NDArray[np.float64]:
    """When each row of `running` will probably end: always later than `now`, never after its limit by more than a second."""
    elapsed = np.maximum(now - running.started, 0.0)
    ends = running.started + running.expected
    longer = now + np.maximum(_OVERRUN * elapsed, _SOON_S)
    ends = np.where(ends > now, ends, longer)
    ends = np.where(ends == inf, now + np.maximum(elapsed, _UNKNOWN_S), ends)
    return np.maximum(np.minimum(ends, running.started + running.limit), now + _SOON_S)


class Timetable:
    """When what runs will probably end and what it gives back; read once for a plan."""

    def __init__(self, ledger: Ledger, running: Running, now: float) -> None:
        self._ledger, self._now = ledger, now
        rows = ledger.nodes.rows_of(running.node_ids)
        live = np.flatnonzero((running.node_ids >= 0) & (rows >= 0))
        needs = [ledger.nodes.vector(need) for need in running.needs()]
        table = np.stack(needs, axis=1) if needs else np.zeros((len(ledger.free), 0), dtype=np.int64)
        self._ends = _sorted(rows[live], expected_ends(running, now)[live], table[:, running.need[live]])

    def ends(self, where: Mask) -> Ends:
        """The coming ends on the rows in `where`, also of what this plan has placed so far."""
        known, some = self._ends, np.flatnonzero(where[self._ends.rows])
        rows, at, gives = [known.rows[some]], [known.at[some]], [known.gives[:, some]]
        for planned in self._ledger.planned:
            there = where[planned.rows]
            if there.any():
                rows.append(planned.rows[there])
                end = planned.end if planned.end < inf else self._now + _UNKNOWN_S
                at.append(np.full(len(rows[-1]), end))
                gives.append(planned.need[:, None] * planned.counts[there])
        if len(rows) == 1:
            return Ends(rows[0], at[0], gives[0])
        return _sorted(np.concatenate(rows), np.concatenate(at), np.concatenate(gives, axis=1))


def earliest(need: Amounts, count: int, where: Mask, ledger: Ledger, ends: Ends) -> Start | None:
    """The earliest moment at which `count` members fit on the rows in `where`; None when they never will.

    `ends` are those on these rows. Of nodes that would do at that moment, those that idle least until then: the fullest ones.
    """
    rows, at = ends.rows, ends.at
    slots = np.where(where, np.minimum(room_for(need, ledger.free), count), 0)
    after = _slots_after(need, count, ledger.free, rows, ends.gives)
    order = np.argsort(at, kind="stable")
    total = slots.sum() + np.cumsum(_gains(rows, after, slots)[order])
    enough = np.flatnonzero(total >= count)
    if not len(enough) or at[order[enough[0]]] == inf:
        return None
    moment = float(at[order[enough[0]]])
    slots[rows[at <= moment]] = after[at <= moment]  # ordered by time in each row: the last one stays
    return _share_out(moment, slots, count, ledger.left)


def keep(ledger: Ledger, need: Amounts, start: Start, ends: Ends) -> None:
    """Keep room for a job on its nodes from its start on; others may use what is to spare."""
    for row, count in zip(start.rows.tolist(), start.counts.tolist(), strict=True):
        due = (ends.rows == row) & (ends.at <= start.at)
        spare = ledger.free[:, row] + ends.gives[:, due].sum(axis=1) - need * count
        ledger.kept[row] = Kept(row, start.at, spare)


def _sorted(rows: Rows, at: NDArray[np.float64], gives: Amounts) -> Ends:
    order = np.lexsort((at, rows))
    return Ends(rows[order], at[order], gives[:, order])


def _slots_after(need: Amounts, count: int, free: Amounts, rows: Rows, gives: Amounts) -> NDArray[np.int64]:
    """The slots on its node after each end, at most `count`; ends are ordered by row and time."""
    if not len(rows):
        return np.zeros(0, dtype=np.int64)
    summed = np.cumsum(gives, axis=1)
    first = np.flatnonzero(np.diff(rows, prepend=-1))
    lengths = np.diff(first, append=len(rows))
    before = np.repeat(summed[:, first] - gives[:, first], lengths, axis=1)
    return np.minimum(room_for(need, free[:, rows] + summed - before), count)


def _gains(rows: Rows, after: NDArray[np.int64], slots: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many slots each end adds to those there were on its node."""
    if not len(rows):
        return after
    before = np.concatenate([[0], after[:-1]])
    first = np.diff(rows, prepend=-1) != 0
    return after - np.where(first, slots[rows], before)


def _share_out(moment: float, slots: NDArray[np.int64], count: int, idle: NDArray[np.float64]) -> Start:
    """Members on the nodes with the most slots; of equal ones, on those with the least that is idle until then."""
    rows = np.lexsort((idle, -slots))
    rows = rows[: max(1, int(np.searchsorted(np.cumsum(slots[rows]), count)) + 1)]
    counts = slots[rows]
    counts = np.minimum(counts, np.maximum(0, count - (np.cumsum(counts) - counts)))
    return Start(moment, rows[counts > 0], counts[counts > 0])
