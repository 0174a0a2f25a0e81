"""Preemption: which running jobs to stop so that a more urgent one can start.

Only jobs may be stopped that allow it (`preemptible`), are less urgent, and are not ending already. A job is stopped
whole: the work of all members of a gang is lost, and the room of all of them comes free. On each node the least
urgent jobs go first, and of these the ones that lose the least work (run time so far x share of the fleet). No job is
stopped in vain: without any one of the victims the urgent job could not start.
"""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from scheduler.identifiers import ExecutionId
from scheduler.rules.cluster.nodes import Amounts, Mask, Rows
from scheduler.rules.cluster.running import Running
from scheduler.rules.cluster.shapes import Shape
from scheduler.rules.placement import filters
from scheduler.rules.placement.plan_state import PlanState
from scheduler.rules.placement.scoring import Assignment, room_for

Number = TypeVar("Number", np.int64, np.float64)

_MOST_TRIALS = 8
"""Nodes for which the victims are worked out exactly, for a job of one member: those that look cheapest."""


@dataclass(frozen=True, slots=True)
class Victims:
    """Executions to stop on one node row, and how many members of the more urgent job go there then.

    There may be no execution to stop on a row.
    """

    row: int
    executions: tuple[ExecutionId, ...]
    members: int


@dataclass(frozen=True, slots=True)
class PreemptionCandidates:
    """Executions that may be stopped: by node row, the least urgent first, then those that lose the least work.

    `lost` is the work of all executions of the job; `gives` is what each one gives back (one column each). Executions
    of one job are next to each other on a row. `by_job` has their order by job.
    """

    rows: Rows
    ids: NDArray[np.int64]
    jobs: NDArray[np.int64]
    priority: NDArray[np.int64]
    lost: NDArray[np.float64]
    gives: Amounts
    by_job: Rows

    def rows_of(self, job: int) -> Rows:
        """Return the positions of all executions of a job."""
        low, high = (np.searchsorted(self.jobs, job, side, sorter=self.by_job) for side in ("left", "right"))
        return self.by_job[low:high]

    def cost_key(self, job: int) -> tuple[int, float, int]:
        """Return what a job costs, to be compared: a more urgent one, more work lost, an older one cost more."""
        at = self.rows_of(job)[0]
        return -int(self.priority[at]), float(self.lost[at]), -job

    def room(self, which: Mask, width: int) -> Amounts:
        """Return what these give back together on each of `width` rows."""
        return _sums(self.rows[which], self.gives[:, which], width)


def candidates(running: Running, state: PlanState, now: float) -> tuple[PreemptionCandidates, Amounts]:
    """Return what may be stopped, and what each row gains once all has ended that was told to stop."""
    nodes = state.nodes
    needs = [nodes.vector(need) for need in running.requests()]
    table = np.stack(needs, axis=1) if needs else np.zeros((len(state.free), 0), dtype=np.int64)
    rows, here = nodes.rows_of(running.node_ids), running.node_ids >= 0
    ending = np.flatnonzero(here & running.stopping)
    gone = ending[rows[ending] >= 0]
    coming = _sums(rows[gone], table[:, running.request[gone]], state.free.shape[1])
    some = np.flatnonzero(here & running.preemptible & ~running.stopping)
    some = some[~np.isin(running.jobs[some], running.jobs[ending])]  # if one member of a gang ends, all will
    return _by_urgency(running, some, rows[some], table, _lost(running, some, table, state, now)), coming


def rows_to_clear(shape: Shape, state: PlanState, where: Mask) -> Mask:
    """Return the rows in `where` without a reservation that are large enough for a member."""
    free_to_clear = where & filters.holds(state.nodes.vector(shape.requires), state.nodes.capacity)
    for row in state.reserved:
        free_to_clear[row] = False
    return free_to_clear


def assignment_of(found: list[Victims]) -> Assignment:
    """Return the assignment that stopping the victims makes possible."""
    members = [victim for victim in found if victim.members]
    rows = np.array([victim.row for victim in members], dtype=np.intp)
    return Assignment(rows, np.array([victim.members for victim in members], dtype=np.int64))


