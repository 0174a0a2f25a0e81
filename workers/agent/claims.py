"""Claiming placements: the intent goes to the journal, the claim to the scheduler, and the answer starts the work.

The claim token is made once, before the claim, and is written with the intent. An agent that dies between claim and
grant therefore claims again with the same token, and the scheduler grants it the same execution again.
"""

from __future__ import annotations

from scheduler import wire
from scheduler.rules.lifecycle.outcome import Outcome
from workers import log
from workers.agent.context import StepContext
from workers.agent.execution import ExecutionStep, NodeExecution
from workers.agent.phases import finish, pre
from workers.agent.run_ahead import ahead
from workers.commands import SendClaim
from workers.events import ClaimAnswered, ClaimsDropped


def request(context: StepContext, execution: NodeExecution) -> None:
    """Claim the placement; the execution is held from now on. May be repeated: the token stays the same."""
    execution.state = ExecutionStep.CLAIMING
    context.held[execution.key] = execution
    context.record(execution, "intent", {"token": execution.token})
    execution_id, attempt = execution.key
    context.issue(SendClaim(wire.ExecutionClaim(execution_id=execution_id, attempt=attempt, token=execution.token)))


def dropped(context: StepContext, event: ClaimsDropped) -> None:
    """The journal could not take these intents, so the claims were never sent: forget them."""
    for key in event.keys:
        context.forget(key)


def answered(context: StepContext, event: ClaimAnswered) -> None:
    """The scheduler refused some claims and granted others. An answer to a claim that is no longer open is ignored."""
    for refusal in event.answer.refused:
        execution = _claiming(context, refusal)
        if execution is not None:
            context.record(execution, "done", {})
            context.log(log.EXECUTION_REFUSED, execution, why=refusal.why)
            context.forget(execution.key)
    if any(spec.ahead for spec in event.answer.granted):
        context.given_ahead = len(context.ahead) + sum(spec.ahead for spec in event.answer.granted)
    for spec in event.answer.granted:
        execution = _claiming(context, spec)
        if execution is not None:
            _granted(context, execution, spec)


def _claiming(context: StepContext, ref: wire.ExecutionRef) -> NodeExecution | None:
    execution = context.held.get((ref.execution_id, ref.attempt))
    return execution if execution is not None and execution.state is ExecutionStep.CLAIMING else None


def _granted(context: StepContext, execution: NodeExecution, spec: wire.TaskSpec) -> None:
    execution.spec = spec
    facts: dict[str, object] = {"uid": None, "gid": None, "gpus": []}
    waits = spec.ahead and execution.started is None
    if not waits:
        context.room.take(execution.key, spec.amounts)
        if not ahead.allot(context, execution, facts):  # every user id is in use
            execution.stop = execution.stop or Outcome.RETURNED
    facts["spec"] = spec.model_dump_json(exclude={"secrets"})
    context.record(execution, "spec", facts)  # type: ignore[arg-type]  # plain values, as JSON has them
    if context.leaving and execution.stop is None:
        execution.stop = Outcome.RETURNED
    if execution.stop is not None:
        finish.report(context, execution)
    elif waits:
        ahead.wait(context, execution)
    else:
        pre.begin(context, execution)
