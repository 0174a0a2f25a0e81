"""Why does this job wait, until when, and what would help? Answered by the same filters that place jobs."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from scheduler.rules import filters, remedy, scoring
from scheduler.rules.explanation import Explanation, Nearest, NeverFits
from scheduler.rules.filters import Reason
from scheduler.rules.inquiry import Inquiry
from scheduler.rules.nodes import Mask, Node, Nodes
from scheduler.rules.placement import place
from scheduler.rules.plan import Plan, Snapshot
from scheduler.rules.policy import Policy
from scheduler.rules.shapes import Shape

PREVIEW = 2**62
"""The id of a job that is only tried: later than all others. Also its shape's, where no job of that shape waits."""

_LOOK_AHEAD = 2000
"""Placements looked ahead for whether the job is among the next."""

_EVER = (Reason.OTHER_POOL, Reason.CONSTRAINT, Reason.TOO_SMALL)
"""The filters that an empty node fails for good."""


def explain(snapshot: Snapshot, job_id: int, now: float, plan: Plan | None = None) -> Explanation:
    """All reasons why a job waits. `plan` is the one of this moment, where at hand; otherwise one is made and dropped.

    Raises KeyError for a job that does not wait. Changes nothing.
    """
    job = snapshot.queue[job_id]
    shape = snapshot.queue.lines[job.shape_id].shape
    if plan is None:
        plan = place(snapshot, now, lambda: 0.0, _LOOK_AHEAD)
    return Inquiry(snapshot, job, shape, now, plan).answer()


def preview(snapshot: Snapshot, shape: Shape, now: float, chance: Callable[[], float]) -> tuple[Plan, Explanation]:
    """What would become of a job of that shape submitted now: the plan (its job id is PREVIEW), and why it would wait.

    The queue is as before when this returns.
    """
    queue = snapshot.queue
    tried = replace(shape, id=PREVIEW)
    known = (line.shape.id for line in queue.standing.values() if replace(line.shape, id=PREVIEW) == tried)
    shape_id = next(known, PREVIEW)
    queue.learn(tried)
    queue.add(PREVIEW, shape_id, now)
    try:
        plan = place(snapshot, now, chance)
        return plan, explain(snapshot, PREVIEW, now, plan)
    finally:
        queue.discard(PREVIEW)
        del queue.lines[PREVIEW]


def could_ever_fit(shape: Shape, nodes: Nodes, templates: Iterable[Node] = ()) -> NeverFits | None:
    """None when some node, or a node that a pool would start (`templates`), could hold the job when empty; else why none.

    A gang must fit on all nodes together, or on a template, of which there may be many.
    """
    scaled = Nodes(templates)
    for table, wanted in ((nodes, shape.count), (scaled, 1)):
        refused = _forever(shape, table)
        fits = table.present() & ~np.logical_or.reduce(list(refused.values()))
        slots = scoring.room_for(table.vector(shape.requires), table.capacity)
        if int(slots[fits].sum()) >= wanted:
            return None
    tables = [table for table in (nodes, scaled) if len(table)]
    counts: dict[Reason, int] = {}
    for table in tables:
        for reason, mask in _forever(shape, table).items():
            if mask.any():
                counts[reason] = counts.get(reason, 0) + int(mask.sum())
    return NeverFits(counts, _closest(shape, tables))


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