class Preemptor:
    """The search for victims while one plan is made; sums are computed once for each priority."""

    def __init__(self, state: PlanState, running: Running, now: float) -> None:
        self._state = state
        self._candidates, self._coming = candidates(running, state, now)
        self._sums: dict[int, Amounts] = {}
        self._never_fit: set[object] = set()

    def could_fit(self, shape: Shape, where: Mask, *, stop: bool = True) -> bool:
        """Return whether all members would fit on the rows in `where` once all that ends has ended.

        With `stop`, also once all has been stopped that may be.
        """
        key = (stop, shape.requires, shape.count, shape.apart, shape.pool, shape.constraints)
        if (
            shape.apart is None and key in self._never_fit
        ):  # within a plan, room only shrinks and later jobs are no more urgent
            return False
        room = self._room() + self._released(shape.priority) if stop else self._room()
        wanted = _MemberSlots(shape, self._state, where)
        enough = wanted.members(wanted.slots(room)) >= shape.count
        if not enough:
            self._never_fit.add(key)
        return enough

    def victims(self, shape: Shape, where: Mask) -> list[Victims]:
        """Return which executions to stop on which rows for all members of a job, and where the members go.

        Empty when that is not possible, or not needed.
        """
        wanted, room = _MemberSlots(shape, self._state, where), self._room()
        if not self.could_fit(shape, where) or wanted.members(wanted.slots(room)) >= shape.count:
            return []
        steps = self._steps(wanted, room)
        sets = [[step] for step in steps[:_MOST_TRIALS]] if shape.count == 1 else [steps]
        trials = [_VictimSearch(wanted, room, self._candidates, steps) for steps in sets]
        return min(trials, key=_VictimSearch.cost).victims(self._state.left)

    def _room(self) -> Amounts:
        """Return what is free once all has ended that was told to stop."""
        return self._state.free + self._coming

    def _released(self, priority: int) -> Amounts:
        """Return what every row would gain if all were stopped that is less urgent."""
        found = self._sums.get(priority)
        if found is None:
            found = self._sums[priority] = self._candidates.room(
                self._candidates.priority > priority, self._coming.shape[1]
            )
        return found

    def _steps(self, wanted: "_MemberSlots", room: Amounts) -> list[list[int]]:
        """Return steps, each the jobs to stop on one node for at least one more member there.

        The steps that cost the least for each member come first.
        """
        stoppable, before = self._candidates, wanted.slots(room)
        gains = wanted.slots(room + self._released(wanted.shape.priority)) > before
        some = np.flatnonzero((stoppable.priority > wanted.shape.priority) & gains[stoppable.rows])
        rows, jobs = stoppable.rows[some], stoppable.jobs[some]
        # The candidates of a row are in the order in which they would be stopped. For each of them: the members that
        # fit once it and all before it on its row have ended, and the work that is lost until then.
        first = np.flatnonzero(np.diff(rows, prepend=-1))
        begins = np.repeat(first, np.diff(first, append=len(rows)))
        after = wanted.slots(room[:, rows] + _since(stoppable.gives[:, some], begins), rows)
        last = np.concatenate([[0], after[:-1]])
        last[first] = before[rows[first]]
        # Executions of one job are next to each other: its work counts once on a row.
        anew = (np.diff(rows, prepend=-1) != 0) | (np.diff(jobs, prepend=0) != 0)
        cost = _since(np.where(anew, stoppable.lost[some], 0.0)[None, :], begins)[0] / np.maximum(
            after - before[rows], 1
        )
        more = np.flatnonzero(after > last)
        order = more[np.lexsort((rows[more], cost[more], -stoppable.priority[some][more]))].tolist()
        return [
            jobs[begins[step] : step + 1].tolist() for step in order[: None if wanted.shape.count > 1 else _MOST_TRIALS]
        ]


class _MemberSlots:
    """Counts the members of one job that fit on the rows in `where`."""

    def __init__(self, shape: Shape, state: PlanState, where: Mask) -> None:
        self.shape, self._need = shape, state.nodes.vector(shape.requires)
        self._most = np.where(where, shape.count, 0)
        self._values = None if shape.apart is None else state.nodes.label_codes(shape.apart)
        if self._values is not None:
            self._most[where & (self._values >= 0)] = 1

    def slots(self, room: Amounts, rows: Rows | None = None) -> NDArray[np.int64]:
        """Return how many members each row takes (or each of some `rows`) that has `room`."""
        return np.minimum(room_for(self._need, room), self._most if rows is None else self._most[rows])

    def members(self, slots: NDArray[np.int64]) -> int:
        """Return how many members fit, where those that are kept apart share no value of the label."""
        return int(slots.sum() if self._values is None else slots[self._one_of_each(np.flatnonzero(slots))].sum())

    def share_out(self, slots: NDArray[np.int64], order: Rows) -> dict[int, int]:
        """Return how many members go on each row, with the rows filled in order."""
        order = order[slots[order] > 0]
        if self._values is not None:
            order = self._one_of_each(order)
        left, members = self.shape.count, dict[int, int]()
        for row in order.tolist():
            if not left:
                break
            members[row] = min(left, int(slots[row]))
            left -= members[row]
        return members

    def _one_of_each(self, rows: Rows) -> Rows:
        """Return the rows without those that repeat the value of an earlier one; rows without the label stay."""
        assert self._values is not None
        values = self._values[rows]
        _, first = np.unique(np.where(values < 0, -1 - np.arange(len(rows)), values), return_index=True)
        return rows[np.sort(first)]


