"""The sweep: the leader goes over every project, oldest change first, and deletes what is kept no longer.

It works in small transactions and rests as long as each has taken, so that live work hardly notices. It may be broken off
at any point and begun anew: what is gone is gone, what is left is found again. Two sweeps at once do each other no harm.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Protocol, TypeVar

from sqlalchemy import Connection

from scheduler.events import PURGED
from scheduler.identifiers import ProjectId
from scheduler.log import log
from scheduler.retention import deletions, policy
from scheduler.rules.lifecycle.retention import RetentionCutoffs
from scheduler.runtime import Runtime
from scheduler.store.admin import projects as stored_projects
from scheduler.store.data_sets import purge as data_sets
from scheduler.store.leader import wait_spans
from scheduler.store.retention import due, purge
from scheduler.store.retention.due import ChangedFile, ChangedJob, RetainingProject
from scheduler.store.retention.purge import PurgeResult

WINDOW = 2_000
"""Rows that are looked at in one transaction: some 100 ms where all of them go."""

_BEGINNING = (datetime(1970, 1, 1, tzinfo=UTC), 0)
_NEVER_S = 3600.0
_NOT_LEADING_S = 30.0
"""How often a process that does not lead looks whether it has to purge now."""
_LONGEST_REST_S = 1.0


C = TypeVar("C", ChangedJob, ChangedFile)


class SweepPage(Protocol[C]):
    """Reads the next window of a walk."""

    def __call__(self, tx: Connection, *, at: datetime, after: int, before: datetime, limit: int) -> list[C]:
        """Return what comes behind (`at`, id `after`) and changed before a moment."""


class Sweep:
    """The sweeps of a process, while it leads. `step()` does one transaction's work and returns the seconds until the next one."""

    def __init__(
        self, rt: Runtime, leads: Callable[[], bool] = lambda: True, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._rt, self._leads, self._monotonic = rt, leads, monotonic
        self._steps: Iterator[PurgeResult] | None = None
        self._done: dict[str, int] = {}
        self._muted: dict[ProjectId, tuple[datetime, int]] = {}

    def step(self) -> float:
        """Go on with the sweep, or begin one; after its last step the rest is `purge_s`."""
        every = self._rt.settings.purge_s
        if not every:
            return _NEVER_S
        if not self._leads():
            self._steps = None
            self._muted.clear()
            return _NOT_LEADING_S
        if self._steps is None:
            self._steps, self._done = self._all(), {}
        began = self._monotonic()
        if next(self._steps, None) is None:
            self._steps = None
            if any(self._done.values()):
                log.info(PURGED, **self._done)
            return every
        return min(self._monotonic() - began, _LONGEST_REST_S)

    def run(self) -> dict[str, int]:
        """Make one whole sweep without a rest; return how much of each kind is gone."""
        self._done = {}
        for _ in self._all():
            pass
        return self._done

    def _all(self) -> Iterator[PurgeResult]:
        yield from deletions.carry_out(self._rt)
        deletions.delete_empty(self._rt)
        with self._rt.db.begin() as tx:
            projects = due.projects(tx)
        for project in projects:
            if project.is_deleted:
                deletions.cancel_all(self._rt, project.id)
            with self._rt.db.begin() as tx:
                limits = policy.cutoffs(tx, self._rt, project)
            yield from self._jobs(project, limits)
            yield from self._output(project, limits)
            yield from self._data_sets(project)
            yield from self._files(project)
            if project.is_deleted:
                with self._rt.db.begin() as tx:
                    stored_projects.delete(tx, project.id)
        yield from self._old("keys", partial(purge.keys, older_than_days=self._rt.settings.keep_idempotency_days))
        yield from self._old("waits", wait_spans.forget)

    def _jobs(self, project: RetainingProject, limits: RetentionCutoffs) -> Iterator[PurgeResult]:
        def purge_due(tx: Connection, window: Sequence[ChangedJob]) -> PurgeResult:
            chosen = [job for job in window if limits.job_is_due(job.status, job.last_modified)]
            return purge.jobs(tx, project.id, chosen) if chosen else PurgeResult()

        yield from self._walk("jobs", partial(due.jobs, project_id=project.id), limits.last_job, _BEGINNING, purge_due)

    def _output(self, project: RetainingProject, limits: RetentionCutoffs) -> Iterator[PurgeResult]:
        """Go on where the last sweep of this process stood: what is older has lost its output already."""

        def purge_due(tx: Connection, window: Sequence[ChangedJob]) -> PurgeResult:
            chosen = [job for job in window if limits.output_is_due(job.status, job.last_modified)]
            purged = purge.output(tx, project.id, chosen) if chosen else PurgeResult()
            self._muted[project.id] = (window[-1].last_modified, window[-1].id)
            return purged

        beginning = self._muted.get(project.id, _BEGINNING)
        yield from self._walk("output", partial(due.jobs, project_id=project.id), limits.output, beginning, purge_due)

    def _files(self, project: RetainingProject) -> Iterator[PurgeResult]:
        def purge_due(tx: Connection, window: Sequence[ChangedFile]) -> PurgeResult:
            chosen = [file.id for file in window if file.is_output or project.is_deleted]
            return purge.files(tx, project.id, chosen) if chosen else PurgeResult()

        with self._rt.db.begin() as tx:
            before = policy.files_cutoff(tx, self._rt, project)
        yield from self._walk("files", partial(due.files, project_id=project.id), before, _BEGINNING, purge_due)

    def _data_sets(self, project: RetainingProject) -> Iterator[PurgeResult]:
        """Let deleted data sets go, one in each transaction: they may have hundreds of versions."""
        if project.is_deleted:
            with self._rt.db.begin() as tx:
                data_sets.hide_all(tx, project.id)
        before = policy.data_sets_cutoff(self._rt, project)
        while before is not None:
            with self._rt.db.begin() as tx:
                taken = data_sets.take(tx, project.id, before)
                if taken is None:
                    return
                purged = purge.data_set(tx, project.id, taken[1])
            deletions.remove_contents(self._rt, purged.contents)
            self._done["data-sets"] = self._done.get("data-sets", 0) + 1
            yield purged

    def _walk(
        self,
        what: str,
        read: SweepPage[C],
        before: datetime | None,
        beginning: tuple[datetime, int],
        purge_due: Callable[[Connection, Sequence[C]], PurgeResult],
    ) -> Iterator[PurgeResult]:
        """Go over everything that changed before a moment, a window and a transaction at a time."""
        at, after = beginning
        while before is not None:
            with self._rt.db.begin() as tx:
                window = read(tx, at=at, after=after, before=before, limit=WINDOW)
                purged = purge_due(tx, window) if window else PurgeResult()
            deletions.remove_contents(self._rt, purged.contents)
            self._done[what] = self._done.get(what, 0) + purged.count
            yield purged
            if len(window) < WINDOW:
                return
            at, after = window[-1].last_modified, window[-1].id

    def _old(self, what: str, forget: Callable[..., int]) -> Iterator[PurgeResult]:
        """Delete what is told apart by its age alone, a transaction at a time."""
        while True:
            with self._rt.db.begin() as tx:
                count = forget(tx, limit=WINDOW)
            self._done[what] = self._done.get(what, 0) + count
            yield PurgeResult(count)
            if count < WINDOW:
                return
