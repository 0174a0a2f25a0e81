"""Drain: a node leaves without losing work. It gets no new placements, and its unclaimed placements are withdrawn.

The node learns of the drain with its next heartbeat, finishes its executions, and leaves. When its time is over, the
executions that still run are stopped gracefully; their jobs return to the queue and are not charged a try.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scheduler.errors import Conflict, NotFound
from scheduler.executions import withdrawal
from scheduler.identifiers import NodeId
from scheduler.rules.lifecycle.outcome import StopReason
from scheduler.rules.lifecycle.states import NodeState
from scheduler.runtime import Runtime
from scheduler.store.admin import audit
from scheduler.store.executions import executions
from scheduler.store.jobs import jobs
from scheduler.store.nodes import nodes, pools

_BATCH = 1000


@dataclass(frozen=True, slots=True)
class Drained:
    """The immediate effect of a drain: the name of the node, and the number of placements that were withdrawn."""

    name: str
    withdrawn: int


def drain(
    rt: Runtime, node_id: NodeId, *, actor: str, reason: str, within_s: float | None = None, retiring: bool = False
) -> Drained:
    """Let a node finish its work and leave. Safe to repeat: that sets reason and time again. Raises NotFound.

    Executions may run for `within_s` seconds before they are stopped; the default is GANGER_DRAIN_S. The driver of the pool
    removes a `retiring` node for good.
    """
    within_s = rt.settings.drain_s if within_s is None else within_s
    with rt.db.begin() as tx:
        node = nodes.lock(tx, node_id)
        if node is None or node.state == NodeState.GONE:
            raise NotFound(f"there is no node {node_id}")
        pools.drain(tx, node_id, reason=reason, within_s=within_s, retiring=retiring)
        withdrawn = withdrawal.withdraw_from_draining(tx, rt, node_id, f"node {node.name} is draining: {reason}")
        audit.write(tx, actor, "node.drain", f"node:{node_id}", reason=reason, detail={"within_s": within_s})
    rt.nudge("tick")
    rt.nudge("scaling")
    rt.ring([node.name, *withdrawn.to_ring])  # the ring makes them send the heartbeat whose answer tells them
    return Drained(node.name, len(withdrawn.ended))


def end_drains(rt: Runtime, node_ids: Sequence[NodeId], *, actor: str, reason: str | None = None) -> set[NodeId]:
    """End the drain of nodes; return the nodes that had not begun to leave, and so stay."""
    with rt.db.begin() as tx:
        kept = pools.cancel_drain(tx, node_ids)
        for node_id in sorted(kept):
            audit.write(tx, actor, "node.keep", f"node:{node_id}", reason=reason)
    if kept:
        rt.nudge("tick")
    return kept


def end_drain(rt: Runtime, node_id: NodeId, *, actor: str) -> None:
    """End the drain of one node; does nothing if the node does not drain.

    Raises NotFound, and Conflict for a node that has begun to leave.
    """
    with rt.db.begin() as tx:
        node = nodes.lock(tx, node_id)
    if node is None:
        raise NotFound(f"there is no node {node_id}")
    if node.is_draining and node_id not in end_drains(rt, [node_id], actor=actor):
        raise Conflict(f"node {node.name} has begun to leave; it joins again when its worker is started again")


def stop_overdue(rt: Runtime) -> int:
    """Ask nodes whose drain time is over to stop and return what still runs there; return the number of jobs."""
    with rt.db.begin() as tx:
        found = pools.overdue(tx, _BATCH)
        if not found:
            return 0
        locked = jobs.lock(tx, [row.job_id for row in found])
        still = {
            row.job_id for row in pools.overdue(tx, _BATCH)
        } & locked.keys()  # some have ended in the meantime, and run elsewhere
        names = executions.request_cancel(tx, sorted(still), reason=StopReason.PREEMPTED)
    rt.ring(names)
    return len(still)
