"""Periodic maintenance by the leader: queues jobs that come due, forgives nodes, deletes nodes that left.

Lost nodes are in `nodes.lost`, placements that nobody claimed in `executions.withdrawal`.
"""

from __future__ import annotations

from collections.abc import Collection

from scheduler.identifiers import NodeId
from scheduler.needs.ready import ready
from scheduler.rules.cluster.avoidance import FORGIVE_AFTER_S
from scheduler.runtime import Runtime
from scheduler.store.executions import launch_failures
from scheduler.store.jobs import jobs
from scheduler.store.needs import changes
from scheduler.store.nodes import nodes

_BATCH = 1000
"""Most jobs that are moved in one transaction: enough to be cheap, few enough not to hold locks for long."""

_LEFT_WITHIN_S = 3600.0
_DELETED_AT_ONCE = 20
"""Most nodes of one turn: for each that is deleted, the database makes sure that nothing refers to it."""


def forgive_nodes(rt: Runtime) -> int:
    """Let nodes that were avoided for failed launches get work again after a while; return their number."""
    with rt.db.begin() as tx:
        forgiven = launch_failures.forgive(tx, after_s=FORGIVE_AFTER_S)
    if forgiven:
        rt.nudge("tick")
    return forgiven


def delete_departed_nodes(rt: Runtime, remembered: set[NodeId], placeable: Collection[int]) -> list[NodeId]:
    """Delete the rows of nodes that have left and never ran anything; return their ids.

    `placeable` are the nodes of the leader's cluster state: a row may go only after the node has left that state. A node
    that executions refer to stays, and is added to `remembered`.
    """
    with rt.db.begin() as tx:
        found = nodes.left(tx, within_s=_LEFT_WITHIN_S, known=remembered, limit=_DELETED_AT_ONCE)
    deleted = []
    for node_id in set(found) - set(placeable):
        with rt.db.begin() as tx:
            gone = nodes.delete_unused(tx, node_id)
        if gone:
            deleted.append(node_id)
        else:
            remembered.add(node_id)
    return deleted


def next_due_s(rt: Runtime) -> float:
    """Return the seconds until the next job comes due; at least some hundredths, an hour where none does."""
    with rt.keyed.connect() as tx:
        return max(0.05, min(3600.0, jobs.next_due_s(tx)))


def ready_due(rt: Runtime) -> int:
    """Queue the jobs whose `not_before` has come, or have the resolver see to them; return their number."""
    with rt.db.begin() as tx:
        moved = ready(tx, jobs.due(tx, _BATCH))
        planned = jobs.due_for_resolver(tx, _BATCH)
        changes.tell(tx, planned)
    if moved or planned:
        rt.nudge("tick")
    return len(moved) + len(planned)
