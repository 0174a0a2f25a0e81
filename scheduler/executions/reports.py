"""Reports: what a node says of the ends of executions becomes the end of the try and the next state of its job."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast

from sqlalchemy import Connection

from scheduler import wire
from scheduler.data_sets import completing
from scheduler.data_sets.completing import CheckedResults
from scheduler.documents import DataEntry, JobResults
from scheduler.executions import launch_failures, outcome
from scheduler.executions.gangs import EndedExecution
from scheduler.identifiers import ExecutionId, JobId, NodeId, ProjectId, RevisionId
from scheduler.rules.explain import preemption_messages
from scheduler.rules.lifecycle import failures
from scheduler.rules.lifecycle.moves import ExecutionEvent, ExecutionStatus, JobStatus
from scheduler.rules.lifecycle.outcome import Outcome, StopReason, move_of
from scheduler.runtime import Runtime
from scheduler.store.admin import errors_by_name
from scheduler.store.executions import executions, output, outputs, task_specs
from scheduler.store.jobs import jobs

LockedRows = Mapping[ExecutionId, executions.LockedExecution]
KnownErrors = Mapping[ProjectId | None, Mapping[str, errors_by_name.NamedError]]


@dataclass(frozen=True, slots=True)
class TakenReports:
    """The reports that count, those that were recorded before, and the nodes to ring after the commit."""

    live: list[wire.ExecutionReport]
    accepted: set[ExecutionId]
    to_ring: list[str]


def take(
    tx: Connection,
    rt: Runtime,
    node_id: NodeId,
    reports: Sequence[wire.ExecutionReport],
    locked: dict[JobId, jobs.LockedJob],
    rows: LockedRows,
    now: float | None,
) -> TakenReports:
    """Record the reports that count; `now` is the node's clock as it sent them. The caller holds all locks.

    What was given ahead of room and not told as started is charged here, unless the node says that it never started.
    """
    rows = {row_id: row for row_id, row in rows.items() if row.node_id == node_id}
    live = [r for r in reports if _is_live(rows.get(r.execution_id), r)]
    to_ring = _end(tx, rt, locked, rows, live, now) if live else []
    launch_failures.count(tx, node_id, locked, rows, live)
    repeats = {r.execution_id for r in reports if _is_repeat(rows.get(r.execution_id), r)}
    return TakenReports(live, {r.execution_id for r in live} | repeats, to_ring)


def phase_columns(phases: Mapping[Literal["pre", "job", "post"], wire.PhaseReport]) -> executions.PhaseColumns:
    """Return times and exit codes of phases by column name, and the program as run."""
    columns: dict[str, float | int | list[str] | None] = {}
    for name, phase in phases.items():
        columns |= {
            f"{name}_started": phase.started,
            f"{name}_completed": phase.completed,
            f"{name}_exit_code": phase.exit_code,
        }
    if "job" in phases and phases["job"].arguments is not None:
        columns["arguments"] = phases["job"].arguments
    return columns


def _is_live(row: executions.LockedExecution | None, report: wire.ExecutionReport) -> bool:
    if row is None or row.released or row.attempt != report.attempt or row.claim_token != report.token:
        return False
    if row.status == ExecutionStatus.AHEAD:
        return True
    return row.status == ExecutionStatus.RUNNING and report.outcome is not Outcome.UNSTARTED


def _is_repeat(row: executions.LockedExecution | None, report: wire.ExecutionReport) -> bool:
    return (
        row is not None
        and row.released
        and row.attempt == report.attempt
        and row.claim_token == report.token
        and row.digest == report.digest()
    )


def _end(
    tx: Connection,
    rt: Runtime,
    locked: dict[JobId, jobs.LockedJob],
    rows: LockedRows,
    live: list[wire.ExecutionReport],
    now: float | None,
) -> list[str]:
    """Record how executions ended and move their jobs; return the nodes to ring."""
    ends: dict[ExecutionEvent, list[executions.ExecutionEnd]] = {}
    settled: list[EndedExecution] = []
    checked = _checked(tx, locked, rows, live)
    as_checked = [_as_checked(reported, checked) for reported in live]
    mappings, errors = _errors_meant(tx, locked, rows, as_checked)
    for reported, r in zip(live, as_checked, strict=True):
        row, error = rows[reported.execution_id], None
        if r.outcome is Outcome.FAILED:
            error = _error_of(r, mappings[locked[row.job_id].revision_id], errors)
        ends.setdefault(move_of(r.outcome), []).append(_end_of(row, r, error, reported.digest(), now))
        settled.append(_settled(row, r, error, charge=_completes_uncharged(locked[row.job_id], row, r)))
    executions.end(tx, ExecutionEvent.SUCCEED, ends.get(ExecutionEvent.SUCCEED, []))
    executions.end(tx, ExecutionEvent.BREAK, ends.get(ExecutionEvent.BREAK, []))
    executions.end(tx, ExecutionEvent.STOP, ends.get(ExecutionEvent.STOP, []))
    executions.give_back(tx, ends.get(move_of(Outcome.UNSTARTED), []))
    locked = _charged(tx, locked, rows, live, {end.job_id for end in settled if end.charge})
    done = outcome.settle(tx, rt, locked, settled, actor="node")
    _publish(tx, done.completed, live)
    completing.record(tx, rt, checked, [*done.completed.values()])
    return done.to_tell


def _checked(
    tx: Connection,
    locked: Mapping[JobId, jobs.LockedJob],
    rows: LockedRows,
    live: Iterable[wire.ExecutionReport],
) -> CheckedResults:
    """Return what the results of data sets' jobs are worth, among these reports."""
    ended = {
        r.execution_id: (rows[r.execution_id].job_id, r.properties)
        for r in live
        if r.outcome is Outcome.COMPLETED and locked[rows[r.execution_id].job_id].of_data_set
    }
    return completing.check(tx, ended) if ended else completing.NOTHING


