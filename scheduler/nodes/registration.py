"""A node registers and leaves. What happens when one is lost is in `lost`.

A node that registers again on the same boot and the same disk keeps its epoch and the executions that it still holds.
Another boot, another disk, or a loss that was declared in between means a new epoch: the executions that it held are
lost, and the answer lists what the node must kill before it may claim anything.
"""

from __future__ import annotations

from sqlalchemy import Connection

from scheduler import wire
from scheduler.errors import NodeNameTaken
from scheduler.identifiers import Attempt, Epoch, ExecutionId, NodeId
from scheduler.nodes.lost import lose_executions
from scheduler.rules.lifecycle.moves import ExecutionStatus
from scheduler.rules.lifecycle.states import NodeState
from scheduler.runtime import Runtime
from scheduler.store.executions import executions
from scheduler.store.nodes import nodes
from scheduler.store.nodes.nodes import Registration


def register(rt: Runtime, message: wire.NodeRegistration) -> wire.Registered:
    """Make this node READY; return its id, its epoch, the executions that it keeps and those that it must kill. Safe to repeat.

    A node records a claim on its disk before it claims: an execution that runs there by our books and that the node does not
    hold is lost. Raises NodeNameTaken while another machine has the name and is not silent.
    """
    said = _registration(message)
    to_ring: list[str] = []
    with rt.db.begin() as tx:
        node_id, node = _node(tx, said)
        epoch = Epoch(1) if node is None else _next_epoch(tx, node, message)
        if node is not None:
            if epoch != node.epoch:
                to_ring = lose_executions(tx, rt, executions.of_node(tx, node_id), why="its node came back as another")
            else:
                to_ring = lose_executions(
                    tx, rt, _forgotten(tx, node_id, message.held), why="its node knows nothing of it"
                )
            nodes.update(tx, node_id, epoch, said)
        keep = _kept(tx, node_id, epoch, message.held)
    rt.nudge("tick")
    rt.ring(to_ring)
    return wire.Registered(
        node_id=node_id,
        epoch=epoch,
        beat_s=rt.settings.beat_s,
        lease_s=rt.settings.lease_s,
        keep=[_ref(h) for h in message.held if (h.execution_id, h.attempt) in keep],
        kill=[_ref(h) for h in message.held if (h.execution_id, h.attempt) not in keep],
    )


def leave(rt: Runtime, node_id: NodeId, epoch: Epoch) -> None:
    """Retire a node that stops in an orderly way. A repeat, or a call with an old epoch, changes nothing.

    The node should hold nothing any more; what it does hold is lost.
    """
    with rt.db.begin() as tx:
        node = nodes.lock(tx, node_id)
        if node is None or node.epoch != epoch or node.state != NodeState.READY:
            return
        to_ring = lose_executions(tx, rt, executions.of_node(tx, node_id), why="its node left")
        nodes.retire(tx, node_id, NodeState.GONE)
    rt.nudge("tick")
    rt.ring(to_ring)


def _node(tx: Connection, said: Registration) -> tuple[NodeId, nodes.LockedNode | None]:
    """Lock the node of this name, and insert it if it is new; return its id, and its row if it was known."""
    while True:
        node = nodes.lock_by_name(tx, said.name)
        if node is not None:
            return node.id, node
        node_id = nodes.insert(tx, said)
        if node_id is not None:
            return node_id, None
        # Another call with this name, perhaps of the same node, was first; or the row is being deleted.


def _next_epoch(tx: Connection, node: nodes.LockedNode, message: wire.NodeRegistration) -> Epoch:
    same_machine = node.disk_id == message.disk_id
    if not same_machine and node.state == NodeState.READY and not nodes.flags(tx, node.id).is_silent:
        raise NodeNameTaken(
            f"a node called {node.name!r} is already here and alive; choose another --name, or stop that one first"
        )
    if same_machine and node.boot_id == message.boot_id and node.state == NodeState.READY:
        return node.epoch
    return Epoch(node.epoch + 1)


def _forgotten(tx: Connection, node_id: NodeId, held: list[wire.HeldExecution]) -> list[ExecutionId]:
    """Return the executions that run on the node by our books, but that the node does not hold under the same claim."""
    known = {(h.execution_id, h.attempt, h.token) for h in held}
    running = executions.running_on(tx, node_id)
    return [row.id for row in running if (row.id, row.attempt, row.claim_token) not in known]


def _kept(
    tx: Connection, node_id: NodeId, epoch: Epoch, held: list[wire.HeldExecution]
) -> set[tuple[ExecutionId, Attempt]]:
    """Return which of the held executions still belong to this node."""
    rows = executions.read(tx, [h.execution_id for h in held]) if held else {}
    tokens = {h.execution_id: h.token for h in held}
    return {
        (row.id, row.attempt)
        for row in rows.values()
        if row.node_id == node_id
        and row.node_epoch == epoch
        and not row.released
        and row.status in {ExecutionStatus.QUEUED, ExecutionStatus.RUNNING}
        and row.claim_token in {None, tokens[row.id]}
    }


def _registration(message: wire.NodeRegistration) -> Registration:
    amounts = message.amounts
    return Registration(
        name=message.name,
        pool=message.pool,
        hostname=message.hostname,
        boot_id=message.boot_id,
        disk_id=message.disk_id,
        cpus=amounts.cpus,
        mem=amounts.mem,
        disk=amounts.disk,
        custom=amounts.custom,
        labels=message.labels,
        powers=message.powers,
        version=message.version,
    )


def _ref(held: wire.HeldExecution) -> wire.ExecutionRef:
    return wire.ExecutionRef(execution_id=held.execution_id, attempt=held.attempt)
