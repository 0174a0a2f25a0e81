"""The job phase: the command that the job is about."""

from __future__ import annotations

from workers.agent.context import StepContext
from workers.agent.execution import NodeExecution
from workers.agent.phases import finish, post, run


def begin(context: StepContext, held: NodeExecution) -> None:
    """Start the command."""
    held.began = context.now.boot
    held.phases["job"] = {"started": context.now.wall}
    arguments = run.filled_arguments(context, held)
    if arguments is not None:
        held.phases["job"]["arguments"] = arguments
    held.failure = run.start(context, held, "job")
    if held.failure is not None:
        held.phases["job"]["completed"] = context.now.wall
        finish.begin(context, held)


def ended(context: StepContext, held: NodeExecution) -> None:
    """The command has ended. Outputs are collected only if it succeeded."""
    if held.stop or held.failure:
        finish.begin(context, held)
    else:
        post.begin(context, held)
