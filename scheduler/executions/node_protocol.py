"""The server side of the node protocol: beat, claim, report, output. Each call takes a batch in one transaction and may be repeated.

`nodes.registration` has register and leave. The guards are those of the protocol: a claim is a compare-and-set on execution, attempt and node epoch, and charges
the try before any user code can run; a report counts only for a RUNNING execution with its claim token, and cancel
beats a late completion because `jobs.move` finds the job no longer RUNNING.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, cast

from sqlalchemy import Connection

from scheduler import wire
from scheduler.data_sets import completing, preparing
from scheduler.data_sets.completing import CheckedResults
from scheduler.documents import DataEntry, JobResults
from scheduler.errors import NodeReplaced
from scheduler.executions import launch_failures, outcome
from scheduler.executions.gangs import EndedExecution
from scheduler.executions.task_spec import specify
from scheduler.identifiers import Epoch, ExecutionId, JobId, ProjectId, RevisionId
from scheduler.rules.explain import preemption_messages
from scheduler.rules.lifecycle import failures
from scheduler.rules.lifecycle.moves import ExecutionEvent, ExecutionStatus, JobStatus
from scheduler.rules.lifecycle.outcome import Outcome, StopReason, move_of, reason_for_node
from scheduler.runtime import Runtime
from scheduler.store.admin import errors_by_name
from scheduler.store.executions import executions, output, outputs, task_specs
from scheduler.store.jobs import jobs
from scheduler.store.nodes import nodes


def beat(rt: Runtime, message: wire.HeartbeatBody, *, by_token: bool = False) -> wire.HeartbeatAnswer:
    """Record a heartbeat; answer with the executions that the node should stop and the placements that it has not claimed.

    Progress counts only with the token of its claim, but for `by_token`: an agent of the release before sends none.
    Raises NodeReplaced if the node's epoch is over.
    """
    with rt.db.begin() as tx:
        # A heartbeat that is lost in a crash costs nothing: the next one comes in seconds.
        tx.exec_driver_sql("SET LOCAL synchronous_commit = off")
        # The node's row first, then its heartbeat: `nodes.lost` locks them in this order too.
        changed = nodes.self_report(
            tx, message.node_id, message.epoch, degraded=message.degraded, leaving=message.draining
        )
        heard = nodes.beat(tx, node_id=message.node_id, epoch=message.epoch, holding=message.holding, load=message.load)
        if not heard:
            raise NodeReplaced("this node was declared lost, or another one took its name; register again")
        if message.progress:
            said = [p for p in message.progress if p.percent is not None or p.note is not None]
            output.progress(tx, message.node_id, said, by_token=by_token)
            phases = [
                (p.execution_id, p.attempt, p.token, _phase_columns(p.phases)) for p in message.progress if p.phases
            ]
            executions.note_phases(tx, message.node_id, phases, by_token=by_token)
        flags = nodes.flags(tx, message.node_id)
        rows = executions.instructions(tx, message.node_id)
    if changed or flags.is_silent:
        rt.nudge("tick")
    return _answer(message.epoch, rows, drain=flags.is_draining)


def claim(rt: Runtime, message: wire.ClaimBatch) -> wire.ClaimAnswer:
    """Give executions to the node that asks, charge their tries, and return all that it needs to run them.

    A repeat with the same token is granted again and charges nothing. Under an old epoch everything is refused.
    """
    asked = {c.execution_id: c for c in message.claims}
    with rt.db.begin() as tx:
        locked = jobs.lock(tx, executions.jobs_of(tx, asked))
        rows = executions.lock(tx, asked)
        fresh = [
            (c.execution_id, c.attempt, c.token)
            for c in asked.values()
            if c.execution_id in rows and _may_claim(rows[c.execution_id], locked)
        ]
        granted = executions.claim(tx, fresh, node_id=message.node_id, epoch=message.epoch) if fresh else set()
        awaited = bool(granted) and jobs.charge(tx, [rows[execution_id].job_id for execution_id in granted])
        granted |= {row.id for row in rows.values() if _claimed_before(row, asked[row.id], message)}
        found = preparing.prepared(tx, task_specs.read(tx, sorted(granted))) if granted else []
        granted_specs = specify(tx, found, rt.settings, rt.keyring)
    if awaited:
        rt.nudge("tick")
    refused = [
        wire.RefusedClaim(
            execution_id=c.execution_id, attempt=c.attempt, why=_why_refused(rows.get(c.execution_id), message)
        )
        for c in asked.values()
        if c.execution_id not in granted
    ]
    return wire.ClaimAnswer(granted=granted_specs, refused=refused)


def report(rt: Runtime, message: wire.ReportBatch) -> wire.ReportAnswer:
    """Record how executions ended, free their room, and move their jobs; one transaction for the batch.

    `accepted` includes reports that were recorded before. The executions in `fenced` ended otherwise in the meantime: the
    node discards their outputs.
    """
    reports = {r.execution_id: r for r in message.reports}
    with rt.db.begin() as tx:
        launch_failures.lock_or_reset(tx, message)
        locked = jobs.lock(tx, executions.jobs_of(tx, reports))
        rows = executions.lock(tx, reports)
        rows = {row_id: row for row_id, row in rows.items() if row.node_id == message.node_id}
        live = [r for r in reports.values() if _is_live(rows.get(r.execution_id), r)]
        told = _end(tx, rt, locked, rows, live) if live else []
        launch_failures.count(tx, message.node_id, locked, rows, live)
        repeats = {r.execution_id for r in reports.values() if _is_repeat(rows.get(r.execution_id), r)}
    if live:
        rt.nudge("tick")
    rt.ring(told)
    accepted = {r.execution_id for r in live} | repeats
    return wire.ReportAnswer(
        accepted=[_ref(r) for r in reports.values() if r.execution_id in accepted],
        fenced=[_ref(r) for r in reports.values() if r.execution_id not in accepted],
    )


def store_output(rt: Runtime, message: wire.OutputChunks, *, by_token: bool = False) -> None:
    """Store pieces of output. A piece that is stored already is not written again.

    Pieces of executions that the node has not claimed with this token are dropped; with `by_token` (an agent of the
    release before) those of executions of other nodes.
    """
    with rt.db.begin() as tx:
        tx.exec_driver_sql("SET LOCAL synchronous_commit = off")
        output.append(tx, message.node_id, message.chunks, by_token=by_token)


def _answer(epoch: Epoch, rows: Sequence[executions.NodeInstruction], *, drain: bool) -> wire.HeartbeatAnswer:
    """Return the answer to a heartbeat: what to stop, and the placements that wait to be claimed."""
    return wire.HeartbeatAnswer(
        epoch=epoch,
        drain=drain,
        cancels=[
            wire.Cancel(
                execution_id=row.id,
                attempt=row.attempt,
                reason=reason_for_node(StopReason(row.cancel_requested)),
                grace_s=row.cancel_grace_s,
            )
            for row in rows
            if row.cancel_requested is not None
        ],
        waiting=[
            wire.ExecutionRef(execution_id=row.id, attempt=row.attempt)
            for row in rows
            if row.status == ExecutionStatus.QUEUED
        ],
    )


def _may_claim(row: executions.LockedExecution, locked: dict[JobId, jobs.LockedJob]) -> bool:
    job = locked[row.job_id]
    return job.status == JobStatus.RUNNING and job.attempt == row.attempt


def _claimed_before(row: executions.LockedExecution, claim: wire.ExecutionClaim, message: wire.ClaimBatch) -> bool:
    return (
        row.status == ExecutionStatus.RUNNING
        and row.claim_token == claim.token
        and row.attempt == claim.attempt
        and row.node_id == message.node_id
    )


def _why_refused(row: executions.LockedExecution | None, message: wire.ClaimBatch) -> str:
    if row is None:
        return "there is no such execution"
    if row.node_id != message.node_id:
        return "it was placed on another node"
    if row.node_epoch != message.epoch:
        return "it was placed under another epoch of this node"
    return f"it is {row.status}"


def _is_live(row: executions.LockedExecution | None, report: wire.ExecutionReport) -> bool:
    return (
        row is not None
        and not row.released
        and row.status == ExecutionStatus.RUNNING
        and row.attempt == report.attempt
        and row.claim_token == report.token
    )


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
    rows: dict[ExecutionId, executions.LockedExecution],
    live: list[wire.ExecutionReport],
) -> list[str]:
    """Record how executions ended and move their jobs; return the nodes to ring."""
    mappings = task_specs.error_mappings(tx, {locked[rows[r.execution_id].job_id].revision_id for r in live})
    owners = [mapping.owner for mapping in mappings.values() if mapping.owner is not None]
    errors = errors_by_name.seen_by(tx, owners)
    ends: dict[ExecutionEvent, list[executions.ExecutionEnd]] = {}
    settled: list[EndedExecution] = []
    checked = _checked(tx, locked, rows, live, mappings)
    for reported in live:
        row = rows[reported.execution_id]
        r = _as_checked(reported, checked)
        mapped = mappings[locked[row.job_id].revision_id]
        error = _error_of(r, mapped, errors) if r.outcome is Outcome.FAILED else None
        ends.setdefault(move_of(r.outcome), []).append(_end_of(row, r, error, reported.digest()))
        settled.append(_settled(row, r, error))
    executions.end(tx, ExecutionEvent.SUCCEED, ends.get(ExecutionEvent.SUCCEED, []))
    executions.end(tx, ExecutionEvent.BREAK, ends.get(ExecutionEvent.BREAK, []))
    executions.end(tx, ExecutionEvent.STOP, ends.get(ExecutionEvent.STOP, []))
    done = outcome.settle(tx, rt, locked, settled, actor="node")
    _publish(tx, done.completed, live)
    completing.record(tx, checked, [*done.completed.values()])
    return done.to_tell


def _checked(
    tx: Connection,
    locked: Mapping[JobId, jobs.LockedJob],
    rows: Mapping[ExecutionId, executions.LockedExecution],
    live: Iterable[wire.ExecutionReport],
    mappings: Mapping[RevisionId, task_specs.ExitCodeErrors],
) -> CheckedResults:
    """Return what the results of data sets' jobs are worth, among these reports."""
    ended = {
        r.execution_id: (rows[r.execution_id].job_id, r.properties)
        for r in live
        if r.outcome is Outcome.COMPLETED
        and mappings[locked[rows[r.execution_id].job_id].revision_id].type_name in preparing.TYPE_NAMES
    }
    return completing.check(tx, ended) if ended else completing.NOTHING


