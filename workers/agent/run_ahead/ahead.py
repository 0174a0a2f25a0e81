"""What waits on this node ahead of room: it is started here, in order, the moment room frees, without asking anybody.

The node's own books say what is free: what it registered with, less what it has started or claimed with room. The order is
that of priority, then of placement. Nothing passes what is first: it was placed before.

A start stands in the journal before anything of it is done. So an agent that comes back knows what never started, and gives
it back uncharged where it is asked to.
"""

from __future__ import annotations

import heapq

from scheduler.rules.lifecycle.outcome import Outcome
from scheduler.wire import ExecutionStart
from workers.agent.context import StepContext
from workers.agent.execution import ExecutionStep, NodeExecution
from workers.agent.phases import cancel_or_return, pre
from workers.commands import KeepSlotPosition, SendStart


def wait(context: StepContext, held: NodeExecution) -> None:
    """Let the execution wait here until there is room for it. May be repeated."""
    held.state = ExecutionStep.AHEAD
    heapq.heappush(context.ahead, (held.granted_spec.priority, held.key))


def proceed(context: StepContext, *, give_back: bool) -> None:
    """Start what has room now, in order; with `give_back` everything that waits goes back to the scheduler instead."""
    while context.ahead:
        held = _first(context)
        if held is None:
            return
        if give_back:
            heapq.heappop(context.ahead)
            cancel_or_return.request(context, held, Outcome.RETURNED, None)
        elif _may_start(context, held):
            heapq.heappop(context.ahead)
            _start(context, held)
        else:
            return


def allot(context: StepContext, held: NodeExecution, facts: dict[str, object]) -> bool:
    """Give the execution what it has for itself alone, and add that to the facts; False where every user id is in use."""
    amounts = held.granted_spec.amounts
    try:
        held.slot = context.slots.allocate(held.key, amounts.custom.get("gpu", 0))
    except IndexError:
        return False
    position = context.slots.new_reserve()
    if position is not None:
        context.issue(KeepSlotPosition(position, context.slots.free_users))
    facts |= {"uid": held.uid, "gid": held.gid, "gpus": list(held.slot.gpus)}
    return True


def look_again(context: StepContext) -> None:
    """While user ids are withheld, look now and then whether what is left of them has gone."""
    slots = context.slots
    if slots.is_look_due(context.now.boot):
        context.issue(KeepSlotPosition(slots.reserved, slots.free_users))


def _first(context: StepContext) -> NodeExecution | None:
    """Return the execution that is next; those that do not wait any more are dropped."""
    while context.ahead:
        held = context.held.get(context.ahead[0][1])
        if held is not None and held.state is ExecutionStep.AHEAD:
            return held
        heapq.heappop(context.ahead)
    return None


def _may_start(context: StepContext, held: NodeExecution) -> bool:
    spec = held.granted_spec
    return (
        context.room.fits(spec.amounts)
        and not context.slots.is_exhausted(0)
        and not context.fenced(spec.limits.lease_s)
        and not context.is_purging()
    )


def _start(context: StepContext, held: NodeExecution) -> None:
    """From here it is a try, and holds room."""
    spec = held.granted_spec
    context.room.take(held.key, spec.amounts)
    held.started = context.now.wall
    facts: dict[str, object] = {"at": held.started}
    allot(context, held, facts)
    context.record(held, "start", facts)  # type: ignore[arg-type]  # plain values, as JSON has them
    tell(context, held)
    pre.begin(context, held)


def tell(context: StepContext, held: NodeExecution) -> None:
    """Tell the scheduler that it was started."""
    assert held.started is not None, held.key  # noqa: S101  called for what has started
    context.issue(
        SendStart(ExecutionStart(execution_id=held.key[0], attempt=held.key[1], token=held.token, at=held.started))
    )
