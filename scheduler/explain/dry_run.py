"""Dry run: what would become of jobs that are submitted now. It checks like a submission, plans like a tick, and writes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from sqlalchemy import Connection

from scheduler.errors import GangerError
from scheduler.explain import awaited_reasons, forecast_json, job_explanation
from scheduler.explain.explanation_json import NodeName, TriedView
from scheduler.explain.forecast import Forecast, Forecaster
from scheduler.explain.words import WouldWord
from scheduler.identifiers import JobId
from scheduler.identity import Caller
from scheduler.jobs import admission, resolve, submit
from scheduler.jobs.entry_faults import EntryError
from scheduler.jobs.new_job import NewJob
from scheduler.jobs.submit import Submission
from scheduler.rules.cluster.reasons import Reason
from scheduler.rules.explain import preemption_messages
from scheduler.rules.explain.explain import TrialJob
from scheduler.rules.explain.wording import slug
from scheduler.runtime import Runtime
from scheduler.store.jobs import explain_facts, preemptions, submissions
from scheduler.store.jobs.explain_facts import JobFacts, PauseReasons
from scheduler.store.jobs.shapes import NewShape
from scheduler.store.jobs.submissions import JobGroup, Project
from scheduler.store.leader.conversion import NEW_SHAPE, shape_of

_FREE = {slug(Reason.NEXT), slug(Reason.BEHIND)}
"""Reasons that say nothing against a start."""

MOST = 100
"""Most jobs of one dry run; each is explained in full."""


def dry_run(rt: Runtime, forecaster: Forecaster, caller: Caller, submission: Submission) -> list[TriedView]:
    """Return for each job, in order, whether the next tick would start it, where, or why it would wait.

    The jobs are tried together, so that one takes room from the next. Raises the same errors as a submission; idempotency
    keys play no part. One error is part of the answer instead: a `strict` submission is refused if no node could ever hold
    one of its jobs.
    """
    submit.check_priorities(rt, caller, submission)
    with rt.db.begin() as tx:
        submissions.read_only(tx)
        project = submit.project_of(tx, submit.project_name(caller, submission.jobs))
        tried = _resolved(tx, rt, project, submission)
        called = explain_facts.pause_reasons(tx, project.id, {shape.job_type_id for shape, _ in tried})
    forecasts = forecaster.preview([_trial(shape, group) for shape, group in tried])
    with rt.db.begin() as tx:
        stopped = [preemptions.jobs_of(tx, one.stops) if one.stops else {} for one in forecasts]
    found = [
        document(number, one, called[shape.job_type_id], shape.pool, stopped[number])
        for number, (one, (shape, _)) in enumerate(zip(forecasts, tried, strict=True))
    ]
    found = [_awaiting(rt, job, one) for job, one in zip(submission.jobs, found, strict=True)]
    if submission.strict:
        shapes = [shape for shape, _ in tried]
        refusal = admission.refusal(forecaster.admission, project, shapes, many=submission.many)
        if refusal is not None:
            return [_refused(one, refusal) for one in found]
    return found


def _resolved(tx: Connection, rt: Runtime, project: Project, submission: Submission) -> list[tuple[NewShape, JobGroup]]:
    """Check the jobs as a submission does and return what each asks for."""
    submit.check_quota(tx, project, len(submission.jobs))
    try:
        return resolve.tried(tx, rt, project, submission.jobs)
    except EntryError as error:
        raise error.named(range(len(submission.jobs)) if submission.many else None) from None


def _trial(shape: NewShape, group: JobGroup) -> TrialJob:
    due = None if group.not_before is None else group.not_before.timestamp()
    return TrialJob(shape_of(shape, NEW_SHAPE), group.hold_reason, due)


def document(
    number: int, forecast: Forecast, called: PauseReasons | JobFacts, pool: str | None, stopped: Mapping[JobId, int]
) -> TriedView:
    """Return what would become of a job, in sentences and in words for programs."""
    future = forecast_json.document(forecast, job_explanation.names(called), pool)
    placement = forecast.placement
    nodes: list[NodeName] = [{"id": one, "name": forecast.names.get(one, str(one))} for one in forecast.assigned]
    if placement is None:
        would: WouldWord = "make-room" if forecast.stops else "wait"
        summary = f"It would wait: {future['reasons'][0]['description']}."
    else:
        would = "start"
        how = "wait a moment for room on" if placement.ahead else "start on"
        summary = f"It would {how} {_where(nodes)}: {placement.why}."
    if stopped:
        summary += f" {preemption_messages.would_stop(stopped)}"
    return {
        "entry": number,
        "would": would,
        "summary": summary,
        "refusal": None,
        "node": nodes[0] if nodes else None,
        "nodes_of_members": nodes,
        "why": None if placement is None else placement.why,
        "stops": sorted(stopped),
        **future,
    }


def _awaiting(rt: Runtime, job: NewJob, tried: TriedView) -> TriedView:
    """Return the answer for a job that awaits inputs, which waits for them before anything else."""
    if not job.awaits:
        return tried
    wait_s = rt.settings.upload_wait_s
    reasons = awaited_reasons.trial(job.awaits, rt.now() + timedelta(seconds=wait_s), wait_s)
    then = f" Once that has come, {tried['summary'][0].lower()}{tried['summary'][1:]}"
    return {
        **tried,
        "would": "wait",
        "summary": f"It would wait: {reasons[0]['description']}.{then}",
        "node": None,
        "nodes_of_members": [],
        "why": None,
        "stops": [],
        "reasons": [*reasons, *(one for one in tried["reasons"] if one["kind"] not in _FREE)],
    }


def _refused(tried: TriedView, refusal: GangerError) -> TriedView:
    """Return the answer for a job whose submission would be refused, which is as a whole."""
    return {
        **tried,
        "would": "refuse",
        "summary": f"It would be refused: {refusal}.",
        "refusal": {"description": str(refusal), "field": refusal.field},
        "node": None,
        "nodes_of_members": [],
        "why": None,
        "stops": [],
    }


def _where(nodes: Sequence[NodeName]) -> str:
    names = [node["name"] for node in nodes]
    return f"node {names[0]}" if len(names) == 1 else f"{len(names)} places, of its members in turn: {', '.join(names)}"
