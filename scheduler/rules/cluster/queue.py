"""The live picture of the waiting jobs: one line per shape, oldest first, kept job by job as things change.

A million jobs cost some 200 bytes each: plain numbers in parallel lists and dictionaries, nothing the garbage
collector has to walk. A job that leaves is only crossed out; a line is tidied when half of it is crossed out.
"""

import heapq
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import inf

import numpy as np
from numpy.typing import ArrayLike

from scheduler.rules.cluster.shape_index import ShapeIndex
from scheduler.rules.cluster.shapes import Shape

_TIDY_FROM = 64
"""Crossed-out entries below which a line is left as it is."""


@dataclass(frozen=True, slots=True)
class WaitingJob:
    """All that is known of one waiting job. `avoid` has the nodes where it failed, `held` the reason of a hold."""

    job_id: int
    shape_id: int
    queued_at: float
    attempt: int = 0
    avoid: frozenset[int] = frozenset()
    not_before: float | None = None
    held: str | None = None


@dataclass(slots=True)
class QueueGroup:
    """The jobs of one shape by age, then id. Entries before `head` are gone; others may be crossed out."""

    shape: Shape
    ids: list[int] = field(default_factory=list)
    at: list[float] = field(default_factory=list)
    head: int = 0
    live: int = 0
    special: int = 0


