"""The waiting jobs: one group for each shape, oldest job first, kept up to date job by job.

A million jobs cost some 200 bytes each: plain numbers in parallel lists and dictionaries, so that the garbage
collector has nothing to walk. The entry of a job that leaves is only crossed out; a group is compacted when half of
it is crossed out.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import inf

import numpy as np
from numpy.typing import ArrayLike

from scheduler.rules.cluster.queue_blockers import QueueBlockers
from scheduler.rules.cluster.shape_index import ShapeIndex
from scheduler.rules.cluster.shapes import Shape

_TIDY_FROM = 64
"""A group with fewer crossed-out entries than this is not compacted."""


@dataclass(frozen=True, slots=True)
class WaitingJob:
    """One waiting job, as the queue knows it. `avoid` has the nodes where it failed, `held` the reason of a hold."""

    job_id: int
    shape_id: int
    queued_at: float
    attempt: int = 0
    avoid: frozenset[int] = frozenset()
    not_before: float | None = None
    held: str | None = None


@dataclass(slots=True)
class QueueGroup:
    """The jobs of one shape, by age and then id.

    Entries before `first` are gone; later ones may be crossed out, and `live` counts those that are not. `avoiding`
    counts the jobs that have nodes to avoid.
    """

    shape: Shape
    ids: list[int] = field(default_factory=list)
    at: list[float] = field(default_factory=list)
    first: int = 0
    live: int = 0
    avoiding: int = 0


class Queue:
    """The waiting jobs by shape.

    Not safe for concurrent use. `explain` only reads it; `place` also releases jobs that are due.

    `groups` has all known shapes, `ready_groups` those with jobs that may be placed. A shape of which no job has
    waited for long may be removed whenever `release_due` is called; it is added again like a new one.
    """

    def __init__(self) -> None:
        self.groups: dict[int, QueueGroup] = {}
        self.ready_groups: dict[int, QueueGroup] = {}
        self._shapes = ShapeIndex()
        self._shape_of: dict[int, int] = {}
        self._at: dict[int, float] = {}
        self._attempts: dict[int, int] = {}
        self._avoid: dict[int, frozenset[int]] = {}
        self._blockers = QueueBlockers()

    def __len__(self) -> int:
        return len(self._shape_of)

    def __contains__(self, job_id: object) -> bool:
        return job_id in self._shape_of

    def __getitem__(self, job_id: int) -> WaitingJob:
        """Return what is known of a job; raises KeyError for a job that does not wait."""
        return WaitingJob(
            job_id,
            self._shape_of[job_id],
            self._at[job_id],
            self._attempts.get(job_id, 0),
            self._avoid.get(job_id, frozenset()),
            self._blockers.not_before.get(job_id),
            self._blockers.held.get(job_id),
        )

    def add_shape(self, shape: Shape) -> None:
        """Make a shape known. May be repeated.

        Needed before a job of the shape is added while `groups` has it not.
        """
        if shape.id not in self.groups:
            self.groups[shape.id] = QueueGroup(shape)
            self._shapes.add(shape)

    def matching_shape_id(self, shape: Shape) -> int | None:
        """Return the id of a known shape that asks for the same, whatever the id of this one; None without one."""
        return self._shapes.matching_id(shape)

    def remove_shape(self, shape_id: int) -> None:
        """Remove a shape of which no job waits; raises KeyError for an unknown one."""
        self._shapes.remove(self.groups.pop(shape_id).shape)

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
        """Let a job wait from `queued_at` (epoch seconds), or take over what changed of a job that waits already.

        `attempt` is the number that its last placement carried (0: none yet). A job that is held, whose
        `not_before` has not come, or that is behind one of its `serial`, is known but never placed. Raises KeyError for a shape that was not added.
        """
        group = self.groups[shape_id]
        self.discard(job_id)
        self._shape_of[job_id] = shape_id
        self._shapes.change_count(shape_id, 1)
        self._at[job_id] = queued_at
        if attempt:
            self._attempts[job_id] = attempt
        if avoid:
            self._avoid[job_id] = avoid
            group.avoiding += 1
        passed = self._blockers.add(job_id, group.shape.serial, not_before, held)
        if passed is not None:
            self._cross_out(self.groups[self._shape_of[passed]])
        if self._blockers.is_free(job_id):
            self._insert(group, job_id, queued_at)

    def load(
        self,
        job_ids: ArrayLike,
        shape_ids: ArrayLike,
        queued_at: ArrayLike,
        attempts: ArrayLike | None = None,
    ) -> None:
        """Let many jobs wait at once: columns of equal length, in any order, of jobs that do not wait yet.

        For the first read after a start. Jobs with nodes to avoid, a `not_before` or a hold go through `add`. Raises
        KeyError, and changes nothing, when a shape was not added.
        """
        ids = np.asarray(job_ids, dtype=np.int64)
        shapes = np.asarray(shape_ids, dtype=np.int64)
        at = np.asarray(queued_at, dtype=np.float64)
        order = np.lexsort((ids, at, shapes))
        ids, shapes, at = ids[order], shapes[order], at[order]
        kinds, starts = np.unique(shapes, return_index=True)
        groups = [self.groups[kind] for kind in kinds.tolist()]
        ends = [*starts.tolist()[1:], len(ids)]
        for group, start, end in zip(groups, starts.tolist(), ends, strict=True):
            mine, when = ids[start:end].tolist(), at[start:end].tolist()
            if group.shape.serial is None:
                self._load_group(group, mine, when)
            else:
                for job_id, moment in zip(mine, when, strict=True):
                    self.add(job_id, group.shape.id, moment)
        if attempts is not None:
            tried = np.asarray(attempts, dtype=np.int64)[order]
            self._attempts.update(zip(ids[tried > 0].tolist(), tried[tried > 0].tolist(), strict=True))

    def discard(self, job_id: int) -> None:
        """Remove a job that was placed, cancelled or changed; a job that does not wait is ignored."""
        shape_id = self._shape_of.pop(job_id, None)
        if shape_id is None:
            return
        group = self.groups[shape_id]
        self._shapes.change_count(shape_id, -1)
        del self._at[job_id]
        self._attempts.pop(job_id, None)
        if self._avoid.pop(job_id, None):
            group.avoiding -= 1
        was_free = self._blockers.is_free(job_id)
        following = self._blockers.discard(job_id)
        if was_free:
            self._cross_out(group)
        if following is not None:
            self._insert(self.groups[self._shape_of[following]], following, self._at[following])

    def release_due(self, now: float) -> None:
        """Make the jobs ready whose `not_before` has come, and remove shapes that are long idle.

        `place` calls it. May be repeated.
        """
        for job_id in self._blockers.release_due(now):
            self._insert(self.groups[self._shape_of[job_id]], job_id, self._at[job_id])
        for shape_id in self._shapes.surplus():
            self.remove_shape(shape_id)

    def next_due(self) -> float | None:
        """Return when the next `not_before` comes (epoch seconds), or earlier; None if no job is delayed."""
        return self._blockers.next_due()

    def next_of(self, serial: int) -> int | None:
        """Return the job that is next of those that run one after the other; None if none waits, or all are held."""
        return self._blockers.turns.first(serial)

    def attempt(self, job_id: int) -> int:
        """Return the number that the job's last placement carried; 0 before its first."""
        return self._attempts.get(job_id, 0)

    def queued_at(self, job_id: int) -> float:
        """Return when the job was queued (epoch seconds); raises KeyError for a job that does not wait."""
        return self._at[job_id]

    def avoided(self, job_id: int) -> frozenset[int]:
        """Return the nodes where the job has failed recently."""
        return self._avoid.get(job_id, frozenset())

    def count(self, shape_id: int) -> int:
        """Return how many jobs of the shape are ready: those that nothing but room or a limit keeps."""
        group = self.groups.get(shape_id)
        return group.live if group else 0

    def count_blocked(self) -> tuple[int, int, int]:
        """Return how many jobs are held, how many others are not yet due, and how many others are behind one; `count` has none."""
        return self._blockers.counts()

    def position(self, job_id: int, *, newest: bool = False) -> int | None:
        """Return how many jobs of the same shape go before this one; None for a job that is not ready.

        These are the older jobs, or the younger ones if the `newest` go first. Raises KeyError for a job that does
        not wait. Costs a walk over the group's crossed-out entries.
        """
        at, group = self._at[job_id], self.groups[self._shape_of[job_id]]
        if not self._blockers.is_free(job_id):
            return None
        entry = _entry_of(group, job_id, at)
        older = entry - group.first
        if group.live != len(group.ids) - group.first:
            older = sum(1 for _ in self._live_entries(group, group.first, entry))
        return group.live - 1 - older if newest else older

    def count_before(self, group: QueueGroup, job_id: int, *, newest: bool = False) -> int:
        """Return how many jobs of another group go before this one by age; crossed-out ones may be counted too."""
        entry = _entry_of(group, job_id, self._at[job_id])
        return min(group.live, len(group.ids) - entry if newest else entry - group.first)

    def list_oldest(
        self, group: QueueGroup, start: int, most: int, until: float | None = None
    ) -> tuple[list[int], int]:
        """Return up to `most` job ids from entry `start` on, oldest first, and the entry to go on from.

        With `until`, only jobs queued at or before it. Changes nothing.
        """
        end = len(group.ids) if until is None else bisect_right(group.at, until, group.first)
        if group.live == len(group.ids) - group.first:  # nothing is crossed out: a slice will do
            stop = min(end, start + most)
            return group.ids[start:stop], max(stop, start)
        found: list[int] = []
        cursor = start
        while cursor < end and len(found) < most:
            if self._is_live(group, cursor):
                found.append(group.ids[cursor])
            cursor += 1
        return found, cursor

    def list_newest(self, group: QueueGroup, stop: int, most: int, since: float = -inf) -> tuple[list[int], int]:
        """Return up to `most` job ids before entry `stop`, newest first, and the entry to go on from.

        With `since`, only jobs queued at or after it. Changes nothing.
        """
        found: list[int] = []
        while stop > group.first and len(found) < most and group.at[stop - 1] >= since:
            stop -= 1
            if self._is_live(group, stop):
                found.append(group.ids[stop])
        return found, stop

    def _load_group(self, group: QueueGroup, ids: list[int], at: list[float]) -> None:
        """Add many jobs to a group, already ordered by age and id."""
        self._shape_of.update(dict.fromkeys(ids, group.shape.id))
        self._shapes.change_count(group.shape.id, len(ids))
        self._at.update(zip(ids, at, strict=True))
        if group.live:
            for job_id, when in zip(ids, at, strict=True):
                self._insert(group, job_id, when)
        else:
            self.ready_groups[group.shape.id] = group
            group.ids, group.at, group.first, group.live = ids, at, 0, len(ids)

    def _insert(self, group: QueueGroup, job_id: int, at: float) -> None:
        """Add a job to a group.

        If an entry of the job was crossed out at the very same position, that entry is live again.
        """
        group.live += 1
        self.ready_groups[group.shape.id] = group
        entry = _entry_of(group, job_id, at)
        if entry < len(group.ids) and group.ids[entry] == job_id and group.at[entry] == at:
            return
        group.ids.insert(entry, job_id)
        group.at.insert(entry, at)

    def _is_live(self, group: QueueGroup, entry: int) -> bool:
        # A job that left, or left and came back, has another time or group now than its old entry says, or none.
        job_id = group.ids[entry]
        return (
            self._at.get(job_id) == group.at[entry]
            and self._shape_of.get(job_id) == group.shape.id
            and self._blockers.is_free(job_id)
        )

    def _live_entries(self, group: QueueGroup, start: int, stop: int) -> Iterator[int]:
        return (entry for entry in range(start, stop) if self._is_live(group, entry))

    def _cross_out(self, group: QueueGroup) -> None:
        group.live -= 1
        if not group.live:
            group.ids, group.at, group.first = [], [], 0
            del self.ready_groups[group.shape.id]
            return
        # Both ends are cleared at once, so that the first job is found without a search; entries in between wait until
        # half of the group is crossed out, so that each job that leaves costs constant time on average.
        while not self._is_live(group, group.first):
            group.first += 1
        while not self._is_live(group, len(group.ids) - 1):
            group.ids.pop()
            group.at.pop()
        if len(group.ids) > 2 * group.live + _TIDY_FROM:
            keep = list(self._live_entries(group, group.first, len(group.ids)))
            group.ids = [group.ids[entry] for entry in keep]
            group.at = [group.at[entry] for entry in keep]
            group.first = 0


def _entry_of(group: QueueGroup, job_id: int, at: float) -> int:
    """Return the entry where a job of that age and id is or would be."""
    first = bisect_left(group.at, at, group.first)
    last = bisect_right(group.at, at, first)
    return bisect_left(group.ids, job_id, first, last)
