"""Editing needs: as long as a job was not queued, other jobs may be what it waits for. It is judged by them at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from scheduler.documents import Document
from scheduler.errors import Conflict, NotFound
from scheduler.identifiers import JobId
from scheduler.identity import Caller
from scheduler.needs import batch, writing
from scheduler.needs.new_needs import NewNeed, NewWire
from scheduler.rules.lifecycle.moves import JobStatus
from scheduler.runtime import Runtime
from scheduler.store.admin import audit
from scheduler.store.jobs import jobs
from scheduler.store.needs import changes, edits


@dataclass(frozen=True, slots=True)
class _Edited:
    """A job of which only the needs are read."""

    needs: Sequence[NewNeed]
    key: str | None = None
    group: str | None = None
    wiring: Mapping[str, NewWire] | None = None
    expansion: Document | None = None
    conditions: Sequence[Document] | None = None
    needs_within_s: int | None = None
    cache: Document | None = None


_EDITABLE = {JobStatus.PENDING, JobStatus.BLOCKED}


def edit(rt: Runtime, caller: Caller, job_id: JobId, needs: Sequence[NewNeed], *, reason: str | None = None) -> None:
    """Let these needs take the place of those that a job has, but for those whose outputs it takes; the caller may see the job.

    One transaction. Raises InvalidInput and NotFound naming each need at fault, Conflict for a job that was queued already.
    """
    with rt.db.begin() as tx:
        before = edits.read(tx, job_id)
        if before is None:
            raise NotFound(f"there is no job {job_id}")
        if before.is_open:
            raise Conflict(
                "the job becomes several once its needs are satisfied; its needs are those of its definition"
            )
        kept = edits.drop(tx, job_id)
        said = [replace(one, said_at=f"needs[{place}]") for place, one in enumerate(needs)]
        found = batch.read([_Edited(said)])
        if found.faults:
            raise found.faults[0].together()
        found.needs[0] = [replace(one, place=one.place + kept) for one in found.needs.get(0, ())]
        faults = writing.write(tx, before.project_id, found, {0: job_id}, [0])
        if faults:
            raise faults[0].together()
        # Parents before the job, as whoever ends them: a job that was queued meanwhile is seen now.
        job = jobs.lock(tx, [job_id])[job_id]
        if job.status not in _EDITABLE:
            raise Conflict(f"needs change while a job is PENDING or BLOCKED; this one is {job.status}")
        changes.tell(tx, [job_id])
        detail = {"before": before.needs, "after": edits.shown(tx, job_id)}
        audit.write(tx, caller.name, "job.edit-needs", f"job:{job_id}", reason=reason, detail=detail)
    rt.nudge("tick")
