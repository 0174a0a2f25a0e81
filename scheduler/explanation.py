"""Explain: why a job waits, where it runs or ran, why it failed; one call, in sentences and in words to branch on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection

from scheduler import lookup
from scheduler.rules.filters import Reason
from scheduler.rules.lifecycle import JobStatus
from scheduler.runtime import Runtime
from scheduler.store import explaining, submissions
from scheduler.tokens import Caller

_SUMMARY = {
    JobStatus.PENDING_UPLOAD: "It waits for its input to be uploaded.",
    JobStatus.BLOCKED: "Something it needs has ended badly.",
    JobStatus.COMPLETED: "It ended well.",
    JobStatus.CANCELED: "It was cancelled.",
}


def explain(rt: Runtime, caller: Caller, job_id: int) -> dict[str, Any]:
    """Say why a job stands where it stands; raises NotFound.

    The answer has a `summary` of one sentence, `reasons` why it waits, the most telling first, its last `placement`
    and why it went there, and its `failure`.
    """
    with rt.db.begin() as tx:
        lookup.one_job(tx, caller, job_id)
        row = explaining.facts(tx, job_id)
        last = explaining.last_execution(tx, job_id)
        waits = row.status in {JobStatus.QUEUED, JobStatus.PENDING}
        reasons = [_reason(*one) for one in _reasons(tx, row)] if waits else []
        ahead = explaining.ahead(tx, row) if row.status == JobStatus.QUEUED else None
    return {
        "job_id": job_id,
        "status": row.status,
        "summary": _summary(row, last, reasons),
        "reasons": reasons,
        "ahead": ahead,
        "tries": {"done": row.num_exes, "forgiven": row.forgiven, "max": row.max_tries, "withdrawn": row.withdrawals},
        "placement": None if last is None else _placement(last),
        "failure": None if row.error_name is None else _failure(row),
    }


def _summary(row: Any, last: Any, reasons: list[dict[str, Any]]) -> str:
    if row.status == JobStatus.RUNNING:
        return f"It runs on node {last.node_name}." if last else "It was placed."
    if row.status == JobStatus.FAILED:
        return f"It failed: {row.error_title}." + (f" {row.message}" if row.message else "")
    if reasons:
        return f"It waits: {reasons[0]['description']}."
    return _SUMMARY.get(row.status, "It is next.")


def _reasons(tx: Connection, row: Any) -> Iterator[tuple[Reason, str]]:
    """Yield what keeps a waiting job back, the most telling first."""
    if row.is_held:
        yield Reason.HELD, f"it is held: {row.hold_reason}"
    if row.is_early:
        why = "its next try" if row.num_exes else "its time"
        yield Reason.NOT_BEFORE, f"{why} comes at {row.not_before.isoformat(timespec='seconds')}"
    if row.has_live_execution:
        yield Reason.NO_ROOM, "its last execution is being stopped and still holds its room"
    pauses = (
        (row.scheduler_paused, Reason.SCHEDULER_PAUSED, "the scheduler", row.scheduler_reason),
        (row.project_paused, Reason.PROJECT_PAUSED, f"the project {row.project}", row.project_reason),
        (row.type_paused, Reason.TYPE_PAUSED, f"the job type {row.type_name} {row.type_version}", row.type_reason),
    )
    for paused, reason, what, why_paused in pauses:
        if paused:
            yield reason, f"{what} is paused" + (f": {why_paused}" if why_paused else "")
    if row.max_scheduled is not None and row.scheduled_of_type >= row.max_scheduled:
        most = row.max_scheduled
        yield Reason.TYPE_LIMIT, f"{row.scheduled_of_type} jobs of its type are scheduled, and {most} may be"
    if not submissions.fits_a_node(tx, cpus=row.cpus, mem=row.mem, disk=row.disk, pool=row.pool):
        where = f" of the pool {row.pool}" if row.pool is not None else ""
        yield Reason.TOO_SMALL, f"it asks for more than any node{where} has, so it cannot be placed"


def _reason(kind: Reason, sentence: str) -> dict[str, Any]:
    return {"kind": kind.value.replace(" ", "-"), "description": sentence}


def _placement(last: Any) -> dict[str, Any]:
    return {
        "job_exe": {"id": last.id, "status": last.status},
        "attempt": last.attempt,
        "node": {"id": last.node_id, "name": last.node_name},
        "why": last.why,
        "message": last.message,
        "exit_code": last.job_exit_code,
        "placed": last.created,
        "started": last.started,
        "ended": last.ended,
    }


def _failure(row: Any) -> dict[str, Any]:
    return {
        "error": row.error_name,
        "title": row.error_title,
        "description": row.error_description,
        "category": row.category,
        "should_be_retried": row.should_be_retried,
        "message": row.message,
    }
