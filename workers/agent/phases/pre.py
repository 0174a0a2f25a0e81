"""The pre phase: a fresh directory with verified inputs, then the optional pre command."""

from __future__ import annotations

from workers.agent.context import StepContext
from workers.agent.execution import ExecutionStep, NodeExecution
from workers.agent.phases import finish, job, run
from workers.commands import StageInputs
from workers.events import ExecutionFailure


def begin(context: StepContext, held: NodeExecution) -> None:
    """Make the directory and stage the inputs, from the start even if an earlier life had begun with it."""
    held.state, held.began = ExecutionStep.STAGING, context.now.boot
    held.phases["pre"] = {"started": context.now.wall}
    limits = held.granted_spec.limits
    if limits.pre_timeout_s is not None:
        context.deadlines[held.key] = context.now.boot + limits.pre_timeout_s
    context.issue(
        StageInputs(held.granted_spec, held.uid, held.gid, held.slot.gpus if context.slots.has_gpus else None)
    )


def staged(context: StepContext, held: NodeExecution, failure: ExecutionFailure | None) -> None:
    """The inputs are in place, or could not be staged."""
    context.deadlines.pop(held.key, None)
    held.staged = True
    if held.stop is None:
        held.failure = held.failure or failure
    if not held.stop and not held.failure and held.granted_spec.commands.pre:
        held.failure = run.start(context, held, "pre")
        if held.failure is None:
            return
    held.phases["pre"]["completed"] = context.now.wall
    ended(context, held)


def ended(context: StepContext, held: NodeExecution) -> None:
    """The phase is over; the job follows only if all went well."""
    if held.stop or held.failure:
        finish.begin(context, held)
    else:
        job.begin(context, held)


def too_long(held: NodeExecution) -> None:
    """Staging has used up the phase's time; its end is still awaited."""
    held.failure = held.failure or ExecutionFailure(
        "pre-timeout", "Staging the inputs took longer than the pre phase may."
    )
