"""What keeps waiting jobs of the queue from being placed, whatever room there is: holds, times to come, and turns."""

import heapq
from collections.abc import Iterator

from scheduler.rules.cluster.turns import TurnOrder


class QueueBlockers:
    """The jobs that are held, not yet due, or behind another after which they run. Not safe for concurrent use.

    A job is free if it is none of these; the queue has only such jobs in its groups.
    """

    def __init__(self) -> None:
        self.held: dict[int, str] = {}
        self.not_before: dict[int, float] = {}
        self.turns = TurnOrder()
        self._delayed: list[tuple[float, int]] = []

    def is_free(self, job_id: int) -> bool:
        """Whether nothing of this kind keeps a job from being placed."""
        return job_id not in self.held and job_id not in self.not_before and job_id not in self.turns.behind

    def add(self, job_id: int, serial: int | None, not_before: float | None, held: str | None) -> int | None:
        """Note what keeps a job; return the free job that stands behind it from now on, if there is one."""
        if held is not None:
            self.held[job_id] = held
        if not_before is not None:
            self.not_before[job_id] = not_before
            heapq.heappush(self._delayed, (not_before, job_id))
        passed = None if held is not None or serial is None else self.turns.join(job_id, serial)
        return None if passed in self.not_before else passed

    def discard(self, job_id: int) -> int | None:
        """Forget a job, whatever keeps it; return the job that is free by that, if there is one."""
        self.held.pop(job_id, None)
        self.not_before.pop(job_id, None)
        following = self.turns.leave(job_id)
        return None if following in self.not_before else following

    def release_due(self, now: float) -> Iterator[int]:
        """Yield the jobs that are free because their time has come."""
        while self._delayed and self._delayed[0][0] <= now:
            not_before, job_id = heapq.heappop(self._delayed)
            if self.not_before.get(job_id) == not_before:
                del self.not_before[job_id]
                if self.is_free(job_id):
                    yield job_id

    def next_due(self) -> float | None:
        """Return when the next time comes (epoch seconds), or earlier; None if no job is delayed."""
        return self._delayed[0][0] if self._delayed else None

    def counts(self) -> tuple[int, int, int]:
        """Return how many jobs are held, how many others are not yet due, and how many others are behind one."""
        behind = len(self.turns.behind - self.not_before.keys())
        return len(self.held), len(self.not_before.keys() - self.held.keys()), behind
