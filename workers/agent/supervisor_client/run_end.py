"""How a run ended, in the agent's words: read from the supervisor's `ended` message."""

from __future__ import annotations

from typing import assert_never

from workers.agent.supervisor_client.connection import SupervisorMessage
from workers.events import RunEnd, RunOutcome
from workers.supervisor import reasons
from workers.supervisor.limits import NO_ROOM
from workers.supervisor.reasons import EndReason


def read(ended: SupervisorMessage) -> RunEnd:
    """Return what an `ended` message says."""
    outcome = _outcome(ended)
    usage = {name: amount for name, amount in (ended["usage"] or {}).items() if amount is not None}
    message = ended.get("message") or ""
    return RunEnd(
        outcome=outcome,
        exit_code=ended["exit_code"],
        signal=ended["signal"],
        started=ended["started"],
        completed=ended["ended"],
        usage={**usage, "seconds": ended["seconds"]},
        message=f"The command could not be started: {message}" if outcome is RunOutcome.LAUNCH and message else message,
        of_program=ended.get("of_program", False),
        output=_output(ended),
    )


def _output(ended: SupervisorMessage) -> dict[str, str] | None:
    told = ended.get("output")
    return None if told is None else {name: text for name, text in told.items() if text is not None}


def _outcome(ended: SupervisorMessage) -> RunOutcome:
    reason = reasons.read(ended["reason"])
    match reason:
        case EndReason.EXIT:
            outcome = RunOutcome.OUT_OF_MEMORY if ended["oom"] and ended["exit_code"] != 0 else RunOutcome.EXITED
        case EndReason.TIMEOUT:
            outcome = RunOutcome.TIMEOUT
        case EndReason.DISK_FULL:
            outcome = RunOutcome.DISK_FULL
        case EndReason.FENCED:
            outcome = RunOutcome.FENCED
        case EndReason.LAUNCH:
            outcome = RunOutcome.DISK_FULL if ended.get("errno") in NO_ROOM else RunOutcome.LAUNCH
        case EndReason.SUPERVISOR_LOST:
            outcome = RunOutcome.LOST
        case EndReason.KILLED:
            outcome = RunOutcome.KILLED
        case _:
            assert_never(reason)
    return outcome
