"""When could a job start that cannot start now, and where: the earliest moment by the coming ends of what runs.

A promise of a start is made from what is certain, that is from time limits, as in EASY backfilling (Lifka, "The ANL/IBM SP scheduling
system", 1995). Predicted ends only say when a job will *probably* start, and stand in for a limit where there is none.

Nodes are taken together: every end on a node adds slots for the job's members there, and the first moment at which
the slots of all nodes suffice is the start. For one member this is the node that first has room; for a gang, the nodes that have it
at the same time.
"""

from dataclasses import dataclass
from enum import Enum, auto
from math import inf

import numpy as np
from numpy.typing import NDArray

from scheduler.rules.cluster.nodes import Amounts, Mask, Rows
from scheduler.rules.cluster.plan import ReservationBasis
from scheduler.rules.cluster.running import Running
from scheduler.rules.placement.plan_state import EndTimes, NodeReservation, PlanState
from scheduler.rules.placement.scoring import room_for

Slots = NDArray[np.int64]
Values = NDArray[np.int64]

_OVERRUN = 0.5
"""An execution that outlived its prediction is believed to run for half as long again as it has."""

_SOON_S = 1.0
"""An execution at its limit, or told to stop, ends any moment."""

_UNKNOWN_S = 600.0
"""The shortest time for which an execution of unknown length is expected to run on when it has just begun."""


@dataclass(frozen=True, slots=True)
class FutureStart:
    """The earliest start of a job: when, on which node rows, how many members on each."""

    at: float
    rows: Rows
    counts: Slots


@dataclass(frozen=True, slots=True)
class ComingEnds:
    """Coming ends, by node row and then time: what each gives back (one column each)."""

    rows: Rows
    at: NDArray[np.float64]
    gives: Amounts

    def some(self, which: Rows) -> "ComingEnds":
        """Return the ends at these places."""
        return ComingEnds(self.rows[which], self.at[which], self.gives[:, which])


class EndBasis(Enum):
    """The source of a predicted end. All are later than now, and none is later than its limit by more than a second."""

    EXPECTED = auto()
    """The run time predicted when it started; half as long again as it has run by now if it outlived that."""
    PROVEN = auto()
    """The longest of many runs of its shape, its limit where too few are known; EXPECTED where it has no limit either."""
    LIMIT = auto()
    """Its limit; EXPECTED where it has none."""


def coming_ends(running: Running, now: float, basis: EndBasis) -> NDArray[np.float64]:
    """When each row of `running` will have ended."""
    if basis is EndBasis.EXPECTED:
        return expected_ends(running, now)
    limits = running.started + running.limit
    ends = np.where(limits < inf, limits, expected_ends(running, now))
    if basis is EndBasis.PROVEN:
        proven = running.started + running.longest
        longer = now + np.maximum(_OVERRUN * (now - running.started), _SOON_S)
        ends = np.minimum(ends, np.where(proven > now, proven, longer))
    return np.maximum(ends, now + _SOON_S)


def expected_ends(running: Running, now: float) -> NDArray[np.float64]:
    """When each row of `running` will probably end: always later than `now`, never after its limit by more than a second."""
    elapsed = np.maximum(now - running.started, 0.0)
    ends = running.started + running.expected
    longer = now + np.maximum(_OVERRUN * elapsed, _SOON_S)
    ends = np.where(ends > now, ends, longer)
    ends = np.where(ends == inf, now + np.maximum(elapsed, _UNKNOWN_S), ends)
    return np.maximum(np.minimum(ends, running.started + running.limit), now + _SOON_S)


class Timetable:
    """When what runs will end, by one basis, and what it gives back; read once for a plan."""

    def __init__(self, state: PlanState, running: Running, now: float, basis: EndBasis) -> None:
        self._state, self._now, self._basis, self._seen = state, now, basis, 0
        rows = state.nodes.rows_of(running.node_ids)
        live = np.flatnonzero((running.node_ids >= 0) & (rows >= 0))
        self._unlimited = np.unique(rows[live][running.limit[live] == inf])
        needs = [state.nodes.vector(need) for need in running.requests()]
        table = np.stack(needs, axis=1) if needs else np.zeros((len(state.free), 0), dtype=np.int64)
        self._ends = _by_row_and_time(
            rows[live], coming_ends(running, now, basis)[live], table[:, running.request[live]]
        )

    def ends(self, where: Mask, until: float = inf) -> ComingEnds:
        """The coming ends on the rows in `where` until then, also of what this plan has placed so far."""
        self._add_planned()
        known = self._ends
        some = np.flatnonzero(where[known.rows] & (known.at <= until))
        return known if len(some) == len(known.rows) else known.some(some)

    def limited(self, rows: Rows) -> bool:
        """Whether all that ran on the rows before this plan has a time limit, so that it will have ended some day."""
        return not np.isin(rows, self._unlimited).any()

    def _add_planned(self) -> None:
        """Add what was placed since the last look, in one piece: sorting is what costs."""
        new, self._seen = self._state.planned[self._seen :], len(self._state.planned)
        if not new:
            return
        rows, at, gives = [self._ends.rows], [self._ends.at], [self._ends.gives]
        for planned in new:
            rows.append(planned.rows)
            at.append(np.full(len(planned.rows), self._planned_end(planned.ends)))
            gives.append(planned.need[:, None] * planned.counts)
        self._ends = _by_row_and_time(np.concatenate(rows), np.concatenate(at), np.concatenate(gives, axis=1))

    def _planned_end(self, ends: EndTimes) -> float:
        expected = ends.expected if ends.expected < inf else self._now + _UNKNOWN_S
        certain = ends.proven if self._basis is EndBasis.PROVEN else ends.limit
        return expected if self._basis is EndBasis.EXPECTED or certain == inf else certain