def _as_checked(r: wire.ExecutionReport, checked: CheckedResults) -> wire.ExecutionReport:
    """Return a report as it counts: one whose result was refused tells of a failure."""
    refused = checked.refused.get(r.execution_id)
    if refused is None:
        return r
    return r.model_copy(update={"outcome": Outcome.FAILED, "error": refused.error, "message": refused.message})


def _error_of(
    r: wire.ExecutionReport,
    mapped: task_specs.ExitCodeErrors,
    errors: Mapping[ProjectId | None, Mapping[str, errors_by_name.NamedError]],
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
    row: executions.LockedExecution, r: wire.ExecutionReport, error: errors_by_name.NamedError | None
) -> EndedExecution:
    why = _given_back(row, r) or r.message or None
    return EndedExecution(row.id, row.job_id, row.attempt, row.node_id, r.outcome, error, why)


def _given_back(row: executions.LockedExecution, r: wire.ExecutionReport) -> str | None:
    stopped = move_of(r.outcome) is ExecutionEvent.STOP and row.cancel_requested is StopReason.PREEMPTED
    return preemption_messages.give_back_reason(row.preempted_for) if stopped else None


def _end_of(
    row: executions.LockedExecution, r: wire.ExecutionReport, error: errors_by_name.NamedError | None, digest: str
) -> executions.ExecutionEnd:
    return executions.ExecutionEnd(
        r.execution_id,
        r.attempt,
        error_id=None if error is None else error.id,
        message=r.message or _given_back(row, r),
        digest=digest,
        phases=_phase_columns(r.phases),
        usage=output.to_json({name: used for name, phase in r.phases.items() if (used := _usage(phase))}),
        results=output.to_json(_results(r)),
    )


def _usage(phase: wire.PhaseReport) -> dict[str, float]:
    return phase.usage if phase.signal is None else {**phase.usage, "signal": phase.signal}


def _phase_columns(phases: Mapping[Literal["pre", "job", "post"], wire.PhaseReport]) -> executions.PhaseColumns:
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


def _ref(r: wire.ExecutionRef) -> wire.ExecutionRef:
    return wire.ExecutionRef(execution_id=r.execution_id, attempt=r.attempt)
