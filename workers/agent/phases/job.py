"""The job phase: the command that all the rest is for."""

from __future__ import annotations

from workers.agent.context import Desk
from workers.agent.execution import Held
from workers.agent.phases import finish, post, run


def begin(desk: Desk, held: Held) -> None:
    """Start the command."""
    held.began = desk.now.boot
    held.phases["job"] = {"started": desk.now.wall}
    held.failure = run.start(desk, held, "job")
    if held.failure is not None:
        held.phases["job"]["completed"] = desk.now.wall
        finish.begin(desk, held)


def ended(desk: Desk, held: Held) -> None:
    """The command has ended: outputs only if it was a success."""
    if held.stop or held.failure:
        finish.begin(desk, held)
    else:
        post.begin(desk, held)
