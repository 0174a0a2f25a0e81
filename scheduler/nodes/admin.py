"""Administers nodes: pause, drain, take out of service."""

from __future__ import annotations

from typing import cast

from scheduler.admin.pauses import reason_to_keep
from scheduler.errors import InvalidInput, NotFound
from scheduler.identifiers import NodeId
from scheduler.identity import Caller
from scheduler.nodes import drain
from scheduler.runtime import Runtime
from scheduler.store.admin import audit
from scheduler.store.executions import launch_failures
from scheduler.store.nodes import stats
from scheduler.store.nodes.stats import NodeSwitchChanges


class NodeChanges(NodeSwitchChanges, total=False):
    """The changes of operators to a node; its executions have `drain_s` seconds to finish."""

    is_draining: bool
    drain_reason: str | None
    drain_s: float | None


DRAIN = ("is_draining", "drain_reason", "drain_s")


def change(rt: Runtime, caller: Caller, node_id: NodeId, facts: NodeChanges) -> None:
    """Change the settings of a node: `is_paused` with `pause_reason`, `is_active`, and `is_draining`.

    A paused or inactive node gets no new work; its executions go on. To resume a node clears the reason of the pause and the
    failed launches for which the node is avoided. Raises NotFound; InvalidInput for a reason without its pause or drain;
    Conflict for a draining node that has begun to leave and cannot stay.
    """
    draining = facts.get("is_draining")
    if not draining and any(facts.get(name) is not None for name in DRAIN[1:]):
        raise InvalidInput("drain_reason and drain_s are only for is_draining: true", field="drain_reason")
    if draining is False:
        drain.end_drain(rt, node_id, actor=caller.name)
    flags = cast("NodeSwitchChanges", {name: value for name, value in facts.items() if name not in DRAIN})
    if flags:
        _set(rt, caller, node_id, flags)
    if draining:
        reason = facts.get("drain_reason") or "drained by hand"
        drain.drain(rt, node_id, actor=caller.name, reason=reason, within_s=facts.get("drain_s"))
    rt.nudge("tick")


def _set(rt: Runtime, caller: Caller, node_id: NodeId, flags: NodeSwitchChanges) -> None:
    with rt.db.begin() as tx:
        row = stats.lock(tx, node_id)
        if row is None:
            raise NotFound(f"there is no node {node_id}")
        changed = row._replace(**flags)
        reason = reason_to_keep(
            is_paused=changed.is_paused,
            reason=changed.pause_reason,
            given=flags.get("pause_reason"),
            subject="a node",
        )
        stats.update(tx, node_id, changed._replace(pause_reason=reason))
        if flags.get("is_paused") is False:
            launch_failures.clear(tx, node_id)
        audit.write(
            tx, caller.name, "node.change", f"node:{node_id}", reason=flags.get("pause_reason"), detail=dict(flags)
        )
