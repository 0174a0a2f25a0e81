"""The words for how a try ended: what nodes report, what the scheduler decides, and what is stored stays readable."""

from __future__ import annotations

from typing import get_args

import pytest

from scheduler.rules.lifecycle.moves import EXECUTION_MOVES, ExecutionEvent, ExecutionStatus
from scheduler.rules.lifecycle.outcome import (
    Outcome,
    Reported,
    StopReason,
    move_of,
    of_stop,
    reason_for_node,
)
from scheduler.wire import ExecutionReport
from workers.agent.phases import execution_report
from workers.agent.supervisor_client import run_end
from workers.events import RunEnd, RunOutcome
from workers.supervisor import reasons
from workers.supervisor.reasons import EndReason
from workers.supervisor.runs.run import ended_event


def test_the_words_on_the_wire_and_in_the_database_are_what_earlier_releases_wrote() -> None:
    assert list(Outcome) == ["completed", "failed", "canceled", "returned", "unstarted", "withdrawn", "lost"]
    assert list(StopReason) == ["canceled", "preempted", "gang", "recalled"]
    assert list(EndReason) == ["exit", "timeout", "disk_full", "fenced", "launch", "supervisor_lost", "killed"]


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (Outcome.COMPLETED, ExecutionStatus.COMPLETED),
        (Outcome.FAILED, ExecutionStatus.FAILED),
        (Outcome.CANCELED, ExecutionStatus.CANCELED),
        (Outcome.RETURNED, ExecutionStatus.CANCELED),
    ],
)
def test_each_outcome_that_a_node_reports_is_a_move_of_an_execution_that_it_holds(
    outcome: Reported, status: ExecutionStatus
) -> None:
    move = EXECUTION_MOVES[move_of(outcome)]
    assert (move.sources, move.target) == (frozenset({ExecutionStatus.AHEAD, ExecutionStatus.RUNNING}), status)


@pytest.mark.parametrize("reason", StopReason)
def test_a_try_that_was_stopped_is_given_back_unless_somebody_cancelled_it(reason: StopReason) -> None:
    ended = of_stop(reason)
    assert (ended is Outcome.CANCELED) == (reason is StopReason.CANCELED)
    assert of_stop(reason_for_node(reason)) is ended
    assert move_of(ended) is ExecutionEvent.STOP


def test_a_report_holds_only_outcomes_that_a_node_can_know() -> None:
    told = {"execution_id": 1, "attempt": 1, "token": "t" * 16}
    reported = {ExecutionReport.model_validate({**told, "outcome": str(each)}).outcome for each in get_args(Reported)}
    assert reported == set(Outcome) - {Outcome.WITHDRAWN, Outcome.LOST}
    with pytest.raises(ValueError, match="outcome"):
        ExecutionReport.model_validate({**told, "outcome": "lost"})


@pytest.mark.parametrize("reason", EndReason)
def test_each_reason_of_the_supervisor_is_an_outcome_of_a_run_with_a_verdict(reason: EndReason) -> None:
    word = reasons.killed("stopped") if reason is EndReason.KILLED else reason
    end = run_end.read(ended_event(("1.1", "job"), word, exit_code=0))
    failure = execution_report.failure_of_run("job", end, None)
    assert (failure is None) == (end.outcome in {RunOutcome.EXITED, RunOutcome.KILLED})


def test_lack_of_memory_and_of_room_are_read_from_what_the_kernel_said() -> None:
    assert _read(EndReason.EXIT, exit_code=1, oom=True) is RunOutcome.OUT_OF_MEMORY
    assert _read(EndReason.EXIT, exit_code=0, oom=True) is RunOutcome.EXITED
    assert _read(EndReason.LAUNCH, errno=28) is RunOutcome.DISK_FULL


def test_a_reason_of_a_later_release_leaves_the_exit_status_to_say_how_it_ended() -> None:
    end = run_end.read(ended_event(("1.1", "job"), "bored", exit_code=3))
    assert (end.outcome, end.exit_code) == (RunOutcome.EXITED, 3)
    assert execution_report.failure_of_run("job", RunEnd(RunOutcome.EXITED, 3), None) is not None


def _read(reason: str, **fields: object) -> RunOutcome:
    return run_end.read(ended_event(("1.1", "job"), reason, **fields)).outcome
