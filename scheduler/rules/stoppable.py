"""What runs and may be stopped for a more urgent job, as columns."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scheduler.rules.ledger import Ledger
from scheduler.rules.nodes import Amounts, Mask, Rows
from scheduler.rules.running import Running


@dataclass(frozen=True, slots=True)
class Stoppable:
    """Executions that may be stopped, by node row, the least urgent first, then those of which the least work is lost.

    `lost` is the work of all the job's executions, and `gives` what each of them gives back (one column each); those of one job
    stand together on a row. `by_job` has their order by job.
    """

    rows: Rows
    ids: NDArray[np.int64]
    jobs: NDArray[np.int64]
    priority: NDArray[np.int64]
    lost: NDArray[np.float64]
    gives: Amounts
    by_job: Rows

    def of(self, job: int) -> Rows:
        """Where all executions of a job stand."""
        low, high = (np.searchsorted(self.jobs, job, side, sorter=self.by_job) for side in ("left", "right"))
        return self.by_job[low:high]

    def worth(self, job: int) -> tuple[int, float, int]:
        """How dear a job is, to be compared: more urgent, more work lost, older."""
        at = self.of(job)[0]
        return -int(self.priority[at]), float(self.lost[at]), -job

    def room(self, which: Mask, width: int) -> Amounts:
        """What these give back together on each of so many rows."""
        return _sums(self.rows[which], self.gives[:, which], width)


def stoppable(running: Running, ledger: Ledger, now: float) -> tuple[Stoppable, Amounts]:
    """Return what may be stopped, and what each row will have more once all has ended that was told to."""
    nodes = ledger.nodes
    needs = [nodes.vector(need) for need in running.needs()]
    table = np.stack(needs, axis=1) if needs else np.zeros((len(ledger.free), 0), dtype=np.int64)
    rows, here = nodes.rows_of(running.node_ids), running.node_ids >= 0
    ending = np.flatnonzero(here & running.stopping)
    gone = ending[rows[ending] >= 0]
    coming = _sums(rows[gone], table[:, running.need[gone]], ledger.free.shape[1])
    some = np.flatnonzero(here & running.preemptible & ~running.stopping)
    some = some[~np.isin(running.jobs[some], running.jobs[ending])]  # of a gang that ends all members will
    return _sorted(running, some, rows[some], table, _lost(running, some, table, ledger, now)), coming


def _lost(running: Running, some: Rows, table: Amounts, ledger: Ledger, now: float) -> NDArray[np.float64]:
    """The work that each one's job loses: of all its executions, the time they have run x their share of the fleet."""
    fleet = ledger.nodes.vector(ledger.fleet)
    share = np.where(fleet[:, None] > 0, table / np.maximum(fleet, 1)[:, None], 0.0).max(axis=0, initial=0.0)
    lost = np.maximum(now - running.started[some], 0.0) * share[running.need[some]]
    _, job = np.unique(running.jobs[some], return_inverse=True)
    return np.asarray(np.bincount(job, weights=lost)[job])


def _sorted(running: Running, some: Rows, rows: Rows, table: Amounts, lost: NDArray[np.float64]) -> Stoppable:
    order = np.lexsort((running.ids[some], running.jobs[some], lost, -running.priority[some], rows))
    order = order[rows[order] >= 0]
    some, jobs = some[order], running.jobs[some[order]]
    return Stoppable(
        rows[order],
        running.ids[some],
        jobs,
        running.priority[some],
        lost[order],
        table[:, running.need[some]],
        np.argsort(jobs, kind="stable"),
    )


def _sums(rows: Rows, gives: Amounts, width: int) -> Amounts:
    return np.stack([np.bincount(rows, weights=axis, minlength=width) for axis in gives]).astype(np.int64)
