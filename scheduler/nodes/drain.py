"""Nodes leave without losing work: no new placements, unclaimed ones go back, running ones finish or, in the end, return.

A drained node learns of it with its next beat, finishes what it runs, and signs off. When its time is over, what still
runs is stopped gracefully; the jobs go back into the queue and are not charged a try.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scheduler.errors import Conflict, NotFound
from scheduler.executions import withdrawal
from scheduler.identifiers import NodeId
from scheduler.rules.lifecycle.outcome import StopReason
from scheduler.runtime import Runtime
from scheduler.store.admin import audit
from scheduler.store.executions import executions
from scheduler.store.jobs import jobs
from scheduler.store.nodes import nodes, pools

_BATCH = 1000


@dataclass(frozen=True, slots=True)
class Drained:
    """What draining a node did at once: how many placements went back, and whether the node was there at all."""

    name: str
    withdrawn: int


def drain(
    rt: Runtime, node_id: NodeId, *, actor: str, reason: str, within_s: float | None = None, retiring: bool = False
) -> Drained:
    """Have a node finish and leave; safe to repeat, which sets reason and time anew. Raises NotFound.

    `within_s` is how long running work may take before it is stopped; by default GANGER_DRAIN_S. A `retiring` node is
    cleared away for good by its pool's driver.
    """
    within_s = rt.settings.drain_s if within_s is None else within_s
    with rt.db.begin() as tx:
        node = nodes.lock(tx, node_id)
        if node is None or node.state == "GONE":
            raise NotFound(f"there is no node {node_id}")
        pools.drain(tx, node_id, reason=reason, within_s=within_s, retiring=retiring)
        withdrawn = withdrawal.withdraw_from_draining(tx, rt, node_id, f"node {node.name} is draining: {reason}")
        audit.write(tx, actor, "node.drain", f"node:{node_id}", reason=reason, detail={"within_s": within_s})
    rt.nudge("tick")
    rt.nudge("scaling")
    rt.ring([node.name, *withdrawn.to_ring])  # they hear of it with the beat that this makes them send
    return Drained(node.name, len(withdrawn.ended))


def keep(rt: Runtime, node_ids: Sequence[NodeId], *, actor: str, reason: str | None = None) -> set[NodeId]:
    """Let draining nodes stay after all; return those that had not begun to leave."""
    with rt.db.begin() as tx:
        kept = pools.cancel_drain(tx, node_ids)
        for node_id in sorted(kept):
            audit.write(tx, actor, "node.keep", f"node:{node_id}", reason=reason)
    if kept:
        rt.nudge("tick")
    return kept


def stay(rt: Runtime, node_id: NodeId, *, actor: str) -> None:
    """Let one node stay after all; nothing happens for one that does not drain.

    Raises NotFound, and Conflict for a node that has begun to leave.
    """
    with rt.db.begin() as tx:
        node = nodes.lock(tx, node_id)
    if node is None:
        raise NotFound(f"there is no node {node_id}")
    if node.is_draining and node_id not in keep(rt, [node_id], actor=actor):
        raise Conflict(f"node {node.name} has begun to leave; it joins again when its worker is started again")


def stop_overdue(rt: Runtime) -> int:
    """Ask that what still runs on nodes whose time is over be stopped and given back; return how many jobs."""
    with rt.db.begin() as tx:
        found = pools.overdue(tx, _BATCH)
        if not found:
            return 0
        locked = jobs.lock(tx, [row.job_id for row in found])
        still = {row.job_id for row in pools.overdue(tx, _BATCH)} & locked.keys()  # some have ended, and run elsewhere
        names = executions.request_cancel(tx, sorted(still), reason=StopReason.PREEMPTED)
    rt.ring(names)
    return len(still)
