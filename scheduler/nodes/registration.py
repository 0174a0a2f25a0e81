"""A node registers and leaves. What happens when one is lost is in `lost`, and who may speak for it in `identity`.

A node that registers again with its credential, on the same boot and from the same place, keeps its epoch and the executions that
it still holds. Anything else (another boot, a copy of its folder, a join token because the folder was lost) is taken for
another machine: it is refused while the node is heard, and afterwards begins a new epoch. Then the executions that the node held
are lost, and the answer lists what it must kill before it may claim anything.
"""

from __future__ import annotations

from sqlalchemy import Connection

from scheduler import wire
from scheduler.admin import tokens
from scheduler.errors import NodeNameTaken
from scheduler.identifiers import Attempt, Epoch, ExecutionId, NodeId
from scheduler.identity import Caller
from scheduler.nodes import identity
from scheduler.nodes.lost import lose_executions
from scheduler.rules.lifecycle.moves import LIVE_EXECUTION
from scheduler.rules.lifecycle.states import NodeState
from scheduler.runtime import Runtime
from scheduler.store.executions import executions
from scheduler.store.nodes import credentials, nodes
from scheduler.store.nodes.credentials import JoinLimits
from scheduler.store.nodes.nodes import Registration


def register(rt: Runtime, caller: Caller, message: wire.NodeRegistration) -> wire.Registered:
    """Make this node READY; return its id, its epoch, the executions that it keeps and those that it must kill. Safe to repeat.

    A node records a claim on its disk before it claims: an execution that runs there by our books and that the node does not
    hold is lost. Raises NodeNameTaken while another machine has the name and is not silent, Forbidden for a name or pool
    that the join token does not let in.
    """
    to_ring: list[str] = []
    with rt.db.begin() as tx:
        limits = identity.joins(tx, caller, name=message.name, pool=message.pool)
        said = _registration(message, caller.token_id, limits)
        node_id, node = _node(tx, said)
        epoch = Epoch(1) if node is None else _next_epoch(tx, caller, node, message)
        taken = _take_credential(tx, caller, node_id, message)
        if node is not None:
            if epoch != node.epoch:
                unstarted = {(h.execution_id, h.attempt) for h in message.held if not h.started}
                to_ring = lose_executions(
                    tx, rt, executions.of_node(tx, node_id), why="its node came back as another", unstarted=unstarted
                )
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
        credential_taken=taken,
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


def _next_epoch(tx: Connection, caller: Caller, node: nodes.LockedNode, message: wire.NodeRegistration) -> Epoch:
    """Return the epoch that the registration begins or goes on with. Raises NodeNameTaken for another one while the node is heard."""
    had = credentials.of_node(tx, node.id)
    is_node = caller.node_id == node.id or _proposed(message) in had
    same_boot = node.boot_id == message.boot_id
    if had:
        same = is_node and same_boot and node.place == message.place
    else:  # of an agent of the release before: its disk, and the token that it came with
        same = node.disk_id == message.disk_id and node.token_id in {None, caller.token_id}
    if same and same_boot and node.state == NodeState.READY:
        return node.epoch
    if (had or not same) and node.state == NodeState.READY and not nodes.flags(tx, node.id).is_silent:
        raise NodeNameTaken(_COPIED.format(node.name) if is_node else _TAKEN.format(node.name))
    return Epoch(node.epoch + 1)


_TAKEN = "a node called {!r} is already here and alive; choose another --name, or stop that one first"
_COPIED = (
    "another agent speaks for the node {!r} and is alive: this folder is a copy of its folder, or was moved, or the machine has just "
    "started again; stop that agent, or wait until it is silent, or choose another --name"
)


def _take_credential(tx: Connection, caller: Caller, node_id: NodeId, message: wire.NodeRegistration) -> bool:
    """Give the node the credential that it proposes; return whether it has one."""
    proposed = _proposed(message)
    if proposed is None:
        if caller.node_id is None:
            credentials.drop_all(tx, node_id)  # its folder was lost, and an agent of the release before has come
        return caller.node_id is not None
    shown = None if caller.node_id is None else caller.credential
    return credentials.give(tx, node_id, caller.token_id, proposed, beside=shown)


def _proposed(message: wire.NodeRegistration) -> bytes | None:
    return None if message.credential is None else tokens.digest(message.credential)


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
        and row.status in LIVE_EXECUTION
        and row.claim_token in {None, tokens[row.id]}
    }


def _registration(message: wire.NodeRegistration, token_id: int, limits: JoinLimits) -> Registration:
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
        runs_ahead=message.runs_ahead,
        place=message.place,
        token_id=token_id,
        project_ids=limits.project_ids,
    )


def _ref(held: wire.HeldExecution) -> wire.ExecutionRef:
    return wire.ExecutionRef(execution_id=held.execution_id, attempt=held.attempt)
