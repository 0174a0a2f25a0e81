"""Hold and release: a held job keeps its place in the queue but is not placed."""

from __future__ import annotations

from collections.abc import Sequence

from scheduler.identifiers import JobId
from scheduler.runtime import Runtime
from scheduler.store.executions import starts
from scheduler.store.jobs import events, jobs


def hold(rt: Runtime, job_ids: Sequence[JobId], *, actor: str, reason: str | None = None) -> list[int]:
    """Hold jobs that have not ended; return the ids that were not held before. Running executions go on; retries wait.

    What waits on a node ahead of room is taken back.
    """
    return _set(rt, job_ids, held=True, actor=actor, reason=reason or f"held by {actor}")


def release(rt: Runtime, job_ids: Sequence[JobId], *, actor: str, reason: str | None = None) -> list[int]:
    """Release held jobs; return the ids that were held."""
    changed = _set(rt, job_ids, held=False, actor=actor, reason=reason)
    if changed:
        rt.nudge("tick")
    return changed


def _set(rt: Runtime, job_ids: Sequence[JobId], *, held: bool, actor: str, reason: str | None) -> list[int]:
    with rt.db.begin() as tx:
        jobs.lock(tx, job_ids)
        changed = jobs.hold(tx, job_ids, held=held, reason=reason)
        events.record(tx, changed, "HOLD" if held else "RELEASE", actor=actor, reason=reason)
        to_ring = starts.recall_of_jobs(tx, changed) if held and changed else []
    rt.ring(to_ring)
    return sorted(changed)
