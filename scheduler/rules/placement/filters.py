"""Filters: why a job cannot go to a node.

Every filter names its reason, so that `place` and `explain` cannot disagree.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf

import numpy as np

from scheduler.identifiers import ProjectId
from scheduler.rules.cluster.nodes import Amounts, Mask, Nodes, serves
from scheduler.rules.cluster.policy import Policy
from scheduler.rules.cluster.reasons import Reason
from scheduler.rules.cluster.shapes import Shape

STATIC: tuple[tuple[Reason, Callable[[Shape, Nodes, Policy], Mask]], ...] = (
    (Reason.NODE_NOT_READY, lambda _shape, nodes, _policy: ~nodes.ready()),
    (Reason.NODE_PAUSED, lambda _shape, nodes, _policy: nodes.paused()),
    (Reason.NODE_DRAINING, lambda _shape, nodes, _policy: nodes.draining()),
    (Reason.NODE_FAILING, lambda _shape, nodes, policy: nodes.failing(policy.launch_failures)),
    (Reason.POOL_PAUSED, lambda _shape, nodes, policy: nodes.in_pools(policy.paused_pools)),
    (Reason.OTHER_POOL, lambda shape, nodes, _policy: _outside(shape, nodes)),
    (Reason.OTHER_PROJECT, lambda shape, nodes, _policy: _closed_to(_project(shape, nodes), nodes)),
    (Reason.CONSTRAINT, lambda shape, nodes, _policy: _unsatisfied(shape, nodes)),
    (Reason.TOO_SMALL, lambda shape, nodes, _policy: ~holds(nodes.vector(shape.requires), nodes.capacity)),
)
"""The filters that do not depend on what runs. Each marks the rows it refuses; a node may fail several."""


@dataclass(frozen=True, slots=True)
class LimitAllowance:
    """How many more jobs of a shape the limits let start, and the reason that stops the others."""

    jobs: float
    reason: Reason | None = None


def eligible(shape: Shape, nodes: Nodes, policy: Policy) -> Mask:
    """Return the rows of nodes that could take the shape if they were empty; remembered until a node changes."""
    key = _demands(shape, nodes, policy)
    mask = nodes.memo.get(key)
    if mask is None:
        nodes.vector(shape.requires)
        mask = nodes.present().copy()
        for _reason, refuses in STATIC:
            mask &= ~refuses(shape, nodes, policy)
        nodes.memo[key] = mask
    return mask


def of_kind(shape: Shape, nodes: Nodes, policy: Policy) -> Mask:
    """Return the rows of nodes of the kind that the shape asks for, whatever their size.

    A node is of the kind if it is in the pool, has the labels, and has some of each named resource.
    """
    names = tuple(name for name, amount in shape.requires.custom if amount)
    key = (
        "kind",
        _project(shape, nodes),
        shape.pool,
        shape.constraints,
        names,
        policy.paused_pools,
        policy.launch_failures,
    )
    mask = nodes.memo.get(key)
    if mask is None:
        nodes.vector(shape.requires)
        mask = nodes.present().copy()
        for reason, refuses in STATIC:
            if reason is not Reason.TOO_SMALL:
                mask &= ~refuses(shape, nodes, policy)
        for name in names:
            mask &= nodes.capacity[nodes.axes.index(name)] > 0
        nodes.memo[key] = mask
    return mask


def refusals(shape: Shape, nodes: Nodes, policy: Policy) -> dict[Reason, Mask]:
    """Return the rows that each static filter refuses, in the order of the filters; only reasons that some node has."""
    present = nodes.present()
    marks = ((reason, refuses(shape, nodes, policy) & present) for reason, refuses in STATIC)
    return {reason: mark for reason, mark in marks if mark.any()}


def refusal_counts(shape: Shape, nodes: Nodes, policy: Policy) -> Mapping[str, int]:
    """Return how many nodes each static filter refuses; remembered until a node changes."""
    key = _demands(shape, nodes, policy)
    counts = nodes.refusal_counts.get(key)
    if counts is None:
        counts = {reason: int(mark.sum()) for reason, mark in refusals(shape, nodes, policy).items()}
        nodes.refusal_counts[key] = counts
    return counts


def holds(need: Amounts, room: Amounts) -> Mask:
    """Return which columns of `room` have all of `need`."""
    enough = np.ones(room.shape[1], dtype=np.bool_)
    for axis in np.flatnonzero(need).tolist():
        enough &= room[axis] >= need[axis]
    return enough


def paused(shape: Shape, policy: Policy) -> Reason | None:
    """Return the pause that stops the whole shape, the widest first; None without one."""
    if policy.scheduler_paused:
        return Reason.SCHEDULER_PAUSED
    if shape.project_id in policy.paused_projects:
        return Reason.PROJECT_PAUSED
    return Reason.TYPE_PAUSED if shape.job_type_id in policy.paused_types else None


def type_allowance(shape: Shape, policy: Policy, executions: int) -> LimitAllowance:
    """Return how many more jobs the type's `max_scheduled` lets start when `executions` of it hold room."""
    most = policy.max_scheduled.get(shape.job_type_id)
    return (
        LimitAllowance(inf)
        if most is None
        else LimitAllowance(max(0, most - executions) // shape.count, Reason.TYPE_LIMIT)
    )


def quota_allowance(shape: Shape, policy: Policy, *, cpus: int, mem: int, jobs: int) -> LimitAllowance:
    """Return how many more jobs the project's quota lets start when it holds `cpus` and `mem` in `jobs` executions."""
    quota = policy.quotas.get(shape.project_id)
    if quota is None:
        return LimitAllowance(inf)
    pairs = (
        (quota.cpus, cpus, shape.requires.cpus),
        (quota.mem, mem, shape.requires.mem),
        (quota.jobs, jobs, 1),
    )
    counts = [max(0, most - held) // (need * shape.count) for most, held, need in pairs if most is not None and need]
    return LimitAllowance(min(counts, default=inf), Reason.PROJECT_QUOTA)


def serial_allowance(shape: Shape, *, is_busy: bool) -> LimitAllowance:
    """Return how many more jobs may start of those that run one after the other."""
    return LimitAllowance(inf) if shape.serial is None else LimitAllowance(0 if is_busy else 1, Reason.DATA_SET)


def allowance(
    shape: Shape, policy: Policy, *, of_type: int, cpus: int, mem: int, jobs: int, is_serial_busy: bool = False
) -> LimitAllowance:
    """Return the tightest of the limits, when `of_type` executions of the type and `jobs` of the project hold room.

    `is_serial_busy`: another of the jobs that run one after the other with this one has its turn.
    """
    by_type = type_allowance(shape, policy, of_type)
    by_quota = quota_allowance(shape, policy, cpus=cpus, mem=mem, jobs=jobs)
    by_turn = serial_allowance(shape, is_busy=is_serial_busy)
    return min(by_type, by_quota, by_turn, key=lambda limit: limit.jobs)


def _demands(shape: Shape, nodes: Nodes, policy: Policy) -> tuple[object, ...]:
    """Return all that the static filters depend on."""
    who = _project(shape, nodes)
    return (who, shape.pool, shape.constraints, shape.requires, policy.paused_pools, policy.launch_failures)


def _project(shape: Shape, nodes: Nodes) -> ProjectId | None:
    """Return the project of the shape where some node asks for it: elsewhere shapes of all projects share an answer."""
    return shape.project_id if _closed_to(None, nodes).any() else None


def _closed_to(project: ProjectId | None, nodes: Nodes) -> Mask:
    """Return the rows of nodes that do not serve a project; for None, of those that do not serve all."""
    mask = nodes.memo.get(("closed", project))
    if mask is None:
        mask = np.zeros(nodes.capacity.shape[1], dtype=np.bool_)
        for node in nodes:
            mask[nodes.row(node.id)] = not serves(node, project)
        nodes.memo["closed", project] = mask
    return mask


def _outside(shape: Shape, nodes: Nodes) -> Mask:
    if shape.pool is None:
        return np.zeros(nodes.capacity.shape[1], dtype=np.bool_)
    return ~nodes.in_pools(frozenset({shape.pool}))


def _unsatisfied(shape: Shape, nodes: Nodes) -> Mask:
    failed = np.zeros(nodes.capacity.shape[1], dtype=np.bool_)
    for constraint in shape.constraints:
        failed |= ~nodes.matching(constraint)
    return failed
