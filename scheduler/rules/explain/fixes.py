"""Fixes: on which node the least would have to change for a job to start, and what."""

from collections.abc import Iterator
from dataclasses import replace
from math import floor

import numpy as np
from numpy.typing import NDArray

from scheduler.rules.cluster.nodes import Amounts, Mask, Node, Nodes
from scheduler.rules.cluster.policy import Policy
from scheduler.rules.cluster.reasons import Reason
from scheduler.rules.cluster.resources import PLAIN, Resources
from scheduler.rules.cluster.shapes import Shape
from scheduler.rules.explain import new_node
from scheduler.rules.explain.answer import Fix, FixKind, NearestNode

Seconds = NDArray[np.float64]

_COSTS: dict[Reason, float] = {
    Reason.NODE_PAUSED: 1.0,
    Reason.NODE_DRAINING: 1.0,
    Reason.NODE_FAILING: 1.0,
    Reason.POOL_PAUSED: 1.0,
    Reason.APART: 2.0,
    Reason.OTHER_POOL: 2.0,
    Reason.OTHER_PROJECT: 100.0,
    Reason.NODE_NOT_READY: 3.0,
}
"""The cost of each change.

Asking for less costs 1 plus the fraction given up, for each resource. All costs are above 0, so a node that needs
fewer changes always wins, and none of the named changes can be left out.
"""

_CONSTRAINT_COST = 2.0

_TIMEOUT_COST = 1.5

_OUT_OF_REACH = 20.0
"""The cost of a node where asking for less does not help: more than all else together.

So new nodes are suggested only where there is no other way.
"""

_LEAST_PART = 0.1
"""Fixes never suggest less than this part of what was asked for, or of the largest node if that was more.

A named resource that a node has not at all is different: a job may do without it.
"""

LEAST_TIMEOUT_S = 10.0
"""Fixes never suggest a shorter timeout than this."""


def cheapest(
    shape: Shape, nodes: Nodes, room: Amounts, masks: dict[Reason, Mask], ready_s: Seconds | None = None
) -> int | None:
    """Return the row of the node where the least would have to change; None without nodes.

    `ready_s` has, for each row whose room is reserved for later, how long a job may run that uses the room until
    then; 0 for the others.
    """
    present = nodes.present()
    if not present.any():
        return None
    cost = np.where(present, 0.0, np.inf)
    for reason, weight in _COSTS.items():
        if reason in masks:
            cost = cost + weight * masks[reason]
    for constraint in set(shape.constraints):
        cost = cost + _CONSTRAINT_COST * ~nodes.matching(constraint)
    less = _giving_up(nodes.vector(shape.requires), room, nodes)
    if ready_s is not None:
        less = np.where(ready_s >= LEAST_TIMEOUT_S, _TIMEOUT_COST, less)
    return int(np.argmin(cost + less))


def nearest(shape: Shape, nodes: Nodes, room: Amounts, masks: dict[Reason, Mask], row: int) -> NearestNode:
    """Return what is wrong with one node."""
    node = nodes.at(row)
    reasons = tuple(reason for reason, mask in masks.items() if mask[row])
    return NearestNode(node.id, node.name, reasons, missing(shape, nodes, room, row))


def missing(shape: Shape, nodes: Nodes, room: Amounts, row: int) -> dict[str, int]:
    """Return the thousandths of each resource that a member lacks on a node."""
    lacks = (nodes.vector(shape.requires) - room[:, row]).tolist()
    needed = (nodes.vector(shape.requires) > 0).tolist()
    return {axis: lack for axis, lack, need in zip(nodes.axes, lacks, needed, strict=True) if need and lack > 0}


def fixes(
    shape: Shape,
    nodes: Nodes,
    policy: Policy,
    room: Amounts,
    masks: dict[Reason, Mask],
    row: int | None,
    ready_s: Seconds | None = None,
) -> list[Fix]:
    """Return what would have to change for a member to start on that node; empty when nothing would.

    If no change to the node or the job makes room there, or without any node (None): new nodes, one for each member.
    """
    if row is None or (Reason.OTHER_PROJECT in masks and masks[Reason.OTHER_PROJECT][row]):
        return new_node.fixes(shape, nodes, policy, masks)
    node, needs = nodes.at(row), shape.requires.amounts()
    found = [*_about_node(node, policy, masks, row), *_about_demands(shape, node, nodes, masks, row)]
    if ready_s is not None and ready_s[row] >= LEAST_TIMEOUT_S:
        return [*found, Fix(FixKind.SHORTER_TIMEOUT, "", floor(ready_s[row]))]
    if _out_of_reach(nodes.vector(shape.requires), room, nodes)[row]:
        return new_node.fixes(shape, nodes, policy, masks)
    for axis, lack in missing(shape, nodes, room, row).items():
        found.append(Fix(FixKind.ASK_LESS, axis, max(0, needs[axis] - lack)))
    return found


