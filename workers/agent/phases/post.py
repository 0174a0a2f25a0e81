"""The post phase, after a successful job only: optional command, then the outputs."""

from __future__ import annotations

from workers.agent.context import StepContext
from workers.agent.execution import ExecutionStep, NodeExecution
from workers.agent.phases import finish, run
from workers.commands import CollectOutputs
from workers.events import ExecutionFailure, OutputsCollected


def begin(context: StepContext, held: NodeExecution) -> None:
    """Start the post command, or go straight to the outputs."""
    held.phases["post"] = {"started": context.now.wall}
    held.began = context.now.boot
    if not held.granted_spec.commands.post:
        collect(context, held)
        return
    held.failure = run.start(context, held, "post")
    if held.failure is not None:
        over(context, held)


def ended(context: StepContext, held: NodeExecution) -> None:
    """The post command has ended."""
    if held.stop or held.failure:
        over(context, held)
    else:
        collect(context, held)


def collect(context: StepContext, held: NodeExecution) -> None:
    """Have the outputs checked and uploaded, within what is left of the phase's time."""
    held.state = ExecutionStep.COLLECTING
    limit = held.granted_spec.limits.post_timeout_s
    if limit is not None:
        context.deadlines[held.key] = (held.began or context.now.boot) + limit
    context.issue(CollectOutputs(held.granted_spec, held.uid))


def collected(context: StepContext, held: NodeExecution, event: OutputsCollected) -> None:
    """The outputs are uploaded, or could not be."""
    held.message = event.message
    if held.stop is None:
        held.failure = held.failure or event.failure
        held.outputs, held.properties = list(event.outputs), dict(event.properties)
    over(context, held)


def too_long(held: NodeExecution) -> None:
    """Collecting has used up the phase's time; its end is still awaited."""
    held.failure = held.failure or ExecutionFailure(
        "post-timeout", "Collecting the outputs took longer than the post phase may."
    )


def over(context: StepContext, held: NodeExecution) -> None:
    """The phase is over, whether it succeeded or not."""
    held.phases.setdefault("post", {})["completed"] = context.now.wall
    finish.begin(context, held)
