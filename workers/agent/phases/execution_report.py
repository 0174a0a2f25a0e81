"""The report of an execution to the scheduler: its outcome, the name of a built-in error, a sentence for people."""

from __future__ import annotations

import signal
from typing import Final, assert_never

from scheduler.rules.lifecycle.outcome import Outcome
from scheduler.wire import ExecutionReport, PhaseReport
from workers.agent.execution import NodeExecution
from workers.events import ExecutionFailure, RunEnd, RunOutcome

TIMEOUT: Final = {"pre": "pre-timeout", "job": "timeout", "post": "post-timeout"}
_FAILED: Final = {"pre": "pre-failed", "job": None, "post": "post-failed"}
_SUBJECT: Final = {"pre": "The pre command", "job": "The command", "post": "The post command"}
_MESSAGE_CHARACTERS: Final = 2000


def failure_of_run(phase: str, end: RunEnd, limit_s: float | None) -> ExecutionFailure | None:
    """Return why a run counts as failed, None if its command succeeded. `limit_s` is the time limit that it had."""
    match end.outcome:
        case RunOutcome.EXITED | RunOutcome.KILLED:
            return _of_exit(phase, end)
        case RunOutcome.TIMEOUT:
            limit = "its time limit" if limit_s is None else f"its limit of {limit_s:g} s"
            return ExecutionFailure(TIMEOUT[phase], f"{_SUBJECT[phase]} ran longer than {limit}.")
        case RunOutcome.OUT_OF_MEMORY:
            error, sentence = "out-of-memory", "It used more memory than it had asked for."
        case RunOutcome.DISK_FULL:
            error, sentence = "disk-full", "It wrote more to disk than it had asked for."
        case RunOutcome.FENCED:
            error, sentence = "node-lost", "The node could not reach the scheduler for too long and ended its work."
        case RunOutcome.LOST:
            error, sentence = "supervisor-lost", "The node's supervisor died, and everything it ran with it."
        case RunOutcome.LAUNCH:
            error, sentence = "launch", "The command could not be started."
        case _:
            assert_never(end.outcome)
    return ExecutionFailure(error, end.message or sentence, of_job=end.of_program)


def failure_by_folder(held: NodeExecution, phase: str, end: RunEnd, folder: str) -> ExecutionFailure | None:
    """Return the failure of a command that finds its directory gone or closed, after a program of the same job was in it.

    That is the job's fault, not the node's. None for every other end.
    """
    others = (report for name, report in held.phases.items() if name != phase)
    was_used = any(report.get("exit_code") is not None or report.get("signal") is not None for report in others)
    if end.outcome is not RunOutcome.LAUNCH or end.of_program or not was_used or folder not in end.message:
        return None
    before = "pre command" if phase == "job" else "command"
    sentence = f"The job's own {before} has removed, replaced or closed its work directory. {end.message}"
    return ExecutionFailure(_FAILED["pre" if phase == "job" else "post"], sentence)


def report_of(held: NodeExecution, ended: float) -> ExecutionReport:
    """Return the report of an execution that has nothing left to do; `ended` is now, by the node's wall clock."""
    if held.never_started:
        return ExecutionReport(
            execution_id=held.key[0], attempt=held.key[1], token=held.token, outcome=Outcome.UNSTARTED, ended=ended
        )
    failure = held.failure
    outcome = held.stop or (Outcome.FAILED if failure else Outcome.COMPLETED)
    done = outcome is Outcome.COMPLETED
    return ExecutionReport(
        execution_id=held.key[0],
        attempt=held.key[1],
        token=held.token,
        started=held.started,
        ended=ended,
        outcome=outcome,
        error=failure.error if failure and outcome is Outcome.FAILED else None,
        message=_message(held)[:_MESSAGE_CHARACTERS],
        of_job=failure is not None and failure.of_job,
        phases={"pre": _phase(held, "pre"), "job": _phase(held, "job"), "post": _phase(held, "post")},
        outputs=held.outputs if done else [],
        properties=held.properties if done else {},
    )


def _message(held: NodeExecution) -> str:
    said = held.failure.message if held.failure else held.message
    if not held.cleanup_trouble:
        return said
    return f"{said[: _MESSAGE_CHARACTERS // 2]} The cleanup command was not run: {held.cleanup_trouble}".strip()


def _phase(held: NodeExecution, phase: str) -> PhaseReport:
    return PhaseReport(**{"usage": {}, **held.phases.get(phase, {})})  # a default of this kind is copied deeply


def _of_exit(phase: str, end: RunEnd) -> ExecutionFailure | None:
    subject = _SUBJECT[phase]
    if end.signal is not None:
        return ExecutionFailure(
            _FAILED[phase], f"{subject} was ended by signal {end.signal} ({_signal_name(end.signal)})."
        )
    if end.exit_code != 0:
        return ExecutionFailure(_FAILED[phase], f"{subject} ended with exit code {end.exit_code}.")
    return None


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "a real-time signal"
