"""A trial: what would become of a waiting job if changes that would help were made. Made in memory, and taken back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from scheduler.identifiers import NodeId
from scheduler.rules.cluster.nodes import Node, Nodes
from scheduler.rules.cluster.plan import Plan, Snapshot
from scheduler.rules.cluster.policy import Policy, Quota
from scheduler.rules.cluster.shapes import Shape
from scheduler.rules.explain import explain, fixes, new_node
from scheduler.rules.explain.answer import Explanation, Fix, FixKind
from scheduler.rules.placement.placement import place

_ON_NODES: dict[FixKind, dict[str, Any]] = {
    FixKind.RESUME_NODE: {"paused": False},
    FixKind.STOP_DRAINING: {"draining": False},
    FixKind.BRING_BACK_NODE: {"ready": True},
    FixKind.CLEAR_FAILURES: {"launch_failures": 0},
}
WAITS = frozenset({FixKind.WAIT_UNTIL, FixKind.WAIT_FOR_JOB})
"""What nobody can do but wait for."""


def after(
    snapshot: Snapshot,
    job_id: int,
    now: float,
    chosen: Sequence[Fix],
    chance: Callable[[], float],
    limit: int | None = None,
) -> tuple[Plan, Explanation, Shape]:
    """Return what the next tick would do, why the job would wait still, and what it would ask for, once these changes are made.

    Nodes and queue are as before when this returns. Raises KeyError for a job that does not wait.
    """
    queue, nodes = snapshot.queue, snapshot.nodes
    job = queue[job_id]
    shape = queue.groups[job.shape_id].shape
    wanted = fixes.shape_after(shape, list(chosen))
    known = set(queue.groups)
    told = {fix.kind for fix in chosen}
    changed = [(node, mended) for node in nodes if (mended := _mended(node, chosen)) != node]
    new = _new_nodes(nodes, shape, sum(int(fix.to or 0) for fix in chosen if fix.kind is FixKind.ADD_NODE))
    try:
        for node in (*(after for _, after in changed), *new):
            nodes.upsert(node)
        shape_id = job.shape_id if wanted == shape else explain.add_shape(queue, wanted)
        held = None if FixKind.RELEASE_HOLD in told else job.held
        queue.add(job_id, shape_id, job.queued_at, job.attempt, avoid=job.avoid, not_before=job.not_before, held=held)
        tried = replace(snapshot, policy=_policy(snapshot.policy, shape, chosen))
        plan = place(tried, now, chance, limit)
        return plan, explain.explain(tried, job_id, now, plan), wanted
    finally:
        for node in new:
            nodes.remove(node.id)
        for node, _ in changed:
            nodes.upsert(node)
        queue.add(
            job_id, job.shape_id, job.queued_at, job.attempt, avoid=job.avoid, not_before=job.not_before, held=job.held
        )
        for shape_id in queue.groups.keys() - known:
            queue.remove_shape(shape_id)


def _new_nodes(nodes: Nodes, shape: Shape, count: int) -> list[Node]:
    """Return the nodes that were suggested for a shape, with ids and names of their own: members apart by node need both."""
    first = max((node.id for node in nodes), default=0) + 1
    like = new_node.like(shape, nodes)
    return [
        replace(like, id=NodeId(first + number), name=f"{like.name} {number + 1}" if number else like.name)
        for number in range(count)
    ]


def _mended(node: Node, chosen: Sequence[Fix]) -> Node:
    """Return a node after all changes to it."""
    for fix in chosen:
        if fix.kind in _ON_NODES and fix.subject in {node.name, str(node.id)}:
            node = replace(node, **_ON_NODES[fix.kind])
    return node


def _policy(policy: Policy, shape: Shape, chosen: Sequence[Fix]) -> Policy:
    told = {fix.kind for fix in chosen}
    if FixKind.RESUME_SCHEDULER in told:
        policy = replace(policy, scheduler_paused=False)
    if FixKind.RESUME_PROJECT in told:
        policy = replace(policy, paused_projects=policy.paused_projects - {shape.project_id})
    if FixKind.RESUME_TYPE in told:
        policy = replace(policy, paused_types=policy.paused_types - {shape.job_type_id})
    for fix in chosen:
        if fix.kind is FixKind.RAISE_TYPE_LIMIT:
            policy = replace(policy, max_scheduled={**policy.max_scheduled, shape.job_type_id: int(fix.to or 0)})
        if fix.kind is FixKind.RAISE_QUOTA:
            quota = replace(policy.quotas.get(shape.project_id, Quota()), **{fix.subject: int(fix.to or 0)})
            policy = replace(policy, quotas={**policy.quotas, shape.project_id: quota})
    return fixes.policy_after(policy, list(chosen))
