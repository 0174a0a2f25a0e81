"""Executions of earlier lives of the agent: taken up again, or given up, once scheduler and supervisor have answered.

An execution that the journal restored is DORMANT until the scheduler has answered the registration. The answer names
the executions that the node has lost; all others go on where the earlier life left them.
"""

from __future__ import annotations

from scheduler.rules.lifecycle.outcome import Outcome
from workers import log
from workers.agent import claims
from workers.agent.context import StepContext
from workers.agent.execution import ExecutionStep, NodeExecution
from workers.agent.phases import cancel_or_return, finish, pre, run
from workers.agent.phases.sequence import AFTER
from workers.agent.run_ahead import ahead
from workers.commands import FollowOutput, KeepSlotPosition, KillTree, ReleaseTree, StartRun
from workers.events import RegistrationAnswered, SupervisorUp


def registered(context: StepContext, event: RegistrationAnswered) -> None:
    """The scheduler has registered the node: give up what it names, go on with everything else."""
    context.leased_at = event.sent
    context.room.open(event.amounts)
    for ref in event.answer.kill:
        execution = context.held.get((ref.execution_id, ref.attempt))
        if execution is not None and execution.report is None:
            purge(context, execution)
    for execution in [held for held in context.held.values() if held.state is ExecutionStep.DORMANT]:
        _resume(context, execution)
    if context.slots.free_users:
        context.issue(KeepSlotPosition(context.slots.reserved, context.slots.free_users))


def purge(context: StepContext, execution: NodeExecution) -> None:
    """Give up an execution that was taken from the node; forgotten at once if nothing of it runs. May be repeated."""
    if execution.state is not ExecutionStep.PURGING and finish.purge(context, execution):
        context.forget(execution.key)


def supervisor_up(context: StepContext, event: SupervisorUp) -> None:
    """A supervisor answers, perhaps a new one: compare what it knows with what should run, and send what it lacks.

    A supervisor never starts the same command twice, and neither does the one that follows it. So whatever is missing
    can simply be sent again, but not for executions of earlier lives before it is known that they may go on.
    """
    for key in sorted({key for key, _ in event.runs} - context.held.keys()):
        context.issue(KillTree(key, 0.0))
        context.issue(ReleaseTree(key))
    for execution in context.held.values():
        if execution.running is not None:
            _compare(context, execution, execution.running, known=(execution.key, execution.running) in event.runs)


def _compare(context: StepContext, execution: NodeExecution, phase: str, *, known: bool) -> None:
    command = run.describe(context, execution, phase)
    if known:
        context.issue(FollowOutput(execution.key, command))
    elif execution.state not in {ExecutionStep.DORMANT, ExecutionStep.PURGING}:
        context.issue(StartRun(execution.key, command))
    if execution.state is ExecutionStep.PURGING:
        context.issue(KillTree(execution.key, 0.0))
    elif execution.stop is not None:
        context.issue(KillTree(execution.key, execution.granted_spec.limits.grace_s))


def _resume(context: StepContext, execution: NodeExecution) -> None:
    """Go on with an execution of an earlier life where that life left it."""
    context.log(log.EXECUTION_RESUMED, execution, running=execution.running, last=execution.last)
    spec = execution.spec
    if execution.started is not None and execution.report is None:
        ahead.tell(context, execution)  # the last life may not have
    if execution.report is not None:
        finish.repeat(context, execution)
    elif spec is None or (spec.secret_names and not execution.staged):
        claims.request(context, execution)  # secrets are in no journal; the same token is granted the same again
    elif execution.never_started:
        ahead.wait(context, execution)
    elif execution.running is not None:
        execution.state = ExecutionStep.RUNNING
        context.issue(StartRun(execution.key, run.describe(context, execution, execution.running)))
        if context.leaving:
            cancel_or_return.request(context, execution, Outcome.RETURNED, None)
    elif execution.last is not None:
        execution.state = ExecutionStep.RUNNING
        AFTER[execution.last](context, execution)
    else:
        pre.begin(context, execution)
