"""Submissions that a client sends once more because it never heard the answer, and that have no key to tell them by.

Whoever has heard an answer asks for the job or the run by its id. So a submission that comes again, letter for letter and from the same
token, is the same one as long as nobody has asked for what the first one made, if it comes in the time in which clients try again: later
than a program that means to submit two alike sends the second, and sooner than people do. Where the client was seen to be gone before its
answer was sent, the repeat may come at once.
"""

from __future__ import annotations

from typing import Final

from scheduler.identifiers import FileId, JobId, ProjectId
from scheduler.runtime import Runtime
from scheduler.store.lookup import repeats, unanswered
from scheduler.store.lookup.unanswered import UnansweredKind

SOONEST_S: Final = 3.0
"""Clients wait before they try again: `evo-compute` for 4 s, and for 8 s before its last try."""

LATEST_S: Final = 30.0

MARK: Final = "unanswered"
"""The name of what marks a job or run that nobody has asked for yet: what was submitted, and by whom, as a digest."""


def earlier(rt: Runtime, digest: str) -> JobId | None:
    """Return the job that this submission has made when it came before; None for a new one."""
    with rt.db.begin() as tx:
        return repeats.find(tx, MARK, digest, least_s=SOONEST_S, most_s=LATEST_S)


def earlier_run(rt: Runtime, project_id: ProjectId, digest: str) -> int | None:
    """Return the run of a workflow that this submission has begun when it came before; None for a new one."""
    with rt.db.begin() as tx:
        return repeats.find_run(tx, project_id, MARK, digest, least_s=SOONEST_S, most_s=LATEST_S)


def unheard(rt: Runtime, job_id: JobId | None = None, run_id: int | None = None) -> None:
    """Note that whoever made a job or a run was gone before the answer was sent. Safe to repeat."""
    with rt.db.begin() as tx:
        repeats.lose(tx, job_id, run_id, MARK)


def asked_for(rt: Runtime, job_id: JobId | None = None, run_id: int | None = None) -> None:
    """Note that somebody knows a job or a run: what is submitted from now on is another one. Safe to repeat."""
    with rt.db.begin() as tx:
        repeats.forget(tx, job_id, run_id, MARK)


def earlier_file(rt: Runtime, project_id: ProjectId, digest: str) -> FileId | None:
    """Return the file that this upload has made when it came before; None for a new one."""
    with rt.db.begin() as tx:
        return unanswered.file(tx, project_id, digest, least_s=SOONEST_S, most_s=LATEST_S)


def earlier_project(rt: Runtime, digest: str) -> ProjectId | None:
    """Return the project that this request has made when it came before; None for a new one."""
    with rt.db.begin() as tx:
        return unanswered.project(tx, digest, least_s=SOONEST_S, most_s=LATEST_S)


def unheard_of(rt: Runtime, kind: UnansweredKind, object_id: int) -> None:
    """Note that whoever made a file or a project was gone before the answer was sent. Safe to repeat."""
    with rt.db.begin() as tx:
        unanswered.lose(tx, kind, object_id)


def known(rt: Runtime, kind: UnansweredKind, object_id: int) -> None:
    """Note that somebody knows a file or a project: what is sent from now on makes another one. Safe to repeat."""
    with rt.db.begin() as tx:
        unanswered.forget(tx, kind, object_id)
