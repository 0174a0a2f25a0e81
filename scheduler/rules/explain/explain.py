"""Explain: why does this job wait, until when, and what would help? Answered by the filters that also place jobs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from scheduler.identifiers import ShapeId
from scheduler.rules.cluster.nodes import Nodes
from scheduler.rules.cluster.plan import Plan, Snapshot
from scheduler.rules.cluster.queue import Queue
from scheduler.rules.cluster.reasons import Reason
from scheduler.rules.cluster.shapes import Shape
from scheduler.rules.explain import fixes, what_if
from scheduler.rules.explain.answer import Explanation, NearestNode, NoFittingNode
from scheduler.rules.explain.node_fit import NodeFit
from scheduler.rules.explain.wait_analysis import WaitAnalysis
from scheduler.rules.placement import capacity
from scheduler.rules.placement.capacity import PoolGrowth
from scheduler.rules.placement.placement import place

PREVIEW = 2**62
"""The id of the first trial job: later than all others."""


@dataclass(frozen=True, slots=True)
class TrialJob:
    """A job that is only tried: its shape, and what would keep it back."""

    shape: Shape
    held: str | None = None
    not_before: float | None = None


def explain(snapshot: Snapshot, job_id: int, now: float, plan: Plan | None = None) -> Explanation:
    """Return all reasons why a job waits. Changes nothing.

    `plan` is what the tick would do now, where at hand; otherwise one is made and dropped. Raises KeyError for a job
    that does not wait.
    """
    job = snapshot.queue[job_id]
    shape = snapshot.queue.groups[job.shape_id].shape
    if plan is None:
        plan = place(snapshot, now, lambda: 0.0)
    return WaitAnalysis(snapshot, job, shape, now, plan).answer()


def by_node(snapshot: Snapshot, job_id: int, now: float, plan: Plan, *, first: int, most: int) -> list[NodeFit]:
    """Return why single nodes cannot take a waiting job now, the nearest first. Changes nothing. Raises KeyError as `explain` does."""
    job = snapshot.queue[job_id]
    shape = snapshot.queue.groups[job.shape_id].shape
    return WaitAnalysis(snapshot, job, shape, now, plan).by_node(first, most)


def preview(snapshot: Snapshot, shape: Shape, now: float, chance: Callable[[], float]) -> tuple[Plan, Explanation]:
    """Return what would become of a job of that shape if submitted now: the plan, and why the job would wait.

    The job's id in the plan is PREVIEW. The queue is as before when this returns.
    """
    plan, explanations = previews(snapshot, [TrialJob(shape)], now, chance)
    return plan, explanations[0]


def previews(
    snapshot: Snapshot, jobs: Sequence[TrialJob], now: float, chance: Callable[[], float], limit: int | None = None
) -> tuple[Plan, list[Explanation]]:
    """Return what would become of jobs submitted together now, in that order: one plan, and each job's explanation.

    Their ids in the plan count up from PREVIEW. The explanation of a job that would wait assumes that the others,
    where the plan places them, are running. The queue is as before when this returns.
    """
    queue, known = snapshot.queue, set(snapshot.queue.groups)
    ids = range(PREVIEW, PREVIEW + len(jobs))
    try:
        for job_id, job in zip(ids, jobs, strict=True):
            queue.add(job_id, add_shape(queue, job.shape), now, held=job.held, not_before=job.not_before)
        plan = place(snapshot, now, chance, limit)
        return plan, _explanations(snapshot, ids, plan, now)
    finally:
        for job_id in ids:
            queue.discard(job_id)
        for shape_id in queue.groups.keys() - known:
            queue.remove_shape(shape_id)


def _explanations(snapshot: Snapshot, ids: Sequence[int], plan: Plan, now: float) -> list[Explanation]:
    """Return the explanation of each trial job, in order; removes those that would start from the queue."""
    placed = [placement for placement in plan.placements if placement.job_id >= PREVIEW]
    starting = {placement.job_id for placement in placed}
    told = {job_id: explain(snapshot, job_id, now, plan) for job_id in ids if job_id in starting}
    undo = what_if.carry_out(snapshot, placed, now)
    try:
        told |= {job_id: explain(snapshot, job_id, now, plan) for job_id in ids if job_id not in starting}
    finally:
        undo()
    return [told[job_id] for job_id in ids]


def add_shape(queue: Queue, shape: Shape) -> int:
    """Let a shape be known for a moment, and return its id: that of a known shape that asks for the same, else a new one."""
    known = queue.matching_shape_id(shape)
    if known is not None:
        return known
    tried = replace(shape, id=ShapeId(PREVIEW + len(queue.groups)))
    queue.add_shape(tried)
    return tried.id


def could_ever_fit(shape: Shape, nodes: Nodes, growth: Sequence[PoolGrowth] = ()) -> NoFittingNode | None:
    """Return None when nodes that there are, or that pools would start (`growth`), could hold the job if empty.

    Otherwise return why they could not.
    """
    fitting = capacity.most_members(shape, nodes, growth)
    if fitting >= shape.count:
        return None
    tables = [table for table in (nodes, Nodes(one.like for one in growth)) if len(table)]
    counts: dict[Reason, int] = {}
    for table in tables:
        for reason, mask in capacity.refused_for_good(shape, table).items():
            if mask.any():
                counts[reason] = counts.get(reason, 0) + int(mask.sum())
    growing = fitting > capacity.most_members(shape, nodes)
    return NoFittingNode(counts, _closest(shape, tables), shape.count, fitting, growing)


def _closest(shape: Shape, tables: list[Nodes]) -> NearestNode | None:
    for nodes in tables:
        masks = capacity.refused_for_good(shape, nodes)
        row = fixes.cheapest(shape, nodes, nodes.capacity, masks)
        if row is not None:
            return fixes.nearest(shape, nodes, nodes.capacity, masks, row)
    return None