def earliest(
    need: Amounts, most: Slots, count: int, state: PlanState, ends: ComingEnds, values: Values | None = None
) -> FutureStart | None:
    """The earliest moment at which `count` members fit, at most so many on each row; None when they never will.

    `ends` are those on these rows. Of nodes that would do at that moment, those that idle least until then: the fullest ones.
    `values` are those of a label (`Nodes.label_codes`) by which the members are kept apart: at most one where it has the same.
    """
    rows, at = ends.rows, ends.at
    most = np.minimum(most, count)
    if values is not None:
        most = np.where(values >= 0, np.minimum(most, 1), most)
    slots = np.minimum(room_for(need, state.free), most)
    after = _slots_after(need, most[rows], state.free, rows, ends.gives)
    order = np.argsort(at, kind="stable")
    gains, now = _gains(rows, after, slots)[order], slots
    if values is not None:
        now = one_of_each(slots, values, state.left)
        gains = _first_of_each(gains, values[rows][order], values[slots > 0])
    total = now.sum() + np.cumsum(gains)
    enough = np.flatnonzero(total >= count)
    if not len(enough) or at[order[enough[0]]] == inf:
        return None
    moment = float(at[order[enough[0]]])
    slots[rows[at <= moment]] = after[at <= moment]  # ordered by time in each row: the last one stays
    if values is not None:
        slots = one_of_each(slots, values, state.left)
    return _assign_members(moment, slots, count, state.left)


def counted_on(ends: ComingEnds, need: Amounts, basis: ReservationBasis) -> ComingEnds:
    """Return the ends that are counted on for a job whose members need so much."""
    if basis is ReservationBasis.ENDS:
        return ends
    pieces = ~(ends.gives >= need[:, None]).all(axis=0)
    return ends.some(np.flatnonzero(pieces & (basis is ReservationBasis.PIECES)))


def one_of_each(slots: Slots, values: Values, idle: NDArray[np.float64]) -> Slots:
    """The slots of members that no value of a label may have two of: of its rows with any, the least idle one has one.

    Rows without the label (a value below 0) keep theirs.
    """
    some = np.flatnonzero((slots > 0) & (values >= 0))
    some = some[np.lexsort((idle[some], values[some]))]
    best = some[np.diff(values[some], prepend=-1) != 0]
    left = np.where(values < 0, slots, 0)
    left[best] = 1
    return left


def reserve(
    state: PlanState,
    need: Amounts,
    start: FutureStart,
    timetable: Timetable,
    basis: ReservationBasis,
    strictness: float,
) -> None:
    """Keep room for a job on its nodes from its start on; others may use what is to spare.

    That is what is free now, or comes free until then by the ends that are counted on, and the job does not need.
    """
    there = np.zeros(state.free.shape[1], dtype=np.bool_)
    there[start.rows] = True
    ends = counted_on(timetable.ends(there, start.at), need, basis)
    since = -inf if basis is ReservationBasis.CLOSED else start.at
    for row, count in zip(start.rows.tolist(), start.counts.tolist(), strict=True):
        spare = state.free[:, row] + ends.gives[:, ends.rows == row].sum(axis=1) - need * count
        state.reserved[row] = NodeReservation(row, since, np.maximum(spare, 0), strictness)


def _by_row_and_time(rows: Rows, at: NDArray[np.float64], gives: Amounts) -> ComingEnds:
    order = np.lexsort((at, rows))
    return ComingEnds(rows[order], at[order], gives[:, order])


def _first_of_each(gains: Slots, values: Values, taken: Values) -> Slots:
    """Of the gains in order of time, those that bring a value of the label which there was none of, and all without the label."""
    useful = np.flatnonzero((gains > 0) & (values >= 0) & ~np.isin(values, taken))
    _, first = np.unique(values[useful], return_index=True)
    left = np.where(values < 0, gains, 0)
    left[useful[first]] = 1
    return left


def _slots_after(need: Amounts, most: Slots, free: Amounts, rows: Rows, gives: Amounts) -> Slots:
    """The slots on its node after each end, at most `most`; ends are ordered by row and time."""
    if not len(rows):
        return np.zeros(0, dtype=np.int64)
    summed = np.cumsum(gives, axis=1)
    first = np.flatnonzero(np.diff(rows, prepend=-1))
    lengths = np.diff(first, append=len(rows))
    before = np.repeat(summed[:, first] - gives[:, first], lengths, axis=1)
    return np.minimum(room_for(need, free[:, rows] + summed - before), most)


def _gains(rows: Rows, after: Slots, slots: Slots) -> Slots:
    """How many slots each end adds to those there were on its node."""
    if not len(rows):
        return after
    before = np.concatenate([[0], after[:-1]])
    first = np.diff(rows, prepend=-1) != 0
    return after - np.where(first, slots[rows], before)


def _assign_members(moment: float, slots: Slots, count: int, idle: NDArray[np.float64]) -> FutureStart:
    """Members on the nodes with the most slots; of equal ones, on those with the least that is idle until then."""
    rows = np.lexsort((idle, -slots))
    rows = rows[: max(1, int(np.searchsorted(np.cumsum(slots[rows]), count)) + 1)]
    counts = slots[rows]
    counts = np.minimum(counts, np.maximum(0, count - (np.cumsum(counts) - counts)))
    return FutureStart(moment, rows[counts > 0], counts[counts > 0])
