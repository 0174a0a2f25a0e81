"""The end of an execution: cleanup command, last output, report. Or its purge, which is not reported."""

from __future__ import annotations

from scheduler.rules.lifecycle.outcome import Outcome
from workers import log
from workers.agent.context import StepContext
from workers.agent.execution import ExecutionStep, NodeExecution
from workers.agent.phases import execution_report, run
from workers.commands import (
    KillTree,
    MendWorkDir,
    ReleaseTree,
    RemoveFiles,
    SendReport,
    ShipOutput,
    StopFileWork,
    WriteLogLine,
)


def begin(context: StepContext, held: NodeExecution) -> None:
    """Begin the end: no command but the cleanup is to run, and nothing is to be collected."""
    context.deadlines.pop(held.key, None)
    fenced = held.failure is not None and held.failure.error == "node-lost"
    if held.granted_spec.commands.cleanup and held.staged and held.last != "cleanup" and not fenced:
        context.issue(MendWorkDir(held.key, held.uid, held.gid))
        failure = run.start(context, held, "cleanup")
        if failure is None:
            return
        held.cleanup_trouble = failure.message
    ship(context, held)


def ship(context: StepContext, held: NodeExecution) -> None:
    """Have the rest of the output shipped, then report."""
    if not held.ran:
        report(context, held)
        return
    held.state = ExecutionStep.SHIPPING
    context.issue(ShipOutput(held.key, held.granted_spec.limits.output_bytes, held.kept))


def report(context: StepContext, held: NodeExecution) -> None:
    """Put the end on disk and send it; only then may the supervisor forget the tree and the directory go."""
    held.state = ExecutionStep.REPORTING
    for phase in held.phases.values():
        phase.setdefault("completed", context.now.wall)
    held.report = execution_report.report_of(held, context.now.wall)
    context.room.free(held.key)
    context.record(held, "report", {"report": held.report.model_dump_json()})
    context.issue(SendReport(held.report))
    if held.ran:
        context.issue(ReleaseTree(held.key))
    if held.staged:
        context.issue(RemoveFiles(held.key))
    completed = held.report.outcome is Outcome.COMPLETED
    context.issue(
        WriteLogLine(
            log.EXECUTION_ENDED,
            {
                "execution": held.key[0],
                "attempt": held.key[1],
                "outcome": held.report.outcome,
                "error": held.report.error,
                "message": held.report.message,
            },
            "debug" if completed else "info",
        )
    )


def repeat(context: StepContext, held: NodeExecution) -> None:
    """Send the report of an earlier life again, and remove the files that it may not have removed."""
    assert held.report is not None  # noqa: S101  only executions with a report are repeated
    held.state = ExecutionStep.REPORTING
    context.issue(SendReport(held.report))
    context.issue(ReleaseTree(held.key))
    context.issue(RemoveFiles(held.key))


def purge(context: StepContext, held: NodeExecution) -> bool:
    """The scheduler has taken the execution away: kill its processes, drop its files, report nothing.

    Returns True if nothing of it was going on, so that the state machine may forget it at once.
    """
    context.log(log.EXECUTION_PURGED, held, state=str(held.state))
    state, held.state = held.state, ExecutionStep.PURGING
    context.deadlines.pop(held.key, None)
    if held.running is not None:
        context.issue(KillTree(held.key, 0.0))
    elif state in {ExecutionStep.STAGING, ExecutionStep.KEEPING, ExecutionStep.COLLECTING}:
        context.issue(StopFileWork(held.key))
    else:
        dropped(context, held)
        return True
    return False


def dropped(context: StepContext, held: NodeExecution) -> None:
    """Nothing of a purged execution goes on any more: remove it. The state machine then forgets it."""
    context.record(held, "done", {})
    if held.ran:
        context.issue(ReleaseTree(held.key))
    if held.spec is not None:
        context.issue(RemoveFiles(held.key))
