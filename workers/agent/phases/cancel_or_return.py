"""Ends an execution early in whatever phase it is: it was cancelled, or it goes back to the queue through no fault of its own.

The supervisor stops the processes, with SIGTERM, grace and SIGKILL: see `workers/supervisor/runs/termination.py`.
"""

from __future__ import annotations

from scheduler.rules.lifecycle.outcome import Outcome, Stopped
from workers import log
from workers.agent.context import StepContext
from workers.agent.execution import ExecutionStep, NodeExecution
from workers.agent.phases import finish
from workers.commands import KillTree, StopFileWork


def request(context: StepContext, held: NodeExecution, why: Stopped, grace_s: float | None) -> None:
    """Stop the execution; its report follows when nothing of it is left. May be repeated.

    A cancel also wins over what has already ended; handing back does not undo work that is done.
    """
    if held.stop in {why, Outcome.CANCELED} or held.state in {ExecutionStep.REPORTING, ExecutionStep.PURGING}:
        return
    if held.state is ExecutionStep.AHEAD:
        held.stop = why
        finish.report(context, held)
        return
    user_code_is_over = held.state in {ExecutionStep.COLLECTING, ExecutionStep.SHIPPING} or held.running == "cleanup"
    if why is Outcome.RETURNED and (held.failure or user_code_is_over):
        return
    held.stop = why
    context.log(log.EXECUTION_STOPPED, held, why=why, state=str(held.state))
    if held.state in {ExecutionStep.STAGING, ExecutionStep.COLLECTING}:
        context.issue(StopFileWork(held.key))
    elif held.running is not None and held.running != "cleanup":
        context.issue(KillTree(held.key, held.granted_spec.limits.grace_s if grace_s is None else grace_s))
