"""Demand and supply: what waits for room, and what the nodes will have room for soon.

Supply is counted in slots of a shape: how many of its jobs could *start* on a node within a time, one after the other
if they are short. Every slot that is taken uses up that part of the node for the shapes after it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import floor, inf

import numpy as np
from numpy.typing import NDArray

from scheduler.rules.cluster.nodes import Amounts
from scheduler.rules.cluster.plan import Snapshot
from scheduler.rules.cluster.reasons import Reason
from scheduler.rules.cluster.shapes import NODE_LABEL, Shape
from scheduler.rules.placement.filters import allowance, eligible, paused
from scheduler.rules.placement.reservation import expected_ends
from scheduler.rules.placement.scoring import room_for


@dataclass(frozen=True, slots=True)
class GroupDemand:
    """Jobs of one shape that wait for nothing but room: how many, their run time, and how long the first has waited.

    Members of gangs count singly. `kept_back` says how many more jobs wait for something else, `reason` for what.
    """

    shape: Shape
    count: int
    expected_s: float
    waited_s: float
    kept_back: int = 0
    reason: Reason | None = None


@dataclass(slots=True)
class NodeSupply:
    """For each node row: what is free now and within the horizon, when on average that comes, and when all ends.

    `left` is the part of the node, 0 to 1, that no shape has been given yet.
    """

    free: Amounts
    later: Amounts
    frees_in_s: NDArray[np.float64]
    busy_s: NDArray[np.float64]
    left: NDArray[np.float64]


def demands(snapshot: Snapshot, now: float) -> list[GroupDemand]:
    """Return what waits, most urgent first, each shape without the jobs that a pause or limit stops."""
    found = [_demand(snapshot, shape_id, now) for shape_id in snapshot.queue.ready_groups]
    return sorted(found, key=lambda need: (need.shape.priority, -need.waited_s, need.shape.id))


def supply(snapshot: Snapshot, now: float, horizon_s: float) -> NodeSupply:
    """Return what every node has free now and, by the predicted ends of what runs, within the horizon (seconds)."""
    nodes, running = snapshot.nodes, snapshot.running
    for request in running.requests():
        nodes.vector(request)
    for group in snapshot.queue.ready_groups.values():
        nodes.vector(group.shape.requires)  # before arrays are copied, since a new resource adds an axis to them
    free, later = nodes.free(), nodes.free()
    width = free.shape[1]
    delay, ends, busy = np.zeros(width), np.zeros(width), np.zeros(width)
    rows = nodes.rows_of(running.node_ids)
    live = np.flatnonzero((running.node_ids >= 0) & (rows >= 0))
    if len(live):
        gone_in = expected_ends(running, now)[live] - now
        np.maximum.at(busy, rows[live], gone_in)
        soon = gone_in <= horizon_s
        table = np.stack([nodes.vector(request) for request in running.requests()], axis=1)
        np.add.at(later.T, rows[live][soon], table[:, running.request[live]].T[soon])
        np.add.at(delay, rows[live][soon], gone_in[soon])
        np.add.at(ends, rows[live][soon], 1.0)
    return NodeSupply(free, later, delay / np.maximum(ends, 1.0), busy, np.ones(width))


def absorb(need: GroupDemand, count: float, snapshot: Snapshot, there: NodeSupply, horizon_s: float) -> float:
    """Give the slots that nodes have to these jobs, in the order of rows; return how many jobs are left without one."""
    mask = eligible(need.shape, snapshot.nodes, snapshot.policy)
    vector = snapshot.nodes.vector(need.shape.requires)
    rows = np.flatnonzero(mask & (there.left > _SPECK))
    slots = _slots(need, vector, rows, there, horizon_s)
    rows, slots = rows[slots > 0], slots[slots > 0]
    capacity = slots * there.left[rows]
    before = np.cumsum(capacity) - capacity
    taken = np.clip(count - before, 0.0, capacity)
    there.left[rows] -= taken / slots
    left = count - float(taken.sum())
    return left if left > _SPECK else 0.0


def waves(expected_s: float, within_s: float) -> int:
    """Return how many jobs can start in one slot within a time: one at once, each next when the last has ended."""
    if within_s <= 0 or expected_s == inf:
        return 1
    return 1 + floor(within_s / max(expected_s, _SHORTEST_S))


_SPECK = 1e-9
"""Less than this of a job is the rounding of fractions."""

_SHORTEST_S = 0.1
"""A job takes at least this long of its slot, whatever is predicted.

Placing, starting and reporting take time too.
"""


def _demand(snapshot: Snapshot, shape_id: int, now: float) -> GroupDemand:
    group = snapshot.queue.ready_groups[shape_id]
    shape, policy = group.shape, snapshot.policy
    pause = paused(shape, policy)
    held = snapshot.running.of_project(shape.project_id)
    limit = allowance(
        shape,
        policy,
        of_type=snapshot.running.of_type(shape.job_type_id),
        cpus=held.resources.cpus,
        mem=held.resources.mem,
        jobs=held.executions,
        is_serial_busy=shape.serial is not None and bool(snapshot.running.of_serial(shape.serial)),
    )
    may = 0 if pause else floor(min(group.live, limit.jobs))
    return GroupDemand(
        shape,
        may * shape.count,
        snapshot.predictor.expected_s(shape.project_id, shape.job_type_id, shape.timeout_s, shape.requires),
        max(0.0, now - group.at[group.first]),
        group.live - may,
        (pause or limit.reason) if may < group.live else None,
    )


def _slots(
    need: GroupDemand, vector: Amounts, rows: NDArray[np.intp], there: NodeSupply, horizon_s: float
) -> NDArray[np.float64]:
    """Return how many of these jobs the whole of each node could start within the horizon."""
    first = np.maximum(room_for(vector, there.free[:, rows]), 0)
    later = np.maximum(room_for(vector, there.later[:, rows]), 0)
    if need.shape.apart == NODE_LABEL:  # one at a time on each
        first, later = np.minimum(first, 1), np.minimum(later, 1)
    more = np.maximum(later - first, 0)
    within = np.maximum(horizon_s - there.frees_in_s[rows], 0.0)
    turns = 1 + (within // max(need.expected_s, _SHORTEST_S) if need.expected_s < inf else 0.0)
    slots: NDArray[np.float64] = first * float(waves(need.expected_s, horizon_s)) + more * turns
    return slots


def waiting_for(found: list[GroupDemand]) -> Mapping[str, int]:
    """Return how many jobs wait for something that no node would give, by the reason."""
    counts: dict[str, int] = {}
    for need in found:
        if need.kept_back and need.reason is not None:
            counts[need.reason] = counts.get(need.reason, 0) + need.kept_back
    return counts
