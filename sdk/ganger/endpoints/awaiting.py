"""Waiting for jobs: the API answers when something has changed, so that nobody asks again and again.

An API of the release before knows no waiting; then, and where it answers sooner than it was asked to, the client pauses by itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ganger.errors import InvalidRequest, NotFound, TimedOut
from ganger.records import Job

if TYPE_CHECKING:
    from ganger.endpoints.jobs import JobsEndpoint

# A server that restarts, or is being upgraded, is back within this; who waits for a job goes on waiting.
WAIT_PATIENCE_S = 120.0
SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 2.0
LONGEST_WAIT_S = 30
# The longest address is shorter than 8 KiB; a hundred ids of up to 19 digits fit well.
IDS_PER_CALL = 100
CHANGES_PER_CALL = 500

_PAUSE_WITHOUT_WAIT_S = 0.2
_OF_WAITING = frozenset({"wait", "known"})
_WAITING = ("PENDING_UPLOAD", "PENDING", "BLOCKED", "QUEUED", "RUNNING")
"""The statuses of jobs that have not ended: no news to who waits for the end alone."""


@dataclass(frozen=True, slots=True)
class JobChanges:
    """Jobs that changed, as they are now. `cursor` is where to go on, `more` that there is more at once."""

    cursor: str
    more: bool
    jobs: list[Job]


class WaitTime:
    """The time that somebody waits: how long the API may, and pauses where it does not."""

    def __init__(self, timeout_s: float | None, longest_call_s: float) -> None:
        self._until = None if timeout_s is None else time.monotonic() + timeout_s
        self._longest = int(min(LONGEST_WAIT_S, longest_call_s / 2))
        self._pause_s = SHORTEST_PAUSE_S
        self._asked_at = 0.0
        self._waits = self._longest > 0

    @property
    def is_over(self) -> bool:
        """Whether there is no time left."""
        return self._until is not None and time.monotonic() >= self._until

    def ask_s(self) -> int:
        """Return how many seconds the API should wait now."""
        self._asked_at = time.monotonic()
        left = self._longest if self._until is None else min(self._longest, int(self._until - self._asked_at))
        return max(0, left) if self._waits else 0

    def give_up_asking(self, refusal: InvalidRequest) -> None:
        """Go on by pauses alone: the API does not know how to wait. Raises any other refusal again."""
        if refusal.field not in _OF_WAITING or not self._waits:
            raise refusal
        self.pause_only()

    def pause_only(self) -> None:
        """Go on by pauses alone."""
        self._waits = False

    def note_news(self) -> None:
        """Something has changed: the next change may come soon."""
        self._pause_s = SHORTEST_PAUSE_S

    def rest(self) -> None:
        """Nothing has changed: pause, unless the API has waited."""
        if self._waits and time.monotonic() - self._asked_at >= 1.0:
            return
        left = self._pause_s if self._until is None else min(self._pause_s, self._until - time.monotonic())
        time.sleep(max(0.0, left))
        self._pause_s = min(self._pause_s * 1.3, LONGEST_PAUSE_S)


def one(
    jobs: JobsEndpoint, job_id: int, wait_time: WaitTime, changed: Callable[[Job], None] | None, timeout_s: float | None
) -> Job:
    """Return a job when it has ended. Raises TimedOut."""
    seen: tuple[str, int] | None = None
    while True:
        last_look = wait_time.is_over
        try:
            wait_s = wait_time.ask_s() if seen is not None else 0
            known = None if seen is None or not wait_s else _WAITING if changed is None else (seen[0],)
            job = jobs.get(job_id, patience_s=WAIT_PATIENCE_S, wait_s=wait_s, known=known)
        except InvalidRequest as refusal:
            wait_time.give_up_asking(refusal)
            continue
        if (job.status, job.num_exes) != seen:
            seen = job.status, job.num_exes
            wait_time.note_news()
            if changed is not None:
                changed(job)
        elif not job.is_final:
            wait_time.rest()
        if job.is_final:
            return job
        if last_look:
            raise TimedOut(f"job {job_id} is still {job.status} after {timeout_s:g} s")


def next_state(jobs: JobsEndpoint, job: Job, wait_s: int, patience_s: float | None) -> Job:
    """Return a job once its status is another, or the wait is over."""
    began = time.monotonic()
    try:
        found = jobs.get(job.id, patience_s=patience_s, wait_s=wait_s, known=job.status)
    except InvalidRequest as refusal:
        if refusal.field not in _OF_WAITING:
            raise
        found = jobs.get(job.id, patience_s=patience_s)
    if found.status == job.status and time.monotonic() - began < 1.0:
        time.sleep(min(wait_s, _PAUSE_WITHOUT_WAIT_S))
    return found


def each(
    jobs: JobsEndpoint,
    job_ids: Sequence[int],
    wait_time: WaitTime,
    changed: Callable[[Job], None] | None,
    timeout_s: float | None,
) -> Iterator[Job]:
    """Yield jobs, in short, as they end. Raises TimedOut, NotFound for a job that is not there."""
    open_ids = dict.fromkeys(job_ids)
    seen: dict[int, str] = {}
    source = _Source(jobs, wait_time)
    while open_ids:
        last_look = wait_time.is_over
        told = source.next_of(open_ids)
        found = [job for job in told if job.id in open_ids and seen.get(job.id) != job.status]
        for job in found:
            seen[job.id] = job.status
            if changed is not None:
                changed(job)
            if job.is_final:
                del open_ids[job.id]
                yield job
        if not open_ids:
            return
        if last_look:
            raise TimedOut(f"{len(open_ids)} jobs have not ended after {timeout_s:g} s")
        if told:
            wait_time.note_news()
        if not found and not source.is_behind:
            wait_time.rest()


class _Source:
    """Where jobs' states come from: all of them once, then the feed, or all of them again where there is none."""

    def __init__(self, jobs: JobsEndpoint, wait_time: WaitTime) -> None:
        self._jobs, self._wait_time = jobs, wait_time
        self._cursor: str | None = None
        self._has_feed = True
        self.is_behind = False

    def next_of(self, open_ids: dict[int, None]) -> list[Job]:
        """Return jobs that may have changed, and perhaps others."""
        if self._cursor is None or not self._has_feed:
            return self._all(list(open_ids))
        ids = list(open_ids)
        try:
            found = self._jobs.changes(
                self._cursor,
                wait_s=self._wait_time.ask_s(),
                patience_s=WAIT_PATIENCE_S,
                page_size=CHANGES_PER_CALL,
                job_id=ids if len(ids) <= IDS_PER_CALL else None,
            )
        except NotFound:  # another process of the API, of the release before
            self._has_feed = False
            self._wait_time.pause_only()
            return self._all(ids)
        self._cursor, self.is_behind = found.cursor, found.more
        return found.jobs

    def _all(self, ids: list[int]) -> list[Job]:
        """Look at all; the cursor is taken first, so that no change falls in between."""
        if self._has_feed and self._cursor is None:
            try:
                self._cursor = self._jobs.changes(patience_s=WAIT_PATIENCE_S).cursor
            except NotFound:
                self._has_feed = False
                self._wait_time.pause_only()
        found = self._jobs.statuses(ids)
        for job_id in ids:
            if job_id not in found:
                found[job_id] = self._jobs.get(job_id)  # says why it is not in the list
        return list(found.values())
