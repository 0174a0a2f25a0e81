"""Why a job waits for others, or is blocked by them: each open need in a sentence, and the job at the root of it all."""

from __future__ import annotations

from sqlalchemy import Connection

from scheduler.explain import forecast_json
from scheduler.explain.explanation_json import BlockingJob, BorrowedView, HelpView, ReasonView
from scheduler.explain.words import BLOCKED, NEEDS
from scheduler.identifiers import JobId
from scheduler.rules.lifecycle.moves import JobStatus
from scheduler.store.needs import verdicts
from scheduler.store.needs.verdicts import CulpritJob, OpenNeed

MOST_TOLD = 20
"""Most needs that are told one by one."""

_ENDS = {"OK": "to end well", "ANY": "to end", "FAIL": "to fail", "START": "to start"}


def reasons(tx: Connection, job_id: JobId) -> list[ReasonView]:
    """Return a sentence for each need of a job that is not satisfied, the broken ones first; of many the first twenty."""
    found = verdicts.open_needs(tx, job_id, MOST_TOLD + 1)
    told = [
        forecast_json.reason(BLOCKED if need.settled == "BROKEN" else NEEDS, _sentence(need))
        for need in found[:MOST_TOLD]
    ]
    more = [forecast_json.reason(NEEDS, "it has more needs that are not satisfied")] if len(found) > MOST_TOLD else []
    return told + more


def blocking(tx: Connection, job_id: JobId) -> BlockingJob | None:
    """Return the job whose end blocks this one, its error, and the verbs that help; None where nothing is broken."""
    found = verdicts.culprit(tx, job_id)
    if found is None:
        return None
    return {
        "job": {"id": found.id, "name": found.name or f"job {found.id}"},
        "status": found.status,
        "error": found.error,
        "message": found.message or found.error_title,
        "steps": found.depth,
        "helps": _helps(found),
    }


def borrowed(tx: Connection, job_id: JobId) -> list[BorrowedView]:
    """Return what a job of a rerun has of an earlier run, the first twenty of it, each with a sentence."""
    return [
        {
            "job": one.id,
            "step": one.step,
            "workflow": one.workflow_id,
            "status": one.status,
            "description": f"it borrows {one.step} of workflow {one.workflow_id}"
            f" ({'the jobs up to' if one.is_group else 'job'} {one.id}, {one.status}), and does not run it again",
        }
        for one in verdicts.borrowed(tx, job_id, MOST_TOLD)
    ]


def blocked_sentence(found: BlockingJob) -> str:
    """Return the summary of a blocked job."""
    why = f" ({found['message']})" if found["message"] else ""
    through = f", {found['steps']} steps before it," if found["steps"] > 1 else ""
    return f"It is blocked: {_named(found['job']['id'], found['job']['name'])}{through} is {found['status']}{why}. It goes on by itself once that is repaired."


def _helps(found: CulpritJob) -> list[HelpView]:
    if found.status not in {JobStatus.FAILED, JobStatus.CANCELED}:
        return []
    again: HelpView = {"verb": "requeue", "description": f"give it new tries: ganger requeue {found.id}"}
    done: HelpView = {"verb": "done", "description": f"say that it is done, and what it made: ganger done {found.id}"}
    return [again, done] if found.status == JobStatus.FAILED else [again]


def _named(job_id: int, name: str | None) -> str:
    return f"job {job_id}" if name is None or name == f"job {job_id}" else f"job {job_id} ({name})"


def _sentence(need: OpenNeed) -> str:
    if need.group_id is not None:
        return _of_group(need)
    who = _named(need.needs_id, need.name)
    if need.settled == "BROKEN":
        told = need.message or need.error
        return f"{who} is {need.status}" + (f": {told}" if told else "")
    if need.settled == "UNNEEDED":
        return f"{who} is {'skipped' if need.is_skipped else need.status}, so it is not needed"
    stands = "" if need.status is None else f", which is {need.status}"
    return f"it waits for {who}{stands}, {_ENDS[need.after]}"


def _of_group(need: OpenNeed) -> str:
    which = f"the group {need.group_name}" if need.group_name else f"the group {need.group_id}"
    size, left, bad = need.size or 0, need.left or 0, need.bad or 0
    if need.settled == "BROKEN":
        tolerated = f", and {need.tolerate} are tolerated" if need.tolerate else ""
        return f"{bad} of the {size} members of {which} ended badly{tolerated}"
    if need.settled == "UNNEEDED":
        return f"members of {which} were not needed, so it is not either"
    which = f"one of the {size} members of {which}" if need.any_member else f"{left} of the {size} members of {which}"
    return f"it waits for {which} {_ENDS[need.after]}"
