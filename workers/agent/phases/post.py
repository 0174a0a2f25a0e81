"""The post phase, after a successful job only: optional command, then the outputs."""

from __future__ import annotations

from workers.agent.context import Desk
from workers.agent.execution import Held, State
from workers.agent.phases import finish, run
from workers.commands import Collect
from workers.events import Collected, Failure


def begin(desk: Desk, held: Held) -> None:
    """Start the post command, or go straight to the outputs."""
    held.phases["post"] = {"started": desk.now.wall}
    held.began = desk.now.boot
    if not held.orders.commands.post:
        collect(desk, held)
        return
    held.failure = run.start(desk, held, "post")
    if held.failure is not None:
        over(desk, held)


def ended(desk: Desk, held: Held) -> None:
    """The post command has ended."""
    if held.stop or held.failure:
        over(desk, held)
    else:
        collect(desk, held)


def collect(desk: Desk, held: Held) -> None:
    """Have the outputs checked and uploaded, within what is left of the phase's time."""
    held.state = State.COLLECTING
    limit = held.orders.limits.post_timeout_s
    if limit is not None:
        desk.deadlines[held.key] = (held.began or desk.now.boot) + limit
    desk.do(Collect(held.orders, held.uid))


def collected(desk: Desk, held: Held, event: Collected) -> None:
    """Outputs are uploaded, or could not be."""
    held.message = event.message
    if held.stop is None:
        held.failure = held.failure or event.failure
        held.outputs, held.properties = list(event.outputs), dict(event.properties)
    over(desk, held)


def too_long(held: Held) -> None:
    """Collecting has used up the phase's time; its end is still awaited."""
    held.failure = held.failure or Failure(
        "post-timeout", "Collecting the outputs took longer than the post phase may."
    )


def over(desk: Desk, held: Held) -> None:
    """The phase is over, well or not."""
    held.phases.setdefault("post", {})["completed"] = desk.now.wall
    finish.begin(desk, held)
