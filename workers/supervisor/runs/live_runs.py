"""The runs that have a process tree, and the times at which each of them has something to do.

A run is found by the name of its tree and by the process id of its main process. The due times stand in a heap. A run
may be in it more than once; entries of runs that are over stay in it until they come due, or until there are too many.
"""

import heapq
import os
import time
from collections.abc import Iterable
from typing import Final

from workers.supervisor.runs.run import Run
from workers.supervisor.runs.samples import RunSamples

_STALE_FACTOR: Final = 2
_STALE_ALLOWED: Final = 256


class LiveRuns:
    """One run for each process tree, since a job has one phase at a time. Used by one thread; `by_tree` is not to be changed."""

    def __init__(self) -> None:
        self.by_tree: dict[str, Run] = {}
        self.samples = RunSamples()
        self._by_pid: dict[int, Run] = {}
        self._touched: dict[str, Run] = {}
        self._due: list[tuple[float, int, Run]] = []
        self._pushed = 0

    @property
    def has_touched(self) -> bool:
        """Whether a run has something to do now."""
        return bool(self._touched)

    @property
    def first_due(self) -> float:
        """The earliest time at which a run has something to do by itself; infinite where none has."""
        return self._due[0][0] if self._due else float("inf")

    def add(self, run: Run, sample_s: float | None = None) -> None:
        """Hold a run that was started, until it is removed; sample it that often."""
        self.samples.begin(run, sample_s)
        self.by_tree[run.tree.name] = run
        if run.pid is not None:
            self._by_pid[run.pid] = run
        self.schedule(run)

    def remove(self, run: Run) -> None:
        """The run is over."""
        del self.by_tree[run.tree.name]
        self.samples.end(run)

    def touch(self, runs: Iterable[Run]) -> None:
        """Something happened to these runs: `take_touched` returns them next."""
        self._touched |= {run.tree.name: run for run in runs}

    def touch_due(self, now: float) -> None:
        """Touch the runs whose time has come."""
        while self._due and self._due[0][0] <= now:
            run = heapq.heappop(self._due)[2]
            run.queued_at = float("inf")
            if self.by_tree.get(run.tree.name) is run:
                self._touched[run.tree.name] = run

    def take_touched(self) -> list[Run]:
        """Return the runs to which something happened since the last call, but for those that are over."""
        touched, self._touched = self._touched, {}
        return [run for name, run in touched.items() if self.by_tree.get(name) is run]

    def schedule(self, run: Run) -> None:
        """Touch the run when its termination is due, if it is not to be touched before that."""
        due = run.termination.due
        if due < run.queued_at:
            run.queued_at = due
            self._pushed += 1
            heapq.heappush(self._due, (due, self._pushed, run))
            if len(self._due) > _STALE_FACTOR * len(self.by_tree) + _STALE_ALLOWED:
                self._due = [each for each in self._due if self.by_tree.get(each[2].tree.name) is each[2]]
                heapq.heapify(self._due)

    def reap(self) -> None:
        """Reap every child of this process that has ended: main processes, and orphans of trees."""
        while True:
            try:
                pid, status, rusage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            run = self._by_pid.pop(pid, None)
            if run is not None:
                run.main_ended(status, rusage, time.time())
                self._touched[run.tree.name] = run
            else:  # an orphan: perhaps the last one that a dying tree waited for
                self.touch(each for each in self.by_tree.values() if each.termination.awaits_empty)
