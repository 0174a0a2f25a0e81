"""The pre phase: a fresh directory with verified inputs, the Python environment if one is missing, the optional pre command."""

from __future__ import annotations

from workers.agent.context import StepContext
from workers.agent.execution import ExecutionStep, NodeExecution
from workers.agent.phases import finish, job, run
from workers.commands import KeepVenv, StageInputs
from workers.events import ExecutionFailure, InputsStaged, VenvKept
from workers.supervisor.limits import ENVIRONMENT


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


def staged(context: StepContext, held: NodeExecution, event: InputsStaged) -> None:
    """The inputs are in place, or could not be staged."""
    context.deadlines.pop(held.key, None)
    held.staged = True
    if held.stop is None:
        held.failure = held.failure or event.failure
    if event.needs_venv and not held.stop and not held.failure:
        held.failure = run.start(context, held, ENVIRONMENT)
        if held.failure is None:
            return
    _command(context, held)


def venv_made(context: StepContext, held: NodeExecution) -> None:
    """The Python environment is made, or could not be made."""
    if held.stop or held.failure:
        _command(context, held)
        return
    held.state = ExecutionStep.KEEPING
    context.issue(KeepVenv(held.granted_spec))


def venv_kept(context: StepContext, held: NodeExecution, event: VenvKept) -> None:
    """The Python environment is ready for use, or could not be kept."""
    if held.stop is None:
        held.failure = held.failure or event.failure
    _command(context, held)


def _command(context: StepContext, held: NodeExecution) -> None:
    """Start the pre command, if there is one and all went well so far."""
    if not held.stop and not held.failure and held.granted_spec.commands.pre:
        held.failure = run.start(context, held, "pre")
        if held.failure is None:
            return
    held.phases.setdefault("pre", {})["completed"] = context.now.wall
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
