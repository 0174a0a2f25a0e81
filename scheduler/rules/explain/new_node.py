"""The suggested new node: what one more node would have to be like for a job to start on it.

It is suggested where no change to the existing nodes would help.
"""

from collections.abc import Iterable

from scheduler.identifiers import NodeId
from scheduler.rules.cluster.nodes import Mask, Node, Nodes
from scheduler.rules.cluster.policy import Policy
from scheduler.rules.cluster.reasons import Reason
from scheduler.rules.cluster.shapes import NODE_LABEL, Constraint, Shape
from scheduler.rules.explain.answer import Fix, FixKind

_NEW_NAME = "a new node"


def like(shape: Shape, nodes: Nodes) -> Node:
    """Return an empty node that has all a member asks for, and the labels that its constraints want.

    A label is left out if no value satisfies all constraints on it, or only the name of an existing node does.
    """
    labels: dict[str, str] = {}
    names = {node.name for node in nodes}
    for label in {constraint.label for constraint in shape.constraints}:
        asked = [constraint for constraint in shape.constraints if constraint.label == label]
        found = next((value for value in _candidates(asked) if _all_hold(asked, label, value)), None)
        if found is not None and not (label == NODE_LABEL and found in names):
            labels[label] = found
    name = labels.pop(NODE_LABEL, _NEW_NAME)
    return Node(NodeId(0), shape.requires, name, shape.pool, labels)


def written(node: Node) -> str:
    """Return the node in the notation of fleets for simulations: `cpus=2,mem=64mib,gpu=1,pool=x,zone:a`."""
    units = {"mem": "mib", "disk": "mib"}
    amounts = [
        f"{name}={amount / 1000:g}{units.get(name, '')}" for name, amount in node.capacity.amounts().items() if amount
    ]
    pool = [] if node.pool is None else [f"pool={node.pool}"]
    return ",".join([*amounts, *pool, *(f"{label}:{value}" for label, value in sorted(node.labels.items()))])


def fixes(shape: Shape, nodes: Nodes, policy: Policy, masks: dict[Reason, Mask]) -> list[Fix]:
    """Return as many new nodes as the job has members, and what keeps the job even from these."""
    new = like(shape, nodes)
    labels = {NODE_LABEL: new.name, **new.labels}
    found = [Fix(FixKind.ADD_NODE, written(new), shape.count)]
    if shape.pool is not None and shape.pool in policy.paused_pools:
        found.append(Fix(FixKind.RESUME_POOL, shape.pool))
    wrong = (constraint for constraint in sorted(set(shape.constraints), key=str) if not constraint.holds(labels))
    found += [Fix(FixKind.DROP_CONSTRAINT, str(constraint)) for constraint in wrong]
    if shape.apart is not None and shape.apart in new.labels and _shares(shape.apart, new, nodes, shape, masks):
        found.append(Fix(FixKind.DROP_APART, shape.apart))
    return found


def _candidates(asked: Iterable[Constraint]) -> Iterable[str]:
    """Return values that might satisfy all constraints on one label.

    These are the values that the constraints name, the numbers beside them, and any other.
    """
    for constraint in asked:
        values = (constraint.value,) if isinstance(constraint.value, str) else constraint.value
        for value in values:
            yield value
            try:
                number = float(value)
            except ValueError:
                continue
            yield from (f"{number - 1:g}", f"{number + 1:g}")
    yield "any"


def _all_hold(asked: Iterable[Constraint], label: str, value: str) -> bool:
    return all(constraint.holds({label: value}) for constraint in asked)


def _shares(label: str, new: Node, nodes: Nodes, shape: Shape, masks: dict[Reason, Mask]) -> bool:
    """Return whether the new node would share a value with a running peer, or several members would share one."""
    barred = masks.get(Reason.APART)
    taken = () if barred is None else (node for node in nodes if barred[nodes.row(node.id)])
    return shape.count > 1 or any(node.labels.get(label) == new.labels[label] for node in taken)
