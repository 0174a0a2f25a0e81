"""The pre phase: a fresh directory with verified inputs, then the optional pre command."""

from __future__ import annotations

from workers.agent.context import Desk
from workers.agent.execution import Held, State
from workers.agent.phases import finish, job, run
from workers.commands import Stage
from workers.events import Failure


def begin(desk: Desk, held: Held) -> None:
    """Make the directory and stage the inputs. From the start, also if an earlier life had begun with it."""
    held.state, held.began = State.STAGING, desk.now.boot
    held.phases["pre"] = {"started": desk.now.wall}
    limits = held.orders.limits
    if limits.pre_timeout_s is not None:
        desk.deadlines[held.key] = desk.now.boot + limits.pre_timeout_s
    desk.do(Stage(held.orders, held.uid, held.gid, held.slot.gpus if desk.slots.has_gpus else None))


def staged(desk: Desk, held: Held, failure: Failure | None) -> None:
    """Inputs are in place, or could not be staged."""
    desk.deadlines.pop(held.key, None)
    held.staged = True
    if held.stop is None:
        held.failure = held.failure or failure
    if not held.stop and not held.failure and held.orders.commands.pre:
        held.failure = run.start(desk, held, "pre")
        if held.failure is None:
            return
    held.phases["pre"]["completed"] = desk.now.wall
    ended(desk, held)


def ended(desk: Desk, held: Held) -> None:
    """The phase is over; the job follows only if all went well."""
    if held.stop or held.failure:
        finish.begin(desk, held)
    else:
        job.begin(desk, held)


def too_long(held: Held) -> None:
    """Staging has used up the phase's time; its end is still awaited."""
    held.failure = held.failure or Failure("pre-timeout", "Staging the inputs took longer than the pre phase may.")