class Queue:
    """Waiting jobs by shape. Not safe for concurrent use; `place` and `explain` only read it.

    `lines` has the shapes that are known, `standing` those with jobs in line. A shape of which no job has waited for long may be
    forgotten whenever `ripen` is called; it is learned again like a new one.
    """

    def __init__(self) -> None:
        self.lines: dict[int, QueueGroup] = {}
        self.standing: dict[int, QueueGroup] = {}
        self._learned = ShapeIndex()
        self._shape_of: dict[int, int] = {}
        self._at: dict[int, float] = {}
        self._attempts: dict[int, int] = {}
        self._avoid: dict[int, frozenset[int]] = {}
        self._held: dict[int, str] = {}
        self._not_before: dict[int, float] = {}
        self._asleep: list[tuple[float, int]] = []

    def __len__(self) -> int:
        return len(self._shape_of)

    def __contains__(self, job_id: object) -> bool:
        return job_id in self._shape_of

    def __getitem__(self, job_id: int) -> WaitingJob:
        """What is known of a job; raises KeyError for one that does not wait."""
        return WaitingJob(
            job_id,
            self._shape_of[job_id],
            self._at[job_id],
            self._attempts.get(job_id, 0),
            self._avoid.get(job_id, frozenset()),
            self._not_before.get(job_id),
            self._held.get(job_id),
        )

    def learn(self, shape: Shape) -> None:
        """Make a shape known; needed before a job of it comes while `lines` has it not. May be repeated."""
        if shape.id not in self.lines:
            self.lines[shape.id] = QueueGroup(shape)
            self._learned.add(shape)

    def alike(self, shape: Shape) -> int | None:
        """The id of a known shape that asks for the same, whatever this one's id; None where there is none."""
        return self._learned.alike(shape)

    def forget(self, shape_id: int) -> None:
        """Forget a shape that no job waits under; raises KeyError for an unknown one."""
        self._learned.forget(self.lines.pop(shape_id).shape)

    def add(
        self,
        job_id: int,
        shape_id: int,
        queued_at: float,
        attempt: int = 0,
        *,
        avoid: frozenset[int] = frozenset(),
        not_before: float | None = None,
        held: str | None = None,
    ) -> None:
        """Let a job wait from `queued_at` (epoch seconds), or take over what changed of one that waits already.

        `attempt` is the number its last placement carried (0: none yet). A held job, or one whose `not_before` has not
        come, is known but never placed. Raises KeyError for a shape that was not learned.
        """
        line = self.lines[shape_id]
        self.discard(job_id)
        self._shape_of[job_id] = shape_id
        self._learned.count(shape_id, 1)
        self._at[job_id] = queued_at
        if attempt:
            self._attempts[job_id] = attempt
        if avoid:
            self._avoid[job_id] = avoid
            line.special += 1
        if held is not None:
            self._held[job_id] = held
        if not_before is not None:
            self._not_before[job_id] = not_before
            heapq.heappush(self._asleep, (not_before, job_id))
        if held is None and not_before is None:
            self._stand(line, job_id, queued_at)

    def load(
        self,
        job_ids: ArrayLike,
        shape_ids: ArrayLike,
        queued_at: ArrayLike,
        attempts: ArrayLike | None = None,
    ) -> None:
        """Let many jobs wait at once: columns of equal length in any order, of jobs that do not wait yet.

        For the first picture after a start; jobs with nodes to avoid, a `not_before` or a hold go through `add`.
        Raises KeyError, changing nothing, when a shape was not learned.
        """
        ids = np.asarray(job_ids, dtype=np.int64)
        shapes = np.asarray(shape_ids, dtype=np.int64)
        at = np.asarray(queued_at, dtype=np.float64)
        order = np.lexsort((ids, at, shapes))
        ids, shapes, at = ids[order], shapes[order], at[order]
        kinds, starts = np.unique(shapes, return_index=True)
        lines = [self.lines[kind] for kind in kinds.tolist()]
        ends = [*starts.tolist()[1:], len(ids)]
        for line, start, end in zip(lines, starts.tolist(), ends, strict=True):
            self._join(line, ids[start:end].tolist(), at[start:end].tolist())
        if attempts is not None:
            tried = np.asarray(attempts, dtype=np.int64)[order]
            self._attempts.update(zip(ids[tried > 0].tolist(), tried[tried > 0].tolist(), strict=True))

    def discard(self, job_id: int) -> None:
        """Forget a job that was placed, cancelled or changed; nothing happens for one that does not wait."""
        shape_id = self._shape_of.pop(job_id, None)
        if shape_id is None:
            return
        line = self.lines[shape_id]
        self._learned.count(shape_id, -1)
        del self._at[job_id]
        self._attempts.pop(job_id, None)
        if self._avoid.pop(job_id, None):
            line.special -= 1
        off = self._held.pop(job_id, None) is not None
        if self._not_before.pop(job_id, None) is not None:
            off = True
        if not off:
            self._cross_out(line)

    def ripen(self, now: float) -> None:
        """Let those stand in line whose `not_before` has come, and forget shapes long idle. Called by `place`; may be repeated."""
        while self._asleep and self._asleep[0][0] <= now:
            not_before, job_id = heapq.heappop(self._asleep)
            if self._not_before.get(job_id) != not_before:
                continue
            del self._not_before[job_id]
            if job_id not in self._held:
                self._stand(self.lines[self._shape_of[job_id]], job_id, self._at[job_id])
        for shape_id in self._learned.too_many():
            self.forget(shape_id)

    def next_ripe(self) -> float | None:
        """When the next `not_before` comes (epoch seconds), early rather than late; None where nothing is delayed."""
        return self._asleep[0][0] if self._asleep else None

    def attempt(self, job_id: int) -> int:
        """The number that the job's last placement carried; 0 before its first."""
        return self._attempts.get(job_id, 0)

    def queued_at(self, job_id: int) -> float:
        """When the job was queued; raises KeyError for one that does not wait."""
        return self._at[job_id]

    def avoided(self, job_id: int) -> frozenset[int]:
        """The nodes where the job has failed of late."""
        return self._avoid.get(job_id, frozenset())

    def count(self, shape_id: int) -> int:
        """How many jobs of the shape stand in line, those held or not yet due left out."""
        line = self.lines.get(shape_id)
        return line.live if line else 0

    def set_aside(self) -> tuple[int, int]:
        """How many jobs are held, and how many others are not yet due: those that `count` leaves out."""
        return len(self._held), len(self._not_before.keys() - self._held.keys())

    def position(self, job_id: int, *, newest: bool = False) -> int | None:
        """How many jobs of the same shape go before this one; None for one that is held or not yet due.

        The older ones, or where the `newest` go first the younger ones. Raises KeyError for one that does not wait. Costs a walk
        over the line's crossed-out entries.
        """
        at, line = self._at[job_id], self.lines[self._shape_of[job_id]]
        if job_id in self._held or job_id in self._not_before:
            return None
        entry = _entry_of(line, job_id, at)
        older = entry - line.head
        if line.live != len(line.ids) - line.head:
            older = sum(1 for _ in self._walk(line, line.head, entry))
        return line.live - 1 - older if newest else older

    def before(self, line: QueueGroup, job_id: int, *, newest: bool = False) -> int:
        """How many jobs of another line go before this one by age; those crossed out may be among them."""
        entry = _entry_of(line, job_id, self._at[job_id])
        return min(line.live, len(line.ids) - entry if newest else entry - line.head)

    def take(self, line: QueueGroup, start: int, most: int, until: float | None = None) -> tuple[list[int], int]:
        """Up to `most` job ids from entry `start` on, oldest first, and the entry to go on from.

        With `until`, only jobs queued at or before it. Changes nothing.
        """
        end = len(line.ids) if until is None else bisect_right(line.at, until, line.head)
        if line.live == len(line.ids) - line.head:
            stop = min(end, start + most)
            return line.ids[start:stop], max(stop, start)
        found: list[int] = []
        cursor = start
        while cursor < end and len(found) < most:
            if self._lives(line, cursor):
                found.append(line.ids[cursor])
            cursor += 1
        return found, cursor

    def take_newest(self, line: QueueGroup, stop: int, most: int, since: float = -inf) -> tuple[list[int], int]:
        """Up to `most` job ids before entry `stop`, newest first, and the entry to go on from. Changes nothing.

        With `since`, only jobs queued at or after it.
        """
        found: list[int] = []
        while stop > line.head and len(found) < most and line.at[stop - 1] >= since:
            stop -= 1
            if self._lives(line, stop):
                found.append(line.ids[stop])
        return found, stop

    def _join(self, line: QueueGroup, ids: list[int], at: list[float]) -> None:
        """Put many jobs in line, already ordered by age and id."""
        self._shape_of.update(dict.fromkeys(ids, line.shape.id))
        self._learned.count(line.shape.id, len(ids))
        self._at.update(zip(ids, at, strict=True))
        if line.live:
            for job_id, when in zip(ids, at, strict=True):
                self._stand(line, job_id, when)
        else:
            self.standing[line.shape.id] = line
            line.ids, line.at, line.head, line.live = ids, at, 0, len(ids)

    def _stand(self, line: QueueGroup, job_id: int, at: float) -> None:
        """Put a job in line; an entry of it that was crossed out at the very same place comes to life again."""
        line.live += 1
        self.standing[line.shape.id] = line
        entry = _entry_of(line, job_id, at)
        if entry < len(line.ids) and line.ids[entry] == job_id and line.at[entry] == at:
            return
        line.ids.insert(entry, job_id)
        line.at.insert(entry, at)

    def _lives(self, line: QueueGroup, entry: int) -> bool:
        job_id = line.ids[entry]
        return (
            self._at.get(job_id) == line.at[entry]
            and self._shape_of.get(job_id) == line.shape.id
            and job_id not in self._held
            and job_id not in self._not_before
        )

    def _walk(self, line: QueueGroup, start: int, stop: int) -> Iterator[int]:
        return (entry for entry in range(start, stop) if self._lives(line, entry))

    def _cross_out(self, line: QueueGroup) -> None:
        line.live -= 1
        if not line.live:
            line.ids, line.at, line.head = [], [], 0
            del self.standing[line.shape.id]
            return
        while not self._lives(line, line.head):
            line.head += 1
        while not self._lives(line, len(line.ids) - 1):
            line.ids.pop()
            line.at.pop()
        if len(line.ids) > 2 * line.live + _TIDY_FROM:
            keep = list(self._walk(line, line.head, len(line.ids)))
            line.ids = [line.ids[entry] for entry in keep]
            line.at = [line.at[entry] for entry in keep]
            line.head = 0


def _entry_of(line: QueueGroup, job_id: int, at: float) -> int:
    """The entry where a job of that age and id stands or would stand."""
    first = bisect_left(line.at, at, line.head)
    last = bisect_right(line.at, at, first)
    return bisect_left(line.ids, job_id, first, last)