def shape_after(shape: Shape, found: list[Fix]) -> Shape:
    """Return the shape once it asks for as little as the fixes say."""
    amounts, gone = shape.requires.amounts(), {(fix.kind, fix.subject) for fix in found}
    amounts |= {fix.subject: int(fix.to or 0) for fix in found if fix.kind is FixKind.ASK_LESS}
    return replace(
        shape,
        requires=Resources.from_amounts(amounts),
        constraints=tuple(one for one in shape.constraints if (FixKind.DROP_CONSTRAINT, str(one)) not in gone),
        pool=None if (FixKind.LEAVE_POOL, shape.pool) in gone else shape.pool,
        apart=None if (FixKind.DROP_APART, shape.apart) in gone else shape.apart,
        count=next((int(fix.to or 1) for fix in found if fix.kind is FixKind.ASK_FEWER), shape.count),
        timeout_s=next((fix.to for fix in found if fix.kind is FixKind.SHORTER_TIMEOUT), shape.timeout_s),
    )


def policy_after(policy: Policy, found: list[Fix]) -> Policy:
    """Return the policy once the pools that the fixes name are resumed."""
    resumed = {fix.subject for fix in found if fix.kind is FixKind.RESUME_POOL}
    return replace(policy, paused_pools=policy.paused_pools - resumed)


def _giving_up(need: Amounts, room: Amounts, nodes: Nodes) -> NDArray[np.float64]:
    """Return the cost of asking for no more than each node has."""
    cost = np.zeros(room.shape[1])
    for axis in np.flatnonzero(need).tolist():
        lack = np.maximum(need[axis] - np.maximum(room[axis], 0), 0)
        cost += np.where(lack > 0, 1.0 + lack / need[axis], 0.0)
    return np.where(_out_of_reach(need, room, nodes), _OUT_OF_REACH, cost)


def _out_of_reach(need: Amounts, room: Amounts, nodes: Nodes) -> Mask:
    """Return the rows where asking for less does not help: next to nothing is left there of some resource."""
    helpless = np.zeros(room.shape[1], dtype=np.bool_)
    for axis in np.flatnonzero(need).tolist():
        sensible = min(int(need[axis]), int(nodes.capacity[axis].max(initial=0)))
        too_little = (room[axis] < need[axis]) & (room[axis] < max(_LEAST_PART * sensible, 1))
        if axis >= len(PLAIN):
            too_little &= ~((nodes.capacity[axis] == 0) & (room[axis] == 0))
        helpless |= too_little
    return helpless


def _about_node(node: Node, policy: Policy, masks: dict[Reason, Mask], row: int) -> Iterator[Fix]:
    fixes = {
        Reason.NODE_NOT_READY: FixKind.BRING_BACK_NODE,
        Reason.NODE_PAUSED: FixKind.RESUME_NODE,
        Reason.NODE_DRAINING: FixKind.STOP_DRAINING,
        Reason.NODE_FAILING: FixKind.CLEAR_FAILURES,
    }
    for reason, fix in fixes.items():
        if reason in masks and masks[reason][row]:
            yield Fix(fix, node.name or str(node.id))
    if node.pool in policy.paused_pools and node.pool is not None:
        yield Fix(FixKind.RESUME_POOL, node.pool)


def _about_demands(shape: Shape, node: Node, nodes: Nodes, masks: dict[Reason, Mask], row: int) -> Iterator[Fix]:
    if shape.pool is not None and shape.pool != node.pool:
        yield Fix(FixKind.LEAVE_POOL, shape.pool)
    for constraint in sorted(set(shape.constraints), key=str):
        if not nodes.matching(constraint)[row]:
            yield Fix(FixKind.DROP_CONSTRAINT, str(constraint))
    if shape.apart is not None and Reason.APART in masks and masks[Reason.APART][row]:
        yield Fix(FixKind.DROP_APART, shape.apart)
