"""Why does this job wait, until when, and what would help? Answered by the same filters that place jobs."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from scheduler.rules import filters, remedy, scoring, trial
from scheduler.rules.explanation import Explanation, Nearest, NeverFits
from scheduler.rules.filters import Reason
from scheduler.rules.inquiry import Inquiry
from scheduler.rules.nodes import Mask, Node, Nodes
from scheduler.rules.placement import place
from scheduler.rules.plan import Plan, Snapshot
from scheduler.rules.policy import Policy
from scheduler.rules.shapes import Shape

PREVIEW = 2**62
"""The id of the first job that is only tried: later than all others."""

LOOK_AHEAD = 2000
"""Placements looked ahead for whether the job is among the next."""

_EVER = (Reason.OTHER_POOL, Reason.CONSTRAINT, Reason.TOO_SMALL)
"""The filters that an empty node fails for good."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A job that is only tried: what it asks for, and what would keep it from standing in line."""

    shape: Shape
    held: str | None = None
    not_before: float | None = None


def explain(snapshot: Snapshot, job_id: int, now: float, plan: Plan | None = None) -> Explanation:
    """All reasons why a job waits. `plan` is the one of this moment, where at hand; otherwise one is made and dropped.

    Raises KeyError for a job that does not wait. Changes nothing.
    """
    job = snapshot.queue[job_id]
    shape = snapshot.queue.lines[job.shape_id].shape
    if plan is None:
        plan = place(snapshot, now, lambda: 0.0, LOOK_AHEAD)
    return Inquiry(snapshot, job, shape, now, plan).answer()


def preview(snapshot: Snapshot, shape: Shape, now: float, chance: Callable[[], float]) -> tuple[Plan, Explanation]:
    """What would become of a job of that shape submitted now: the plan (its job id is PREVIEW), and why it would wait.

    The queue is as before when this returns.
    """
    plan, explanations = previews(snapshot, [Wish(shape)], now, chance)
    return plan, explanations[0]


def previews(
    snapshot: Snapshot, wishes: Sequence[Wish], now: float, chance: Callable[[], float], limit: int | None = None
) -> tuple[Plan, list[Explanation]]:
    """What would become of jobs submitted together now, in that order: one plan, and for each why it would wait.

    Their ids in the plan count up from PREVIEW. Those that would wait are told why with the others of them running. The queue
    is as before when this returns.
    """
    queue, learned = snapshot.queue, set(snapshot.queue.lines)
    ids = range(PREVIEW, PREVIEW + len(wishes))
    try:
        for job_id, wish in zip(ids, wishes, strict=True):
            queue.add(job_id, _learn(snapshot, wish.shape), now, held=wish.held, not_before=wish.not_before)
        plan = place(snapshot, now, chance, limit)
        return plan, _told(snapshot, ids, plan, now)
    finally:
        for job_id in ids:
            queue.discard(job_id)
        for shape_id in queue.lines.keys() - learned:
            del queue.lines[shape_id]


def _told(snapshot: Snapshot, ids: Sequence[int], plan: Plan, now: float) -> list[Explanation]:
    """The explanation of each job that is tried, in order; takes those that would start out of the queue."""
    placed = [placement for placement in plan.placements if placement.job_id >= PREVIEW]
    starting = {placement.job_id for placement in placed}
    told = {job_id: explain(snapshot, job_id, now, plan) for job_id in ids if job_id in starting}
    undo = trial.carry_out(snapshot, placed, now)
    try:
        told |= {job_id: explain(snapshot, job_id, now, plan) for job_id in ids if job_id not in starting}
    finally:
        undo()
    return [told[job_id] for job_id in ids]


def _learn(snapshot: Snapshot, shape: Shape) -> int:
    """The id of that shape in the queue: of the jobs alike that wait already, else a new one."""
    queue = snapshot.queue
    alike = (line.shape.id for line in queue.lines.values() if replace(line.shape, id=shape.id) == shape)
    known = next(alike, None)
    if known is not None:
        return known
    tried = replace(shape, id=PREVIEW + len(queue.lines))
    queue.learn(tried)
    return tried.id


def could_ever_fit(shape: Shape, nodes: Nodes, templates: Iterable[Node] = ()) -> NeverFits | None:
    """None when some node, or a node that a pool would start (`templates`), could hold the job when empty; else why none.

    A gang must fit on all nodes together, or on a template, of which there may be many.
    """
    scaled = Nodes(templates)
    seats = _seats_ever(shape, nodes)
    if seats >= shape.count or _seats_ever(shape, scaled):
        return None
    tables = [table for table in (nodes, scaled) if len(table)]
    counts: dict[Reason, int] = {}
    for table in tables:
        for reason, mask in _forever(shape, table).items():
            if mask.any():
                counts[reason] = counts.get(reason, 0) + int(mask.sum())
    return NeverFits(counts, _closest(shape, tables), shape.count, seats)


def _seats_ever(shape: Shape, nodes: Nodes) -> int:
    """How many members would find a place on empty nodes; those kept apart find one for each value of the label."""
    refused = _forever(shape, nodes)
    fits = nodes.present() & ~np.logical_or.reduce(list(refused.values()))
    slots = np.where(fits, scoring.room_for(nodes.vector(shape.requires), nodes.capacity), 0)
    if shape.apart is None or shape.count == 1:
        return int(slots.sum())
    codes = nodes.label_codes(shape.apart)
    return len(np.unique(codes[(codes >= 0) & (slots > 0)])) + int(slots[codes < 0].sum())


def _forever(shape: Shape, nodes: Nodes) -> dict[Reason, Mask]:
    nodes.vector(shape.requires)
    policy, present = Policy(), nodes.present()
    return {reason: mask(shape, nodes, policy) & present for reason, mask in filters.STATIC if reason in _EVER}


def _closest(shape: Shape, tables: list[Nodes]) -> Nearest | None:
    for nodes in tables:
        masks = _forever(shape, nodes)
        row = remedy.cheapest(shape, nodes, nodes.capacity, masks)
        if row is not None:
            return remedy.nearest(shape, nodes, nodes.capacity, masks, row)
    return None
