"""Explain: one call says why a job waits, where it runs or ran, and why it failed; in sentences, and in words for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scheduler.explain import awaited_reasons, forecast_json, needs_reasons
from scheduler.explain.explanation_json import (
    JobExplanation,
    JobFailure,
    LastPlacement,
    MemberView,
    NodeFitView,
    NodeName,
    WaitDocument,
)
from scheduler.explain.forecast import Forecast, Forecaster
from scheduler.explain.words import BEING_STOPPED, CLEARING
from scheduler.identifiers import JobId
from scheduler.identity import Caller
from scheduler.jobs import queries
from scheduler.rules.cluster.reasons import Reason
from scheduler.rules.cluster.shapes import Shape
from scheduler.rules.explain import preemption_messages, wording
from scheduler.rules.explain.explain import TrialJob
from scheduler.rules.explain.node_fit import NodeFit
from scheduler.rules.explain.wording import ReasonNames, slug
from scheduler.rules.lifecycle.moves import LIVE_EXECUTION, ExecutionStatus, JobStatus
from scheduler.runtime import Runtime
from scheduler.store.jobs import explain_facts, preemptions
from scheduler.store.jobs.explain_facts import JobFacts, LastExecution, MemberPlace, PauseReasons
from scheduler.store.leader import cluster_state
from scheduler.store.leader.conversion import shape_of
from scheduler.store.needs import reuse
from scheduler.store.needs.reuse import ReuseOutcome

_WAITING = {JobStatus.QUEUED, JobStatus.PENDING}
_BY_NEEDS = {JobStatus.PENDING_UPLOAD, JobStatus.PENDING, JobStatus.BLOCKED}
_OWN = {slug(Reason.HELD), slug(Reason.NOT_BEFORE)}
_FREE = {slug(Reason.NEXT), slug(Reason.BEHIND)}
"""Reasons that are given only if there is no other."""

_SUMMARY = {
    JobStatus.PENDING_UPLOAD: "It waits for its input to be uploaded.",
    JobStatus.BLOCKED: "Something it needs has ended badly.",
    JobStatus.COMPLETED: "It ended well.",
}


def explain(rt: Runtime, forecaster: Forecaster, caller: Caller, job_id: JobId) -> JobExplanation:
    """Explain the present status of a job; raises NotFound.

    The answer has a `summary` of one sentence, `reasons` why the job waits (the most important first), and while it waits
    all fields of `forecast_json.document`; also its last `placement` with the reason for that node, and its `failure`.
    """
    with rt.db.begin() as tx:
        queries.one_job(tx, caller, job_id)
        row, last = explain_facts.facts(tx, job_id), explain_facts.last_execution(tx, job_id)
        members = explain_facts.members(tx, job_id) if row.members > 1 else []
        cleared = preemptions.awaited(tx, job_id) if row.status in _WAITING else {}
        open_needs = needs_reasons.reasons(tx, job_id) if row.status in _BY_NEEDS else []
        inputs = awaited_reasons.reasons(tx, job_id) if row.status == JobStatus.PENDING_UPLOAD else []
        if inputs and row.is_held:
            inputs.append(forecast_json.reason(slug(Reason.HELD), f"it is held: {row.hold_reason}"))
        blocked_by = needs_reasons.blocking(tx, job_id) if row.status == JobStatus.BLOCKED else None
        reused, borrowed = reuse.outcome(tx, job_id), needs_reasons.borrowed(tx, job_id)
    forecast = _forecast(rt, forecaster, row)
    if forecast is None and row.status == JobStatus.QUEUED:  # it may have been placed meanwhile
        with rt.db.begin() as tx:
            row, last = explain_facts.facts(tx, job_id), explain_facts.last_execution(tx, job_id)
    future = _future(row, forecast if row.status in _WAITING else None)
    if cleared:
        future["reasons"].insert(0, forecast_json.reason(CLEARING, preemption_messages.waits_for_clearing(cleared)))
    if open_needs:
        future["reasons"] = [*open_needs, *(one for one in future["reasons"] if one["kind"] not in _FREE)]
    future["reasons"] = [*inputs, *future["reasons"]]
    summary = _summary(row, last, members, future)
    if reused is not None and reused.reused_from is not None and row.status == JobStatus.COMPLETED:
        summary = f"It was not run: it has the results of job {reused.reused_from}, which did the same."
    return {
        "job_id": job_id,
        "status": row.status,
        "summary": summary if blocked_by is None else needs_reasons.blocked_sentence(blocked_by),
        **future,
        "ahead": None if future["queue"] is None else future["queue"]["position"],
        "tries": {"done": row.num_exes, "forgiven": row.forgiven, "max": row.max_tries, "withdrawn": row.withdrawals},
        "placement": None if last is None else _placement(last),
        "members": [_member(one) for one in members],
        "failure": None if row.error_name is None else _failure(row, row.error_name),
        "blocked_by": blocked_by,
        "borrowed": borrowed,
        "reuse": None if reused is None else _reuse(reused),
    }


def _reuse(found: ReuseOutcome) -> str:
    if found.reused_from is not None:
        return f"the results of job {found.reused_from} are reused"
    return found.missed or "not reused"


def by_node(
    rt: Runtime, forecaster: Forecaster, caller: Caller, job_id: JobId, *, first: int, most: int
) -> tuple[list[NodeFitView], int, dict[str, float]]:
    """Return nodes, the nearest first, with why each cannot take a waiting job now; how many there are; what a member asks for.

    Nothing for a job that does not wait to be placed. Raises NotFound.
    """
    with rt.db.begin() as tx:
        queries.one_job(tx, caller, job_id)
    found = forecaster.by_node(job_id, first=first, most=most)
    if found is None:
        return [], 0, {}
    return [_fit(one) for one in found.fits], found.total, _units(found.asked)


def _fit(one: NodeFit) -> NodeFitView:
    return {
        "node": {"id": one.node_id, "name": one.name},
        "fits": not one.reasons,
        "reasons": [slug(reason) for reason in one.reasons],
        "total": _units(one.capacity),
        "free": _units(one.free),
        "missing": _units(one.missing),
    }


def _units(amounts: Mapping[str, int]) -> dict[str, float]:
    return {name: amount / 1000 for name, amount in amounts.items()}


def _forecast(rt: Runtime, forecaster: Forecaster, row: JobFacts) -> Forecast | None:
    """Return the forecast of a job that waits to be placed, or that waits for its time to come."""
    if row.status == JobStatus.QUEUED:
        return forecaster.explain(row.id)
    if row.status != JobStatus.PENDING:
        return None
    with rt.db.begin() as tx:
        shape = shape_of(cluster_state.shapes(tx, [row.shape_id])[0], row.shape_id)
    return forecaster.preview([_trial(row, shape)])[0]


def _trial(row: JobFacts, shape: Shape) -> TrialJob:
    """Return a job that is not due yet as a trial job."""
    due = None if row.not_before is None else row.not_before.timestamp()
    return TrialJob(shape, row.hold_reason if row.is_held else None, due)


def _future(row: JobFacts, forecast: Forecast | None) -> WaitDocument:
    """Return the future of a waiting job; all fields are empty for a job that does not wait."""
    future = _no_future() if forecast is None else forecast_json.document(forecast, names(row), row.pool)
    if row.status in _WAITING and row.has_live_execution:
        stopping = forecast_json.reason(BEING_STOPPED, "its last execution is being stopped and still holds its room")
        held = sum(one["kind"] in _OWN for one in future["reasons"])
        others = [one for one in future["reasons"][held:] if one["kind"] not in _FREE]
        future["reasons"] = [*future["reasons"][:held], stopping, *others]
    return future


def _no_future() -> WaitDocument:
    return {
        "reasons": [],
        "nodes": None,
        "nearest": None,
        "queue": None,
        "share": None,
        "reservation": None,
        "expected_start": None,
        "changes": [],
        "never_fits": None,
    }


def names(row: JobFacts | PauseReasons) -> ReasonNames:
    """Return the names for sentences, from the facts of a job or of a job that is tried."""
    pauses = {
        Reason.SCHEDULER_PAUSED: row.scheduler_reason,
        Reason.PROJECT_PAUSED: row.project_reason,
        Reason.TYPE_PAUSED: row.type_reason,
    }
    return ReasonNames(row.project, f"{row.type_name} {row.type_version}", pauses, next_try=row.num_exes > 0)


def _summary(row: JobFacts, last: LastExecution | None, members: Sequence[MemberPlace], future: WaitDocument) -> str:
    if row.status == JobStatus.RUNNING:
        return _of_gang(last, members) if members else _of_running(last)
    if row.status == JobStatus.FAILED:
        return f"It failed: {row.error_title}." + (f" {row.message}" if row.message else "")
    if row.status == JobStatus.CANCELED:
        return _canceled(row)
    if future["reasons"]:
        return f"It waits: {future['reasons'][0]['description']}."
    return _SUMMARY.get(JobStatus(row.status), "It is next.")


def _of_running(last: LastExecution | None) -> str:
    if last is None:
        return "It was placed."
    if last.preempted_for is not None:
        return preemption_messages.being_stopped(last.preempted_for, last.node_name)
    if last.before is not None:
        return f"It is next on node {last.node_name}{_behind(last.before)}, and starts there when room frees."
    return f"It runs on node {last.node_name}."


def _behind(count: int) -> str:
    return "" if not count else f", behind {count} short {'one' if count == 1 else 'ones'}"


def _canceled(row: JobFacts) -> str:
    if row.is_skipped:
        return "It was skipped: what it needs ended in a way in which it is not needed."
    assert row.ended is not None, "a cancelled job has ended"  # noqa: S101 - the move to CANCELED stamps it
    sentence = f"It was cancelled by {row.canceled_by or 'somebody'} at {wording.moment(row.ended.timestamp())}"
    return sentence + (f": {row.canceled_why.rstrip('.')}." if row.canceled_why else ", who gave no reason.")


def _of_gang(last: LastExecution | None, members: Sequence[MemberPlace]) -> str:
    live = [one for one in members if one.status in LIVE_EXECUTION]
    broken = next(
        (one for one in members if one.status not in LIVE_EXECUTION and one.status != ExecutionStatus.COMPLETED), None
    )
    if broken is None:
        return f"Its {len(members)} members have their places on {', '.join(one.node_name for one in members)}."
    first = last if last is not None and last.status in {ExecutionStatus.FAILED, ExecutionStatus.LOST} else broken
    return f"Member {first.member} is {first.status} on node {first.node_name}; the {len(live)} that are left are being stopped."


def _placement(last: LastExecution) -> LastPlacement:
    return {
        "job_exe": {"id": last.id, "status": last.status},
        "attempt": last.attempt,
        "member": last.member,
        "node": {"id": last.node_id, "name": last.node_name},
        "why": last.why,
        "message": last.message,
        "preempted_for": last.preempted_for,
        "remark": preemption_messages.was_stopped(last.preempted_for)
        if last.status == ExecutionStatus.CANCELED and last.preempted_for
        else None,
        "exit_code": last.job_exit_code,
        "placed": last.created,
        "started": last.started,
        "ended": last.ended,
    }


def _member(one: MemberPlace) -> MemberView:
    node: NodeName = {"id": one.node_id, "name": one.node_name}
    return {"member": one.member, "job_exe": {"id": one.id, "status": one.status}, "node": node}


def _failure(row: JobFacts, error: str) -> JobFailure:
    return {
        "error": error,
        "title": row.error_title,
        "description": row.error_description,
        "category": row.category,
        "should_be_retried": row.should_be_retried,
        "message": row.message,
    }