def _as_checked(r: wire.ExecutionReport, checked: CheckedResults) -> wire.ExecutionReport:
    """Return a report as it counts: one whose result was refused tells of a failure."""
    refused = checked.refused.get(r.execution_id)
    if refused is None:
        return r
    return r.model_copy(update={"outcome": Outcome.FAILED, "error": refused.error, "message": refused.message})


def _errors_meant(
    tx: Connection,
    locked: Mapping[JobId, jobs.LockedJob],
    rows: LockedRows,
    reports: Iterable[wire.ExecutionReport],
) -> tuple[Mapping[RevisionId, task_specs.ExitCodeErrors], KnownErrors]:
    """Return what exit codes of failed tries mean, by the revision of their types, and all errors that they may name."""
    failed = {locked[rows[r.execution_id].job_id].revision_id for r in reports if r.outcome is Outcome.FAILED}
    if not failed:
        return {}, {}
    mappings = task_specs.error_mappings(tx, failed)
    owners = [mapping.owner for mapping in mappings.values() if mapping.owner is not None]
    return mappings, errors_by_name.seen_by(tx, owners)


def _completes_uncharged(job: jobs.LockedJob, row: executions.LockedExecution, r: wire.ExecutionReport) -> bool:
    """Whether a try that began ahead completes its job: then it is charged by the statement that says so."""
    is_live = job.status == JobStatus.RUNNING and job.attempt == row.attempt and not job.is_gang
    return is_live and row.status == ExecutionStatus.AHEAD and r.outcome is Outcome.COMPLETED


def _charged(
    tx: Connection,
    locked: dict[JobId, jobs.LockedJob],
    rows: LockedRows,
    live: Iterable[wire.ExecutionReport],
    later: Collection[JobId],
) -> dict[JobId, jobs.LockedJob]:
    """Charge the tries that began ahead and are told with their end, but for those of jobs that `later` has; return all jobs as they are now."""
    begun = [
        locked[rows[r.execution_id].job_id]
        for r in live
        if rows[r.execution_id].status == ExecutionStatus.AHEAD and r.outcome is not Outcome.UNSTARTED
    ]
    jobs.charge(tx, [job.id for job in begun if job.id not in later])
    return locked | {job.id: replace(job, num_exes=job.num_exes + 1, charged=True) for job in begun}


