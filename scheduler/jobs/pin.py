"""What users say of jobs that are there: a pinned job is never aged out, nor its output, nor the files that it made or reads; names."""

from __future__ import annotations

from collections.abc import Sequence

from scheduler.errors import NotFound
from scheduler.identifiers import JobId
from scheduler.runtime import Runtime
from scheduler.store.jobs import events, jobs
from scheduler.store.retention import pins


def pin(rt: Runtime, job_ids: Sequence[JobId], *, actor: str, reason: str | None = None) -> list[JobId]:
    """Pin jobs, whatever their status; return the ids that were not pinned before."""
    return _set(rt, job_ids, pinned=True, actor=actor, reason=reason)


def unpin(rt: Runtime, job_ids: Sequence[JobId], *, actor: str, reason: str | None = None) -> list[JobId]:
    """Let pinned jobs age again, from now on; return the ids that were pinned."""
    return _set(rt, job_ids, pinned=False, actor=actor, reason=reason)


def _set(rt: Runtime, job_ids: Sequence[JobId], *, pinned: bool, actor: str, reason: str | None) -> list[JobId]:
    with rt.db.begin() as tx:
        jobs.lock(tx, job_ids)
        changed = pins.pin(tx, job_ids, pinned=pinned)
        events.record(tx, changed, "PIN" if pinned else "UNPIN", actor=actor, reason=reason)
    return sorted(changed)


def rename(rt: Runtime, job_id: JobId, name: str, *, actor: str) -> None:
    """Give a job another name, whatever its status; safe to repeat. Raises NotFound."""
    with rt.db.begin() as tx:
        if not jobs.rename(tx, job_id, name):
            raise NotFound(f"there is no job {job_id}")
        events.record(tx, [job_id], "RENAME", actor=actor, reason=None)
