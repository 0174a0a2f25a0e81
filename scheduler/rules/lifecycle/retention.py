"""Retention: what of the past is kept, and how long. Only what has ended is ever aged out, and nothing that is pinned.

Ages count from the last change of a job or file, so that a job that was requeued, pinned or cancelled late starts anew.
A limit of 0 is none: for ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta

from scheduler.documents import RetentionDocument
from scheduler.rules.lifecycle.moves import JobStatus


@dataclass(frozen=True, slots=True)
class Retention:
    """What is kept: jobs by how they ended (days) and how many (`jobs`), printed output and output files by days and bytes."""

    completed_days: int = 0
    failed_days: int = 0
    canceled_days: int = 0
    jobs: int = 0
    output_days: int = 0
    output_bytes: int = 0
    files_days: int = 0
    files_bytes: int = 0

    def of_project(self, document: RetentionDocument) -> Retention:
        """Return these limits with those that a project sets in their place."""
        return replace(self, **document)


LIMITS = tuple(each.name for each in fields(Retention))

_DAYS_OF = {
    JobStatus.COMPLETED: "completed_days",
    JobStatus.FAILED: "failed_days",
    JobStatus.CANCELED: "canceled_days",
}


@dataclass(frozen=True, slots=True)
class RetentionCutoffs:
    """The moments before which things are aged out: jobs by final status, and output; None keeps it."""

    jobs: Mapping[JobStatus, datetime]
    output: datetime | None

    @property
    def last_job(self) -> datetime | None:
        """The moment from which on no job is aged out, however it ended; None where none is at all."""
        return max(self.jobs.values(), default=None)

    def job_is_due(self, status: str, changed: datetime) -> bool:
        """Tell whether a job with this status that last changed then is kept no longer; never, unless it has ended."""
        moment = self.jobs.get(JobStatus(status))
        return moment is not None and changed < moment

    def output_is_due(self, status: str, changed: datetime) -> bool:
        """Tell whether the output of such a job is kept no longer."""
        return JobStatus(status) in _DAYS_OF and self.output is not None and changed < self.output


def cutoffs(
    kept: Retention, now: datetime, newest_kept: datetime | None, output_kept: datetime | None
) -> RetentionCutoffs:
    """Return the cut-offs at `now`.

    `newest_kept` and `output_kept` are the times of the oldest job that the limits by count and by bytes leave; None where
    these limits take nothing.
    """
    by_status = {
        status: _later(_before(now, int(getattr(kept, days))), newest_kept) for status, days in _DAYS_OF.items()
    }
    jobs = {status: moment for status, moment in by_status.items() if moment is not None}
    return RetentionCutoffs(jobs, _later(_before(now, kept.output_days), output_kept))


def everything(now: datetime) -> RetentionCutoffs:
    """Return the cut-offs of a project that was deleted: all that has ended goes."""
    return RetentionCutoffs(dict.fromkeys(_DAYS_OF, now), now)


def files_cutoff(kept: Retention, now: datetime, oldest_kept: datetime | None) -> datetime | None:
    """Return the moment before which output files are aged out; None keeps them. `oldest_kept` is what the limit by bytes leaves."""
    return _later(_before(now, kept.files_days), oldest_kept)


def _before(now: datetime, days: int) -> datetime | None:
    return now - timedelta(days=days) if days else None


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((moment for moment in (one, other) if moment is not None), default=None)