def _error_of(
    r: wire.ExecutionReport,
    mapped: task_specs.ExitCodeErrors,
    errors: KnownErrors,
) -> errors_by_name.NamedError:
    """Return the error of a failed try: a name that the node gives is the installation's, an exit code means the type's own."""
    known = errors[None if r.error is not None else mapped.owner]
    job_phase = r.phases.get("job", wire.PhaseReport())
    exit_code, signal = job_phase.exit_code, job_phase.signal
    name = failures.name_of(
        r.error, exit_code=exit_code, signal=signal, mapped=mapped.exit_codes, known=frozenset(known)
    )
    return known[name]


def _settled(
    row: executions.LockedExecution, r: wire.ExecutionReport, error: errors_by_name.NamedError | None, *, charge: bool
) -> EndedExecution:
    why = _given_back(row, r) or r.message or None
    return EndedExecution(row.id, row.job_id, row.attempt, row.node_id, r.outcome, error, why, charge=charge)


def _given_back(row: executions.LockedExecution, r: wire.ExecutionReport) -> str | None:
    stopped = move_of(r.outcome) is ExecutionEvent.STOP and row.cancel_requested is StopReason.PREEMPTED
    return preemption_messages.give_back_reason(row.preempted_for) if stopped else None


def _end_of(
    row: executions.LockedExecution,
    r: wire.ExecutionReport,
    error: errors_by_name.NamedError | None,
    digest: str,
    now: float | None,
) -> executions.ExecutionEnd:
    ended_ago = _ago(r.ended, now) or 0.0
    started_ago = None if r.outcome is Outcome.UNSTARTED else _ago(r.started, now)
    if row.status == ExecutionStatus.AHEAD and r.outcome is not Outcome.UNSTARTED and started_ago is None:
        started_ago = ended_ago
    if started_ago is not None:
        started_ago = max(started_ago, ended_ago)
    return executions.ExecutionEnd(
        r.execution_id,
        r.attempt,
        error_id=None if error is None else error.id,
        message=r.message or _given_back(row, r),
        digest=digest,
        phases=phase_columns(r.phases),
        usage=output.to_json({name: used for name, phase in r.phases.items() if (used := _usage(phase))}),
        results=output.to_json(_results(r)),
        started_ago_s=started_ago,
        ended_ago_s=ended_ago,
    )


def _ago(at: float | None, now: float | None) -> float | None:
    """Return how long ago that was by the clock that both times are of; a clock that was set meanwhile counts as now."""
    return None if at is None or now is None else min(max(0.0, now - at), _LONGEST_AGO_S)


_LONGEST_AGO_S = 30 * 86_400.0
"""A report may wait so long on its node; beyond that it is the node's clock that is wrong."""


def _usage(phase: wire.PhaseReport) -> dict[str, float]:
    return phase.usage if phase.signal is None else {**phase.usage, "signal": phase.signal}


def _results(r: wire.ExecutionReport) -> JobResults:
    produced = [cast("DataEntry", value.model_dump(exclude_none=True, exclude={"facts"})) for value in r.outputs]
    results: JobResults = {"version": "1.0", "output_data": produced}
    if r.properties:
        results["properties"] = r.properties
    return results


def _publish(tx: Connection, completed: dict[ExecutionId, JobId], reports: Iterable[wire.ExecutionReport]) -> None:
    """Make the outputs of accepted attempts visible, in the same transaction that accepts them.

    The outputs of a gang are those of its member 0, which may have reported long ago.
    """
    empty = {r.execution_id for r in reports if not (r.outputs or r.properties)}
    with_outputs = {execution_id: job_id for execution_id, job_id in completed.items() if execution_id not in empty}
    if with_outputs:
        outputs.publish(tx, with_outputs)
    facts = [
        outputs.FileFacts(r.execution_id, one.file_id, one.data_started, one.data_ended, one.geometry)
        for r in reports
        for value in r.outputs
        for one in value.facts
    ]
    outputs.note_facts(tx, facts)