class _VictimSearch:
    """Stops jobs on trial until enough members fit, then spares those that need not be stopped, the dearest first."""

    def __init__(
        self, wanted: _MemberSlots, room: Amounts, stoppable: PreemptionCandidates, steps: list[list[int]]
    ) -> None:
        self._wanted, self._candidates, self._room = wanted, stoppable, room.copy()
        self._slots = wanted.slots(room)
        self._stopped: set[int] = set()
        for jobs in steps:
            for job in jobs:
                if job not in self._stopped:
                    self._change(job, 1)
            if self._enough():
                break
        for job in sorted(self._stopped, key=stoppable.cost_key, reverse=True):
            self._change(job, -1)
            if not self._enough():
                self._change(job, 1)

    def cost(self) -> tuple[int, float, int]:
        """Return what is lost, to be compared: the most urgent job, then the work, then the number of jobs."""
        cost_key = [self._candidates.cost_key(job) for job in sorted(self._stopped)]
        return max(one[0] for one in cost_key), sum(one[1] for one in cost_key), len(cost_key)

    def victims(self, left: NDArray[np.float64]) -> list[Victims]:
        """Return which executions to stop on which rows, and how many members go there.

        Members go first where executions are stopped, and then where the least room is left.
        """
        there: dict[int, list[ExecutionId]] = {}
        for job in sorted(self._stopped):
            at = self._candidates.rows_of(job)
            for row, execution_id in zip(
                self._candidates.rows[at].tolist(), self._candidates.ids[at].tolist(), strict=True
            ):
                there.setdefault(row, []).append(ExecutionId(execution_id))
        untouched = np.ones(len(left), dtype=np.bool_)
        untouched[list(there)] = False
        members = self._wanted.share_out(self._slots, np.lexsort((left, untouched)))
        rows = [*members, *sorted(there.keys() - members.keys())]
        return [Victims(row, tuple(sorted(there.get(row, ()))), members.get(row, 0)) for row in rows]

    def _enough(self) -> bool:
        return self._wanted.members(self._slots) >= self._wanted.shape.count

    def _change(self, job: int, sign: int) -> None:
        (self._stopped.add if sign > 0 else self._stopped.remove)(job)
        at = self._candidates.rows_of(job)
        rows = self._candidates.rows[at]
        np.add.at(self._room.T, rows, sign * self._candidates.gives[:, at].T)
        self._slots[rows] = self._wanted.slots(self._room[:, rows], rows)


def _since(amounts: NDArray[Number], begins: Rows) -> NDArray[Number]:
    """Return sums along each row of the table, begun anew at the column that `begins` names for each."""
    summed = np.cumsum(amounts, axis=1)
    return np.asarray(summed - (summed - amounts)[:, begins], dtype=amounts.dtype)


def _lost(running: Running, some: Rows, table: Amounts, state: PlanState, now: float) -> NDArray[np.float64]:
    """Return the work that each job loses: over all its executions, the run time so far x the share of the fleet."""
    fleet = state.nodes.vector(state.fleet)
    share = np.where(fleet[:, None] > 0, table / np.maximum(fleet, 1)[:, None], 0.0).max(axis=0, initial=0.0)
    lost = np.maximum(now - running.started[some], 0.0) * share[running.request[some]]
    _, job = np.unique(running.jobs[some], return_inverse=True)
    return np.asarray(np.bincount(job, weights=lost)[job])


def _by_urgency(
    running: Running, some: Rows, rows: Rows, table: Amounts, lost: NDArray[np.float64]
) -> PreemptionCandidates:
    order = np.lexsort((running.ids[some], running.jobs[some], lost, -running.priority[some], rows))
    order = order[rows[order] >= 0]
    some, jobs = some[order], running.jobs[some[order]]
    return PreemptionCandidates(
        rows[order],
        running.ids[some],
        jobs,
        running.priority[some],
        lost[order],
        table[:, running.request[some]],
        np.argsort(jobs, kind="stable"),
    )


def _sums(rows: Rows, gives: Amounts, width: int) -> Amounts:
    return np.stack([np.bincount(rows, weights=axis, minlength=width) for axis in gives]).astype(np.int64)
