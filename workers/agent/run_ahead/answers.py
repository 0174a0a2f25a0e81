"""The answer to an exchange, part by part: claims, reports, starts without room, and the news for the node."""

from __future__ import annotations

from collections.abc import Iterable

from scheduler import wire
from scheduler.rules.lifecycle.outcome import Outcome, StopReason, of_stop
from workers import log
from workers.agent import claims
from workers.agent.context import StepContext
from workers.agent.execution import ExecutionStep, NodeExecution
from workers.agent.phases import cancel_or_return
from workers.events import ClaimAnswered, ReportAnswered
from workers.paths import ExecutionKey


def answered(context: StepContext, answer: wire.ExchangeAnswer) -> None:
    """Take in what the scheduler says to claims, reports and starts."""
    if answer.granted or answer.refused:
        claims.answered(context, ClaimAnswered(wire.ClaimAnswer(granted=answer.granted, refused=answer.refused)))
    if answer.accepted or answer.fenced:
        reported(context, ReportAnswered([_key(r) for r in answer.accepted], [_key(r) for r in answer.fenced]))
    for ref in answer.overdrawn:  # its books and ours differ: it did not have that room
        held = context.held.get(_key(ref))
        if held is not None:
            cancel_or_return.request(context, held, Outcome.RETURNED, 0.0)


def reported(context: StepContext, event: ReportAnswered) -> None:
    """The scheduler has these reports, or does not want them any more: forget the executions."""
    for key in (*event.accepted, *event.fenced):
        held = context.held.get(key)
        if held is None or held.state is not ExecutionStep.REPORTING:
            continue
        context.record(held, "done", {})
        if key in event.fenced:
            context.log(log.EXECUTION_FENCED, held)
        context.forget(key)


def stop(context: StepContext, cancels: Iterable[wire.Cancel]) -> None:
    """Stop what the scheduler names. What is only recalled is left alone if it has started."""
    for cancel in cancels:
        held = context.held.get(_key(cancel))
        recalled = cancel.reason is StopReason.RECALLED
        if held is not None and (not recalled or held.state is ExecutionStep.AHEAD):
            cancel_or_return.request(context, held, of_stop(cancel.reason), cancel.grace_s)


def held(context: StepContext) -> list[wire.HeldExecution]:
    """Return what the node holds, as it registers with it."""
    return [
        wire.HeldExecution(
            execution_id=key[0], attempt=key[1], token=execution.token, started=not _surely_waits(execution)
        )
        for key, execution in context.held.items()
    ]


def _surely_waits(execution: NodeExecution) -> bool:
    """Whether this node knows that it has not started an execution: it was given ahead, or not given at all."""
    return execution.never_started or execution.spec is None


def _key(ref: wire.ExecutionRef) -> ExecutionKey:
    return ref.execution_id, ref.attempt
